/* SPDX-License-Identifier: Apache-2.0 */

/* What can be taken in at a glance, and what must be parsed; and that a glance sees what the parser reads. */
#include "tests/detector/support.h"

#include "detector/event.h"
#include "detector/glance.h"
#include "detector/inflate.h"

#define BEGIN "{\"eventVersion\":\"1.09\",\"userIdentity\":{\"type\":\"AssumedRole\",\"accessKeyId\":\"K\"},"
#define TIME "\"eventTime\":\"2026-02-28T23:59:59Z\","
#define CALL "\"eventName\":\"GetObject\",\"eventType\":\"AwsApiCall\",\"sourceIPAddress\":\"10.0.0.1\","
#define MANY                                                                                                           \
	"\"readOnly\":true,\"readOnly\":true,\"readOnly\":true,\"readOnly\":true,\"readOnly\":true,\"readOnly\":true," \
	"\"readOnly\":true,\"readOnly\":true,\"readOnly\":true,\"readOnly\":true,"
#define END "\"eventID\":\"e-1\"}"

static const struct {
	const char *name, *text;
	bool is_plain;
} cases[] = {
	{"as CloudTrail writes it", BEGIN TIME CALL END, true},
	{"null counts as absent", BEGIN TIME CALL "\"vpcEndpointId\":null," END, true},
	{"what may be passed over", BEGIN TIME CALL "\"requestParameters\":{\"a\":[1,{}]},\"readOnly\":true," END,
         true},
	{"a category of calls", BEGIN TIME CALL "\"eventCategory\":\"Data\"," END, true},
	{"network activity", BEGIN TIME CALL "\"eventCategory\":\"NetworkActivity\"," END, false},
	{"a shared event", BEGIN TIME CALL "\"sharedEventID\":\"x\"," END, false},
	{"an addendum", BEGIN TIME CALL "\"addendum\":{}," END, false},
	{"a member not known", BEGIN TIME CALL "\"somethingNew\":1," END, false},
	{"an event in an event", BEGIN TIME CALL "\"detail\":{}," END, false},
	{"a member twice", BEGIN TIME CALL "\"sourceIPAddress\":\"10.0.0.2\"," END, false},
	{"no number is an address", BEGIN TIME CALL "\"vpcEndpointId\":7," END, false},
	{"an escape", BEGIN TIME CALL "\"userAgent\":\"a\\\"b\"," END, false},
	{"a line feed in a value", BEGIN TIME CALL "\"requestParameters\":{\"a\":\n1}," END, false},
	{"more members than are counted",
         BEGIN TIME CALL MANY MANY MANY MANY "\"readOnly\":true,\"readOnly\":true," END, false},
	{"white space", BEGIN TIME CALL "\"userAgent\": \"a\"," END, false},
	{"two values", BEGIN TIME CALL "\"userAgent\":\"a\" \"b\"," END, false},
	{"no value", BEGIN TIME CALL "\"userAgent\":," END, false},
	{"no time", BEGIN CALL END, false},
	{"no id", BEGIN TIME CALL "\"readOnly\":true}", false},
	{"an empty id", BEGIN TIME CALL "\"eventID\":\"\"}", false},
	{"no name", BEGIN TIME "\"eventType\":\"AwsApiCall\"," END, false},
	{"no type", BEGIN TIME "\"eventName\":\"GetObject\"," END, false},
	{"a sign-in", BEGIN TIME "\"eventName\":\"x\",\"eventType\":\"AwsConsoleSignIn\"," END, false},
	{"a call that teaches", BEGIN TIME "\"eventName\":\"AssumeRole\",\"eventType\":\"AwsApiCall\"," END, false},
	{"no identity", "{" TIME CALL END, false},
	{"an identity that is none", "{\"userIdentity\":\"x\"," TIME CALL END, false},
	{"a day that is none", BEGIN "\"eventTime\":\"2026-02-29T00:00:00Z\"," CALL END, false},
	{"another form of time", BEGIN "\"eventTime\":\"2026-02-28T00:00:00.5Z\"," CALL END, false},
	{"cut", BEGIN TIME CALL "\"a\":{}", false},
	{"nothing", "{}", false},
};

static bool glance_at(const char *text, size_t form, struct glance *ret)
{
	static char room[8192];
	size_t length = strlen(text);
	assert_true(length + INFLATE_PADDING < sizeof(room));
	memset(room, 'x', sizeof(room));
	memcpy(room, text, length);
	return glance_read(scan_form(form)->outline, room, length, ret);
}

