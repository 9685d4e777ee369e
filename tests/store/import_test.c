/* SPDX-License-Identifier: Apache-2.0 */

/* What comes in from other machines: files in any order, overlapping and twice; and files that somebody made to do
 * harm, one a line of a table, each refused with its reason, and nothing of it taken from there on. */
#include "tests/store/machines.h"

static char folder[PATH_MAX], one[PATH_MAX], two[PATH_MAX], fleet[PATH_MAX];
static char *export_one, *export_two;

#define KEY_ONE "ASIAY34FZKBOKMUTVV7A"
#define KEY_TWO "ASIAY34FZKBOKMUTVV7B"

static int setup(void **state)
{
	(void)state;
	(void)unit_folder(folder);
	(void)unit_path(one, folder, "one.db");
	(void)unit_path(two, folder, "two.db");
	machine_make(one, "i-0aaaaaaaa", KEY_ONE);
	machine_make(two, "i-0bbbbbbbb", KEY_TWO);
	export_one = machine_export(one, NULL, NULL);
	export_two = machine_export(two, NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(export_one);
	free(export_two);
	unit_folder_remove(folder);
	return 0;
}

/* A merged ledger that is not there yet. */
static void start(void)
{
	static int number;
	char name[32];
	(void)snprintf(name, sizeof(name), "fleet-%d.db", ++number);
	(void)unit_path(fleet, folder, name);
}

/* ---- files that do harm */

#define LINES_MAX 64

struct text {
	char *line[LINES_MAX];
	size_t count;
	char *owned;
};

static struct text cut(const char *export)
{
	struct text text = {.owned = strdup(export)};
	char *rest = text.owned, *line;
	assert_non_null(text.owned);
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0')
		text.line[text.count++] = line;
	return text;
}

static char *join(const struct text *text, const char *end)
{
	CLEANUP_BUFFER struct buffer all = {0};
	for (size_t i = 0; i < text->count; i++)
		assert_int_equal(buffer_printf(&all, NULL, "%s%s", text->line[i], i + 1 < text->count ? "\n" : end), 0);
	return steal_pointer(&all.bytes);
}

static char *replaced(const char *line, const char *from, const char *to)
{
	CLEANUP_BUFFER struct buffer all = {0};
	const char *at = strstr(line, from);
	if (at == NULL)
		fail_msg("no %s in %s", from, line);
	assert_int_equal(buffer_printf(&all, NULL, "%.*s%s%s", (int)(at - line), line, to, at + strlen(from)), 0);
	return steal_pointer(&all.bytes);
}

enum harm { REPLACE, DROP, SWAP, TWICE, BREAK_OFF, ADD };

/* Lines: 1 the head, 2 to 14 the rows 1 to 13, 15 the end. Row 4 is a delivery, row 8 a row of coverage. */
static const struct harmful {
	const char *name;
	enum harm harm;
	int line;
	const char *from, *to;
	enum import_fault fault;
	int at;       /* the line that is named; 0: none */
	int64_t seq;  /* the row that is named; 0: none */
	int64_t rows; /* that were taken */
} harmfuls[] = {
	{"key id changed", REPLACE, 5, KEY_ONE, KEY_TWO, IMPORT_CHANGED, 5, 4, 3},
	{"time changed", REPLACE, 5, "22:28:20", "22:28:21", IMPORT_CHANGED, 5, 4, 3},
	{"a process changed", REPLACE, 5, "/usr/bin/curl", "/usr/bin/good", IMPORT_CHANGED, 5, 4, 3},
	{"a holder taken out", REPLACE, 5, "\"holders\":[{", "\"holders\":[],\"holders2\":[{", IMPORT_CHANGED, 5, 4, 3},
	{"outcome changed", REPLACE, 7, "delivered", "aborted", IMPORT_CHANGED, 7, 6, 5},
	{"subject changed", REPLACE, 7, "\"subject\":\"0", "\"subject\":\"1", IMPORT_CHANGED, 7, 6, 5},
	{"id changed", REPLACE, 5, "\"id\":\"0", "\"id\":\"1", IMPORT_CHANGED, 5, 4, 3},
	{"kind changed", REPLACE, 6, "\"kind\":\"executable\"", "\"kind\":\"extra\"", IMPORT_CHANGED, 6, 5, 4},
	{"a field more", REPLACE, 5, "{\"access", "{\"a\":1,\"access", IMPORT_CHANGED, 5, 4, 3},
	{"link forged", REPLACE, 5, "\"link\":\"",
         "\"link\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"linked\":\"", IMPORT_CHANGED,
         5, 4, 3},
	{"link too short", REPLACE, 5, "\"link\":\"", "\"link\":\"00\",\"linked\":\"", IMPORT_NOT_JSON, 5, 0, 3},
	{"link a number", REPLACE, 5, "\"link\":\"", "\"link\":7,\"linked\":\"", IMPORT_NOT_JSON, 5, 0, 3},
	{"no link", REPLACE, 5, "\"link\":", "\"links\":", IMPORT_NO_CHAIN, 5, 4, 3},
	{"no number", REPLACE, 5, "\"seq\":", "\"seqs\":", IMPORT_NO_CHAIN, 5, 0, 3},
	{"number a text", REPLACE, 5, "\"seq\":4", "\"seq\":\"4\"", IMPORT_NOT_JSON, 5, 0, 3},
	{"number a fraction", REPLACE, 5, "\"seq\":4", "\"seq\":4.5", IMPORT_NOT_JSON, 5, 0, 3},
	{"number negative", REPLACE, 5, "\"seq\":4", "\"seq\":-4", IMPORT_NOT_JSON, 5, 0, 3},
	{"number 0", REPLACE, 5, "\"seq\":4", "\"seq\":0", IMPORT_NOT_JSON, 5, 0, 3},
	{"number of 30 digits", REPLACE, 5, "\"seq\":4", "\"seq\":444444444444444444444444444444", IMPORT_NOT_JSON, 5,
         0, 3},
	{"number the largest", REPLACE, 5, "\"seq\":4", "\"seq\":9223372036854775807", IMPORT_NOT_JSON, 5, 0, 3},
	{"number one off", REPLACE, 5, "\"seq\":4", "\"seq\":5", IMPORT_MISSING, 5, 5, 3},
	{"ledger's id a list", REPLACE, 5, "\"ledger_id\":\"", "\"ledger_id\":[],\"ledger_ids\":\"", IMPORT_NOT_JSON, 5,
         0, 3},
	{"ledger's id too long", REPLACE, 5, "\"ledger_id\":\"", "\"ledger_id\":\"0123456789abcdef0", IMPORT_NOT_JSON,
         5, 0, 3},
	{"kind null", REPLACE, 5, "\"kind\":\"delivery\"", "\"kind\":null", IMPORT_NOT_JSON, 5, 0, 3},
	{"kind a list", REPLACE, 5, "\"kind\":\"delivery\"", "\"kind\":[]", IMPORT_NOT_JSON, 5, 0, 3},
	{"kind a long text", REPLACE, 5, "\"kind\":\"delivery\"",
         "\"kind\":\"deliverydeliverydeliverydeliverydelivery\"", IMPORT_NOT_JSON, 5, 0, 3},
	{"no time", REPLACE, 5, "\"delivered_at\":\"", "\"delivered_at\":null,\"delivered_by\":\"", IMPORT_NOT_JSON, 5,
         0, 3},
	{"a time that is none", REPLACE, 5, "\"delivered_at\":\"2023", "\"delivered_at\":\"soon", IMPORT_NOT_JSON, 5, 0,
         3},
	{"process a text", REPLACE, 5, "\"process\":{", "\"process\":\"p\",\"process2\":{", IMPORT_NOT_JSON, 5, 0, 3},
	{"holders an object", REPLACE, 5, "\"holders\":[{", "\"holders\":{},\"holders2\":[{", IMPORT_NOT_JSON, 5, 0, 3},
	{"a holder a number", REPLACE, 5, "\"holders\":[{", "\"holders\":[7,{", IMPORT_NOT_JSON, 5, 0, 3},
	{"a process that is no JSON", REPLACE, 5, "\"process\":{", "\"process\":{x", IMPORT_NOT_JSON, 5, 0, 3},
	{"a member twice", REPLACE, 5, "{\"access_key_id\"", "{\"access_key_id\":\"A\",\"access_key_id\"",
         IMPORT_NOT_JSON, 5, 0, 3},
	{"no JSON", REPLACE, 5, "{", "x", IMPORT_NOT_JSON, 5, 0, 3},
	{"a list", REPLACE, 5, "{\"access", "[],{\"access", IMPORT_NOT_JSON, 5, 0, 3},
	{"a body as a text that is no JSON", ADD, 5, NULL,
         "{\"at_us\":1,\"id\":\"i\",\"kind\":\"delivery\",\"ledger_id\":\"l\",\"raw\":\"{\",\"seq\":1}",
         IMPORT_NOT_JSON, 5, 0, 3},
	{"a body as a text that is a list", ADD, 5, NULL,
         "{\"at_us\":1,\"id\":\"i\",\"kind\":\"delivery\",\"ledger_id\":\"l\",\"raw\":\"[]\",\"seq\":1}",
         IMPORT_NOT_JSON, 5, 0, 3},
	{"a row taken out", DROP, 5, NULL, NULL, IMPORT_MISSING, 5, 5, 3},
	{"the first row taken out", DROP, 2, NULL, NULL, IMPORT_MISSING, 2, 2, 0},
	{"two rows in each other's place", SWAP, 5, NULL, NULL, IMPORT_MISSING, 5, 5, 3},
	{"a row twice", TWICE, 5, NULL, NULL, IMPORT_REORDERED, 6, 4, 4},
	{"an earlier row again", ADD, 9, "2", NULL, IMPORT_REORDERED, 9, 1, 7},
	{"cut off in the middle of a line", BREAK_OFF, 5, NULL, NULL, IMPORT_CUT_OFF, 5, 0, 3},
	{"cut off behind a line", DROP, 15, NULL, NULL, IMPORT_CUT_OFF, 14, 0, 13},
	{"a head of a later format", REPLACE, 1, "\"format\":1", "\"format\":2", IMPORT_NEWER, 1, 0, 0},
	{"a head of a later schema", REPLACE, 1, "\"schema_version\":", "\"schema_version\":9", IMPORT_NEWER, 1, 0, 0},
	{"a head of a format that is a text", REPLACE, 1, "\"format\":1", "\"format\":\"1\"", IMPORT_NOT_JSON, 1, 0, 0},
	{"a head without a first row", REPLACE, 1, "\"first_seq\":1", "\"first_seq\":0", IMPORT_NOT_JSON, 1, 0, 0},
	{"a head without a link in front", REPLACE, 1, "\"before\":\"", "\"before\":\"x", IMPORT_NOT_JSON, 1, 0, 0},
	{"a head with another link in front", REPLACE, 1, "\"before\":\"",
         "\"before\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"befores\":\"",
         IMPORT_GENESIS, 1, 0, 0},
	{"a genesis that is not the ledger's", REPLACE, 1, "\"genesis\":\"",
         "\"genesis\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"geneses\":\"",
         IMPORT_GENESIS, 1, 0, 0},
	{"a ledger's id that is not the genesis'", REPLACE, 1, "\"ledger_id\":\"",
         "\"ledger_id\":\"0\",\"ledger_ids\":\"", IMPORT_GENESIS, 1, 0, 0},
};

static char *harm(const struct harmful *harmful)
{
	struct text text = cut(export_one);
	size_t at = (size_t)harmful->line - 1;
	CLEANUP_FREE char *changed = NULL;
	char *kept = text.line[at];
	assert_int_equal(text.count, MACHINE_ROWS + 2);
	switch (harmful->harm) {
	case REPLACE:
		text.line[at] = changed = replaced(text.line[at], harmful->from, harmful->to);
		break;
	case DROP:
		memmove(&text.line[at], &text.line[at + 1], (text.count - at - 1) * sizeof(text.line[0]));
		text.count--;
		break;
	case SWAP:
		text.line[at] = text.line[at + 1];
		text.line[at + 1] = kept;
		break;
	case TWICE:
	case ADD:
		memmove(&text.line[at + 1], &text.line[at], (text.count - at) * sizeof(text.line[0]));
		if (harmful->harm == ADD)
			text.line[at] = changed = strdup(
				harmful->to != NULL ? harmful->to : text.line[strtol(harmful->from, NULL, 10) - 1]);
		text.count++;
		break;
	case BREAK_OFF:
		text.line[at][strlen(text.line[at]) / 2] = '\0';
		text.count = at + 1;
		break;
	}
	char *all = join(&text, harmful->harm == BREAK_OFF ? "" : "\n");
	free(text.owned);
	return all;
}

static void refuses_what_does_harm(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(harmfuls); i++) {
		const struct harmful *harmful = &harmfuls[i];
		CLEANUP_FREE char *text = harm(harmful);
		start();
		struct import_result result = machine_import(fleet, text);
		if (result.fault != harmful->fault)
			fail_msg("%s: %s (%s), expected %s", harmful->name, import_fault_names[result.fault],
			         result.detail, import_fault_names[harmful->fault]);
		CHECK_NUMBER(harmful->name, result.line, harmful->at);
		CHECK_NUMBER(harmful->name, result.seq, harmful->seq);
		CHECK_NUMBER(harmful->name, result.rows, harmful->rows);
		CHECK(harmful->name, result.detail[0] != '\0');
		CHECK_NUMBER(harmful->name, rows_number(fleet, "SELECT count(*) FROM record"), harmful->rows);
		CHECK_NUMBER(harmful->name,
		             rows_number(fleet, "SELECT count(*) FROM import WHERE fault IS NOT NULL AND detail<>''"),
		             1);
		CHECK_TEXT(harmful->name, machine_verify(fleet), "whole");
		/* The good file then gives the rest. */
		result = machine_import(fleet, export_one);
		CHECK_NUMBER(harmful->name, result.fault, IMPORT_GOOD);
		CHECK_NUMBER(harmful->name, result.known, harmful->rows);
		CHECK_NUMBER(harmful->name, rows_number(fleet, "SELECT count(*) FROM record"), MACHINE_ROWS);
		CHECK_TEXT(harmful->name, machine_verify(fleet), "whole");
	}
}

