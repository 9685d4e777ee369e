/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Lines of an HTTP/1 head, of requests and of answers alike: each has one reading, or a reason (one word) why not
 * (RFC 9112 sections 2.2, 5.1, 5.2). Lent bytes, nothing copied. Pure. */

struct head_line {
	const char *bytes;
	size_t length; /* without CRLF */
};

#define HEAD_LINE_INCOMPLETE ((size_t)-1)

/* One line up to CRLF. Gives a reason, or NULL; with NULL and length HEAD_LINE_INCOMPLETE its end is not there yet. */
const char *head_line_take(const char *bytes, size_t length, struct head_line *ret);

/* NAME: VALUE, the value without white space around it. A reason, or NULL. */
const char *head_line_field(struct head_line line, struct head_line *ret_name, struct head_line *ret_value);

/* Is it this text, whatever the case of letters? */
bool head_line_is(struct head_line line, const char *text);

/* The value of the first field of this name in a head, if there is one. */
bool head_line_find(const char *head, size_t length, const char *name, struct head_line *ret_value);

/* Decimal digits only, at least one and at most nine. */
bool head_line_number(struct head_line line, size_t *ret);

/* tchar of RFC 9110 section 5.6.2 */
bool head_line_is_token(char c);
