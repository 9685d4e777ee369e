/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A metadata service on loopback that does as each case says, and what asks it. */
#include "tests/common/unit.h"

#include <pthread.h>

#include "proxy/upstream.h"

struct service;
/* Answers one request, in a thread of its own; who called closes `fd`. */
typedef void answer_function(struct service *service, int fd, const char *request);

#define REQUESTS_MAX 64

struct service {
	int listener, stop[2];
	char address[32]; /* of the listener, HOST:PORT */
	pthread_t thread;
	answer_function *answer;

	pthread_mutex_t mutex; /* guards what follows, until service_stop */
	pthread_cond_t visit_ended;
	int visits, connections; /* going on now, and ever made */
	int count, puts;         /* requests, and those for tokens among them */
	char requests[REQUESTS_MAX][1024];
};

void service_start(struct service *service, answer_function *answer);
/* When it returns, all that were connected before have been served: end the client's connections first. */
void service_stop(struct service *service);

/* ---- answers, and pieces of such */

#define LENGTH_0 "Content-Length: 0\r\n\r\n"

void say(int fd, const char *text);
bool is_put(const char *request);
void give_token(struct service *service, int fd); /* "token1", then "token2", ... */
void wait_until_closed(int fd);

answer_function fine;           /* a token, or "abc" */
answer_function refuses_tokens; /* 403 to everything */
answer_function throttles;      /* a token, or 503 */
answer_function silent;

/* ---- asking */

/* Of a fetch, where it does not matter: a busy machine may well take seconds for what is done in a moment elsewhere. */
#define TIMEOUT_MS 30000
/* Where it is to run out: long enough for a token to come first. */
#define SILENCE_MS 2000
#define SLACK_MS 5000 /* how late that may be noticed on a busy machine */

/* A socket, or with any context none. */
int begin_to_connect(void *context, const struct sockaddr_storage *address, struct error *err);
struct upstream_options options_for(const char *address, int64_t cache_ms);
struct upstream *open_upstream(const char *address, int64_t timeout_ms);

static const struct upstream_request get
	__attribute__((unused)) = {.method = "GET", .target = "/latest/meta-data/?q", .connect = begin_to_connect};
