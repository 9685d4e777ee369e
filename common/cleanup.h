/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Locals that undo themselves on every exit, and the two verbs that hand them over instead. */

#define CLEANUP(function) __attribute__((cleanup(function)))
/* A result that must not be lost; `(void)` in front of the call says that it is on purpose. gcc respects that cast only
 * for the C2x spelling, clang 14 knows only the other one before C2x. Stands first in a declaration. */
#ifdef __clang__
#define MUST_USE __attribute__((warn_unused_result))
#else
#define MUST_USE [[nodiscard]]
#endif
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

static inline void cleanup_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_descriptor(const int *descriptor)
{
	if (*descriptor >= 0)
		(void)close(*descriptor);
}

static inline void cleanup_file(FILE **file)
{
	if (*file != NULL)
		(void)fclose(*file);
}

#define CLEANUP_FREE CLEANUP(cleanup_pointer)
#define CLEANUP_FD CLEANUP(cleanup_descriptor)
#define CLEANUP_FILE CLEANUP(cleanup_file)

/* Hands a descriptor over: the local no longer owns it. */
static inline int steal_fd(int *descriptor)
{
	int taken = *descriptor;
	*descriptor = -1;
	return taken;
}

/* Hands a pointer over: the local no longer owns it. */
#define steal_pointer(pointer)                                                                                         \
	({                                                                                                             \
		__typeof__(*(pointer)) taken_ = *(pointer);                                                            \
		*(pointer) = NULL;                                                                                     \
		taken_;                                                                                                \
	})

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