/* From behind the identity on, with another record behind it: the same. */
static void check_going_on(const char *text, size_t form, bool is_plain, const struct glance *wanted)
{
	static char room[8192];
	struct glance glance;
	size_t length = strlen(text), ends = 0, identity = sizeof(BEGIN) - 2 - GLANCE_HEAD_BYTES;
	if (strncmp(text, BEGIN, sizeof(BEGIN) - 1) != 0)
		return;
	for (size_t offset = 0; offset < SCAN_BLOCK_BYTES; offset += 7) {
		char *at = room + offset;
		memset(room, 'x', sizeof(room));
		(void)snprintf(at, sizeof(room) - offset, "%s,{\"eventVersion\":\"1.09\\\n\"}", text);
		assert_true(glance_has_head(at));
		if (glance_go_on(scan_form(form)->outline, at, 4096, identity, &glance, &ends) != is_plain)
			fail_msg("%s, form %zu, at %zu", text, form, offset);
		if (!is_plain)
			continue;
		assert_int_equal(ends, length);
		assert_false(glance_go_on(scan_form(form)->outline, at, length - 1, identity, &glance, &ends));
		assert_true(glance_go_on(scan_form(form)->outline, at, length, identity, &glance, &ends));
		assert_true(glance.at_us == wanted->at_us && glance.id_hash == wanted->id_hash);
		for (size_t i = 0; i < GLANCE_FIELDS; i++) {
			const struct glance_text *got = &glance.fields[i], *full = &wanted->fields[i];
			assert_int_equal(got->length, full->length);
			assert_true((got->text == NULL) == (full->text == NULL) &&
			            (got->text == NULL || memcmp(got->text, full->text, got->length) == 0));
		}
	}
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		for (size_t form = 0; scan_form(form) != NULL; form++) {
			struct glance glance;
			if (glance_at(cases[i].text, form, &glance) != cases[i].is_plain)
				fail_msg("%s, form %zu", cases[i].name, form);
			check_going_on(cases[i].text, form, cases[i].is_plain, &glance);
		}
}

static void test_heads(void **state)
{
	static const struct {
		const char *text;
		bool is_head;
	} heads[] = {
		{BEGIN, true},
		{"{\"eventVersion\":\"1.11\",\"userIdentity\":{\"type\":\"Root\"}}", true},
		{"{\"eventVersion\":\"1.\"9\",\"userIdentity\":{\"type\":\"Root\"}}", false},
		{"{\"eventVersion\":\"1.\\9\",\"userIdentity\":{\"type\":\"Root\"}}", false},
		{"{\"eventVersion\":\"1.1\",\"userIdentity\":{\"type\":\"Root\"}}  ", false},
		{"{\"eventversion\":\"1.09\",\"userIdentity\":{\"type\":\"Root\"}}", false},
		{"{\"eventVersion\":\"1.09\",\"userIdentities\":{\"type\":\"Root\"}}", false},
		{"{\"eventTime\":\"2026-02-28T23:59:59Z\",\"userIdentity\":{}}", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(heads); i++)
		if (glance_has_head(heads[i].text) != heads[i].is_head)
			fail_msg("%s", heads[i].text);
}

static void check_text(const struct glance_text *seen, const char *read)
{
	assert_int_equal(seen->length, strlen(read));
	if (seen->length > 0)
		assert_memory_equal(seen->text, read, seen->length);
}

/* Any time of four hundred years, and a day more: as the parser reads it. */
static void test_times(void **state)
{
	static const char *const days[] = {"1970-01-01", "1999-12-31", "2000-02-29", "2000-03-01", "2024-02-29",
	                                   "2024-03-01", "2026-11-30", "2026-12-31", "2027-01-01", "2099-12-31"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(days); i++) {
		char text[600];
		struct glance glance;
		struct event event;
		(void)snprintf(text, sizeof(text), BEGIN "\"eventTime\":\"%sT12:34:56Z\"," CALL END, days[i]);
		assert_true(glance_at(text, 0, &glance));
		assert_true(event_read(text, strlen(text), &event));
		assert_true(glance.at_us == event.at_us);
		check_text(&glance.fields[GLANCE_ID], event.id);
		check_text(&glance.fields[GLANCE_SOURCE], event.source_text);
		check_text(&glance.fields[GLANCE_NAME], event.name);
	}
}

/* Whatever a byte is changed to: what is taken in at a glance can be parsed, and says the same. */
static void test_agrees_with_the_parser(void **state)
{
	static const char text[] = BEGIN TIME CALL
		"\"vpcEndpointId\":\"vpce-0123456789abcdef0\",\"requestID\":\"r\",\"readOnly\":true," END;
	char changed[sizeof(text)];
	unsigned seen = 0;
	(void)state;
	srand(3);
	for (unsigned i = 0; i < 200000; i++) {
		struct glance glance;
		struct event event;
		memcpy(changed, text, sizeof(text));
		for (int j = rand() % 3; j >= 0; j--)
			changed[(size_t)rand() % (sizeof(text) - 1)] = "\"\\{}[],: a0T"[rand() % 12];
		if (!glance_at(changed, 2, &glance))
			continue;
		seen++;
		if (!event_read(changed, strlen(changed), &event)) {
			/* What is inside of the identity only the parser checks: one that is broken is not familiar. */
			if (memcmp(changed, BEGIN, sizeof(BEGIN) - 1) == 0)
				fail_msg("%s", changed);
			continue;
		}
		assert_true(glance.at_us == event.at_us);
		check_text(&glance.fields[GLANCE_ID], event.id);
		check_text(&glance.fields[GLANCE_SOURCE], event.source_text);
		check_text(&glance.fields[GLANCE_ENDPOINT], event.endpoint_id);
		check_text(&glance.fields[GLANCE_REQUEST], event.request_id);
	}
	assert_true(seen > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_heads),
	                                   cmocka_unit_test(test_times), cmocka_unit_test(test_agrees_with_the_parser)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
