/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "common/error.h"

/* Threads that do tasks, each with tools of its own, and a caller who gives them out and takes them back in the order
 * in which it gave them, whoever was done first. With one worker everything happens in the caller's thread. */
struct crew;

struct crew_work {
	void (*work)(void *context, size_t worker, void *task); /* in a thread of the worker's */
	void (*done)(void *context, void *task);                /* in the caller's, in order; frees the task */
	void (*tick)(void *context);                            /* in the caller's, now and then while it waits */
	void *context;
};

/* `workers`: at least one. Where the system gives fewer threads, fewer work. */
MUST_USE int crew_new(size_t workers, const struct crew_work *work, struct crew **ret, struct error *err);

/* Waits while too many tasks are on their way. */
void crew_give(struct crew *crew, void *task);

/* Until all tasks are done. */
void crew_wait(struct crew *crew);

/* Waits, and ends the threads. */
void crew_free(struct crew *crew);
