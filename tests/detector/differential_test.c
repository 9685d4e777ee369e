/* SPDX-License-Identifier: Apache-2.0 */

/* Whole runs with all that makes the detector fast, against runs that parse every record in full; in any order, split
 * over any files, with repetitions, by any number of workers. What is found must be the same, byte for byte. The
 * records are those of the benchmark's fleet, mutated where it hurts: places, times, callers, the form of the text. */
#include "tests/detector/support.h"

#include "detector/detect.h"
#include "store/findings.h"
#include "tests/bench/trail.h"

#define KEYS 6 /* of which every second is in the ledger */
#define RECORDS 400
#define RECORD_BYTES 8192
#define FIRST_SECOND 1795564800 /* 2026-11-25T00:00:00Z */
#define DAY_SECONDS 86400
#define ROUNDS 8

static uint64_t chance;

static unsigned below(unsigned limit)
{
	return (unsigned)(trail_random(&chance) % limit);
}

/* ---- records */

/* In place of the text `from`, once, if it is there. */
static void swap_text(char *record, const char *from, const char *to)
{
	char *at = strstr(record, from);
	size_t length = strlen(record), old = strlen(from), new = strlen(to);
	if (at == NULL || length - old + new + 1 > RECORD_BYTES)
		return;
	memmove(at + new, at + old, length - (size_t)(at - record) - old + 1);
	memcpy(at, to, new);
}

static const struct {
	const char *from, *to;
} swaps[] = {
	{"\"sourceIPAddress\":\"10.", "\"sourceIPAddress\":\"11."},
	{"\"sourceIPAddress\":\"203.0.113.", "\"sourceIPAddress\":\"203.0.114."},
	{"\"sourceIPAddress\":\"", "\"sourceIPAddress\":\"198.51.100.7\",\"sourceIPAddress\":\""},
	{"\"userAgent\":", "\"sourceIPAddress\":\"198.51.100.8\",\"userAgent\":"},
	{"\"sourceIPAddress\":\"", "\"sourceIPAddress\" : \""},
	{"\"sourceIPAddress\"", "\"sourceIP\\u0041ddress\""},
	{"\"vpcEndpointAccountId\":\"1", "\"vpcEndpointAccountId\":\"2"},
	{"\"vpcEndpointAccountId\":\"", "\"vpcEndpointAccountId\":null,\"vpcEndpointOwner\":\""},
	{"\"vpcEndpointId\":\"vpce-0", "\"vpcEndpointId\":\"vpce-1"},
	{"\"vpcEndpointId\":\"", "\"vpcEndpointId\":null,\"was\":\""},
	{"\"userIdentity\":{", "\"userIdentity\":{\"invokedBy\":\"ec2.amazonaws.com\","},
	{"\"userIdentity\":{", "\"userIdentity\":{\"inScopeOf\":{\"issuerType\":\"AWS::EC2::Instance\"},"},
	{"\"userIdentity\":{", "\"userIdentity\":{\"accessKeyId\":\"ASIAAAAAAAAAAAAAAAAA\"},\"userIdentity\":{"},
	{"\"accountId\":\"1", "\"accountId\":\"3"},
	{"\"eventTime\":\"2026-11-25", "\"eventTime\":\"2026-11-26"},
	{"\"eventTime\":\"2026-11-25", "\"eventTime\":\"2026-11-27"},
	{"\"eventTime\":\"2026-11-25", "\"eventTime\":\"2026-11-23"},
	{"\"eventTime\":\"2026-11-25T", "\"eventTime\":\"2026-11-25 "},
	{"\"eventTime\"", "\"eventTimes\""},
	{"\"eventName\":\"", "\"eventName\":\"Assume\\u0052ole\",\"was\":\""},
	{"\"eventName\":\"GetObject\"", "\"eventName\":\"ConsoleLogin\""},
	{"\"eventType\":\"AwsApiCall\"", "\"eventType\":\"AwsConsoleSignIn\""},
	{"\"eventCategory\":\"Data\"", "\"eventCategory\":\"NetworkActivity\""},
	{"\"readOnly\"", "\"sharedEventID\":\"one\",\"readOnly\""},
	{"\"readOnly\"", "\"addendum\":{\"reason\":\"UPDATED_DATA\"},\"readOnly\""},
	{"\"readOnly\"", "\"errorCode\":\"AccessDenied\",\"readOnly\""},
	{"\"readOnly\"", "\"somethingNew\":{\"a\":[1,2,{}]},\"readOnly\""},
	{"\"readOnly\":true", "\"readOnly\":tr\"ue"},
	{"\"responseElements\":null", "\"responseElements\":{\"text\":\"a \\\"quoted\\\" one\"}"},
	{"\"responseElements\":null", "\"responseElements\":[{\"sourceIPAddress\":\"198.51.100.9\"}]"},
	{"\"recipientAccountId\":\"1", "\"recipientAccountId\":\"4"},
	{"\"requestID\"", "\"requestId\""},
	{"\"eventVersion\":\"1.09\",", ""},
	{"}}", "}"},
	{"\"tlsDetails\"", "\"detail\":{},\"tlsDetails\""},
	/* Records that contradict each other: the last ones, see make_records. */
	{"\"eventID\":\"", "\"eventID\":\"same-\\u0041\",\"x\":\""},
	{"\"eventID\":\"", "\"eventID\":\"one-and-the-same\",\"x\":\""},
};
#define SWAPS_ALIKE 2

