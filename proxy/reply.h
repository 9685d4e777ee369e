/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "common/buffer.h"
#include "proxy/witness/line.h"

/* What goes back to the client, as bytes. Either upstream's head and body with the one header that the proxy owns
 * (the remaining seconds of its own token) replaced, or a refusal of ours with an empty body: the CRT takes any
 * non-empty body of an error for the value. Pure. */

/* A refusal in the form of the service: 400, 401, 403, 405 (with Allow), 417, 503. */
MUST_USE int reply_refusal(struct buffer *to, enum service service, int status, int64_t now_us, struct error *err);

/* The answer to PUT /latest/api/token in the form of upstream's own (`model_head`, which may be empty: then in that of
 * current instances), with our token. */
MUST_USE int reply_token(struct buffer *to, const struct buffer *model_head, const char *token, int64_t ttl_seconds,
                         int64_t now_us, struct error *err);

/* Upstream's answer. ttl_left < 0: the request had no token. `body` may be NULL (HEAD). */
MUST_USE int reply_relay(struct buffer *to, enum service service, const struct buffer *head, const struct buffer *body,
                         int64_t ttl_left, struct error *err);