static void refuses_a_line_without_end(void **state)
{
	size_t head = (size_t)(strchr(export_one, '\n') - export_one) + 1, size = head + LINE_BYTES_MAX + 2;
	CLEANUP_FREE char *text = malloc(size + 1);
	(void)state;
	assert_non_null(text);
	memset(text, 'x', size);
	memcpy(text, export_one, head);
	text[size] = '\0';
	start();
	struct import_result result = machine_import(fleet, text);
	assert_int_equal(result.fault, IMPORT_LINE_TOO_LONG);
	assert_int_equal(result.line, 2);
	assert_int_equal(result.rows, 0);
}

static void refuses_an_empty_file(void **state)
{
	(void)state;
	start();
	assert_int_equal(machine_import(fleet, "").fault, IMPORT_NOT_JSON);
	assert_int_equal(machine_import(fleet, "\n\n\n").fault, IMPORT_NOT_JSON);
}

/* ---- two machines, one genesis */

static void refuses_two_machines_with_one_genesis(void **state)
{
	/* Chains that hold, from one genesis: the writer makes them when it is given the id. */
	static const char id_sql[] = "UPDATE meta SET value='0123456789abcdef0123456789abcdef' WHERE name='ledger_id'";
	char paths[2][PATH_MAX];
	char *texts[2];
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct writer *writer = NULL;
		(void)unit_path(paths[i], folder, i == 0 ? "left.db" : "right.db");
		const struct writer_options options = {.path = paths[i]};
		assert_int_equal(writer_open(&options, &writer, NULL), 0);
		writer_close(writer);
		assert_true(rows_exec(paths[i], id_sql));
		assert_int_equal(writer_open(&options, &writer, NULL), 0);
		machine_append(writer, "placement", NULL, 1, 1, json_pack("{s:n}", "instance_id"));
		for (unsigned j = 2; j < 6; j++) /* the third row is another one */
			machine_deliver(writer, "i-0cccccccc", i == 1 && j >= 3 ? KEY_TWO : KEY_ONE, 16 * j, (int)j);
		writer_close(writer);
		texts[i] = machine_export(paths[i], NULL, NULL);
	}
	start();
	assert_int_equal(machine_import(fleet, texts[0]).fault, IMPORT_GOOD);
	struct import_result result = machine_import(fleet, texts[1]);
	assert_int_equal(result.fault, IMPORT_FORKED);
	assert_int_equal(result.seq, 5); /* rows 1 to 4 are the same */
	assert_int_equal(result.known, 4);
	assert_int_equal(result.rows, 0);
	assert_string_equal(machine_verify(fleet), "whole");

	/* The same where only later parts meet: behind what is held, and in front of it. */
	struct anchor head;
	struct anchor fifth = {0};
	free(machine_export(paths[0], NULL, &head));
	CLEANUP_FREE char *other = machine_export(paths[1], NULL, NULL);
	struct text lines = cut(other);
	CLEANUP_JSON json_t *row = NULL;
	assert_int_equal(json_read(lines.line[5], strlen(lines.line[5]), &row, NULL), 0); /* row 5 of the other */
	fifth.seq = 5;
	(void)snprintf(fifth.ledger_id, sizeof(fifth.ledger_id), "%s", json_text_at(row, "ledger_id"));
	assert_true(digest_from_hex(json_text_at(row, "link"), fifth.chain));
	CLEANUP_FREE char *behind = machine_export(paths[1], &fifth, NULL);
	result = machine_import(fleet, behind);
	assert_int_equal(result.fault, IMPORT_FORKED);
	assert_int_equal(result.rows, 0);
	start();
	assert_int_equal(machine_import(fleet, behind).fault, IMPORT_GOOD);
	result = machine_import(fleet, texts[0]);
	assert_int_equal(result.fault, IMPORT_FORKED);
	assert_int_equal(result.seq, 5);
	assert_int_equal(result.rows, 4);
	assert_string_equal(machine_verify(fleet), "whole");
	free(lines.owned);
	free(texts[0]);
	free(texts[1]);
}

