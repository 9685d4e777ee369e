/* SPDX-License-Identifier: Apache-2.0 */

/* Rows as lines and back: what comes back is what was written, whoever wrote it, byte for byte. */
#include "store/line.h"
#include "tests/common/unit.h"

static const uint8_t link_of[DIGEST_BYTES] = {1, 2, 3};
static const struct line_place place = {.ledger_id = "0123456789abcdef0123456789abcdef", .link = link_of};

#define PROCESS "{\"exe\":\"/bin/x\",\"pid\":7}"
#define DIGEST "@1" /* stands for the digest of PROCESS in what follows */
#define OTHER "{\"exe\":\"/bin/y\",\"pid\":8}"
#define OTHER_DIGEST "@2"
#define MANY "@many" /* stands for as many members as a line has room for */
#define MORE "@more" /* and one more */
#define OWN_NAMES 6  /* what a line has beside the body, without a subject */
#define LONGEST_KIND "a_kind-of-32-characters-in-all__"
#define LONGEST_ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
	const char *name;
	struct chain_row row;
	bool is_raw;
	const char *has; /* a part of the line */
} rows[] = {
	{"a delivery",
         {1, 5, "id1", "delivery", NULL, "ASIA1",
          "{\"access_key_id\":\"ASIA1\",\"holders\":[\"" DIGEST "\"],\"process\":\"" DIGEST "\"}"},
         false,
         "\"process\":" PROCESS},
	{"an outcome",
         {2, 6, "id2", "outcome", "id1", NULL, "{\"outcome\":\"delivered\",\"reason\":null}"},
         false,
         "\"subject\":\"id1\""},
	{"no process",
         {3, 7, "id3", "delivery", NULL, NULL, "{\"access_key_id\":null,\"holders\":[],\"process\":null}"},
         false,
         "\"holders\":[]"},
	{"several holders",
         {3, 7, "id3", "delivery", NULL, NULL,
          "{\"holders\":[\"" OTHER_DIGEST "\",\"" DIGEST "\"],\"process\":\"" DIGEST "\"}"},
         false,
         "\"holders\":[" OTHER "," PROCESS "]"},
	{"an empty body", {4, 8, "id4", "x", NULL, NULL, "{}"}, false, "\"kind\":\"x\""},
	{"no number", {0, 8, "id4", "x", NULL, NULL, "{\"z\":1}"}, false, "\"z\":1}"},
	{"escapes and brackets in texts",
         {5, 9, "id5", "x", NULL, NULL, "{\"a\":\"\\\"]}{[,\\\\\",\"b\":[{\"c\":\"}\"},[]],\"t\":1}"},
         false,
         "\"seq\":5,\"t\":1"},
	{"a time before 1970", {5, -1, "id5", "x", NULL, NULL, "{}"}, false, "\"at\":\"1969-12-31T23:59:59.999999Z\""},
	{"a time beyond all years",
         {5, INT64_MAX, "id5", "x", NULL, NULL, "{}"},
         true,
         "\"at_us\":9223372036854775807"},
	{"white space in it", {6, 9, "id6", "x", NULL, NULL, "{ \"a\": 1 }"}, true, "\"raw\":"},
	{"a line break between values", {6, 9, "id6", "x", NULL, NULL, "{\"a\":{\"b\":1\n}}"}, true, "\"raw\":"},
	{"names out of order", {6, 9, "id6", "x", NULL, NULL, "{\"b\":1,\"a\":1}"}, true, "\"raw\":"},
	{"a name that a line needs", {6, 9, "id6", "x", NULL, NULL, "{\"kind\":\"y\"}"}, true, "\"raw\":"},
	{"the same for a time", {6, 9, "id6", "x", NULL, NULL, "{\"at\":\"y\"}"}, true, "\"raw\":"},
	{"a process that is not there",
         {6, 9, "id6", "delivery", NULL, NULL,
          "{\"process\":\"0000000000000000000000000000000000000000000000000000000000000000\"}"},
         true,
         "\"raw\":"},
	{"a column that says more than the body",
         {6, 9, "id6", "x", NULL, "ASIA1", "{}"},
         true,
         "\"access_key_id\":\"ASIA1\""},
	{"a column that says less",
         {6, 9, "id6", "x", NULL, NULL, "{\"access_key_id\":\"ASIA1\"}"},
         true,
         "\"access_key_id\":null"},
	{"a kind longer than a line's", {6, 9, "id6", LONGEST_KIND "x", NULL, NULL, "{}"}, true, "\"raw\":"},
	{"the longest kind and id", {6, 9, LONGEST_ID, LONGEST_KIND, LONGEST_ID, NULL, "{}"}, false, "\"seq\":6"},
	{"an id longer than a line's", {6, 9, LONGEST_ID "x", "x", NULL, NULL, "{}"}, true, "\"raw\":"},
	{"a subject longer than a line's", {6, 9, "id6", "x", LONGEST_ID "x", NULL, "{}"}, true, "\"raw\":"},
	{"no kind", {6, 9, "id6", "", NULL, NULL, "{}"}, true, "\"raw\":"},
	{"no id", {6, 9, "", "x", NULL, NULL, "{}"}, true, "\"raw\":"},
	{"an empty subject", {6, 9, "id6", "x", "", NULL, "{}"}, false, "\"subject\":\"\""},
	{"a name that a line has only at times",
         {6, 9, "id6", "x", NULL, NULL, "{\"subject\":\"y\"}"},
         true,
         "\"raw\":"},
	{"the number of a row that has none", {0, 9, "id6", "x", NULL, NULL, "{\"seq\":7}"}, true, "\"raw\":"},
	{"the name of a body in a body", {6, 9, "id6", "x", NULL, NULL, "{\"raw\":\"{}\"}"}, true, "\"raw\":"},
	{"a key with an escape",
         {6, 9, "id6", "x", NULL, "A\\u0041", "{\"access_key_id\":\"A\\u0041\"}"},
         true,
         "\"raw\":"},
	{"as many members as a line has room for", {6, 9, "id6", "x", NULL, NULL, MANY}, false, "\"seq\":6"},
	{"more than that", {6, 9, "id6", "x", NULL, NULL, MORE}, true, "\"raw\":"},
	{"an id with a quote", {6, 9, "i\"d", "x", NULL, NULL, "{}"}, true, "\"id\":\"i\\\"d\""},
	{"an id with a newline", {6, 9, "i\nd", "x", NULL, NULL, "{}"}, true, "\"id\":\"i\\nd\""},
};

