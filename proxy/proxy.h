/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>

#include "common/secret.h"
#include "proxy/placement.h"
#include "proxy/upstream.h"
#include "proxy/witness/line.h"
#include "store/settings.h"
#include "store/writer.h"

/* What all exchanges share. Made once by main, read-only afterwards but for the counters. */

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
	COUNTER_COUNT,
};
extern const char *const counter_names[COUNTER_COUNT];

struct proxy {
	struct settings settings;
	struct secret_key host_key, token_key;
	char boot_id[40]; /* part of each token's scope: a token ends with the boot that it was made in */
	struct upstream *upstream;
	struct writer *writer;
	struct placement *placement;
	atomic_ullong counters[COUNTER_COUNT];
};

static inline void proxy_count(struct proxy *proxy, enum counter counter)
{
	(void)atomic_fetch_add_explicit(&proxy->counters[counter], 1, memory_order_relaxed);
}