static void refuses_another_instance_under_a_genesis(void **state)
{
	CLEANUP_FREE char *text =
		replaced(export_one, "\"instance_id\":\"i-0aaaaaaaa\"", "\"instance_id\":\"i-0cccccccc\"");
	(void)state;
	start();
	assert_int_equal(machine_import(fleet, export_one).fault, IMPORT_GOOD);
	struct import_result result = machine_import(fleet, text);
	assert_int_equal(result.fault, IMPORT_OTHER_INSTANCE);
	assert_int_equal(result.known + result.rows, 0);
}

/* ---- any order */

#define PARTS 4

/* Exports by cursor: rows 1 to 4, 5 to 8, 9 to 12, 13. */
static void make_parts(char *parts[static PARTS])
{
	struct text all = cut(export_one);
	struct anchor since = {0};
	for (int i = 0; i < PARTS; i++) {
		CLEANUP_BUFFER struct buffer part = {0};
		CLEANUP_FREE char *rest = machine_export(one, i > 0 ? &since : NULL, NULL);
		struct text lines = cut(rest);
		size_t rows = lines.count - 2 < 4 ? lines.count - 2 : 4;
		for (size_t j = 0; j <= rows; j++)
			assert_int_equal(buffer_printf(&part, NULL, "%s\n", lines.line[j]), 0);
		assert_int_equal(buffer_printf(&part, NULL, "%s\n", all.line[all.count - 1]), 0);
		CLEANUP_JSON json_t *row = NULL;
		assert_int_equal(json_read(lines.line[rows], strlen(lines.line[rows]), &row, NULL), 0);
		assert_true(json_int_at(row, "seq", &since.seq) &&
		            digest_from_hex(json_text_at(row, "link"), since.chain));
		(void)snprintf(since.ledger_id, sizeof(since.ledger_id), "%s", json_text_at(row, "ledger_id"));
		parts[i] = steal_pointer(&part.bytes);
		free(lines.owned);
	}
	free(all.owned);
}