static void mutate(char *record, bool with_alike)
{
	size_t length = strlen(record);
	for (unsigned i = below(3); i > 0; i--) {
		unsigned which = below(ARRAY_LENGTH(swaps) - (with_alike ? 0 : SWAPS_ALIKE));
		swap_text(record, swaps[which].from, swaps[which].to);
	}
	if (below(20) == 0) /* any byte, but no line feed: that ends the line */
		record[below((unsigned)length)] = "\"\\{}[],: A0"[below(11)];
}

/* A tracked key makes one that no ledger knows: from then on that one's uses count, too. */
static void hand_out(char *record)
{
	struct trail_key child;
	char answer[512];
	trail_key(1 + below(KEYS / 2) * 2, &child);
	(void)snprintf(answer, sizeof(answer),
	               "\"responseElements\":{\"credentials\":{\"accessKeyId\":\"%s\",\"expiration\":"
	               "\"Nov 26, 2026, 3:00:00 AM\"},\"assumedRoleUser\":{\"assumedRoleId\":\"%s:x\",\"arn\":"
	               "\"arn:aws:sts::%s:assumed-role/other/x\"}}",
	               child.id, child.role_id, child.account_id);
	if (strstr(record, "\"GetCallerIdentity\"") == NULL)
		return;
	swap_text(record, "\"GetCallerIdentity\"", "\"AssumeRole\"");
	swap_text(record, "\"responseElements\":null", answer);
}

/* `with_alike`: some have one id and say different things. */
static void make_records(char **lines, bool with_children, bool with_alike)
{
	char id[40];
	for (size_t i = 0; i < RECORDS; i++) {
		struct trail_key key;
		lines[i] = calloc(1, RECORD_BYTES);
		assert_non_null(lines[i]);
		trail_key(below(KEYS), &key);
		(void)trail_record(below(12) == 0 ? NULL : &key, below(20) == 0, FIRST_SECOND + below(DAY_SECONDS),
		                   &chance, lines[i], RECORD_BYTES, id);
		if (with_children && below(5) == 0)
			hand_out(lines[i]);
		if (below(3) == 0)
			mutate(lines[i], with_alike);
	}
}

/* ---- a ledger in which keys end, and places are left, in the middle of that day */

static void make_ledger(const char *name, bool with_places)
{
	char bodies[KEYS * 2][1024];
	struct support_row rows[KEYS * 2];
	size_t count = 0;
	for (unsigned i = 0; i < KEYS; i += 2) {
		struct trail_key key;
		static char ids[KEYS][24];
		trail_key(i, &key);
		memcpy(ids[i], key.id, sizeof(ids[i]));
		(void)snprintf(
			bodies[count], sizeof(bodies[0]),
			"{\"access_key_id\":\"%s\",\"role\":\"%s\",\"source\":\"imds\",\"outcome\":\"delivered\","
			"\"expires_at\":\"2026-11-%sT18:00:00.000000Z\",\"host\":{\"instance_id\":\"%s\","
			"\"account_id\":\"%s\",\"region\":\"%s\"}}",
			key.id, key.role, i == 2 ? "25" : "26", key.instance_id, key.account_id, key.region_name);
		rows[count] = (struct support_row){"2026-11-24T22:00:00Z", "delivery", ids[i], bodies[count]};
		count++;
		/* The second place lacks the egress that the first one has. */
		for (int later = 0; with_places && later < 1 + (i == 0); later++) {
			(void)snprintf(bodies[count], sizeof(bodies[0]),
			               "{\"account_id\":\"%s\",\"region\":\"%s\",\"instance_id\":\"%s\","
			               "\"addresses\":[\"%s\"%s%s%s],\"vpc_ids\":[\"vpc-1\"],\"owner_ids\":[\"%s\"]}",
			               key.account_id, key.region_name, key.instance_id, key.private_address,
			               later ? "" : ",\"", later ? "" : key.egress_address, later ? "" : "\"",
			               key.account_id);
			rows[count] = (struct support_row){later ? "2026-11-25T12:00:00Z" : "2026-11-24T22:00:00Z",
			                                   "placement", NULL, bodies[count]};
			count++;
		}
	}
	(void)support_ledger(name, rows, count);
}

