/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A strict look at the raw bytes of a request's head before anything is read out of them: HTTP libraries take bare LF,
 * folded lines, CL with TE and spaces before colons (RFC 9112 sections 2.2, 5.1, 5.2, 6.1). Pure. */

#define SCREEN_HEAD_BYTES 8192 /* of the whole head; the longest real one is below 1 KB */
#define SCREEN_HEADERS_MAX 64

enum screen_verdict {
	SCREEN_MORE, /* so far nothing wrong, the head is not complete */
	SCREEN_GOOD,
	SCREEN_BAD, /* answer 400 and close */
};

struct screen {
	enum screen_verdict verdict;
	const char *reason;    /* of SCREEN_BAD: one word */
	size_t head_bytes;     /* of SCREEN_GOOD, with the empty line */
	bool expects_continue; /* an Expect header: IMDS answers 417 */
	size_t content_length; /* of the body; 0 also when nothing was said */
	bool is_chunked;       /* the body's length is said by its chunks */
};

struct screen screen_head(const char *bytes, size_t length);
