/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/buffer.h"
#include "common/digest.h"
#include "detector/aws_credentials.h"

/* AWS Signature Version 4, in the header, as AWS documents it ("Create a signed AWS API request"). Written here because
 * libcurl's signs queries and paths wrongly in the versions that Debian ships. Pure but for OpenSSL; any thread. */

struct sigv4_pair {
	const char *name, *value;
};

/* Paths are encoded once, as S3 wants it; all other services are only asked at "/". */
struct sigv4_request {
	const char *method, *service, *region;
	const char *host;               /* as the Host header has it: without a default port */
	const char *path;               /* not encoded; begins with a slash */
	const struct sigv4_pair *query; /* not encoded, in any order */
	size_t query_count;
	const struct sigv4_pair *headers; /* to be signed, beside Host and X-Amz-* */
	size_t header_count;
	const void *body;
	size_t body_length;
	bool with_content_hash; /* send and sign x-amz-content-sha256: S3 insists */
	int64_t now_us;
};

#define SIGV4_DATE_BYTES 17 /* 20150830T123600Z */

struct sigv4_signature {
	struct buffer target;        /* path and query as they must be sent */
	struct buffer authorization; /* value of the header */
	char date[SIGV4_DATE_BYTES]; /* of x-amz-date */
	char content_hash[DIGEST_HEX_BYTES];
};
void sigv4_signature_done(struct sigv4_signature *signature);
#define CLEANUP_SIGNATURE CLEANUP(sigv4_signature_done)

MUST_USE int sigv4_sign(const struct sigv4_request *request, const struct aws_credentials *credentials,
                        struct sigv4_signature *ret, struct error *err);

/* Appends text, with all but A-Z a-z 0-9 - . _ ~ (and slashes, if they may stand) as %XX. */
MUST_USE int sigv4_encode(struct buffer *to, const char *text, bool keep_slashes, struct error *err);