/* ---- runs */

struct result {
	struct buffer findings;
	struct detect_summary summary;
};

static int on_finding(void *context, const json_t *finding, struct error *err)
{
	struct result *result = context;
	CLEANUP_FREE char *line = json_line(finding);
	return buffer_printf(&result->findings, err, "%s\n", line);
}

static const char *ledger_name = "fleet.db";

static void run(const char *const *sources, size_t count, size_t workers, bool is_thorough, const char *findings,
                struct result *ret)
{
	const char *ledger = support_path(ledger_name);
	const struct detect_options options = {.sources = sources,
	                                       .source_count = count,
	                                       .ledgers = &ledger,
	                                       .ledger_count = 1,
	                                       .findings = findings,
	                                       .workers = workers,
	                                       .is_thorough = is_thorough};
	const struct detect_output output = {on_finding, NULL, ret};
	struct error err = {0};
	*ret = (struct result){0};
	assert_int_equal(buffer_append(&ret->findings, "", 0, NULL), 0);
	if (detect_run(&options, &output, &ret->summary, &err) < 0)
		fail_msg("%s", err.text);
}

static void shuffle(size_t *order, size_t count)
{
	for (size_t i = count; i-- > 1;) {
		size_t other = below((unsigned)i + 1), kept = order[i];
		order[i] = order[other];
		order[other] = kept;
	}
}

static const char *write_some(const char *name, char *const *lines, const size_t *order, size_t count, bool as_array)
{
	CLEANUP_BUFFER struct buffer text = {0};
	assert_int_equal(buffer_printf(&text, NULL, "%s", as_array ? "{\"Records\":[" : ""), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(buffer_printf(&text, NULL, "%s%s",
		                               i == 0     ? ""
		                               : as_array ? ","
		                                          : "\n",
		                               lines[order[i]]),
		                 0);
	assert_int_equal(buffer_printf(&text, NULL, "%s", as_array ? "]}" : "\n"), 0);
	return support_write(name, text.bytes, text.length);
}

/* All lines, some twice, over four files. A record that is broken spoils an array: those are written as lines. */
static void run_shuffled(char *const *lines, size_t workers, bool is_thorough, const char *findings, bool as_arrays,
                         struct result *ret)
{
	size_t order[RECORDS * 2], count = RECORDS + below(RECORDS / 2), start = 0;
	const char *sources[4];
	char names[4][16];
	for (size_t i = 0; i < count; i++)
		order[i] = i < RECORDS ? i : below(RECORDS);
	shuffle(order, count);
	for (size_t i = 0; i < 4; i++) {
		size_t end = i == 3 ? count : start + below((unsigned)(count - start) + 1);
		(void)snprintf(names[i], sizeof(names[i]), "part%zu.json", i);
		sources[i] = write_some(names[i], lines, order + start, end - start, as_arrays);
		start = end;
	}
	run(sources, 4, workers, is_thorough, findings, ret);
}

static void check(const char *what, unsigned round, const struct result *got, const struct result *wanted)
{
	if (strcmp(got->findings.bytes, wanted->findings.bytes) != 0)
		fail_msg("round %u, %s: found\n%s\nwanted\n%s", round, what, got->findings.bytes,
		         wanted->findings.bytes);
	if (got->summary.uses != wanted->summary.uses)
		fail_msg("round %u, %s: %llu uses, wanted %llu", round, what, (unsigned long long)got->summary.uses,
		         (unsigned long long)wanted->summary.uses);
}

/* Findings are stored that were made when less was known: now most of them are none. */
static void check_stored(char *const *lines, unsigned round, const struct result *full)
{
	struct result kept;
	char db[256];
	(void)snprintf(db, sizeof(db), "%s", support_path("kept.db"));
	ledger_name = "placeless.db";
	run_shuffled(lines, 2, false, db, false, &kept);
	assert_true(kept.findings.length > full->findings.length);
	buffer_done(&kept.findings);
	ledger_name = "fleet.db";
	run_shuffled(lines, 2, false, db, false, &kept);
	check("stored", round, &kept, full);
	buffer_done(&kept.findings);
	(void)remove(db);
}

static void test_fleet(void **state)
{
	char *lines[RECORDS];
	size_t findings = 0;
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct result full, fast;
		chance = round + 1;
		make_records(lines, round % 2 == 0, round % 4 < 2);
		run_shuffled(lines, 1, true, "", false, &full);
		for (size_t workers = 1; workers <= 3; workers++) {
			run_shuffled(lines, workers, false, "", false, &fast);
			check("shuffled", round, &fast, &full);
			buffer_done(&fast.findings);
		}
		if (round % 4 >= 2) /* else an earlier run's version of an event would stand */
			check_stored(lines, round, &full);
		findings += full.summary.findings[SEVERITY_HIGH] + full.summary.findings[SEVERITY_LOW];
		buffer_done(&full.findings);
		for (size_t i = 0; i < RECORDS; i++)
			free(lines[i]);
	}
	assert_true(findings > ROUNDS * 5);
}

