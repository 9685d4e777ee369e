/* SPDX-License-Identifier: Apache-2.0 */

/* Whole runs: what the summary counts, what is complained of, which findings stand. */
#include "tests/detector/support.h"

#include <sys/wait.h>
#include <zlib.h>

#include "detector/detect.h"
#include "store/findings.h"

#define DATA TEST_DATA "/cloudtrail"
#define INSIDE DATA "/synthetic/inside_aws_endpoint.json"

static struct run {
	struct buffer findings, complaints;
	struct detect_summary summary;
	struct error err;
} run;

static int on_finding(void *context, const json_t *finding, struct error *err)
{
	(void)context;
	CLEANUP_FREE char *line = json_line(finding);
	return buffer_printf(&run.findings, err, "%s\n", line);
}

static void on_complaint(void *context, const char *line)
{
	(void)context;
	assert_int_equal(buffer_printf(&run.complaints, NULL, "%s\n", line), 0);
}

static int detect(const struct detect_options *options)
{
	const struct detect_output output = {on_finding, on_complaint, NULL};
	buffer_done(&run.findings);
	buffer_done(&run.complaints);
	run.summary = (struct detect_summary){0};
	run.err = (struct error){0};
	assert_int_equal(buffer_append(&run.findings, "", 0, NULL), 0);
	assert_int_equal(buffer_append(&run.complaints, "", 0, NULL), 0);
	return detect_run(options, &output, &run.summary, &run.err);
}

/* One source, ledger `name` in the test's folder, no findings kept. */
static void detect_one(const char *source, const char *ledger, const char *inventory)
{
	const char *path = ledger != NULL ? support_path(ledger) : NULL;
	const struct detect_options options = {.sources = &source,
	                                       .source_count = 1,
	                                       .ledgers = &path,
	                                       .ledger_count = ledger != NULL ? 1 : 0,
	                                       .without_ledger = ledger == NULL,
	                                       .inventory = inventory,
	                                       .findings = ""};
	if (detect(&options) < 0)
		fail_msg("%s", run.err.text);
}

static unsigned count_lines(const struct buffer *text)
{
	unsigned lines = 0;
	for (size_t i = 0; i < text->length; i++)
		lines += text->bytes[i] == '\n';
	return lines;
}

static json_t *only_finding(void)
{
	assert_int_equal(count_lines(&run.findings), 1);
	return support_json(run.findings.bytes);
}

/* ---- refusals */

