/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* The emergency journal: a file of fixed size, allocated in advance, that takes rows while the database cannot be
 * written (a full disk must not take the role from every program of the machine). Used by the writer's thread only. */
struct journal;

#define JOURNAL_BYTES (4 << 20) /* about 2,000 deliveries */

/* Opens or makes the file; what an earlier run left in it is kept for journal_replay. */
MUST_USE int journal_open(const char *path, struct journal **ret, struct error *err);
void journal_close(struct journal *journal);

/* Adds one line, durable on return; ERROR_LIMIT when it is full. */
MUST_USE int journal_append(struct journal *journal, const char *line, size_t length, struct error *err);

/* Are there lines to replay? */
bool journal_is_empty(const struct journal *journal);

/* Is more than half of its room taken? */
bool journal_is_filling(const struct journal *journal);

/* Each line in order; a torn last one is passed over. `take` returns -1 to stop. */
MUST_USE int journal_replay(struct journal *journal,
                            int (*take)(void *context, const char *line, size_t length, struct error *err),
                            void *context, struct error *err);

/* Forgets all lines, durably: call when they are safe in the database. */
MUST_USE int journal_clear(struct journal *journal, struct error *err);
