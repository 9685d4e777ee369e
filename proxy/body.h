/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/screen.h"

/* A strict look at the body behind a head that screen.c has found good (RFC 9112 sections 6.2 and 7.1). Nothing that
 * the metadata service serves takes a body: it is dropped, but where it ends must be beyond doubt. Pure. */

#define BODY_BYTES_MAX 4096 /* as it is on the wire; the one real body is the empty chunk of s3fs: 5 bytes */

struct body {
	enum screen_verdict verdict;
	const char *reason; /* of SCREEN_BAD: one word */
	size_t bytes;       /* of SCREEN_GOOD: on the wire, with the lines of its chunks */
	bool has_extra;     /* of SCREEN_GOOD: bytes behind the request: pipelining or smuggling */
};

/* `bytes` are those behind the head. A request without a body is good and has 0 bytes. */
struct body body_screen(const struct screen *head, const char *bytes, size_t length);
