/* SPDX-License-Identifier: Apache-2.0 */

/* The text that monitoring reads: every metric with its head, samples in OpenMetrics' forms, labels from tables only.
 */
#include "tests/common/unit.h"

#include "proxy/metrics.h"

#define STARTED_US INT64_C(1753876800000042)

static struct counts counts;

static int start(void **state)
{
	static const struct outcome_facts facts[] = {
		{.class = CLASS_CREDENTIAL,
	         .result = RESULT_DELIVERED,
	         .took_us = 800,
	         .keys = 1,
	         .was_attributed = true,
	         .grade = GRADE_EXACT,
	         .method = "sock_diag+proc"},
		{.class = CLASS_CREDENTIAL, .result = RESULT_DELIVERED, .took_us = 3000, .keys = 1},
		{.class = CLASS_CREDENTIAL, .result = RESULT_FAILED, .took_us = 9000000, .reason = "upstream"},
		{.class = CLASS_METADATA, .result = RESULT_REFUSED, .reason = "/latest/\"x", .without_token = true},
		{.class = CLASS_TOKEN, .result = RESULT_DELIVERED, .took_us = 1000000},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(facts); i++)
		counts_add(&counts, &facts[i]);
	counts_connections(&counts, 3);
	return 0;
}

static void write_text(const json_t *ledger, struct buffer *to)
{
	CLEANUP_JSON json_t *witness =
		json_pack("{s:s, s:{s:i, s:i, s:i}, s:{s:i, s:i}}", "ebpf", "on", "map", "size", 64, "present", 4,
	                  "evicted", 9, "refused", "malformed", 3, "flooding", 2);
	CLEANUP_JSON json_t *redirect = json_pack("{s:b, s:i}", "whole", 1, "age_s", 77);
	const struct metrics_facts facts = {.counts = &counts,
	                                    .redirect = redirect,
	                                    .ledger = ledger,
	                                    .witness = witness,
	                                    .is_upstream_reachable = true,
	                                    .upstream_cached = 6,
	                                    .connections_limit = 512,
	                                    .started_us = STARTED_US};
	assert_int_equal(metrics_text(&facts, to, NULL), 0);
}

static json_t *ledger_status(void)
{
	return json_pack("{s:s, s:b, s:i, s:i, s:i, s:i, s:i}", "path", "/var/lib/keytrail/ledger.db", "writable", 1,
	                 "rows_written", 7, "journalled", 2, "dropped", 1, "waiting", 5, "clock_set_back", 3);
}

static const char *const lines[] = {
	"# TYPE keytrail_build info",
	"keytrail_build_info{version=\"" KEYTRAIL_VERSION "\"} 1",
	"# UNIT keytrail_start_time_seconds seconds",
	"keytrail_start_time_seconds 1753876800.000042",
	"# TYPE keytrail_requests counter",
	"keytrail_requests_total{class=\"credential\",result=\"delivered\"} 2",
	"keytrail_requests_total{class=\"credential\",result=\"failed\"} 1",
	"keytrail_requests_total{class=\"metadata\",result=\"refused\"} 1",
	"keytrail_requests_total{class=\"other\",result=\"aborted\"} 0",
	"# TYPE keytrail_request_seconds histogram",
	"keytrail_request_seconds_bucket{class=\"credential\",le=\"0.001\"} 1",
	"keytrail_request_seconds_bucket{class=\"credential\",le=\"0.0025\"} 1",
	"keytrail_request_seconds_bucket{class=\"credential\",le=\"0.005\"} 2",
	"keytrail_request_seconds_bucket{class=\"credential\",le=\"2.5\"} 2",
	"keytrail_request_seconds_bucket{class=\"credential\",le=\"+Inf\"} 3",
	"keytrail_request_seconds_count{class=\"credential\"} 3",
	"keytrail_request_seconds_sum{class=\"credential\"} 9.003800",
	"keytrail_request_seconds_bucket{class=\"token\",le=\"0.5\"} 0",
	"keytrail_request_seconds_bucket{class=\"token\",le=\"1.0\"} 1",
	"keytrail_refusals_total{reason=\"upstream\"} 1",
	"keytrail_refusals_total{reason=\"other\"} 1",
	"keytrail_refusals_total{reason=\"no-token\"} 0",
	"keytrail_attributions_total{grade=\"exact\",method=\"sock_diag+proc\"} 1",
	"keytrail_attributions_total{grade=\"gone\",method=\"none\"} 0",
	"keytrail_requests_without_token_total 1",
	"keytrail_requests_with_extra_total 0",
	"keytrail_tokens_total 1",
	"keytrail_upstream_failures_total 1",
	"keytrail_upstream_reachable 1",
	"keytrail_upstream_cached_total 6",
	"keytrail_ledger_writable 1",
	"keytrail_ledger_rows_total 7",
	"keytrail_ledger_journalled_total 2",
	"keytrail_ledger_dropped_total 1",
	"keytrail_ledger_waiting 5",
	"keytrail_ledger_clock_set_back_total 3",
	"keytrail_redirect_whole 1",
	"keytrail_redirect_check_age_seconds 77",
	"keytrail_ebpf_on 1",
	"keytrail_ebpf_connections 4",
	"keytrail_ebpf_connections_limit 64",
	"keytrail_ebpf_evicted_total 9",
	"keytrail_witness_queries_refused_total{reason=\"malformed\"} 3",
	"keytrail_witness_queries_refused_total{reason=\"oversized\"} 0",
	"keytrail_witness_queries_refused_total{reason=\"flooding\"} 2",
	"keytrail_witness_queries_refused_total{reason=\"too_many_lines\"} 0",
	"keytrail_connections 3",
	"keytrail_connections_limit 512",
};

