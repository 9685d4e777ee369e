/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of metrics, and the few forms that their samples have. Every series is there from the start, at 0: a first
 * refusal is then an increase that monitoring sees. */
#include "proxy/metrics.h"

#include <string.h>

#include "common/clock.h"
#include "proxy/witness/refusals.h"

#define LABEL_BYTES 64

struct page {
	const struct metrics_facts *facts;
	struct buffer *to;
	struct error *err;
};

/* One metric. Its sample is one number, or what `write` says. */
struct family {
	const char *name, *type, *unit, *help;
	int (*write)(const struct page *page, const struct family *family);
	enum counter counter; /* of write_counter */
	const char *path;     /* of write_ledger, write_ledger_total, write_witness and write_witness_total */
};

char *metrics_escape(char *to, size_t size, const char *value)
{
	size_t at = 0;
	for (; *value != '\0'; value++) {
		bool escaped = *value == '\\' || *value == '"' || *value == '\n';
		if (at + escaped + 1 >= size)
			break;
		if (escaped)
			to[at++] = '\\';
		to[at++] = *value == '\n' ? 'n' : *value;
	}
	to[at] = '\0';
	return to;
}

/* `suffix` carries the labels, if there are any. */
MUST_USE static int put_number(const struct page *page, const struct family *family, const char *suffix, uint64_t value)
{
	return buffer_printf(page->to, page->err, "%s%s %llu\n", family->name, suffix, (unsigned long long)value);
}

MUST_USE static int put_seconds(const struct page *page, const struct family *family, const char *suffix, uint64_t us)
{
	return buffer_printf(page->to, page->err, "%s%s %llu.%06llu\n", family->name, suffix,
	                     (unsigned long long)us / CLOCK_SECOND_US, (unsigned long long)us % CLOCK_SECOND_US);
}

static int write_build(const struct page *page, const struct family *family)
{
	char version[LABEL_BYTES];
	return buffer_printf(page->to, page->err, "%s_info{version=\"%s\"} 1\n", family->name,
	                     metrics_escape(version, sizeof(version), KEYTRAIL_VERSION));
}

static int write_start(const struct page *page, const struct family *family)
{
	return put_seconds(page, family, "", (uint64_t)page->facts->started_us);
}

static int write_counter(const struct page *page, const struct family *family)
{
	return put_number(page, family, "_total", counts_total(page->facts->counts, family->counter));
}

static int write_requests(const struct page *page, const struct family *family)
{
	for (int class = 0; class < CLASS_COUNT; class ++)
		for (int result = 0; result < RESULT_COUNT; result++) {
			char labels[2 * LABEL_BYTES];
			(void)snprintf(labels, sizeof(labels), "_total{class=\"%s\",result=\"%s\"}", class_names[class],
			               result_names[result]);
			if (put_number(page, family, labels,
			               counts_read(&page->facts->counts->requests[class][result])) < 0)
				return -1;
		}
	return 0;
}

static int write_refusals(const struct page *page, const struct family *family)
{
	for (int reason = 0; reason < REASON_COUNT; reason++) {
		char labels[LABEL_BYTES];
		(void)snprintf(labels, sizeof(labels), "_total{reason=\"%s\"}", reason_names[reason]);
		if (put_number(page, family, labels, counts_read(&page->facts->counts->refusals[reason])) < 0)
			return -1;
	}
	return 0;
}

static int write_attributions(const struct page *page, const struct family *family)
{
	for (int grade = 0; grade < GRADE_COUNT; grade++)
		for (int method = 0; method < METHOD_COUNT; method++) {
			char labels[2 * LABEL_BYTES];
			(void)snprintf(labels, sizeof(labels), "_total{grade=\"%s\",method=\"%s\"}", grade_names[grade],
			               method_names[method]);
			if (put_number(page, family, labels,
			               counts_read(&page->facts->counts->attributions[grade][method])) < 0)
				return -1;
		}
	return 0;
}

