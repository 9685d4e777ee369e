/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"

/* One HTTP request and its answer, over libcurl as transport only: it signs nothing, follows nothing, decodes nothing.
 * Handles keep their connections and are handed from request to request; any thread may send. */
struct aws_http;

MUST_USE int aws_http_new(const volatile sig_atomic_t *stop, struct aws_http **ret, struct error *err);
void aws_http_free(struct aws_http *http);

struct aws_http_request {
	const char *method, *url;
	const struct buffer *headers; /* lines with a line feed behind each: "Name: value\n" */
	const void *body;
	size_t body_length;
	bool has_sink;
	int sink;     /* where the body of a 2xx answer goes, if has_sink */
	bool is_near; /* on this machine or its link: no proxy, and short patience */
};

struct aws_http_answer {
	long status;
	struct buffer headers; /* as they came */
	struct buffer body;    /* empty where it went to the sink */
	uint64_t sunk;         /* bytes that went there */
};
void aws_http_answer_done(struct aws_http_answer *answer);
#define CLEANUP_ANSWER CLEANUP(aws_http_answer_done)

#define AWS_BODY_BYTES ((size_t)32 << 20) /* of an answer in memory: 50 events, 1,000 keys or addresses */

/* -1: no whole answer came: ERROR_TIMEOUT, ERROR_LIMIT, or ERROR_SYSTEM, which is worth another try. */
MUST_USE int aws_http_send(struct aws_http *http, const struct aws_http_request *request, struct aws_http_answer *ret,
                           struct error *err);

/* The value of a header, "" where there is none; cut at size - 1. Returns `to`. Pure. */
char *aws_http_header(const struct aws_http_answer *answer, const char *name, char *to, size_t size);

/* Has the operator asked to stop? */
bool aws_http_is_stopped(const struct aws_http *http);
