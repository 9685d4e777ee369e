/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What all unit tests share: cmocka with the headers it wants before it, checks that name their case, and folders that
 * go away again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"

/* Fails with the case's name in front, so that a row of a table is found at once. */
#define CHECK(name, condition)                                                                                         \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			fail_msg("%s: expected %s", (name), #condition);                                               \
	} while (0)
#define CHECK_TEXT(name, actual, expected)                                                                             \
	do {                                                                                                           \
		const char *actual_ = (actual), *expected_ = (expected);                                               \
		if (actual_ == NULL || strcmp(actual_, expected_) != 0)                                                \
			fail_msg("%s: \"%s\", expected \"%s\"", (name), actual_ != NULL ? actual_ : "(null)",          \
			         expected_);                                                                           \
	} while (0)
#define CHECK_NUMBER(name, actual, expected)                                                                           \
	do {                                                                                                           \
		long long actual_ = (long long)(actual), expected_ = (long long)(expected);                            \
		if (actual_ != expected_)                                                                              \
			fail_msg("%s: %lld, expected %lld", (name), actual_, expected_);                               \
	} while (0)

/* In what runs in a process of its own, where cmocka cannot be told: says what is wrong and gives up. */
#define EXPECT(condition)                                                                                              \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			(void)dprintf(STDERR_FILENO, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition);          \
			return 250;                                                                                    \
		}                                                                                                      \
	} while (0)

/* A fresh folder below TMPDIR; `path` has room for PATH_MAX. Returns `path`. */
static inline char *unit_folder(char path[static PATH_MAX])
{
	const char *base = getenv("TMPDIR");
	(void)snprintf(path, PATH_MAX, "%s/keytrail-unit-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(path) == NULL)
		fail_msg("cannot make a folder");
	return path;
}

static inline int unit_remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static inline void unit_folder_remove(const char *path)
{
	(void)nftw(path, unit_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* `folder`/`name` in a static buffer of the caller's. Returns `to`. */
static inline char *unit_path(char to[static PATH_MAX], const char *folder, const char *name)
{
	if (snprintf(to, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
		fail_msg("path too long");
	return to;
}

static inline void unit_write(const char *path, const void *bytes, size_t length)
{
	FILE *file = fopen(path, "we");
	if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0)
		fail_msg("cannot write %s", path);
}

/* Runs `body` in a process of its own and gives its exit status, or -1 when it was ended by a signal: for what changes
 * the process (limits, users) or might end it. */
static inline int unit_in_child(int (*body)(void *), void *context)
{
	int status = 0;
	(void)fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		/* cmocka would catch these, and go on with the remaining tests in the child. */
		static const int caught[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS};
		for (size_t i = 0; i < ARRAY_LENGTH(caught); i++)
			(void)signal(caught[i], SIG_DFL);
		_exit(body(context));
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		fail_msg("cannot run a child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