static char *dump(const char *sql)
{
	CLEANUP_BUFFER struct buffer all = {0};
	sqlite3 *db = NULL;
	sqlite3_stmt *rows = NULL;
	assert_int_equal(sqlite3_open_v2(fleet, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
	while (sqlite3_step(rows) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(rows); i++) {
			const char *text = (const char *)sqlite3_column_text(rows, i);
			assert_int_equal(buffer_printf(&all, NULL, "%s|", text != NULL ? text : "null"), 0);
		}
	(void)sqlite3_finalize(rows);
	(void)sqlite3_close(db);
	return steal_pointer(&all.bytes);
}

static const char contents[] = "SELECT o.ledger_id, o.instance_id, r.origin_seq, r.id, r.at, r.kind, r.subject, "
			       "r.access_key_id, r.given, r.body,"
			       " hex(r.chain), hex(a.digest) FROM record r JOIN origin o ON o.id=r.origin LEFT JOIN "
			       "actor a ON a.id=r.actor ORDER BY 1, 3";
static const char derived[] =
	"SELECT o.ledger_id, covered_from, covered_until, is_ended, pruned_by, s.first, s.last, hex(s.before),"
	" (SELECT group_concat(seq||' '||from_us||' '||until_us||' '||reason) FROM gap g WHERE g.origin=o.id),"
	" (SELECT group_concat(access_key_id||deliveries||' '||first_at||' '||last_at) FROM key k WHERE k.origin=o.id)"
	" FROM origin o JOIN segment s ON s.origin=o.id ORDER BY 1, s.first";

static void takes_parts_in_any_order(void **state)
{
	char *parts[PARTS];
	(void)state;
	start();
	assert_int_equal(machine_import(fleet, export_one).fault, IMPORT_GOOD);
	CLEANUP_FREE char *expected = dump(contents);
	CLEANUP_FREE char *expected_derived = dump(derived);
	make_parts(parts);
	for (int order = 0; order < PARTS * PARTS * PARTS * PARTS; order++) {
		int wanted[PARTS] = {order % 4, order / 4 % 4, order / 16 % 4, order / 64};
		unsigned seen = 0;
		for (int i = 0; i < PARTS; i++)
			seen |= 1U << wanted[i];
		if (seen != 15 && order % 31 != 0) /* all permutations, and some with repetitions */
			continue;
		char name[32];
		int64_t held[] = {4, 4, 4, 1}, rows = 0;
		bool has[PARTS] = {false};
		(void)snprintf(name, sizeof(name), "order %d%d%d%d", wanted[0], wanted[1], wanted[2], wanted[3]);
		start();
		for (int i = 0; i < PARTS; i++) {
			struct import_result result = machine_import(fleet, parts[wanted[i]]);
			CHECK_NUMBER(name, result.fault, IMPORT_GOOD);
			CHECK_NUMBER(name, result.rows, has[wanted[i]] ? 0 : held[wanted[i]]);
			has[wanted[i]] = true;
		}
		int64_t last = 0;
		for (int i = 0; i < PARTS; i++) {
			rows += has[i] ? held[i] : 0;
			last = has[i] ? 4 * i + held[i] : last;
		}
		CHECK_NUMBER(name, machine_missing(fleet), last - rows);
		CHECK_TEXT(name, machine_verify(fleet), "whole");
		if (seen != 15)
			continue;
		CLEANUP_FREE char *actual = dump(contents);
		CLEANUP_FREE char *actual_derived = dump(derived);
		CHECK_TEXT(name, actual, expected);
		CHECK_TEXT(name, actual_derived, expected_derived);
	}
	/* And all of it once more, twice. */
	for (int i = 0; i < 2; i++) {
		struct import_result result = machine_import(fleet, export_one);
		assert_int_equal(result.known + result.rows, MACHINE_ROWS);
		assert_true(i == 0 || result.rows == 0);
	}
	for (int i = 0; i < PARTS; i++)
		free(parts[i]);
}

static void keeps_where_rows_came_from(void **state)
{
	(void)state;
	start();
	(void)machine_import(fleet, export_one);
	(void)machine_import(fleet, export_two);
	(void)machine_import(fleet, export_one);
	assert_int_equal(rows_number(fleet, "SELECT count(*) FROM import WHERE file='test.jsonl' AND at>0"), 3);
	assert_int_equal(rows_number(fleet, "SELECT rows FROM import WHERE id=1"), MACHINE_ROWS);
	assert_int_equal(rows_number(fleet, "SELECT known FROM import WHERE id=3"), MACHINE_ROWS);
	assert_int_equal(rows_number(fleet, "SELECT count(DISTINCT import||' '||origin) FROM record"), 2);
	assert_int_equal(
		rows_number(fleet, "SELECT count(*) FROM origin WHERE instance_id IN ('i-0aaaaaaaa','i-0bbbbbbbb')"),
		2);
}

/* A merged ledger's own export gives the same merged ledger. */
static void comes_back_from_its_own_export(void **state)
{
	(void)state;
	start();
	(void)machine_import(fleet, export_one);
	(void)machine_import(fleet, export_two);
	CLEANUP_FREE char *expected = dump(contents);
	CLEANUP_FREE char *again = machine_export(fleet, NULL, NULL);
	start();
	struct import_result result = machine_import(fleet, again);
	assert_int_equal(result.fault, IMPORT_GOOD);
	assert_int_equal(result.ledgers, 2);
	CLEANUP_FREE char *actual = dump(contents);
	assert_string_equal(actual, expected);
}

static void is_no_ledger_of_a_machine(void **state)
{
	struct importer *importer = NULL;
	struct writer *writer = NULL;
	struct error problem = {0};
	(void)state;
	assert_int_equal(importer_open(one, &importer, &problem), -1);
	assert_int_equal(problem.code, ERROR_INPUT);
	start();
	(void)machine_import(fleet, export_one);
	const struct writer_options options = {.path = fleet};
	assert_int_equal(writer_open(&options, &writer, &problem), -1);
	assert_int_equal(problem.code, ERROR_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_does_harm),
		cmocka_unit_test(refuses_a_line_without_end),
		cmocka_unit_test(refuses_an_empty_file),
		cmocka_unit_test(refuses_two_machines_with_one_genesis),
		cmocka_unit_test(refuses_another_instance_under_a_genesis),
		cmocka_unit_test(takes_parts_in_any_order),
		cmocka_unit_test(keeps_where_rows_came_from),
		cmocka_unit_test(comes_back_from_its_own_export),
		cmocka_unit_test(is_no_ledger_of_a_machine),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
