/* SPDX-License-Identifier: Apache-2.0 */

/* What somebody does to a ledger with plain SQL, and what the audit says of it. */
#include "tests/store/rows.h"

#include "store/audit.h"

#define ROWS 8

/* Rows from `first` on move by `by`; in two steps, since numbers are unique meanwhile. */
#define MOVE(first, by)                                                                                                \
	"UPDATE record SET seq=-seq WHERE seq>=" first "; UPDATE record SET seq=-seq+" by " WHERE seq<0;"
#define EXCHANGE(a, b)                                                                                                 \
	"UPDATE record SET seq=-1 WHERE seq=" a "; UPDATE record SET seq=" a " WHERE seq=" b                           \
	"; UPDATE record SET seq=" b " WHERE seq=-1;"
#define FORGED(seq)                                                                                                    \
	"INSERT INTO record(seq,id,at,kind,body,chain) VALUES(" seq                                                    \
	",'ffffffffffffffff',1,'delivery','{}',zeroblob(32));"
/* Contents change places, numbers and links stay. */
#define EXCHANGE_CONTENT(a, b)                                                                                         \
	"CREATE TEMP TABLE t AS SELECT * FROM record WHERE seq IN (" a "," b ");"                                      \
	"DELETE FROM record WHERE seq IN (" a "," b ");"                                                               \
	"INSERT INTO record SELECT x.seq,y.id,y.at,y.kind,y.subject,y.access_key_id,y.actor,y.body,x.chain"            \
	" FROM t x, t y WHERE x.seq<>y.seq;"

static const struct {
	const char *name, *sql;
	enum audit_fault fault;
	int64_t seq;
} cases[] = {
	{"nothing done", "SELECT 1", AUDIT_WHOLE, 0},
	{"a body", "UPDATE record SET body='{}' WHERE seq=4", AUDIT_CHANGED, 4},
	{"the first body", "UPDATE record SET body='{}' WHERE seq=1", AUDIT_CHANGED, 1},
	{"the last body", "UPDATE record SET body='{}' WHERE seq=8", AUDIT_CHANGED, 8},
	{"one letter", "UPDATE record SET body=replace(body,'agent/1','agent/2') WHERE seq=4", AUDIT_CHANGED, 4},
	{"a time", "UPDATE record SET at=at-1 WHERE seq=4", AUDIT_CHANGED, 4},
	{"a kind", "UPDATE record SET kind='outcome' WHERE seq=4", AUDIT_CHANGED, 4},
	{"a key", "UPDATE record SET access_key_id='ASIAY34FZKBOKMUTVV7B' WHERE seq=4", AUDIT_CHANGED, 4},
	{"an id", "UPDATE record SET id='eeeeeeeeeeeeeeee' WHERE seq=4", AUDIT_CHANGED, 4},
	{"a subject", "UPDATE record SET subject='eeeeeeeeeeeeeeee' WHERE seq=4", AUDIT_CHANGED, 4},
	{"a link", "UPDATE record SET chain=zeroblob(32) WHERE seq=4", AUDIT_CHANGED, 4},
	{"a link cut short", "UPDATE record SET chain=zeroblob(31) WHERE seq=4", AUDIT_CHANGED, 4},
	{"the last link", "UPDATE record SET chain=zeroblob(32) WHERE seq=8", AUDIT_CHANGED, 8},
	{"two bodies", "UPDATE record SET body='{}' WHERE seq IN (3,4)", AUDIT_CHANGED, 3},
	{"the ledger's id", "UPDATE meta SET value='0' WHERE name='ledger_id'", AUDIT_CHANGED, 1},
	{"one taken out", "DELETE FROM record WHERE seq=4", AUDIT_MISSING, 5},
	{"three taken out", "DELETE FROM record WHERE seq IN (4,5,6)", AUDIT_MISSING, 7},
	{"the first taken out", "DELETE FROM record WHERE seq=1", AUDIT_MISSING, 2},
	{"one taken out, renumbered", "DELETE FROM record WHERE seq=4;" MOVE("5", "-1"), AUDIT_MISSING, 4},
	{"two taken out, renumbered", "DELETE FROM record WHERE seq IN (4,5);" MOVE("6", "-2"), AUDIT_MISSING, 4},
	{"the first taken out, renumbered", "DELETE FROM record WHERE seq=1;" MOVE("2", "-1"), AUDIT_MISSING, 1},
	{"one put in", MOVE("4", "1") FORGED("4"), AUDIT_INSERTED, 4},
	{"two put in",
         MOVE("4", "2") FORGED("4") "INSERT INTO record SELECT 5,'eeeeeeeeeeeeeeee',at,kind,subject,"
                                    "access_key_id,actor,body,chain FROM record WHERE seq=4",
         AUDIT_INSERTED, 4},
	{"one put in before the last", MOVE("8", "1") FORGED("8"), AUDIT_INSERTED, 8},
	{"one put in front", FORGED("0"), AUDIT_INSERTED, 0},
	{"a copy put in",
         MOVE("4", "1") "INSERT INTO record SELECT 4,'eeeeeeeeeeeeeeee',at,kind,subject,access_key_id,actor,body,chain"
                        " FROM record WHERE seq=3",
         AUDIT_INSERTED, 4},
	{"two exchanged", EXCHANGE("3", "6"), AUDIT_REORDERED, 3},
	{"neighbours exchanged", EXCHANGE("4", "5"), AUDIT_REORDERED, 4},
	{"the last two exchanged", EXCHANGE("7", "8"), AUDIT_REORDERED, 7},
	{"the first two exchanged", EXCHANGE("1", "2"), AUDIT_REORDERED, 1},
	{"first and last exchanged", EXCHANGE("1", "8"), AUDIT_REORDERED, 1},
	{"contents exchanged", EXCHANGE_CONTENT("3", "6"), AUDIT_REORDERED, 3},
	{"contents of neighbours exchanged", EXCHANGE_CONTENT("4", "5"), AUDIT_REORDERED, 4},
	{"one moved to the end", "UPDATE record SET seq=9 WHERE seq=3", AUDIT_REORDERED, 4},
	{"one moved to the end, renumbered", "UPDATE record SET seq=9 WHERE seq=3;" MOVE("4", "-1"), AUDIT_REORDERED,
         3},
	{"one forged at the end", FORGED("9"), AUDIT_CHANGED, 9},
	{"a process", "UPDATE actor SET body=replace(body,'/usr/bin/x','/usr/bin/y') WHERE id=1", AUDIT_PROCESS_CHANGED,
         0},
	{"a process taken out", "DELETE FROM actor WHERE id=(SELECT actor FROM record WHERE seq=2)",
         AUDIT_PROCESS_MISSING, 2},
	{"another process", "UPDATE record SET actor=(SELECT actor FROM record WHERE seq=3) WHERE seq=2",
         AUDIT_PROCESS_CHANGED, 2},
	{"no process", "UPDATE record SET actor=NULL WHERE seq=2", AUDIT_PROCESS_CHANGED, 2},
	{"a view", "DROP VIEW v_keys; CREATE VIEW v_keys AS SELECT 1 AS access_key_id", AUDIT_SCHEMA_CHANGED, 0},
	{"a trigger", "CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM record WHERE seq=new.seq; END",
         AUDIT_SCHEMA_CHANGED, 0},
	{"an index taken out", "DROP INDEX record_by_key", AUDIT_SCHEMA_CHANGED, 0},
	{"the end cut off", "DELETE FROM record WHERE seq>6", AUDIT_WHOLE, 0}, /* only an anchor shows it */
};

