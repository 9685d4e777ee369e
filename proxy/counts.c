/* SPDX-License-Identifier: Apache-2.0 */

/* Counting: tables of relaxed atomics, no lock. Nothing is counted in two places; what can be summed up is. */
#include "proxy/counts.h"

#include <string.h>

#include "common/cleanup.h"

const char *const class_names[CLASS_COUNT] = {
	[CLASS_TOKEN] = "token",
	[CLASS_CREDENTIAL] = "credential",
	[CLASS_METADATA] = "metadata",
	[CLASS_OTHER] = "other",
};

const char *const result_names[RESULT_COUNT] = {
	[RESULT_DELIVERED] = "delivered", [RESULT_RELAYED] = "relayed", [RESULT_REFUSED] = "refused",
	[RESULT_ABORTED] = "aborted",     [RESULT_FAILED] = "failed",
};

const char *const method_names[METHOD_COUNT] = {
	[METHOD_NONE] = "none",
	[METHOD_CONNTRACK] = "conntrack",
	[METHOD_SOCK_DIAG] = "sock_diag",
	[METHOD_SOCK_DIAG_PROC] = "sock_diag+proc",
	[METHOD_EBPF_SOCK_DIAG] = "ebpf+sock_diag",
	[METHOD_EBPF_SOCK_DIAG_PROC] = "ebpf+sock_diag+proc",
	[METHOD_OTHER] = "other",
};

const char *const counter_names[COUNTER_COUNT] = {
	[COUNTER_REQUESTS] = "requests",
	[COUNTER_DELIVERED] = "delivered",
	[COUNTER_ABORTED] = "aborted",
	[COUNTER_REFUSED] = "refused",
	[COUNTER_TOKENS] = "tokens",
	[COUNTER_RELAYED] = "relayed",
	[COUNTER_UPSTREAM_FAILED] = "upstream_failed",
	[COUNTER_LEDGER_FAILED] = "ledger_failed",
	[COUNTER_WITHOUT_TOKEN] = "without_token",
	[COUNTER_WITH_EXTRA] = "with_extra",
};

/* In the order in which a request meets them: listener, screen, body, route, exchange. */
const char *const reason_names[REASON_COUNT] = {
	"not-redirected",
	"too-many-connections",
	"made-room",
	"bad-method",
	"bad-target",
	"bad-request-line",
	"bad-version",
	"bad-content-length",
	"bad-transfer-encoding",
	"folded-line",
	"space-before-colon",
	"bad-header-name",
	"control-byte",
	"repeated-header",
	"upgrade",
	"nul-byte",
	"bare-lf",
	"bare-cr",
	"head-too-long",
	"too-many-headers",
	"length-and-encoding",
	"bad-chunk",
	"body-too-long",
	"expect",
	"method",
	"foreign-authority",
	"not-a-path",
	"bad-query",
	"too-long",
	"bad-escape",
	"encoded-slash",
	"encoded-delimiter",
	"backslash",
	"dot-segment",
	"forwarded-for",
	"foreign-host",
	"agent-method",
	"no-token",
	"token-malformed",
	"token-expired",
	"token-out-of-scope",
	"token-path",
	"ttl",
	"hop-limit",
	"policy",
	"upstream",
	"upstream-refused",
	"credential-unreadable",
	"client-gone",
	"unattributed",
	"instance-unknown",
	"ledger",
	"internal",
	"other",
};

const struct bucket buckets[BUCKET_COUNT] = {
	{1000, "0.001"}, {2500, "0.0025"}, {5000, "0.005"}, {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},
	{100000, "0.1"}, {250000, "0.25"}, {500000, "0.5"}, {1000000, "1.0"}, {2500000, "2.5"},
};

static void add(atomic_ullong *counter, uint64_t value)
{
	(void)atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

/* Names that are not in the table count as its last one. */
static int index_of(const char *const *names, int count, const char *name)
{
	int found = name != NULL ? name_index(names, count, name) : -1;
	return found >= 0 ? found : count - 1;
}

static int bucket_of(int64_t took_us)
{
	int bucket = 0;
	while (bucket < BUCKET_COUNT && took_us > buckets[bucket].bound_us)
		bucket++;
	return bucket;
}

void counts_add(struct counts *counts, const struct outcome_facts *facts)
{
	add(&counts->requests[facts->class][facts->result], 1);
	add(&counts->buckets[facts->class][bucket_of(facts->took_us)], 1);
	add(&counts->took_us[facts->class], (uint64_t)facts->took_us);
	if (facts->result == RESULT_REFUSED || facts->result == RESULT_FAILED)
		add(&counts->refusals[index_of(reason_names, REASON_COUNT, facts->reason)], 1);
	if (facts->result == RESULT_DELIVERED)
		add(&counts->keys_delivered, (uint64_t)facts->keys);
	if (facts->result == RESULT_ABORTED)
		add(&counts->keys_aborted, (uint64_t)facts->keys);
	if (facts->without_token)
		add(&counts->without_token, 1);
	if (facts->has_extra)
		add(&counts->with_extra, 1);
	if (facts->was_attributed) {
		int method = facts->method != NULL ? index_of(method_names, METHOD_COUNT, facts->method) : METHOD_NONE;
		add(&counts->attributions[facts->grade][method], 1);
	}
}

/* ---- totals */

static uint64_t sum_of(const struct counts *counts, enum request_result result)
{
	uint64_t sum = 0;
	for (int class = 0; class < CLASS_COUNT; class ++)
		sum += counts_read(&counts->requests[class][result]);
	return sum;
}

static uint64_t refused_for(const struct counts *counts, const char *reason)
{
	return counts_read(&counts->refusals[index_of(reason_names, REASON_COUNT, reason)]);
}

uint64_t counts_total(const struct counts *counts, enum counter counter)
{
	uint64_t all = 0;
	switch (counter) {
	case COUNTER_REQUESTS:
		for (int result = 0; result < RESULT_COUNT; result++)
			all += sum_of(counts, (enum request_result)result);
		return all;
	case COUNTER_DELIVERED:
		return counts_read(&counts->keys_delivered);
	case COUNTER_ABORTED:
		return counts_read(&counts->keys_aborted);
	case COUNTER_REFUSED:
		return sum_of(counts, RESULT_REFUSED) + sum_of(counts, RESULT_FAILED);
	case COUNTER_TOKENS:
		return counts_read(&counts->requests[CLASS_TOKEN][RESULT_DELIVERED]);
	case COUNTER_RELAYED:
		return sum_of(counts, RESULT_RELAYED);
	case COUNTER_UPSTREAM_FAILED:
		return refused_for(counts, "upstream");
	case COUNTER_LEDGER_FAILED:
		return refused_for(counts, "ledger");
	case COUNTER_WITHOUT_TOKEN:
		return counts_read(&counts->without_token);
	case COUNTER_WITH_EXTRA:
		return counts_read(&counts->with_extra);
	case COUNTER_COUNT:
		break;
	}
	return 0;
}
