/* SPDX-License-Identifier: Apache-2.0 */

/* Cutting records: each form, each kind of damage, and every way of splitting the text into windows. */
#include "tests/detector/support.h"

#include "detector/inflate.h"
#include "detector/records.h"
#include "detector/sieve.h"

struct seen_records {
	struct buffer text; /* the records, a `|` behind each; a `!` for each complaint */
	unsigned broken;
	char expected[80]; /* of the last complaint */
	unsigned every;    /* each so-manieth record that is asked about is known; 0: none is */
	unsigned asked;
};

static int on_record(void *context, const struct record *record, struct error *err)
{
	struct seen_records *seen = context;
	return buffer_printf(&seen->text, err, "%.*s%s|", (int)record->length, record->bytes,
	                     record->is_suspect ? "*" : "");
}

/* Known ones are as suspect as any. */
static size_t on_known(void *context, const char *at, size_t length)
{
	struct seen_records *seen = context;
	struct scan_outline outline;
	assert_true(length > 0 && at[0] == '{');
	if (seen->every == 0 || ++seen->asked % seen->every != 0 || !scan_best()->outline(at, 0, length, &outline))
		return 0;
	size_t known = outline.end[outline.count - 1] + 1;
	assert_true(known <= length);
	assert_int_equal(buffer_printf(&seen->text, NULL, "%.*s*|", (int)known, at), 0);
	return known;
}

static void on_broken(void *context, uint64_t number, uint64_t offset, const char *expected)
{
	struct seen_records *seen = context;
	(void)number;
	(void)offset;
	seen->broken++;
	(void)snprintf(seen->expected, sizeof(seen->expected), "%s", expected);
}

static bool on_hint(const void *context, const char *at, const char *end)
{
	(void)context;
	return end - at >= 8 && memcmp(at, "ASIAKNOW", 8) == 0;
}

/* All pass: what is a hint is for on_hint to say. */
static struct sieve sieve = {.words = (uint64_t[]){0}, .lets_all = true};

/* Feeds `text` in windows that grow by `step` bytes, up to `most`: a longer record is dropped. */
static void cut_bounded(const char *text, size_t step, size_t most, scan_function *scan, struct seen_records *seen)
{
	const struct records_reader reader = {on_record, on_broken, on_hint, seen, NULL, &sieve, on_known};
	struct records records;
	struct error err;
	size_t total = strlen(text), start = 0, length = 0;
	CLEANUP_FREE char *window = calloc(1, total + INFLATE_PADDING);
	records_begin(&records, &reader);
	records.scan = scan;
	for (bool is_last = false; !is_last;) {
		size_t end = start + length + step < total ? start + length + step : total;
		size_t used = 0;
		if (end - start > most) {
			end = start + length; /* the same again */
			records_drop(&records);
		}
		length = end - start;
		is_last = end == total;
		memset(window, 0, total + INFLATE_PADDING);
		memcpy(window, text + start, length);
		assert_int_equal(records_feed(&records, window, length, is_last, &used, &err), 0);
		assert_true(used <= length);
		start += used;
		length -= used;
	}
}

static void cut(const char *text, size_t step, scan_function *scan, struct seen_records *seen)
{
	cut_bounded(text, step, SIZE_MAX, scan, seen);
}

#define E1 "{\"eventVersion\":\"1.08\",\"a\":{\"b\":[1,\"}\"]}}"
#define E2 "{\"eventTime\":\"x\",\"s\":\"{[\\\"\\\\\"}"
#define E3 "{\"@timestamp\":\"y\",\"long\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}"