/* Adds rows to a ledger, so that it has those up to `last`. */
static void make(const char *path, unsigned first, unsigned last)
{
	struct writer *writer = NULL;
	struct writer_options options = {.path = path};
	struct error problem = {0};
	assert_int_equal(writer_open(&options, &writer, &problem), 0);
	for (unsigned i = first; i <= last; i++)
		assert_int_equal(rows_append_numbered(writer, i, &problem), 0);
	writer_close(writer);
}

static struct ledger *open_it(const char *path)
{
	struct ledger *ledger = NULL;
	struct error problem = {0};
	if (ledger_open(path, &ledger, &problem) < 0)
		fail_msg("%s", problem.text);
	return ledger;
}

static void tampering_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char path[PATH_MAX], folder[PATH_MAX];
		struct audit audit = {0};
		struct error problem = {0};
		(void)unit_path(path, unit_folder(folder), "ledger.db");
		make(path, 1, ROWS);
		CHECK(cases[i].name, rows_exec(path, cases[i].sql));
		struct ledger *ledger = open_it(path);
		if (audit_ledger(ledger, &audit, &problem) < 0)
			fail_msg("%s: %s", cases[i].name, problem.text);
		CHECK_TEXT(cases[i].name, audit_fault_names[audit.fault], audit_fault_names[cases[i].fault]);
		CHECK_NUMBER(cases[i].name, audit.seq, cases[i].seq);
		CHECK(cases[i].name, (audit.detail[0] == '\0') == (audit.fault == AUDIT_WHOLE));
		ledger_close(ledger);
		unit_folder_remove(folder);
	}
}

/* Two anchors of one ledger: of row 4 and of its end. */
static const struct {
	const char *name, *sql;
	int64_t of; /* row of the anchor */
	enum audit_fault fault;
	int64_t seq;
} anchored[] = {
	{"whole", "SELECT 1", 8, AUDIT_WHOLE, 0},
	{"whole, an older one", "SELECT 1", 4, AUDIT_WHOLE, 0},
	{"of an empty ledger", "SELECT 1", 0, AUDIT_WHOLE, 0},
	{"cut off", "DELETE FROM record WHERE seq>6", 8, AUDIT_MISSING, 8},
	{"cut off behind it", "DELETE FROM record WHERE seq>6", 4, AUDIT_WHOLE, 0},
	{"emptied", "DELETE FROM record; DELETE FROM actor", 4, AUDIT_MISSING, 4},
};

