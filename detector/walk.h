/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

/* A cursor over JSON text: members one after the other, values skipped or copied, no tree. It checks what it needs to
 * find its way, not every value that it skips. All functions return false (walk_next: WALK_BROKEN) when the text ends
 * or is not JSON; the cursor then stands where it noticed. Nothing is owned. */
struct walk {
	const char *at, *end;
};

enum walk_step { WALK_MEMBER, WALK_END, WALK_BROKEN };

/* Steps over an opening `{` or `[`. */
MUST_USE bool walk_enter(struct walk *walk, char open);

#define WALK_NAME_BYTES 40

/* A member's name: lent from the text, or from `room` if it had to be decoded (then cut if longer). */
struct walk_name {
	const char *text; /* no NUL behind it */
	size_t length;
	char room[WALK_NAME_BYTES];
};
bool walk_name_is(const struct walk_name *name, const char *text);

/* To the next member's value (`first`: directly behind walk_enter), or over the closing brace. */
MUST_USE enum walk_step walk_next(struct walk *walk, bool first, struct walk_name *ret);

/* The first byte of the value that comes, '\0' if there is none. */
char walk_peek(struct walk *walk);

/* Over one value of any kind. */
MUST_USE bool walk_skip(struct walk *walk);

/* A string, decoded to UTF-8 with a NUL behind it. What does not fit is cut (*ret_fits false); NUL bytes within become
 * spaces; surrogates without their other half become U+FFFD, bytes that are no UTF-8 question marks. `ret_fits` may be
 * NULL. */
MUST_USE bool walk_text(struct walk *walk, char *to, size_t size, bool *ret_fits);
