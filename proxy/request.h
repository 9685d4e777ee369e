/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What a client asks for: texts lent from the bytes of its request. */
struct request {
	const char *method, *target;                 /* as on the request line */
	const char *host, *token, *ttl, *user_agent; /* NULL: no such header */
	const char *authorization;                   /* a secret; NULL: no such header */
	bool has_forwarded_for, expects_continue;
	bool has_extra;        /* bytes came behind it, which nobody reads */
	const char *malformed; /* why the head is refused, or NULL; then all the others may be NULL */
};

/* Takes apart a head that screen.c has found good, in place: `bytes` holds it from the request line to the empty line,
 * and gets a NUL behind each text that *ret has. Of a header that stands twice the first counts; screen.c lets none of
 * those twice that matter. Nothing is decoded. Pure. */
void request_split(char *bytes, size_t length, struct request *ret);
