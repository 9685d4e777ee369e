/* SPDX-License-Identifier: Apache-2.0 */

/* Triage against parsing everything: over all real records, and over mutations of them, nothing may be passed over that
 * a parser would have judged. */
#include "tests/detector/support.h"

#include <dirent.h>

#include "detector/event.h"
#include "detector/inflate.h"
#include "detector/records.h"
#include "detector/triage.h"

#define OTHER_KEY "ASIAP5CT9NN8EYVU1FXV" /* of stratus/…steal-instance-credentials */

static struct tracked tracked;
static struct triage triage = {.tracked = &tracked};
static unsigned ours; /* records that a parser finds to be ours */

static bool is_ours(const struct event *event)
{
	struct tracked_room room;
	return tracked_key(&tracked, event->access_key_id, &room) != NULL ||
	       tracked_instance(&tracked, event->session_instance, strlen(event->session_instance)) != NULL;
}

static int on_record(void *context, const struct record *record, struct error *err)
{
	struct event event;
	(void)context;
	(void)err;
	if (!event_read(record->bytes, record->length, &event) || !is_ours(&event))
		return 0;
	ours++;
	if (!record->is_suspect)
		fail_msg("passed over: %.*s", (int)record->length, record->bytes);
	return 0;
}

static void on_broken(void *context, uint64_t number, uint64_t offset, const char *expected)
{
	(void)context;
	(void)number;
	(void)offset;
	(void)expected;
}

static void read_all(const char *bytes, size_t length, scan_function *scan)
{
	const struct records_reader reader = {on_record, on_broken, triage_hint, NULL, &triage, &triage.sieve, NULL};
	struct records records;
	size_t used;
	CLEANUP_FREE char *window = calloc(1, length + INFLATE_PADDING);
	memcpy(window, bytes, length);
	records_begin(&records, &reader);
	records.scan = scan;
	assert_int_equal(records_feed(&records, window, length, true, &used, NULL), 0);
}

/* Bytes changed, in ways that leave JSON often whole: escapes put in, bytes swapped, removed and doubled. */
static void mutate(struct buffer *text, const char *from, size_t length)
{
	buffer_clear(text);
	for (size_t i = 0; i < length; i++) {
		char c = from[i], escape[8];
		int kind = rand() % 400;
		if (kind == 0 && c != '"' && c != '\\' && (i == 0 || from[i - 1] != '\\') && c > ' ') {
			(void)snprintf(escape, sizeof(escape), rand() % 2 != 0 ? "\\u%04x" : "\\u%04X", (unsigned)c);
			assert_int_equal(buffer_append(text, escape, 6, NULL), 0);
			continue;
		}
		if (kind == 1 && rand() % 40 == 0)
			c = "\"\\{}[],:\nA"[rand() % 10];
		if (kind == 2 && rand() % 40 == 0)
			continue;
		if (kind == 3 && c == ' ')
			assert_int_equal(buffer_append(text, " \n", 2, NULL), 0);
		assert_int_equal(buffer_append(text, &c, 1, NULL), 0);
	}
}

static void try_file(const char *path, int rounds)
{
	CLEANUP_BUFFER struct buffer text = {0};
	CLEANUP_BUFFER struct buffer changed = {0};
	assert_int_equal(buffer_read_file(&text, path, NULL), 0);
	read_all(text.bytes, text.length, scan_best()->pass);
	read_all(text.bytes, text.length, scan_form(0)->pass);
	for (int i = 0; i < rounds; i++) {
		mutate(&changed, text.bytes, text.length);
		read_all(changed.bytes, changed.length, scan_best()->pass);
	}
}

#define KEY(id, instance)                                                                                              \
	{                                                                                                              \
		"2020-09-14T00:50:00Z", "delivery", id,                                                                \
			"{\"access_key_id\":\"" id "\",\"outcome\":\"recorded\",\"host\":{\"instance_id\":\"" instance \
			"\"}}"                                                                                         \
	}

static struct ledger *ledger;

static int setup(void **state)
{
	static const struct support_row rows[] = {KEY(OTRF_KEY, OTRF_INSTANCE), KEY(OTHER_KEY, "i-0123456789abcdef0")};
	srand(11);
	return support_setup(state) +
	       ledger_open(support_ledger("triage.db", rows, ARRAY_LENGTH(rows)), &ledger, NULL) +
	       tracked_load(&tracked, ledger, NULL) + tracked_seal(&tracked, &triage.sieve, NULL) +
	       triage_open(&triage, NULL);
}

static int teardown(void **state)
{
	triage_close(&triage);
	tracked_done(&tracked);
	ledger_close(ledger);
	return support_teardown(state);
}

static void test_real_records(void **state)
{
	(void)state;
	ours = 0;
	try_file(OTRF_FILE, 0);
	assert_int_equal(ours, 2 * 11);
	try_file(OTRF_FILE, 60);
	assert_true(ours > 60 * 8);
	try_file(TEST_DATA "/cloudtrail/synthetic/inside_aws_endpoint.json", 500);
	try_file(TEST_DATA "/cloudtrail/synthetic/lookup_events.json", 500);
}

static void test_odd_records(void **state)
{
	const char *folder = TEST_DATA "/cloudtrail/stratus";
	DIR *all = opendir(folder);
	char path[512];
	(void)state;
	assert_non_null(all);
	ours = 0;
	for (const struct dirent *entry; (entry = readdir(all)) != NULL;) {
		if (strstr(entry->d_name, ".json") == NULL)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		try_file(path, 5);
	}
	closedir(all);
	assert_true(ours >= 2 * 2);
}

static void test_hints(void **state)
{
	static const struct {
		const char *text;
		bool is_known, is_known_without_ledger;
	} cases[] = {
		{"ASIA5FLZVX4OPVKKVBM\"", false, false},   {"ASIA5FLZVX4OPVKKVBMXX\"", false, false},
		{"asia5FLZVX4OPVKKVBMX\"", false, false},  {":i-0317f6c6b66ae9c4\"", false, false},
		{":i-0317f6c6b66ae9c400\"", false, false}, {":i-0317f6c6b66ae9c4g\"", false, false},
		{":i-0317F6C6B66AE9C40\"", false, false},  {":i-production\"", false, false},
		{":i-0317f6c6b66ae9c41\"", false, true},   {":i-0317f6c6\"", false, true},
		{"ASIA5FLZVX4OPVKKVBMX\"", true, true},    {"ASIA5FLZVX4OPVKKVBMX\\\"", true, true},
		{":i-0317f6c6b66ae9c40\"", true, true},    {"/i-0317f6c6b66ae9c40", true, true},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const char *end = cases[i].text + strlen(cases[i].text);
		triage.every_session = triage.sieve.lets_all = false;
		if (triage_hint(&triage, cases[i].text, end) != cases[i].is_known)
			fail_msg("%s", cases[i].text);
		triage.every_session = triage.sieve.lets_all = true;
		if (triage_hint(&triage, cases[i].text, end) != cases[i].is_known_without_ledger)
			fail_msg("without a ledger: %s", cases[i].text);
	}
	triage.every_session = triage.sieve.lets_all = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_hints), cmocka_unit_test(test_real_records),
	                                   cmocka_unit_test(test_odd_records)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
