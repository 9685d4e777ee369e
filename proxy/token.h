/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/secret.h"

/* The proxy's own IMDSv2 tokens: stateless, so that a restart invalidates none and no table can grow. 40 bytes as 56
 * characters of URL-safe base64, the form that EC2 gives out: a marker, when it ends, a nonce, and a truncated
 * HMAC-SHA256 over these and the scope. Time is seconds since boot, so that a clock that jumps neither ends nor
 * revives a token; the boot's id is part of the scope. */

#define TOKEN_TEXT_BYTES 57         /* and its NUL */
#define TOKEN_TTL_MAX_SECONDS 21600 /* EC2 user guide: six hours */

/* Whom a token is good for, as text: see proxy/scope.h. */
#define TOKEN_SCOPE_BYTES 160

/* The value of X-aws-ec2-metadata-token-ttl-seconds: 1 to 21600, digits only. NULL (header missing) is false. */
bool token_parse_ttl(const char *text, int64_t *ret_seconds);

MUST_USE int token_make(const struct secret_key *key, const char *scope, int64_t now_seconds, int64_t ttl_seconds,
                        char ret[static TOKEN_TEXT_BYTES], struct error *err);

enum token_verdict {
	TOKEN_GOOD,
	TOKEN_MALFORMED,
	TOKEN_EXPIRED, /* ours and in scope, but over */
	TOKEN_STRANGE, /* not ours, or used outside its scope: a stateless token cannot tell which */
};

/* Why a request with it is refused, as rows and counts say it; NULL: it is not. */
const char *token_refusal(enum token_verdict verdict);

/* *ret_left: remaining seconds of a good token. */
enum token_verdict token_check(const struct secret_key *key, const char *scope, int64_t now_seconds, const char *text,
                               int64_t *ret_left);

/* ---- while the key changes */

struct token_keys {
	struct secret_key now, previous;
	int64_t previous_until; /* seconds since boot; no token that the previous key made ends later. 0: there is none
	                         */
};
void token_keys_done(struct token_keys *keys);
#define CLEANUP_TOKEN_KEYS CLEANUP(token_keys_done)

/* The same by either key. A token that the previous key cannot have made any more while it was in use is strange. */
enum token_verdict token_check_keys(const struct token_keys *keys, const char *scope, int64_t now_seconds,
                                    const char *text, int64_t *ret_left);