static const struct {
	const char *name, *text, *records;
	unsigned broken;
} cases[] = {
	{"nothing", "", "", 0},
	{"white space", " \n\t ", "", 0},
	{"a text", "hello", "", 1},
	{"a number in an array", "[1]", "", 1},
	{"junk between", "[" E1 ",7," E2 "]", E1 "|" E2 "|", 1},
	{"an array in an array", "[[" E1 "]," E2 "]", E2 "|", 1},
	{"ends in a record", "{\"Records\":[" E1 ",{\"eventTime\":\"x", E1 "|", 1},
	{"ends in the array", "{\"Records\":[" E1 ",", E1 "|", 1},
	{"ends behind the array", "{\"Records\":[" E1 "]", E1 "|", 1},
	{"ends in the head", "{\"Records\":", "", 1},
	{"a line cut in a string", E1 "\n{\"eventTime\":\"x\n" E2 "\n", E1 "|" E2 "|", 1},
	{"a line cut behind a comma", E1 "\n{\"eventTime\":\"x\",\"b\":\n" E2 "\n", E1 "|" E2 "|", 1},
	{"the last line cut", E1 "\n{\"eventTime\":\"x", E1 "|", 1},
	{"a stray bracket between lines", E1 "\n}\n" E2 "\n", E1 "|" E2 "|", 1},
	{"a stray quote on a line", E1 "\nab\"c\n" E2 "\n", E1 "|" E2 "|", 1},
	{"empty holder", "{\"Records\":[]}", "", 0},
	{"holder", "{\"Records\":[" E1 "," E2 "]}", E1 "|" E2 "|", 0},
	{"holder with more", "{\"a\":[{\"x\":[1]}],\"Records\" : [ " E1 " , " E2 " ] ,\"z\":[{}]}", E1 "|" E2 "|", 0},
	{"two holders", "{\"Records\":[" E1 "]}\n{\"Records\":[" E2 "]}", E1 "|" E2 "|", 0},
	{"LookupEvents", "{\"NextToken\":\"n\",\"Events\":[{\"EventId\":\"1\"},{\"EventId\":\"2\"}]}",
         "{\"EventId\":\"1\"}|{\"EventId\":\"2\"}|", 0},
	{"array", "[" E1 ",\n" E2 "]\n", E1 "|" E2 "|", 0},
	{"lines", E1 "\n" E2 "\n" E3 "\n", E1 "|" E2 "|" E3 "|", 0},
	{"lines, DOS", E1 "\r\n" E2 "\r\n", E1 "|" E2 "|", 0},
	{"many, long ones too", "{\"Records\":[" E3 "," E3 "," E1 "," E3 "," E2 "," E3 ",\n" E1 "," E1 "]}",
         E3 "|" E3 "|" E1 "|" E3 "|" E2 "|" E3 "|" E1 "|" E1 "|", 0},
	{"many lines", E3 "\n" E3 "\n" E1 "\n" E3 E1 "\n\n" E1 "\n", E3 "|" E3 "|" E1 "|" E3 "|" E1 "|" E1 "|", 0},
	{"junk behind one that may be known", "[" E1 ";" E3 "," E1 "]", E1 "|" E3 "|" E1 "|", 1},
	{"no newline between", E1 E2 E3, E1 "|" E2 "|" E3 "|", 0},
	{"one, printed nicely", "{\n \"eventVersion\": \"1\",\n \"a\": [\n{\n}\n]\n}\n",
         "{\n \"eventVersion\": \"1\",\n \"a\": [\n{\n}\n]\n}|", 0},
	{"a record with Records in it", "{\"eventVersion\":\"1\",\"Records\":[{}]}",
         "{\"eventVersion\":\"1\",\"Records\":[{}]}|", 0},
	{"unknown object", "{\"a\":1}", "{\"a\":1}|", 1},
	{"UTF-16", "\xff\xfe{", "", 2},
	{"byte order mark", "\xef\xbb\xbf{\"Records\":[" E1 "]}", E1 "|", 0},
	{"a known key", "[{\"k\":\"ASIAKNOWN\"},{\"k\":\"ASIAOTHER\"}]",
         "{\"k\":\"ASIAKNOWN\"}*|{\"k\":\"ASIAOTHER\"}|", 0},
	{"an escape that may hide one", "[{\"k\":\"\\u0041SIAKNOWN\"},{\"k\":\"\\u003c\"},{\"k\":\"\\\\u0041\"}]",
         "{\"k\":\"\\u0041SIAKNOWN\"}*|{\"k\":\"\\u003c\"}|{\"k\":\"\\\\u0041\"}*|", 0},
};

/* The records must be the same. Suspicion may be greater: an escape casts it on all records in its 64 bytes. */
static bool is_equal(const char *got, const char *wanted)
{
	while (*got != '\0' || *wanted != '\0') {
		if (*got == *wanted) {
			got++;
			wanted++;
		} else if (*got == '*') {
			got++;
		} else {
			return false;
		}
	}
	return true;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		for (size_t step = 1; step < 300; step = step < 70 ? step + 1 : step * 2) {
			for (unsigned best = 0; best < 8; best++) {
				struct seen_records seen = {.every = best / 2};
				cut(cases[i].text, step, best % 2 != 0 ? scan_best()->pass : scan_form(0)->pass, &seen);
				if (!is_equal(seen.text.bytes != NULL ? seen.text.bytes : "", cases[i].records))
					fail_msg("%s, step %zu: %s", cases[i].name, step, seen.text.bytes);
				/* In small windows one piece of junk may be met twice. */
				if ((seen.broken > 0) != (cases[i].broken > 0) ||
				    (step > 200 && seen.broken != cases[i].broken))
					fail_msg("%s, step %zu: %u complaints, %s", cases[i].name, step, seen.broken,
					         seen.expected);
				buffer_done(&seen.text);
			}
		}
	}
}

static void test_hints_are_of_their_record(void **state)
{
	struct seen_records seen = {0};
	const char *text = "[{\"k\":\"ASIAKNOWN\"},{\"k\":\"ASIAOTHER\"},{\"k\":\"ASIAKNOWN\"},{\"k\":1}]";
	(void)state;
	cut(text, strlen(text), scan_best()->pass, &seen);
	assert_string_equal(seen.text.bytes,
	                    "{\"k\":\"ASIAKNOWN\"}*|{\"k\":\"ASIAOTHER\"}|{\"k\":\"ASIAKNOWN\"}*|{\"k\":1}|");
	buffer_done(&seen.text);
}

