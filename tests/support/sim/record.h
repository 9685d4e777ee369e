/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>

#include "sim/target.h"
#include "sim/util.h"

struct request;
struct answer;

#define RECORD_STATUSES 600
#define RECORD_LINES 256

/* What happened: counters, the last requests, and the log file. Locks itself. */
struct record {
	pthread_mutex_t lock;
	unsigned long connections;
	unsigned long counts[METHOD_COUNT][RECORD_STATUSES]; /* status 0: no answer was sent */
	char *lines[RECORD_LINES];
	size_t next_line;
	int log_fd;
	bool wants_lines; /* somebody may read them: set before the first request */
};

void record_init(struct record *ret_record);
void record_done(struct record *record);

MUST_USE int record_open_log(struct record *record, const char *path, struct error *err);

void record_connection(struct record *record);

/* ANSWER is NULL for a request that gets none. Holds neither secret nor token: of those, a digest. */
void record_request(struct record *record, const struct sockaddr *peer, const struct request *request,
                    const struct answer *answer);

void record_reset(struct record *record);

/* One line of JSON each. */
void record_write_counters(struct record *record, FILE *out);
void record_write_lines(struct record *record, FILE *out);
