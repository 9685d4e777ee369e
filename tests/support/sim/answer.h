/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/settings.h"
#include "sim/sim.h"
#include "sim/target.h"

/* Enough for any client seen; further ones are not looked at. */
#define REQUEST_HEADERS 64

/* A longer body is a bad request. */
#define REQUEST_BODY_LIMIT 4096

struct header {
	const char *name;
	const char *value;
};

/* Which of the simulated services was asked: the instance metadata service, or an agent of a container host. */
enum service { SERVICE_IMDS, SERVICE_ECS, SERVICE_EKS, SERVICE_COUNT };
extern const char *const service_names[SERVICE_COUNT];

/* A request as far as the service looks at it. The strings are lent for as long as the request is. */
struct request {
	enum service service;
	enum method method;
	const char *method_name;
	const char *raw_target;
	const char *version;
	bool has_target; /* TARGET could be made of RAW_TARGET */
	struct target target;
	struct header headers[REQUEST_HEADERS];
	size_t header_count;
	size_t body_bytes;
};

/* The first header of that name, in any case; NULL when there is none. */
const char *request_header(const struct request *request, const char *name);

/* Which headers an answer has, and in which order: see wire.c. */
enum shape { SHAPE_TOKEN, SHAPE_VALUE, SHAPE_ERROR, SHAPE_METHODS, SHAPE_REDIRECT, SHAPE_AGENT, SHAPE_COUNT };

struct answer {
	enum shape shape;
	int status;
	long ttl_seconds;         /* 0: no such header */
	const char *content_type; /* SHAPE_VALUE, SHAPE_AGENT */
	const char *allow;        /* SHAPE_METHODS */
	time_t modified;          /* SHAPE_VALUE */
	struct blob body;
	char location[TARGET_BYTES + 32]; /* SHAPE_REDIRECT */
	char access_key_id[129];          /* of the body, for the record */
};

#define CLEANUP_ANSWER __attribute__((cleanup(answer_done)))

/* What the service would say. Reads SIM without changing it; the caller holds its lock. */
void answer_request(const struct sim *sim, const struct request *request, int64_t now_ms, struct answer *ret_answer);

/* An answer without a body of its own: the status says it all. */
struct answer answer_status(int status);

void answer_done(struct answer *answer);
