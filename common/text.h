/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

/* Strict parsing and safe printing of short texts. Pure functions; safe from any thread. */

/* Decimal digits only, the whole text, no sign, at most `maximum`. Returns false and leaves *ret alone otherwise. */
MUST_USE bool text_to_u64(const char *text, uint64_t maximum, uint64_t *ret);

/* Copies into a fixed array, cut at size - 1 bytes; says whether all of it fitted. */
bool text_copy(char *to, size_t size, const char *from);

/* Untrusted bytes as one printable ASCII line: control bytes, backslash, quote and everything above 0x7e become
 * \xNN (or \\ and \"). Always terminated; cut at size - 1. Returns `to`. */
char *text_escape(char *to, size_t size, const char *bytes, size_t length);

/* A heap copy that is valid UTF-8 without NUL: each byte that is not part of a well-formed sequence, and each NUL,
 * becomes the four characters \xNN. The caller frees; NULL when out of memory. */
MUST_USE char *text_to_utf8(const char *bytes, size_t length);

/* Is all of it well-formed, without NUL? */
bool text_is_utf8(const char *bytes, size_t length);

/* In place: each byte that is not part of a well-formed sequence becomes a question mark. */
void text_repair_utf8(char *text, size_t length);

bool text_starts(const char *text, const char *prefix);

/* What stands behind the last slash of a path: the path itself where it has none, "" where it ends in one. Borrowed. */
const char *text_base(const char *path);

/* Does the text match a glob of `*` and `?`? `*` also matches '/'. */
bool text_glob(const char *pattern, const char *text);
/* Does it match one of several, with spaces or tabs between them? Patterns of 200 bytes and more match nothing. */
bool text_glob_any(const char *patterns, const char *text);

/* Plus signs and %XX of forms, in place. False for an escape that is none, or of a NUL; the text is then worthless. */
MUST_USE bool text_decode_form(char *text);

/* A copy without white space at both ends, in place. */
char *text_trim(char *text);
