/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"

/* An answer of a metadata service, read as its bytes come, however they are cut. Strict and bounded: what has two
 * readings, says another length than it has, or is longer than anything IMDS serves, is no answer. Touches nothing but
 * memory; one thread uses a reader. */

#define RESPONSE_HEAD_BYTES 16384
#define RESPONSE_BODY_BYTES (1 << 20) /* user data is at most 16 KB, credentials 4 KB */
#define RESPONSE_INTERIM_MAX 8        /* 100 Continue and its like, passed over */

struct response {
	int status;
	struct buffer head; /* raw, from the status line to the empty line, of the final answer */
	struct buffer body; /* chunks put together; wiped by response_done */
	int64_t date_us;    /* the Date header, 0 if none */
};
void response_done(struct response *response);
/* Whatever *ret held is let go of; on failure it is to be done too. */
MUST_USE int response_copy(const struct response *from, struct response *ret, struct error *err);
#define CLEANUP_RESPONSE CLEANUP(response_done)

enum response_phase {
	RESPONSE_HEAD,
	RESPONSE_LENGTH, /* a body of so many bytes */
	RESPONSE_CLOSE,  /* a body up to the end of the connection */
	/* Of chunks: */
	RESPONSE_CHUNK_SIZE,
	RESPONSE_CHUNK_SIZE_LF,
	RESPONSE_CHUNK_DATA,
	RESPONSE_CHUNK_CR,
	RESPONSE_CHUNK_LF,
	RESPONSE_END_CR,
	RESPONSE_END_LF,
	RESPONSE_COMPLETE,
};

struct response_reader {
	struct response *response; /* lent; fresh or done */
	bool is_head;              /* the answer to HEAD: no body, whatever its headers say */
	enum response_phase phase;
	size_t left;   /* of the body, or of a chunk */
	size_t digits; /* of a chunk's size */
	int interim;   /* so many passed over */
};

void response_begin(struct response_reader *reader, struct response *response, bool is_head);

/* Takes what came. -1: no answer that can be used (ERROR_INPUT, ERROR_LIMIT, ERROR_MEMORY). */
MUST_USE int response_take(struct response_reader *reader, const char *bytes, size_t length, struct error *err);

/* The connection has ended. -1: too early. */
MUST_USE int response_end(struct response_reader *reader, struct error *err);

static inline bool response_is_complete(const struct response_reader *reader)
{
	return reader->phase == RESPONSE_COMPLETE;
}
