/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "store/model.h"

/* What the requests of one run are counted by: for `keytrail status` and for metrics. Each request is counted once,
 * when it has been dealt with, by relaxed atomics; totals are sums of these. All functions may be called from any
 * thread. */

enum request_class {
	CLASS_TOKEN,      /* the token's path */
	CLASS_CREDENTIAL, /* a path of credentials, or an answer that held some */
	CLASS_METADATA,   /* any other path */
	CLASS_OTHER,      /* no path could be read */
	CLASS_COUNT,
};

enum request_result {
	RESULT_DELIVERED, /* credentials, or a token, reached the client */
	RESULT_RELAYED,   /* another answer of upstream did */
	RESULT_REFUSED,   /* by us */
	RESULT_ABORTED,   /* the client left before the last byte */
	RESULT_FAILED,    /* 503: upstream or the ledger was not to be had */
	RESULT_COUNT,
};

/* How a process was found: `method` of an attribution. */
enum method {
	METHOD_NONE,
	METHOD_CONNTRACK,
	METHOD_SOCK_DIAG,
	METHOD_SOCK_DIAG_PROC,
	METHOD_EBPF_SOCK_DIAG,
	METHOD_EBPF_SOCK_DIAG_PROC,
	METHOD_OTHER,
	METHOD_COUNT,
};

extern const char *const class_names[CLASS_COUNT];
extern const char *const result_names[RESULT_COUNT];
extern const char *const method_names[METHOD_COUNT];

/* Reasons of refusals, as they stand in the ledger; the last is "other". */
#define REASON_COUNT 54
extern const char *const reason_names[REASON_COUNT];

/* Upper bounds of the times that requests take, and the same in seconds as text. */
#define BUCKET_COUNT 11
extern const struct bucket {
	int64_t bound_us;
	const char *seconds;
} buckets[BUCKET_COUNT];

/* One request, when it has been dealt with. */
struct outcome_facts {
	enum request_class class;
	enum request_result result;
	int64_t took_us;
	const char *reason; /* of RESULT_REFUSED and RESULT_FAILED */
	bool without_token;
	bool has_extra;
	int keys; /* credentials in the answer: delivered, or aborted */
	bool was_attributed;
	enum grade grade;   /* of the attribution */
	const char *method; /* NULL: the witness did not answer */
};

struct counts {
	atomic_ullong requests[CLASS_COUNT][RESULT_COUNT];
	atomic_ullong buckets[CLASS_COUNT][BUCKET_COUNT + 1]; /* each alone; the last: slower than all bounds */
	atomic_ullong took_us[CLASS_COUNT];
	atomic_ullong refusals[REASON_COUNT];
	atomic_ullong attributions[GRADE_COUNT][METHOD_COUNT];
	atomic_ullong keys_delivered, keys_aborted;
	atomic_ullong without_token;
	atomic_ullong with_extra;
	atomic_llong connections; /* being served */
};

void counts_add(struct counts *counts, const struct outcome_facts *facts);

static inline void counts_connections(struct counts *counts, int change)
{
	(void)atomic_fetch_add_explicit(&counts->connections, change, memory_order_relaxed);
}

/* Totals. `counters` of `keytrail status` are these, in this order. */
enum counter {
	COUNTER_REQUESTS,  /* connections that sent a request or part of one */
	COUNTER_DELIVERED, /* credentials that reached their client */
	COUNTER_ABORTED,   /* credentials recorded that did not */
	COUNTER_REFUSED,   /* refusals of ours */
	COUNTER_TOKENS,    /* session tokens given out */
	COUNTER_RELAYED,   /* other answers of upstream passed on */
	COUNTER_UPSTREAM_FAILED,
	COUNTER_LEDGER_FAILED,
	COUNTER_WITHOUT_TOKEN, /* IMDSv1 requests, passed on or not */
	COUNTER_WITH_EXTRA,    /* requests with more bytes behind them, which were dropped: pipelining or smuggling */
	COUNTER_COUNT,
};
extern const char *const counter_names[COUNTER_COUNT];

uint64_t counts_total(const struct counts *counts, enum counter counter);

static inline uint64_t counts_read(const atomic_ullong *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}