static const char *const processes[] = {PROCESS, OTHER};

static void digest_text(int index, char to[static DIGEST_HEX_BYTES])
{
	uint8_t digest[DIGEST_BYTES];
	assert_int_equal(digest_of(processes[index], strlen(processes[index]), digest, NULL), 0);
	(void)digest_hex(digest, DIGEST_BYTES, to);
}

static const char *find(void *context, const char hex[static DIGEST_HEX_BYTES - 1])
{
	(void)context;
	for (int i = 0; i < 2; i++) {
		char text[DIGEST_HEX_BYTES];
		digest_text(i, text);
		if (memcmp(text, hex, DIGEST_HEX_BYTES - 1) == 0)
			return processes[i];
	}
	return NULL;
}

/* An object of so many members. */
static void put_many(struct buffer *to, int count)
{
	char member[24];
	for (int i = 0; i < count; i++) {
		int length = snprintf(member, sizeof(member), "%s\"z%03d\":%d", i == 0 ? "{" : ",", i, i);
		assert_int_equal(buffer_append(to, member, (size_t)length, NULL), 0);
	}
	assert_int_equal(buffer_append(to, "}", 1, NULL), 0);
}

/* With the digests in the places that stand for them, and members in the place of their number. */
static char *body_of(const char *body)
{
	CLEANUP_BUFFER struct buffer text = {0};
	if (strcmp(body, MANY) == 0 || strcmp(body, MORE) == 0) {
		put_many(&text, MEMBERS_MAX - OWN_NAMES + (strcmp(body, MORE) == 0));
		return steal_pointer(&text.bytes);
	}
	for (; *body != '\0'; body++) {
		char hex[DIGEST_HEX_BYTES];
		if (*body == '@') {
			digest_text(*++body - '1', hex);
			assert_int_equal(buffer_append(&text, hex, strlen(hex), NULL), 0);
		} else {
			assert_int_equal(buffer_append(&text, body, 1, NULL), 0);
		}
	}
	return steal_pointer(&text.bytes);
}

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void comes_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		CLEANUP_BUFFER struct buffer text = {0};
		CLEANUP_LINE struct line line = {0};
		CLEANUP_FREE char *body = body_of(rows[i].row.body);
		struct chain_row row = rows[i].row;
		struct error problem = {0};
		row.body = body;
		CHECK_NUMBER(rows[i].name, line_make(&row, &place, find, NULL, &text, NULL), 0);
		CHECK(rows[i].name, strchr(text.bytes, '\n') == text.bytes + text.length - 1);
		if (strstr(text.bytes, rows[i].has) == NULL)
			fail_msg("%s: no %s in %s", rows[i].name, rows[i].has, text.bytes);
		CHECK_NUMBER(rows[i].name, strstr(text.bytes, "\"raw\":") != NULL, rows[i].is_raw);
		if (line_take(text.bytes, text.length, &line, &problem) < 0)
			fail_msg("%s: %s: %s", rows[i].name, problem.text, text.bytes);
		CHECK_TEXT(rows[i].name, line.packed.body, body);
		CHECK_NUMBER(rows[i].name, line.packed.at_us, row.at_us);
		CHECK_NUMBER(rows[i].name, line.seq, row.seq);
		CHECK(rows[i].name, is_same(line.packed.id, row.id) && is_same(line.packed.kind, row.kind) &&
		                            is_same(line.packed.subject, row.subject) &&
		                            is_same(line.packed.access_key_id, row.access_key_id));
		CHECK_TEXT(rows[i].name, line.ledger_id, place.ledger_id);
		CHECK(rows[i].name, line.has_link && memcmp(line.link, link_of, DIGEST_BYTES) == 0);
		if (line.packed.has_process)
			CHECK_TEXT(rows[i].name, line.packed.actors[0].body, PROCESS); /* never a holder */
	}
}