/* The same of records as they lie: all data sets, with the keys that they hold. */
static void test_data_sets(void **state)
{
	static const char *const folders[] = {TEST_DATA "/cloudtrail"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
		struct result full, fast;
		run(&folders[i], 1, 1, true, "", &full);
		for (size_t workers = 1; workers <= 4; workers += 3) {
			run(&folders[i], 1, workers, false, "", &fast);
			check(folders[i], 0, &fast, &full);
			assert_memory_equal(&fast.summary, &full.summary, sizeof(full.summary));
			buffer_done(&fast.findings);
		}
		buffer_done(&full.findings);
	}
}

/* That another record tells where a call came from says nothing of the next call like it. */
#define USE(request)                                                                                                   \
	"{\"eventVersion\":\"1.09\",\"userIdentity\":{\"type\":\"AssumedRole\",\"accountId\":\"111111111111\","        \
	"\"principalId\":\"AROAAAAAAAAAAAAAAAAAA:i-0aaaaaaaaaaaaaaaa\",\"accessKeyId\":\"ASIAAAAAAAAAAAAAAAAA\"},"     \
	"\"eventTime\":\"2026-11-25T13:00:00Z\",\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"GetObject\","     \
	"\"sourceIPAddress\":\"10.9.9.9\",\"requestID\":\"" request "\",\"eventID\":\"use-" request "\","              \
	"\"eventType\":\"AwsApiCall\",\"recipientAccountId\":\"111111111111\",\"eventCategory\":\"Data\"}\n"

static void test_passage(void **state)
{
	static const char text[] =
		"{\"eventVersion\":\"1.09\",\"userIdentity\":{\"type\":\"AWSAccount\",\"accountId\":\"111111111111\"},"
		"\"eventTime\":\"2026-11-25T13:00:00Z\",\"eventSource\":\"s3.amazonaws.com\",\"eventName\":"
		"\"GetObject\","
		"\"requestID\":\"1\",\"eventID\":\"activity\",\"eventType\":\"AwsVpceEvents\",\"recipientAccountId\":"
		"\"222222222222\",\"vpcEndpointId\":\"vpce-0aaaaaaaaaaaaaaaa\",\"vpcEndpointAccountId\":"
		"\"222222222222\","
		"\"eventCategory\":\"NetworkActivity\"}\n" USE("1") USE("2");
	static const char host[] = "\"instance_id\":\"i-0aaaaaaaaaaaaaaaa\",\"account_id\":\"111111111111\"";
	char delivery[512], placement[512];
	(void)state;
	(void)snprintf(delivery, sizeof(delivery),
	               "{\"access_key_id\":\"ASIAAAAAAAAAAAAAAAAA\",\"role\":\"web\",\"source\":\"imds\",\"outcome\":"
	               "\"delivered\",\"expires_at\":\"2026-11-25T18:00:00Z\",\"host\":{%s}}",
	               host);
	(void)snprintf(placement, sizeof(placement),
	               "{%s,\"addresses\":[\"10.0.0.1\"],\"vpc_ids\":[\"vpc-1\"],\"owner_ids\":[\"222222222222\"]}",
	               host);
	const struct support_row rows[] = {
		{"2026-11-24T22:00:00Z", "delivery", "ASIAAAAAAAAAAAAAAAAA", delivery},
		{"2026-11-24T22:00:00Z", "placement", NULL, placement},
	};
	(void)support_ledger("passage.db", rows, ARRAY_LENGTH(rows));
	const char *source = support_write("passage.json", text, sizeof(text) - 1);
	struct result full, fast;
	ledger_name = "passage.db";
	run(&source, 1, 1, true, "", &full);
	assert_non_null(strstr(full.findings.bytes, "\"use-2\""));
	assert_null(strstr(full.findings.bytes, "\"use-1\""));
	run(&source, 1, 1, false, "", &fast);
	ledger_name = "fleet.db";
	check("told by another record", 0, &fast, &full);
	buffer_done(&full.findings);
	buffer_done(&fast.findings);
}

static int setup(void **state)
{
	if (support_setup(state) < 0)
		return -1;
	make_ledger("fleet.db", true);
	make_ledger("placeless.db", false);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_fleet), cmocka_unit_test(test_data_sets),
	                                   cmocka_unit_test(test_passage)};
	return cmocka_run_group_tests(tests, setup, support_teardown);
}