static void test_cannot_run(void **state)
{
	const char *inside = INSIDE, *nowhere = support_path("nowhere"), *known = support_path("known.db");
	const char *bad = support_write_text("bad.json", "{\"accounts\":[]}");
	const struct {
		const char *name;
		struct detect_options options;
		enum error_code code;
	} cases[] = {
		{"no source", {.without_ledger = true}, ERROR_USAGE},
		{"no such source", {.sources = &nowhere, .source_count = 1, .without_ledger = true}, ERROR_MISSING},
		{"no such ledger",
	         {.sources = &inside, .source_count = 1, .ledgers = &nowhere, .ledger_count = 1},
	         ERROR_MISSING},
		{"no ledger", {.sources = &inside, .source_count = 1, .ledgers = &bad, .ledger_count = 1}, ERROR_INPUT},
		{"bad inventory",
	         {.sources = &inside, .source_count = 1, .without_ledger = true, .inventory = bad},
	         ERROR_INPUT},
		{"no such inventory",
	         {.sources = &inside, .source_count = 1, .without_ledger = true, .inventory = nowhere},
	         ERROR_MISSING},
		{"bad ranges",
	         {.sources = &inside, .source_count = 1, .without_ledger = true, .ip_ranges = bad},
	         ERROR_INPUT},
		{"findings where there is no folder",
	         {.sources = &inside,
	          .source_count = 1,
	          .ledgers = &known,
	          .ledger_count = 1,
	          .findings = "/nonexistent/findings.db"},
	         ERROR_MISSING},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		if (detect(&cases[i].options) == 0 || run.err.code != cases[i].code)
			fail_msg("%s: %d %s", cases[i].name, (int)run.err.code, run.err.text);
}

static void test_unreadable_input(void **state)
{
	static const struct {
		const char *name, *text;
		const char *complaint;
		unsigned files, unreadable, malformed, records;
	} cases[] = {
		{"not JSON", "hello", "byte 0: expected a record", 1, 0, 1, 0},
		{"cut", "{\"Records\":[{\"eventTime\":\"x\"},{\"event", "byte 30: expected whole JSON", 0, 1, 1, 1},
		{"a cut line", "{\"eventTime\":\"a\"}\n{\"eventTime\":\"b\n{\"eventTime\":\"c\"}\n",
	         "record 2, at byte 18", 1, 0, 1, 2},
		{"a known key without a time", "[{\"userIdentity\":{\"accessKeyId\":\"" OTRF_KEY "\"}}]", "eventTime",
	         1, 0, 1, 1},
		{"broken inside", "[{\"eventTime\" \"" OTRF_KEY "\"}]", "whole JSON object", 1, 0, 1, 1},
		{"gzip, cut", "\x1f\x8b\x08", "expected more gzip data", 0, 1, 0, 0},
		{"nothing", "", "", 1, 0, 0, 0},
		{"no records", "{\"Records\":[]}", "", 1, 0, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		detect_one(support_write_text("input.json", cases[i].text), "known.db", NULL);
		if (strstr(run.complaints.bytes, cases[i].complaint) == NULL ||
		    (cases[i].complaint[0] == '\0') != (run.complaints.length == 0))
			fail_msg("%s: %s", cases[i].name, run.complaints.bytes);
		if (run.complaints.length > 0 && strstr(run.complaints.bytes, "input.json: ") == NULL)
			fail_msg("%s: names no file", cases[i].name);
		if (run.summary.files != cases[i].files || run.summary.files_unreadable != cases[i].unreadable ||
		    run.summary.records_malformed != cases[i].malformed || run.summary.records != cases[i].records)
			fail_msg("%s: %d %d %d %d", cases[i].name, (int)run.summary.files,
			         (int)run.summary.files_unreadable, (int)run.summary.records_malformed,
			         (int)run.summary.records);
	}
}

/* One bad file among good ones costs that file. */
static void test_others_are_read(void **state)
{
	const char *ledger = support_path("known.db");
	const char *const sources[] = {support_path("nowhere.json"), support_write_text("cut.json", "{\"Records\":[{"),
	                               INSIDE, OTRF_FILE};
	const struct detect_options options = {
		.sources = sources, .source_count = 4, .ledgers = &ledger, .ledger_count = 1, .findings = ""};
	(void)state;
	assert_int_equal(detect(&options), 0);
	assert_int_equal(run.summary.files, 2);
	assert_int_equal(run.summary.files_unreadable, 2);
	assert_int_equal(count_lines(&run.findings), 2);
}

static void test_complaints_are_bounded(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	(void)state;
	for (int i = 0; i < 500; i++)
		assert_int_equal(buffer_printf(&text, NULL, "{\"eventTime\":\"x\n"), 0);
	detect_one(support_write("lines.jsonl", text.bytes, text.length), "known.db", NULL);
	assert_int_equal(run.summary.records_malformed, 500);
	assert_int_equal(count_lines(&run.complaints), 11);
}

/* ---- findings */

static void test_real_theft(void **state)
{
	(void)state;
	detect_one(DATA "/otrf", "known.db", NULL);
	CLEANUP_JSON json_t *finding = only_finding();
	assert_string_equal(json_text_at(finding, "type"), "InstanceCredentialExfiltration.OutsideAWS");
	assert_string_equal(json_text_at(finding, "severity"), "HIGH");
	assert_string_equal(json_text_at(finding, "access_key_id"), OTRF_KEY);
	assert_string_equal(json_text_at(finding, "owner.account_id"), OTRF_ACCOUNT);
	assert_string_equal(json_text_at(finding, "owner.instance_id"), OTRF_INSTANCE);
	assert_string_equal(json_text_at(finding, "remote.address"), "1.2.3.4");
	assert_int_equal(json_integer_value(json_at(finding, "count")), 11);
	assert_int_equal(json_array_size(json_at(finding, "event_ids")), 11);
	assert_int_equal(json_array_size(json_at(finding, "suspects")), 1);
	assert_int_equal(run.summary.records, 103);
	assert_int_equal(run.summary.uses, 11);
	assert_int_equal(run.summary.files_skipped, 1); /* the licence */
	assert_int_equal(run.summary.findings[SEVERITY_HIGH], 1);
}

/* The same with everything that makes it no theft. */
static void test_real_use_explained(void **state)
{
	(void)state;
	detect_one(OTRF_FILE, "there.db", NULL);
	assert_int_equal(count_lines(&run.findings), 0);
	assert_int_equal(run.summary.uses_at_home, 11);

	detect_one(OTRF_FILE, "known.db", support_write_text("i.json", "{\"trusted_egress\":[\"1.2.3.4\"]}"));
	assert_int_equal(run.summary.uses_at_home, 11);
	assert_int_equal(count_lines(&run.findings), 0);

	detect_one(OTRF_FILE, "known.db",
	           support_write_text("i.json",
	                              "{\"own\":[{\"account_id\":\"" OTRF_ACCOUNT "\",\"egress\":[\"1.2.3.0/24\"]}]}"));
	assert_int_equal(run.summary.uses_at_home, 11);
	assert_int_equal(count_lines(&run.findings), 0);

	/* Known, not counted, but shown and marked. */
	detect_one(OTRF_FILE, "known.db",
	           support_write_text("i.json",
	                              "{\"suppressions\":[{\"type\":\"InstanceCredentialExfiltration.OutsideAWS\","
	                              "\"remote\":\"1.2.3.4\",\"reason\":\"the office\"}]}"));
	assert_int_equal(run.summary.findings[SEVERITY_HIGH], 0);
	assert_int_equal(run.summary.findings_suppressed, 1);
	CLEANUP_JSON json_t *suppressed = only_finding();
	assert_string_equal(json_text_at(suppressed, "suppression.reason"), "the office");

	detect_one(OTRF_FILE, "other.db", NULL);
	assert_int_equal(run.summary.uses, 0);
	assert_int_equal(count_lines(&run.findings), 0);
}

static void test_inside_aws(void **state)
{
	(void)state;
	detect_one(INSIDE, "known.db", NULL);
	CLEANUP_JSON json_t *finding = only_finding();
	assert_string_equal(json_text_at(finding, "type"), "InstanceCredentialExfiltration.InsideAWS");
	assert_string_equal(json_text_at(finding, "severity"), "HIGH");
	assert_string_equal(json_text_at(finding, "remote.account_id"), "210987654321");
	assert_string_equal(json_text_at(finding, "remote.relation"), "unaffiliated");
	assert_string_equal(json_text_at(finding, "remote.vpc_endpoint_id"), "vpce-0aaaabbbbcccc1111");
	assert_null(json_at(finding, "remote.address")); /* chosen by the caller */
	assert_int_equal(json_integer_value(json_at(finding, "rung")), 1);
	assert_int_equal(json_integer_value(json_at(finding, "count")), 3);

	detect_one(INSIDE, "known.db",
	           support_write_text("i.json", "{\"affiliated\":[{\"account_id\":\"210987654321\"}]}"));
	CLEANUP_JSON json_t *affiliated = only_finding();
	assert_string_equal(json_text_at(affiliated, "severity"), "MEDIUM");
	assert_string_equal(json_text_at(affiliated, "remote.relation"), "affiliated");
	assert_string_equal(json_text_at(affiliated, "id"), json_text_at(finding, "id"));
}

static void test_legitimate(void **state)
{
	(void)state;
	detect_one(DATA "/synthetic/legitimate.json", "home.db", NULL);
	assert_string_equal(run.findings.bytes, "");
	assert_int_equal(run.summary.uses, 6);
	assert_int_equal(run.summary.uses_at_home, 3);
	assert_int_equal(run.summary.uses_by_aws, 3);
}

static void test_lookup_events(void **state)
{
	(void)state;
	detect_one(INSIDE, "known.db", NULL);
	CLEANUP_BUFFER struct buffer plain = run.findings;
	run.findings = (struct buffer){0};
	detect_one(DATA "/synthetic/lookup_events.json", "known.db", NULL);
	assert_string_equal(run.findings.bytes, plain.bytes);
}

static void test_odd_fields(void **state)
{
	(void)state;
	detect_one(DATA "/stratus", "stratus.db", NULL);
	assert_int_equal(run.summary.records, 310);
	assert_int_equal(run.summary.records_malformed, 0);
	assert_int_equal(run.summary.uses, 2); /* of the instance's key, from an address of EC2's */
	CLEANUP_JSON json_t *finding = only_finding();
	assert_string_equal(json_text_at(finding, "severity"), "MEDIUM");
	assert_int_equal(json_integer_value(json_at(finding, "rung")), 5);
	assert_null(json_at(finding, "remote.account_id"));
	assert_string_equal(json_text_at(finding, "remote.relation"), "unknown");
}

static void test_without_ledger(void **state)
{
	(void)state;
	detect_one(DATA "/otrf", NULL, NULL);
	CLEANUP_JSON json_t *weak = only_finding();
	assert_int_equal(json_array_size(json_at(weak, "suspects")), 0);
	assert_string_equal(json_text_at(weak, "owner.account_id"), OTRF_ACCOUNT);
	int64_t confidence = json_integer_value(json_at(weak, "confidence"));
	detect_one(DATA "/otrf", "known.db", NULL);
	CLEANUP_JSON json_t *strong = only_finding();
	assert_true(confidence < json_integer_value(json_at(strong, "confidence")));
	detect_one(DATA "/synthetic/legitimate.json", NULL, NULL);
	assert_int_equal(run.summary.uses_by_aws, 3);
}

/* Every field that is promised, null where unknown. */
static void test_form(void **state)
{
	static const char *const fields[] = {"kind",          "id",          "type",
	                                     "severity",      "score",       "confidence",
	                                     "access_key_id", "lineage",     "owner",
	                                     "remote",        "rung",        "evidence",
	                                     "first_seen",    "last_seen",   "count",
	                                     "event_ids",     "calls",       "suspects",
	                                     "errors",        "user_agents", "addresses",
	                                     "endpoints",     "regions",     "summary",
	                                     "principal_id",  "techniques",  "suppressed",
	                                     "suppression",   "state",       "state_at",
	                                     "new_uses",      "notes",       "suspects_omitted",
	                                     "suspects_note"};
	static const char *const inner[] = {"account_id", "instance_id", "role"};
	static const char *const remote[] = {"account_id", "relation", "address", "vpc_endpoint_id", "network"};
	(void)state;
	detect_one(DATA "/otrf", "known.db", NULL);
	CLEANUP_JSON json_t *finding = only_finding();
	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
		if (json_object_get(finding, fields[i]) == NULL)
			fail_msg("no %s", fields[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(inner); i++)
		assert_non_null(json_object_get(json_at(finding, "owner"), inner[i]));
	for (size_t i = 0; i < ARRAY_LENGTH(remote); i++)
		assert_non_null(json_object_get(json_at(finding, "remote"), remote[i]));
	assert_int_equal(json_object_size(finding), ARRAY_LENGTH(fields));
}

/* ---- order, repetition, portions */

static void write_lines(const char *name, char *const *lines, const size_t *order, size_t count, bool pack)
{
	gzFile file = gzopen(support_path(name), pack ? "wb" : "wbT");
	for (size_t i = 0; i < count; i++)
		assert_true(gzprintf(file, "%s\n", lines[order[i]]) > 0);
	assert_int_equal(gzclose(file), Z_OK);
}

static void detect_kept(const char *const *sources, size_t count, const char *findings)
{
	const char *ledger = support_path("known.db");
	const struct detect_options options = {
		.sources = sources, .source_count = count, .ledgers = &ledger, .ledger_count = 1, .findings = findings};
	if (detect(&options) < 0)
		fail_msg("%s", run.err.text);
	assert_true(run.summary.findings_stored);
}

static void test_order_does_not_show(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	char *lines[200];
	size_t order[600], count = 0;
	(void)state;
	assert_int_equal(buffer_read_file(&text, OTRF_FILE, NULL), 0);
	for (char *line = strtok(text.bytes, "\n"); line != NULL; line = strtok(NULL, "\n"))
		lines[count++] = line;
	detect_one(OTRF_FILE, "known.db", NULL);
	CLEANUP_BUFFER struct buffer wanted = run.findings;
	run.findings = (struct buffer){0};

	srand(5);
	for (int round = 0; round < 5; round++) {
		/* Each line once, then some again, shuffled, in two files that are read in two runs. */
		size_t total = count + (size_t)round * 100;
		char name[40];
		for (size_t i = 0; i < total; i++)
			order[i] = i < count ? i : (size_t)rand() % count;
		for (size_t i = total; i-- > 1;) {
			size_t other = (size_t)rand() % (i + 1), kept = order[i];
			order[i] = order[other];
			order[other] = kept;
		}
		size_t half = (size_t)rand() % total;
		write_lines("first.jsonl.gz", lines, order, half, true);
		write_lines("second.jsonl", lines, order + half, total - half, false);
		const char *const sources[] = {support_path("first.jsonl.gz"), support_path("second.jsonl")};
		(void)snprintf(name, sizeof(name), "findings%d.db", round);
		const char *findings = support_path(name);
		detect_kept(&sources[round % 2], 1, findings);
		detect_kept(&sources[1 - round % 2], 1, findings);
		detect_kept(sources, 2, findings);
		assert_string_equal(run.findings.bytes, wanted.bytes);
	}
}

/* What a better inventory explains is no finding any more, also not a stored one. */
static void test_judged_anew(void **state)
{
	const char *ledger = support_path("known.db"), *source = OTRF_FILE, *kept = support_path("anew.db");
	const char *inventory = support_write_text("i.json", "{\"trusted_egress\":[\"1.2.3.4\"]}");
	struct detect_options options = {
		.sources = &source, .source_count = 1, .ledgers = &ledger, .ledger_count = 1, .findings = kept};
	(void)state;
	assert_int_equal(detect(&options), 0);
	assert_int_equal(count_lines(&run.findings), 1);
	options.inventory = inventory;
	assert_int_equal(detect(&options), 0);
	assert_int_equal(count_lines(&run.findings), 0);
	struct findings *findings;
	assert_int_equal(findings_open(kept, true, &findings, NULL), 0);
	const struct findings_filter all = {0};
	assert_int_equal(findings_list(findings, &all, on_finding, NULL, NULL), 0);
	assert_int_equal(count_lines(&run.findings), 0);
	findings_close(findings);
}

#define USE(id, address, more)                                                                                         \
	"{\"eventTime\":\"2020-09-14T01:00:00Z\",\"eventID\":\"" id "\",\"sourceIPAddress\":\"" address "\"," more     \
	"\"userIdentity\":{\"accessKeyId\":\"" OTRF_KEY "\"}}\n"
#define UPDATED "\"addendum\":{\"reason\":\"UPDATED_DATA\",\"originalEventID\":\"one\"},"

/* An addendum stands for the event that it updates, whichever comes first. */
static void test_addendum(void **state)
{
	static const char *const inputs[] = {
		USE("one", "1.2.3.4", "") USE("two", "5.6.7.8", UPDATED),
		USE("two", "5.6.7.8", UPDATED) USE("one", "1.2.3.4", ""),
		USE("one", "1.2.3.4", "") USE("one", "5.6.7.8", "\"addendum\":{\"reason\":\"UPDATED_DATA\"},"),
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(inputs); i++) {
		detect_one(support_write_text("addendum.jsonl", inputs[i]), "known.db", NULL);
		CLEANUP_JSON json_t *finding = only_finding();
		assert_string_equal(json_text_at(finding, "remote.address"), "5.6.7.8");
		assert_string_equal(json_string_value(json_array_get(json_at(finding, "event_ids"), 0)), "one");
		assert_int_equal(json_integer_value(json_at(finding, "count")), 1);
	}
}

/* ---- derived keys: a second pass */

#define STEP(id, minute, from, principal, to)                                                                          \
	"{\"eventTime\":\"2020-09-14T01:" minute ":00Z\",\"eventID\":\"" id                                            \
	"\",\"eventSource\":\"sts.amazonaws.com\",\"eventName\":\"AssumeRole\",\"sourceIPAddress\":\"AWS Internal\","  \
	"\"userIdentity\":{\"type\":\"AssumedRole\",\"accessKeyId\":\"" from "\",\"principalId\":\"" principal         \
	"\"},\"responseElements\":{\"credentials\":{\"accessKeyId\":\"" to                                             \
	"\"},\"assumedRoleUser\":{\"assumedRoleId\":\"AROA" to ":s\"}}}"
#define DERIVED_USE                                                                                                    \
	"{\"eventTime\":\"2020-09-14T01:30:00Z\",\"eventID\":\"use\",\"eventName\":\"GetCallerIdentity\","             \
	"\"sourceIPAddress\":\"1.2.3.4\",\"userIdentity\":{\"type\":\"AssumedRole\",\"accessKeyId\":"                  \
	"\"ASIADERIVEDTWO\"}}"

static void test_derived(void **state)
{
	static const char *const records[] = {
		DERIVED_USE, STEP("2", "20", "ASIADERIVEDONE", "AROAASIADERIVEDONE:s", "ASIADERIVEDTWO"),
		STEP("1", "10", OTRF_KEY, "AROAHOME:" OTRF_INSTANCE, "ASIADERIVEDONE")};
	static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {0, 2, 1}, {2, 0, 1}, {1, 2, 0}};
	CLEANUP_BUFFER struct buffer first = {0};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(orders); i++) {
		CLEANUP_BUFFER struct buffer text = {0};
		for (int j = 0; j < 3; j++)
			assert_int_equal(buffer_printf(&text, NULL, "%s\n", records[orders[i][j]]), 0);
		detect_one(support_write_text("derived.jsonl", text.bytes), "known.db", NULL);
		assert_int_equal(run.summary.records, 3); /* counted once */
		assert_int_equal(run.summary.uses, 3);
		assert_int_equal(run.summary.uses_by_aws, 2);
		CLEANUP_JSON json_t *finding = only_finding();
		const json_t *lineage = json_at(finding, "lineage");
		assert_string_equal(json_text_at(finding, "access_key_id"), "ASIADERIVEDTWO");
		assert_string_equal(json_text_at(finding, "owner.instance_id"), OTRF_INSTANCE);
		assert_int_equal(json_array_size(lineage), 3);
		assert_string_equal(json_text_at(json_array_get(lineage, 0), "access_key_id"), OTRF_KEY);
		assert_string_equal(json_text_at(json_array_get(lineage, 1), "action"), "sts:AssumeRole");
		assert_string_equal(json_text_at(json_array_get(lineage, 2), "event_id"), "2");
		assert_int_equal(json_array_size(json_at(finding, "suspects")), 1);
		if (i == 0)
			assert_int_equal(buffer_append(&first, run.findings.bytes, run.findings.length, NULL), 0);
		assert_string_equal(run.findings.bytes, first.bytes);
	}
}

/* What the second pass cannot read any more is said. */
static void test_derived_again(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	const char *ledger = support_path("known.db"), *source = support_path("once");
	const struct detect_options options = {
		.sources = &source, .source_count = 1, .ledgers = &ledger, .ledger_count = 1, .findings = ""};
	(void)state;
	assert_int_equal(buffer_printf(&text, NULL, "%s\n%s\n", DERIVED_USE,
	                               STEP("1", "10", OTRF_KEY, "AROAHOME:" OTRF_INSTANCE, "ASIADERIVEDTWO")),
	                 0);
	assert_int_equal(mkfifo(source, 0600), 0);
	pid_t writer = fork();
	if (writer == 0) {
		int fd = open(source, O_WRONLY | O_CLOEXEC);
		bool written = write(fd, text.bytes, text.length) == (ssize_t)text.length;
		(void)remove(source);
		_exit(written ? 0 : 1);
	}
	assert_int_equal(detect(&options), 0);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	assert_int_equal(run.summary.files, 1);
	assert_int_equal(run.summary.files_unreadable, 1);
	assert_non_null(strstr(run.complaints.bytes, "only once"));
}

static void test_beside_the_ledger(void **state)
{
	const char *ledger = support_path("known.db"), *source = OTRF_FILE;
	struct detect_options options = {.sources = &source, .source_count = 1, .ledgers = &ledger, .ledger_count = 1};
	struct stat status;
	(void)state;
	assert_int_equal(detect(&options), 0);
	assert_true(run.summary.findings_stored);
	assert_int_equal(stat(support_path("findings.db"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);

	/* What lies there and is not ours is left alone; the findings are still told. */
	(void)support_write_text("findings.db", "something else");
	assert_int_equal(remove(support_path("findings.db-wal")) | remove(support_path("findings.db-shm")), 0);
	assert_int_equal(detect(&options), 0);
	assert_false(run.summary.findings_stored);
	assert_non_null(strstr(run.summary.notice, "only printed"));
	assert_int_equal(count_lines(&run.findings), 1);
}

static int setup(void **state)
{
	static const struct support_row rows[] = {
		{"2020-09-14T00:50:00Z", "delivery", OTRF_KEY,
	         SUPPORT_DELIVERY(OTRF_KEY, SUPPORT_PROCESS(7, "/usr/sbin/nginx"), "curl/7")},
		{"2020-09-14T00:49:00Z", "placement", NULL, SUPPORT_PLACEMENT("\"1.2.3.4\"")},
	};
	static const struct support_row home[] = {
		{"2020-09-14T00:50:00Z", "delivery", OTRF_KEY,
	         SUPPORT_DELIVERY(OTRF_KEY, SUPPORT_PROCESS(7, "/usr/sbin/nginx"), "curl/7")},
		{"2020-09-14T00:49:00Z", "placement", NULL, SUPPORT_PLACEMENT("\"198.51.100.10\",\"10.0.0.0/16\"")},
	};
	static const struct support_row other[] = {
		{"2020-09-14T00:50:00Z", "delivery", "ASIA5FLZVX4OAAAAAAAA",
	         "{\"access_key_id\":\"ASIA5FLZVX4OAAAAAAAA\",\"outcome\":\"delivered\"}"},
	};
	static const struct support_row stratus[] = {
		{"2024-08-02T08:00:00Z", "delivery", "ASIAP5CT9NN8EYVU1FXV",
	         "{\"access_key_id\":\"ASIAP5CT9NN8EYVU1FXV\",\"outcome\":\"delivered\"}"},
	};
	if (support_setup(state) < 0)
		return -1;
	(void)support_ledger("known.db", rows, 1);
	(void)support_ledger("there.db", rows, 2);
	(void)support_ledger("home.db", home, 2);
	(void)support_ledger("other.db", other, 1);
	(void)support_ledger("stratus.db", stratus, 1);
	return 0;
}

static int teardown(void **state)
{
	buffer_done(&run.findings);
	buffer_done(&run.complaints);
	return support_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cannot_run),
		cmocka_unit_test(test_unreadable_input),
		cmocka_unit_test(test_others_are_read),
		cmocka_unit_test(test_complaints_are_bounded),
		cmocka_unit_test(test_real_theft),
		cmocka_unit_test(test_real_use_explained),
		cmocka_unit_test(test_inside_aws),
		cmocka_unit_test(test_legitimate),
		cmocka_unit_test(test_lookup_events),
		cmocka_unit_test(test_odd_fields),
		cmocka_unit_test(test_without_ledger),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_order_does_not_show),
		cmocka_unit_test(test_judged_anew),
		cmocka_unit_test(test_addendum),
		cmocka_unit_test(test_derived),
		cmocka_unit_test(test_derived_again),
		cmocka_unit_test(test_beside_the_ledger),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
