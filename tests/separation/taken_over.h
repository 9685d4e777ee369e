/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* What somebody tries who runs inside the proxy, once its privileges are gone and its filter stands. Each attempt gets
 * its words and says what came of it: "ok", the name of an error, or a fact. Lines come in on standard input, and
 * answers go out on standard output. */

#define WORDS_MAX 8

struct attempt {
	const char *name;
	int words; /* that it needs */
	void (*make)(char *const words[], char *answer, size_t size);
};

extern const struct attempt attempts_system[];  /* files, processes, privileges; the last has no name */
extern const struct attempt attempts_queries[]; /* the witness */

/* The proxy's own socket to the witness. */
extern int witness_main_fd;

/* "ok", or the name of errno. */
void say_result(long result, char *answer, size_t size);