/* A record that is too long to be kept is passed over, in however many windows; what stands behind it is read. */
static void test_dropped(void **state)
{
	static const struct {
		const char *name, *text, *records;
		unsigned broken;
	} long_cases[] = {
		{"in an array",
	         "[" E1 ",{\"eventTime\":\"{[\\\"0123456789012345678901234567890123456789\",\"b\":{}}," E2 "]",
	         E1 "|" E2 "|", 1},
		{"on a line", E1 "\n{\"eventTime\":\"0123456789012345678901234567890123456789012345678901\"}\n" E2 "\n",
	         E1 "|" E2 "|", 1},
		{"alone", "{\"eventTime\":\"01234567890123456789012345678901234567890123456789012345\"}", "", 1},
		{"cut", "[" E1 ",{\"eventTime\":\"01234567890123456789012345678901234567890123456789012345", E1 "|", 2},
		{"a line cut", E1 "\n{\"eventTime\":\"012345678901234567890123456789012345678901234567890\n" E2 "\n",
	         E1 "|" E2 "|", 2},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(long_cases); i++) {
		for (size_t most = 46; most < 60; most++) {
			struct seen_records seen = {0};
			cut_bounded(long_cases[i].text, 7, most, scan_best()->pass, &seen);
			if (!is_equal(seen.text.bytes != NULL ? seen.text.bytes : "", long_cases[i].records) ||
			    seen.broken != long_cases[i].broken)
				fail_msg("%s, %zu: %u %s", long_cases[i].name, most, seen.broken, seen.text.bytes);
			buffer_done(&seen.text);
		}
	}
}

/* What is cut is what jansson finds. */
static void check_real(const struct buffer *text, const json_t *list, unsigned every)
{
	struct seen_records seen = {.every = every};
	cut(text->bytes, 4096, scan_best()->pass, &seen);
	assert_int_equal(seen.broken, 0);
	size_t count = 0;
	char *next = seen.text.bytes;
	/* `|` may stand in a record too: let jansson say where each ends. */
	while (*next != '\0') {
		json_error_t problem;
		CLEANUP_JSON json_t *record = json_loads(next, JSON_DISABLE_EOF_CHECK, &problem);
		assert_non_null(record);
		assert_true(json_equal(record, json_array_get(list, count++)));
		next += problem.position;
		next += strcspn(next, "|") + 1;
	}
	assert_int_equal(count, json_array_size(list));
	buffer_done(&seen.text);
}

static void test_real_files(void **state)
{
	static const char *const files[] = {
		"/cloudtrail/stratus/aws.credential-access.ec2-steal-instance-credentials.json",
		"/cloudtrail/stratus/aws.execution.ssm-send-command.json",
		"/cloudtrail/synthetic/inside_aws_endpoint.json",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		CLEANUP_BUFFER struct buffer text = {0};
		char path[300];
		(void)snprintf(path, sizeof(path), TEST_DATA "%s", files[i]);
		assert_int_equal(buffer_read_file(&text, path, NULL), 0);
		CLEANUP_JSON json_t *file = support_json(text.bytes);
		const json_t *list = json_is_array(file) ? file : json_at(file, "Records");
		for (unsigned every = 0; every < 4; every++)
			check_real(&text, list, every);
	}
}

static void test_look(void **state)
{
	static const struct {
		const char *text;
		enum records_kind kind;
		size_t array;
	} looks[] = {
		{"{\"Records\":", RECORDS_UNDECIDED, 0},
		{"{\"Rec", RECORDS_UNDECIDED, 0},
		{"{\"x\":\"", RECORDS_UNDECIDED, 0},
		{"{\"x\":{\"Records\":[", RECORDS_UNDECIDED, 0},
		{"{\"Records\":5}", RECORDS_OTHER, 0},
		{"{}", RECORDS_OTHER, 0},
		{"{\"a\":[{\"eventName\":\"x\"}]}", RECORDS_OTHER, 0},
		{"{\"a\":1,\"eventName\":\"x\"}", RECORDS_ONE, 0},
		{"{\"eventID\":", RECORDS_UNDECIDED, 0},
		{"{\"eventID\":\"", RECORDS_ONE, 0},
		{"{x", RECORDS_ONE, 0},
		{"{\"x\":[{\"Records\":[]}],\"Events\":[", RECORDS_HOLDER, 31},
		{"{\"Records\":[", RECORDS_HOLDER, 11},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(looks); i++) {
		size_t array = 0;
		if (records_look(looks[i].text, strlen(looks[i].text), &array) != looks[i].kind ||
		    array != looks[i].array)
			fail_msg("%s: %zu", looks[i].text, array);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),   cmocka_unit_test(test_hints_are_of_their_record),
		cmocka_unit_test(test_dropped), cmocka_unit_test(test_real_files),
		cmocka_unit_test(test_look),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