/* Other forms of the same line: as a shipper rewrote it, and out of the journal. */
static void takes_other_forms(void **state)
{
	static const struct {
		const char *name, *text;
	} forms[] = {
		{"white space and another order", "{ \"seq\": 9, \"kind\": \"x\", \"b\": [1, 2], \"id\": \"i\", "
	                                          "\"at\": \"1970-01-01T00:00:00.000001Z\" }\r\n"},
		{"journalctl -o json",
	         "{\"MESSAGE\":\"{\\\"at\\\":\\\"1970-01-01T00:00:00.000001Z\\\",\\\"b\\\":[1,2],\\\"id\\\":\\\"i\\\","
	         "\\\"kind\\\":\\\"x\\\",\\\"seq\\\":9}\",\"PRIORITY\":\"6\"}"},
		{"a time with a zone",
	         "{\"at\":\"1970-01-01T01:00:00.000001+01:00\",\"b\":[1,2],\"id\":\"i\",\"kind\":\"x\",\"seq\":9}"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
		CLEANUP_LINE struct line line = {0};
		CHECK_NUMBER(forms[i].name, line_take(forms[i].text, strlen(forms[i].text), &line, NULL), 0);
		CHECK_TEXT(forms[i].name, line.packed.body, "{\"b\":[1,2]}");
		CHECK_NUMBER(forms[i].name, line.packed.at_us, 1);
		CHECK_NUMBER(forms[i].name, line.seq, 9);
		CHECK(forms[i].name, !line.has_link && line.ledger_id[0] == '\0');
	}
}

static void refuses_what_is_no_line(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"{}",
		"[]",
		"7",
		"null",
		"\"kind\"",
		"{\"kind\":\"x\"}",
		"{\"kind\":7,\"id\":\"i\"}",
		"{\"MESSAGE\":\"{}\"}",
		"{\"MESSAGE\":\"text\"}",
		"{\"MESSAGE\":7}",
		"{\"MESSAGE\":\"{\\\"MESSAGE\\\":\\\"{\\\\\\\"MESSAGE\\\\\\\":\\\\\\\"\\\\\\\"}\\\"}\"}",
		"{\"at\":\"1970-01-01T00:00:00Z\",\"id\":\"i\",\"kind\":\"x\"}}",
		"{\"at\":\"1970-01-01T00:00:00Z\",\"id\":\"i\",\"kind\":\"x\"}{}",
		"{\"at\":\"1970-01-01T00:00:00Z\",\"id\":\"i\",\"kind\":\"x\",\"z\":{]}",
		"{\"at\":\"1970-01-01T00:00:00Z\",\"id\":\"i\",\"kind\":\"x\",\"z\":tru}",
		"{\"at\":\"1970-01-01T00:00:00Z\",\"id\":\"\",\"kind\":\"x\"}",
		"{\"at\":\"1970-01-01T00:00:00Z\",\"id\":\"i\",\"kind\":\"x\",\"ledger_id\":\"\x81\"}",
		"{\"at\":\"1970-01-01T00:00:00Z\",\"id\":\"i\x1b[2J\",\"kind\":\"x\"}",
		"{\"a\\u0062\":1,\"at\":\"1970-01-01T00:00:00Z\",\"id\":\"i\",\"kind\":7}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct line line = {.seq = 77};
		struct error problem = {0};
		CHECK_NUMBER(texts[i], line_take(texts[i], strlen(texts[i]), &line, &problem), -1);
		CHECK_NUMBER(texts[i], problem.code, ERROR_INPUT);
		CHECK_NUMBER(texts[i], line.seq, 77);
	}
	struct line line;
	assert_int_equal(line_take("{\"kind\":\"x\0\"}", 13, &line, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(takes_other_forms),
		cmocka_unit_test(refuses_what_is_no_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