/* The count is the last bucket's, not one of its own: a request that ends meanwhile cannot set them at odds. */
MUST_USE static int write_times_of(const struct page *page, const struct family *family, int class)
{
	const struct counts *counts = page->facts->counts;
	char labels[2 * LABEL_BYTES];
	uint64_t so_far = 0;
	for (int i = 0; i <= BUCKET_COUNT; i++) {
		so_far += counts_read(&counts->buckets[class][i]);
		(void)snprintf(labels, sizeof(labels), "_bucket{class=\"%s\",le=\"%s\"}", class_names[class],
		               i < BUCKET_COUNT ? buckets[i].seconds : "+Inf");
		if (put_number(page, family, labels, so_far) < 0)
			return -1;
	}
	(void)snprintf(labels, sizeof(labels), "_count{class=\"%s\"}", class_names[class]);
	if (put_number(page, family, labels, so_far) < 0)
		return -1;
	(void)snprintf(labels, sizeof(labels), "_sum{class=\"%s\"}", class_names[class]);
	return put_seconds(page, family, labels, counts_read(&counts->took_us[class]));
}

static int write_times(const struct page *page, const struct family *family)
{
	for (int class = 0; class < CLASS_COUNT; class ++)
		if (write_times_of(page, family, class) < 0)
			return -1;
	return 0;
}

static int write_reachable(const struct page *page, const struct family *family)
{
	return put_number(page, family, "", page->facts->is_upstream_reachable);
}

static int write_cached(const struct page *page, const struct family *family)
{
	return put_number(page, family, "_total", page->facts->upstream_cached);
}

static uint64_t ledger_number(const struct page *page, const struct family *family)
{
	int64_t number = 0;
	(void)json_int_at(page->facts->ledger, family->path, &number);
	return (uint64_t)number;
}

static int write_ledger(const struct page *page, const struct family *family)
{
	return put_number(page, family, "", ledger_number(page, family));
}

static int write_ledger_total(const struct page *page, const struct family *family)
{
	return put_number(page, family, "_total", ledger_number(page, family));
}

static int write_writable(const struct page *page, const struct family *family)
{
	bool is_writable = false;
	(void)json_bool_at(page->facts->ledger, "writable", &is_writable);
	return put_number(page, family, "", is_writable);
}

static int write_redirect(const struct page *page, const struct family *family)
{
	return put_number(page, family, "", json_is_true(json_at(page->facts->redirect, "whole")));
}

/* Without a check there is no age: then the series says so. */
static int write_redirect_age(const struct page *page, const struct family *family)
{
	int64_t age_s;
	if (!json_int_at(page->facts->redirect, "age_s", &age_s))
		return buffer_printf(page->to, page->err, "%s +Inf\n", family->name);
	return put_number(page, family, "", age_s > 0 ? (uint64_t)age_s : 0);
}

static uint64_t witness_number(const struct page *page, const struct family *family)
{
	int64_t number = 0;
	(void)json_int_at(page->facts->witness, family->path, &number);
	return (uint64_t)number;
}

static int write_witness(const struct page *page, const struct family *family)
{
	return put_number(page, family, "", witness_number(page, family));
}

static int write_witness_total(const struct page *page, const struct family *family)
{
	return put_number(page, family, "_total", witness_number(page, family));
}

static int write_refused_queries(const struct page *page, const struct family *family)
{
	const json_t *refused = json_at(page->facts->witness, "refused");
	for (int i = 0; i < REFUSAL_COUNT; i++) {
		char labels[LABEL_BYTES];
		int64_t number = 0;
		(void)json_int_at(refused, refusal_names[i], &number);
		(void)snprintf(labels, sizeof(labels), "_total{reason=\"%s\"}", refusal_names[i]);
		if (put_number(page, family, labels, (uint64_t)number) < 0)
			return -1;
	}
	return 0;
}

static int write_ebpf(const struct page *page, const struct family *family)
{
	const char *state = json_text_at(page->facts->witness, "ebpf");
	return put_number(page, family, "", state != NULL && strcmp(state, "on") == 0);
}

static int write_connections(const struct page *page, const struct family *family)
{
	long long now = atomic_load_explicit(&page->facts->counts->connections, memory_order_relaxed);
	return put_number(page, family, "", (uint64_t)now);
}

static int write_limit(const struct page *page, const struct family *family)
{
	return put_number(page, family, "", (uint64_t)page->facts->connections_limit);
}

