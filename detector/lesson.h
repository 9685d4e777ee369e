/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The calls whose records teach something beyond the use of a key: who got which key from whom, whose an address or an
 * endpoint is. They are parsed whoever made them. */

enum lesson {
	LESSON_NONE,
	LESSON_LINK,    /* a key, a user, a password or a console session came out of it: links.h */
	LESSON_SIGN_IN, /* nothing, but its record names no key: it must be looked at */
	LESSON_CLAIM,   /* an address or an endpoint changed hands: claims.h */
};

/* By eventName. Pure. */
enum lesson lesson_of(const char *name, size_t length);

/* The names themselves, NULL behind the last. */
const char *lesson_name(size_t i);