static bool has_line(const char *text, const char *line)
{
	size_t length = strlen(line);
	for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, length) == 0 && at[length] == '\n')
			return true;
	}
	return false;
}

static void says_every_number(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	CLEANUP_JSON json_t *ledger = ledger_status();
	(void)state;
	write_text(ledger, &text);
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
		CHECK(lines[i], has_line(text.bytes, lines[i]));
}

/* Samples follow the TYPE and HELP of their own metric, and nothing follows the end. */
static void heads_every_metric(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	CLEANUP_JSON json_t *ledger = ledger_status();
	char name[128] = "", *rest = NULL;
	int families = 0;
	bool has_help = true, has_sample = true, ended = false;
	(void)state;
	write_text(ledger, &text);
	for (char *line = strtok_r(text.bytes, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		CHECK(line, !ended);
		ended = strcmp(line, "# EOF") == 0;
		if (ended)
			continue;
		if (strncmp(line, "# TYPE ", 7) == 0) {
			CHECK(line, has_help && has_sample);
			(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(line + 7, " "), line + 7);
			has_help = has_sample = false;
			families++;
			continue;
		}
		bool is_head = line[0] == '#';
		CHECK(line, strncmp(line + (is_head ? 7 : 0), name, strlen(name)) == 0);
		has_help |= strncmp(line, "# HELP ", 7) == 0;
		has_sample |= !is_head;
		CHECK(line, is_head || has_help);
	}
	assert_true(ended && has_help && has_sample);
	assert_int_equal(families, 27);
}

static void keeps_buckets_cumulative(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	char *rest = NULL;
	unsigned long long before = 0, last = 0;
	int lasts = 0;
	(void)state;
	write_text(NULL, &text);
	for (char *line = strtok_r(text.bytes, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "keytrail_request_seconds_", 25) != 0)
			continue;
		unsigned long long value = strtoull(strrchr(line, ' ') + 1, NULL, 10);
		if (strncmp(line + 25, "bucket", 6) == 0) {
			CHECK(line, value >= before);
			before = last = value;
		}
		if (strstr(line, "+Inf") != NULL) {
			before = 0;
			lasts++;
		}
		if (strncmp(line + 25, "count", 5) == 0)
			CHECK_NUMBER(line, value, last);
	}
	assert_int_equal(lasts, CLASS_COUNT);
}

static void does_without_the_ledgers_word(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	(void)state;
	write_text(NULL, &text);
	assert_true(has_line(text.bytes, "keytrail_ledger_writable 0"));
	assert_true(has_line(text.bytes, "keytrail_ledger_rows_total 0"));
}

static void says_nothing_of_anybody(void **state)
{
	static const char *const labels[] = {"class", "result", "le", "reason", "grade", "method", "version"};
	CLEANUP_BUFFER struct buffer text = {0};
	CLEANUP_JSON json_t *ledger = ledger_status();
	(void)state;
	write_text(ledger, &text);
	assert_null(strstr(text.bytes, "/latest"));
	assert_null(strstr(text.bytes, "/var"));
	for (const char *at = text.bytes; (at = strpbrk(at, "{,")) != NULL; at++) {
		bool known = false;
		for (size_t i = 0; i < ARRAY_LENGTH(labels); i++)
			known |= strncmp(at + 1, labels[i], strlen(labels[i])) == 0 && at[1 + strlen(labels[i])] == '=';
		CHECK(at, known || at[1] == ' '); /* a comma of a HELP text */
	}
}

static void escapes_labels(void **state)
{
	static const struct {
		const char *value, *wanted;
		size_t size;
	} rows[] = {
		{"", "", 1},           {"0.1.0", "0.1.0", 10},       {"a\"b", "a\\\"b", 10}, {"a\\b", "a\\\\b", 10},
		{"a\nb", "a\\nb", 10}, {"\"\"", "\\\"", 4}, /* never half an escape */
		{"abc", "ab", 3},      {"\xc3\xa9", "\xc3\xa9", 10},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char to[16];
		CHECK_TEXT(rows[i].value, metrics_escape(to, rows[i].size, rows[i].value), rows[i].wanted);
	}
}

static void says_when_there_is_no_room(void **state)
{
	const struct metrics_facts facts = {.counts = &counts};
	(void)state;
	for (size_t limit = 1; limit < 12000; limit += 97) {
		CLEANUP_BUFFER struct buffer text = {.limit = limit};
		struct error problem = {0};
		if (metrics_text(&facts, &text, &problem) < 0)
			assert_int_equal(problem.code, ERROR_LIMIT);
		else
			assert_true(limit > 5000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_when_there_is_no_room),
		cmocka_unit_test(says_every_number),
		cmocka_unit_test(heads_every_metric),
		cmocka_unit_test(keeps_buckets_cumulative),
		cmocka_unit_test(does_without_the_ledgers_word),
		cmocka_unit_test(says_nothing_of_anybody),
		cmocka_unit_test(escapes_labels),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
