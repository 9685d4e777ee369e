/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/buffer.h"
#include "common/json.h"
#include "proxy/counts.h"

/* What monitoring is told, as OpenMetrics 1.0 text: keytraild(8), METRICS. Labels come from fixed tables: never a pid,
 * a path, a key, a user or an address. Pure. */

#define METRICS_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct metrics_facts {
	const struct counts *counts;
	const json_t *ledger;   /* of writer_status() */
	const json_t *witness;  /* of line_status(); NULL: it did not say */
	const json_t *redirect; /* of heartbeat_redirect() */
	bool is_upstream_reachable;
	uint64_t upstream_cached;
	int64_t connections_limit;
	int64_t started_us;
};

/* Adds the whole text, up to `# EOF`. */
MUST_USE int metrics_text(const struct metrics_facts *facts, struct buffer *to, struct error *err);

/* A label's value as it stands between quotes; cut at size - 1, never within an escape. Returns `to`. */
char *metrics_escape(char *to, size_t size, const char *value);