static void check_anchor(const char *path, const struct anchor *anchor, struct audit *ret)
{
	struct error problem = {0};
	struct ledger *ledger = open_it(path);
	if (audit_ledger(ledger, ret, &problem) < 0 || audit_anchor(ledger, anchor, ret, &problem) < 0)
		fail_msg("%s", problem.text);
	ledger_close(ledger);
}

static struct anchor take_anchor(const char *path)
{
	struct anchor anchor = {0};
	struct error problem = {0};
	struct ledger *ledger = open_it(path);
	assert_int_equal(anchor_take(ledger, &anchor, &problem), 0);
	ledger_close(ledger);
	return anchor;
}

static void an_anchor_shows_what_the_chain_cannot(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(anchored); i++) {
		char path[PATH_MAX], folder[PATH_MAX];
		struct audit audit = {0};
		(void)unit_path(path, unit_folder(folder), "ledger.db");
		make(path, 1, (unsigned)anchored[i].of);
		const struct anchor anchor = take_anchor(path);
		CHECK_NUMBER(anchored[i].name, anchor.seq, anchored[i].of);
		make(path, (unsigned)anchored[i].of + 1, ROWS);
		CHECK(anchored[i].name, rows_exec(path, anchored[i].sql));
		check_anchor(path, &anchor, &audit);
		CHECK_TEXT(anchored[i].name, audit_fault_names[audit.fault], audit_fault_names[anchored[i].fault]);
		CHECK_NUMBER(anchored[i].name, audit.seq, anchored[i].seq);
		unit_folder_remove(folder);
	}
}

/* Whoever writes all rows anew, links included, makes a chain that holds. */
static void an_anchor_shows_a_chain_made_anew(void **state)
{
	char path[PATH_MAX], folder[PATH_MAX];
	struct audit audit = {0};
	(void)state;
	(void)unit_path(path, unit_folder(folder), "ledger.db");
	make(path, 1, ROWS);
	const struct anchor anchor = take_anchor(path);
	assert_true(rows_exec(path, "DELETE FROM record; DELETE FROM actor"));
	make(path, 2, ROWS + 1);
	check_anchor(path, &anchor, &audit);
	assert_int_equal(audit.rows, ROWS);
	CHECK_TEXT("made anew", audit_fault_names[audit.fault], "rewritten");
	assert_int_equal(audit.seq, ROWS);
	unit_folder_remove(folder);
}

static void an_anchor_belongs_to_one_ledger(void **state)
{
	char path[PATH_MAX], other[PATH_MAX], folder[PATH_MAX];
	struct audit audit = {0};
	struct error problem = {0};
	(void)state;
	(void)unit_path(path, unit_folder(folder), "ledger.db");
	(void)unit_path(other, folder, "other.db");
	make(path, 1, ROWS);
	make(other, 1, ROWS);
	const struct anchor anchor = take_anchor(other);
	struct ledger *ledger = open_it(path);
	assert_int_equal(audit_ledger(ledger, &audit, &problem), 0);
	assert_int_equal(audit_anchor(ledger, &anchor, &audit, &problem), -1);
	assert_int_equal(problem.code, ERROR_INPUT);
	ledger_close(ledger);
	unit_folder_remove(folder);
}

static void anchors_pass_through_json(void **state)
{
	static const struct {
		const char *name, *text;
	} bad[] = {
		{"no object", "[]"},
		{"another kind", "{\"kind\":\"delivery\"}"},
		{"no chain", "{\"kind\":\"anchor\",\"ledger_id\":\"ab\",\"seq\":1,\"at\":null}"},
		{"short chain", "{\"kind\":\"anchor\",\"ledger_id\":\"ab\",\"seq\":1,\"at\":null,\"chain\":\"00\"}"},
	};
	struct anchor anchor = {.ledger_id = "ab", .seq = 7, .at_us = ROWS_START, .chain = {1, 2, 255}}, read = {0};
	CLEANUP_JSON json_t *object = anchor_to_json(&anchor);
	struct error problem = {0};
	(void)state;
	assert_int_equal(anchor_from_json(object, &read, &problem), 0);
	assert_string_equal(read.ledger_id, anchor.ledger_id);
	assert_int_equal(read.seq, anchor.seq);
	assert_int_equal(read.at_us, anchor.at_us);
	assert_memory_equal(read.chain, anchor.chain, DIGEST_BYTES);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		CLEANUP_JSON json_t *wrong = json_loads(bad[i].text, 0, NULL);
		CHECK(bad[i].name, wrong != NULL && anchor_from_json(wrong, &read, &problem) == -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tampering_is_named),
		cmocka_unit_test(an_anchor_shows_what_the_chain_cannot),
		cmocka_unit_test(an_anchor_shows_a_chain_made_anew),
		cmocka_unit_test(an_anchor_belongs_to_one_ledger),
		cmocka_unit_test(anchors_pass_through_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