/* In the order of keytraild(8). */
static const struct family families[] = {
	{"keytrail_build", "info", .help = "Version of the daemon.", .write = write_build},
	{"keytrail_start_time_seconds", "gauge", .unit = "seconds", .help = "When the daemon started, since 1970.",
         .write = write_start},
	{"keytrail_requests", "counter", .help = "Requests dealt with.", .write = write_requests},
	{"keytrail_request_seconds", "histogram", .unit = "seconds",
         .help = "From the whole request to the end of its answer.", .write = write_times},
	{"keytrail_refusals", "counter", .help = "Requests refused or failed, by the reason in the ledger.",
         .write = write_refusals},
	{"keytrail_attributions", "counter", .help = "Searches for the process behind a request.",
         .write = write_attributions},
	{"keytrail_requests_without_token", "counter", .help = "IMDSv1 requests, passed on or not.",
         .write = write_counter, .counter = COUNTER_WITHOUT_TOKEN},
	{"keytrail_requests_with_extra", "counter", .help = "Requests with more bytes behind them, which were dropped.",
         .write = write_counter, .counter = COUNTER_WITH_EXTRA},
	{"keytrail_tokens", "counter", .help = "Session tokens given out.", .write = write_counter,
         .counter = COUNTER_TOKENS},
	{"keytrail_upstream_failures", "counter", .help = "Requests that the metadata service did not answer.",
         .write = write_counter, .counter = COUNTER_UPSTREAM_FAILED},
	{"keytrail_upstream_reachable", "gauge", .help = "1 when the metadata service answered last time.",
         .write = write_reachable},
	{"keytrail_upstream_cached", "counter", .help = "Requests answered from the cache.", .write = write_cached},
	{"keytrail_ledger_writable", "gauge", .help = "1 when the ledger could be written last time.",
         .write = write_writable},
	{"keytrail_ledger_rows", "counter", .help = "Rows written to the ledger.", .write = write_ledger_total,
         .path = "rows_written"},
	{"keytrail_ledger_journalled", "counter", .help = "Rows that went to the emergency journal.",
         .write = write_ledger_total, .path = "journalled"},
	{"keytrail_ledger_dropped", "counter", .help = "Rows that could be written nowhere.",
         .write = write_ledger_total, .path = "dropped"},
	{"keytrail_ledger_waiting", "gauge", .help = "Rows that wait for the disk.", .write = write_ledger,
         .path = "waiting"},
	{"keytrail_ledger_clock_set_back", "counter", .help = "How often rows found the clock set back by seconds.",
         .write = write_ledger_total, .path = "clock_set_back"},
	{"keytrail_redirect_whole", "gauge", .help = "1 when the last check found the redirect whole.",
         .write = write_redirect},
	{"keytrail_redirect_check_age_seconds", "gauge", .unit = "seconds",
         .help = "Since the last check of the redirect; +Inf: none is known.", .write = write_redirect_age},
	{"keytrail_ebpf_on", "gauge", .help = "1 when the eBPF backend has passed its test and is used.",
         .write = write_ebpf},
	{"keytrail_ebpf_connections", "gauge", .help = "Connections noted by the eBPF backend.", .write = write_witness,
         .path = "map.present"},
	{"keytrail_ebpf_connections_limit", "gauge", .help = "Connections that it can note at once.",
         .write = write_witness, .path = "map.size"},
	{"keytrail_ebpf_evicted", "counter", .help = "Connections that it had to forget before their end.",
         .write = write_witness_total, .path = "map.evicted"},
	{"keytrail_witness_queries_refused", "counter",
         .help = "Queries that the witness did not take: a fault, or somebody in the proxy's place.",
         .write = write_refused_queries},
	{"keytrail_connections", "gauge", .help = "Connections being served.", .write = write_connections},
	{"keytrail_connections_limit", "gauge", .help = "Connections that can be served at once; more wait.",
         .write = write_limit},
};

int metrics_text(const struct metrics_facts *facts, struct buffer *to, struct error *err)
{
	const struct page page = {.facts = facts, .to = to, .err = err};
	for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
		const struct family *family = &families[i];
		if (buffer_printf(to, err, "# TYPE %s %s\n", family->name, family->type) < 0 ||
		    (family->unit != NULL &&
		     buffer_printf(to, err, "# UNIT %s %s\n", family->name, family->unit) < 0) ||
		    buffer_printf(to, err, "# HELP %s %s\n", family->name, family->help) < 0 ||
		    family->write(&page, family) < 0)
			return -1;
	}
	return buffer_append(to, "# EOF\n", strlen("# EOF\n"), err);
}
