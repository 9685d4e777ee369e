/* SPDX-License-Identifier: Apache-2.0 */

/* Findings from uses: what is refused; then that order, repetition and portions do not show; then the lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buffer.h"
#include "store/findings.h"

static char folder[] = "/tmp/keytrail-test-XXXXXX";

static const char *path_of(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % ARRAY_LENGTH(paths)];
	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct findings *open_findings(const char *path, bool read_only)
{
	struct findings *findings;
	struct error err = {0};
	if (findings_open(path, read_only, &findings, &err) < 0)
		fail_msg("%s", err.text);
	return findings;
}

/* ---- a small language for uses: one row each */

struct row {
	const char *event;
	int64_t at_us;
	const char *party; /* NULL: nothing is held against the event */
	enum severity severity;
	int rung;
	uint64_t version;
	bool is_addendum;
	const char *error;
};

static void judge(struct findings *findings, const struct row *row)
{
	char text[300];
	struct error err = {0};
	(void)snprintf(text, sizeof(text),
	               "{\"type\":\"T\",\"access_key_id\":\"K\",\"owner\":{\"role\":\"r\",\"instance_id\":\"i-1\"},"
	               "\"lineage\":[{\"access_key_id\":\"R\"},{\"access_key_id\":\"K\"}],"
	               "\"remote\":{\"account_id\":\"%s\",\"vpc_endpoint_id\":\"vpce-1\"},\"evidence\":[\"rung %d\"]}",
	               row->party != NULL ? row->party : "", row->rung);
	json_t *facts = json_loads(text, 0, NULL);
	const struct findings_use use = {.type = "T",
	                                 .subject = "K",
	                                 .party = row->party,
	                                 .severity = row->severity,
	                                 .rung = row->rung,
	                                 .confidence = 100 - row->rung,
	                                 .service = "s3",
	                                 .name = row->event[0] == 'a' ? "Get" : "Put",
	                                 .error_code = row->error != NULL ? row->error : "",
	                                 .region = "r",
	                                 .user_agent = "u",
	                                 .address = "1.2.3.4",
	                                 .facts = facts};
	const struct findings_event event = {.id = row->event,
	                                     .at_us = row->at_us,
	                                     .is_addendum = row->is_addendum,
	                                     .version = row->version,
	                                     .uses = &use,
	                                     .use_count = row->party != NULL};
	if (findings_judge(findings, &event, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(facts);
}

static int complete(void *context, json_t *finding, struct error *err)
{
	(void)err;
	++*(int *)context;
	json_put_text(finding, "completed", "yes");
	return 0;
}

static void commit(struct findings *findings)
{
	int completed = 0;
	struct error err = {0};
	if (findings_commit(findings, complete, &completed, &err) < 0)
		fail_msg("%s", err.text);
}

static int add_line(void *context, const json_t *finding, struct error *err)
{
	CLEANUP_FREE char *line = json_line(finding);
	return buffer_printf(context, err, "%s\n", line);
}

static char *list(struct findings *findings, const struct findings_filter *filter)
{
	struct buffer text = {0};
	struct error err = {0};
	assert_int_equal(buffer_append(&text, "", 0, NULL), 0);
	if (findings_list(findings, filter, add_line, &text, &err) < 0)
		fail_msg("%s", err.text);
	return text.bytes;
}

static char *list_all(struct findings *findings)
{
	const struct findings_filter all = {0};
	return list(findings, &all);
}

static void assert_list(const json_t *finding, const char *field, const char *wanted)
{
	CLEANUP_FREE char *line = json_line(json_at(finding, field));
	assert_non_null(line);
	assert_string_equal(line, wanted);
}

static const struct row rows[] = {
	{"a1", 30, "one", SEVERITY_HIGH, 6, 1, false, NULL},
	{"a2", 10, "one", SEVERITY_MEDIUM, 2, 1, false, "AccessDenied"},
	{"b1", 20, "one", SEVERITY_MEDIUM, 2, 1, false, NULL},
	{"b2", 40, "two", SEVERITY_LOW, 4, 1, false, NULL},
	/* The same event again, as other records tell it: the greatest version stands. */
	{"c1", 50, "two", SEVERITY_LOW, 4, 5, false, NULL},
	{"c1", 50, "three", SEVERITY_LOW, 4, 3, false, NULL},
	{"c1", 50, NULL, SEVERITY_LOW, 0, 9, false, NULL},
	/* Updated, once to another party and once to nothing. */
	{"d1", 60, "three", SEVERITY_HIGH, 1, 9, false, NULL},
	{"d1", 61, "one", SEVERITY_HIGH, 1, 2, true, NULL},
	{"e1", 70, "three", SEVERITY_HIGH, 1, 9, false, NULL},
	{"e1", 70, NULL, SEVERITY_HIGH, 0, 2, true, NULL},
};

static void test_order_does_not_show(void **state)
{
	char *wanted = NULL;
	(void)state;
	srand(3);
	for (int round = 0; round < 60; round++) {
		char name[32];
		(void)snprintf(name, sizeof(name), "order%d.db", round);
		struct findings *findings = open_findings(round % 2 == 0 ? NULL : path_of(name), false);
		size_t order[ARRAY_LENGTH(rows)];
		for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
			order[i] = i;
		for (size_t i = ARRAY_LENGTH(rows); round > 0 && i-- > 1;) {
			size_t other = (size_t)rand() % (i + 1), kept = order[i];
			order[i] = order[other];
			order[other] = kept;
		}
		for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
			judge(findings, &rows[order[i]]);
			if (rand() % 3 == 0)
				judge(findings, &rows[order[(size_t)rand() % (i + 1)]]);
			if (round % 2 != 0 && rand() % 3 == 0) {
				/* A run ends here; the next one opens the file anew. */
				commit(findings);
				findings_close(findings);
				findings = open_findings(path_of(name), false);
			}
		}
		commit(findings);
		char *got = list_all(findings);
		if (round == 0)
			wanted = strdup(got);
		else if (strcmp(got, wanted) != 0)
			fail_msg("round %d:\n%s\n%s", round, got, wanted);
		free(got);
		findings_close(findings);
	}
	/* What it is: one has a1, a2, b1, d1; two has b2, c1; three is gone. */
	CLEANUP_JSON json_t *first = json_loads(wanted, JSON_DISABLE_EOF_CHECK, NULL);
	assert_non_null(strstr(wanted, "\n{"));
	assert_null(strstr(strstr(wanted, "\n{") + 1, "\n{"));
	assert_int_equal(json_integer_value(json_at(first, "count")), 4);
	assert_string_equal(json_text_at(first, "severity"), "HIGH");
	assert_int_equal(json_integer_value(json_at(first, "rung")), 1);
	assert_string_equal(json_text_at(first, "first_seen"), "1970-01-01T00:00:00.000010Z");
	assert_string_equal(json_text_at(first, "last_seen"), "1970-01-01T00:00:00.000061Z");
	CLEANUP_FREE char *ids = json_dumps(json_at(first, "event_ids"), 0);
	assert_string_equal(ids, "[\"a2\", \"b1\", \"a1\", \"d1\"]");
	CLEANUP_FREE char *calls = json_dumps(json_at(first, "calls"), JSON_SORT_KEYS);
	assert_string_equal(calls, "[{\"count\": 2, \"errors\": 1, \"name\": \"Get\", \"service\": \"s3\"}, "
	                           "{\"count\": 2, \"errors\": 0, \"name\": \"Put\", \"service\": \"s3\"}]");
	free(wanted);
}

/* Judged again with other settings: the judgement of now counts, for that very record alone. */
static void test_judged_anew(void **state)
{
	const char *path = path_of("anew.db");
	struct row row = rows[0];
	(void)state;
	struct findings *findings = open_findings(path, false);
	judge(findings, &row);
	commit(findings);
	findings_close(findings);

	findings = open_findings(path, false);
	row.party = NULL;
	row.version = 7; /* another record of the same event says nothing about this one */
	judge(findings, &row);
	commit(findings);
	CLEANUP_FREE char *still = list_all(findings);
	assert_non_null(strstr(still, "\"a1\""));
	findings_close(findings);

	findings = open_findings(path, false);
	row.version = 1;
	judge(findings, &row);
	commit(findings);
	CLEANUP_FREE char *gone = list_all(findings);
	assert_string_equal(gone, "");
	findings_close(findings);
}

/* A finding of one use says it without asking for more; a second use, at another time and in another run, has its lists
 * made by queries: what both say of it is the same but for the numbers. */
static void test_single_use(void **state)
{
	static const struct row one[] = {
		{"a1", 30, "one", SEVERITY_HIGH, 6, 1, false, NULL},
		{"a2", 30, "one", SEVERITY_HIGH, 6, 1, false, "AccessDenied"},
	};
	static const char *const errors[] = {"[]", "[{\"code\":\"AccessDenied\",\"count\":1}]"};
	static const char *const fields[] = {"user_agents", "addresses", "endpoints", "regions"};
	static const char *const lists[] = {
		"[{\"count\":1,\"user_agent\":\"u\"}]", "[{\"address\":\"1.2.3.4\",\"count\":1}]",
		"[{\"count\":1,\"vpc_endpoint_id\":\"vpce-1\"}]", "[{\"count\":1,\"region\":\"r\"}]"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(one); i++) {
		struct findings *findings = open_findings(NULL, false);
		char wanted[200];
		judge(findings, &one[i]);
		commit(findings);
		CLEANUP_FREE char *text = list_all(findings);
		CLEANUP_JSON json_t *finding = json_loads(text, 0, NULL);
		(void)snprintf(wanted, sizeof(wanted), "[\"%s\"]", one[i].event);
		assert_list(finding, "event_ids", wanted);
		(void)snprintf(wanted, sizeof(wanted),
		               "[{\"count\":1,\"errors\":%zu,\"name\":\"Get\",\"service\":\"s3\"}]", i);
		assert_list(finding, "calls", wanted);
		assert_list(finding, "errors", errors[i]);
		for (size_t j = 0; j < ARRAY_LENGTH(fields); j++)
			assert_list(finding, fields[j], lists[j]);

		struct row again = one[i];
		again.event = i == 0 ? "a3" : "a4";
		judge(findings, &again);
		commit(findings);
		CLEANUP_FREE char *both_text = list_all(findings);
		CLEANUP_JSON json_t *both = json_loads(both_text, 0, NULL);
		for (size_t j = 0; j < ARRAY_LENGTH(fields); j++) {
			json_t *entry = json_array_get(json_at(finding, fields[j]), 0);
			json_put_int(entry, "count", 2);
			CLEANUP_FREE char *line = json_line(json_at(finding, fields[j]));
			assert_list(both, fields[j], line);
		}
		assert_int_equal(json_array_size(json_at(both, "event_ids")), 2);
		findings_close(findings);
	}
}

static void test_many_uses(void **state)
{
	struct findings *findings = open_findings(NULL, false);
	(void)state;
	for (int i = 0; i < 1500; i++) {
		char id[16];
		(void)snprintf(id, sizeof(id), "a%04d", 1499 - i);
		judge(findings, &(struct row){id, 1499 - i + 1, "one", SEVERITY_LOW, 1, 1, false, NULL});
	}
	commit(findings);
	CLEANUP_FREE char *text = list_all(findings);
	CLEANUP_JSON json_t *finding = json_loads(text, 0, NULL);
	assert_int_equal(json_integer_value(json_at(finding, "count")), 1500);
	assert_int_equal(json_array_size(json_at(finding, "event_ids")), 1000);
	assert_string_equal(json_string_value(json_array_get(json_at(finding, "event_ids"), 999)), "a0999");
	findings_close(findings);
}

static void test_filters(void **state)
{
	static const struct {
		struct findings_filter filter;
		unsigned count;
	} cases[] = {
		{{.access_key_id = "L"}, 0},
		{{.role = "x"}, 0},
		{{.type = "U"}, 0},
		{{.severity = "MEDIUM"}, 0},
		{{.id = "0"}, 0},
		{{.instance_id = "i-2"}, 0},
		{{.remote_account = "four"}, 0},
		{{.since_us = 100}, 0},
		{{.until_us = 40}, 0},
		{{.remote_account = "t*"}, 1},
		{{.severity = "HIGH"}, 1},
		{{.since_us = 51}, 1},
		{{.until_us = 51}, 1},
		{{.access_key_id = "K"}, 2},
		{{.access_key_id = "R"}, 2}, /* K descends from it */
		{{.type = "?"}, 2},
		{{.role = "r"}, 2},
		{{.of_this_run = true}, 2},
		{{.instance_id = "i-1"}, 2},
	};
	struct findings *findings = open_findings(NULL, false);
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		judge(findings, &rows[i]);
	commit(findings);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_FREE char *text = list(findings, &cases[i].filter);
		unsigned count = 0;
		for (const char *c = text; *c != '\0'; c++)
			count += *c == '\n';
		if (count != cases[i].count)
			fail_msg("case %zu: %u", i, count);
	}
	findings_close(findings);
}

static void test_run_is_told_apart(void **state)
{
	const char *path = path_of("runs.db");
	const struct findings_filter this_run = {.of_this_run = true};
	(void)state;
	struct findings *findings = open_findings(path, false);
	judge(findings, &rows[0]);
	commit(findings);
	findings_close(findings);
	findings = open_findings(path, false);
	judge(findings, &rows[3]);
	commit(findings);
	CLEANUP_FREE char *text = list(findings, &this_run);
	assert_non_null(strstr(text, "\"b2\""));
	assert_null(strstr(text, "\"a1\""));
	findings_close(findings);
}

/* ---- the file */

static void execute(const char *path, const char *sql)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
}

static void test_refuses_files(void **state)
{
	struct findings *findings;
	struct error err = {0};
	(void)state;
	assert_int_equal(findings_open(path_of("none.db"), true, &findings, &err), -1);
	assert_int_equal(err.code, ERROR_MISSING);
	assert_int_equal(findings_open(path_of("no/such/folder.db"), false, &findings, &err), -1);
	assert_int_equal(err.code, ERROR_MISSING);

	execute(path_of("other.db"), "CREATE TABLE t(x)");
	assert_int_equal(findings_open(path_of("other.db"), false, &findings, &err), -1);
	assert_int_equal(err.code, ERROR_INPUT);

	findings_close(open_findings(path_of("newer.db"), false));
	execute(path_of("newer.db"), "PRAGMA user_version = 99");
	assert_int_equal(findings_open(path_of("newer.db"), false, &findings, &err), -1);
	assert_int_equal(err.code, ERROR_NEWER);
	assert_non_null(strstr(err.text, "99"));
}

static void test_file(void **state)
{
	const char *path = path_of("file.db");
	struct stat status;
	mode_t mask = umask(077);
	(void)state;
	struct findings *findings = open_findings(path, false);
	judge(findings, &rows[0]);
	commit(findings);
	CLEANUP_FREE char *written = list_all(findings);
	findings_close(findings);
	(void)umask(mask);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);

	findings = open_findings(path, true);
	CLEANUP_FREE char *text = list_all(findings);
	assert_string_equal(text, written);
	assert_non_null(strstr(text, "\"completed\":\"yes\""));
	findings_close(findings);
	findings_close(NULL);
	/* The view is an interface. */
	execute(path,
	        "SELECT id, type, severity, score, confidence, access_key_id, account_id, instance_id, role,"
	        " remote_account_id, remote_relation, remote_address, vpc_endpoint_id, rung, first_seen, last_seen,"
	        " count, body FROM v_findings");
}

/* A run that cannot be finished leaves what was there. */
static int refuse(void *context, json_t *finding, struct error *err)
{
	(void)context;
	(void)finding;
	return error_set(err, ERROR_LIMIT, "no");
}

static void test_nothing_half_done(void **state)
{
	const char *path = path_of("half.db");
	struct error err = {0};
	(void)state;
	struct findings *findings = open_findings(path, false);
	judge(findings, &rows[0]);
	commit(findings);
	findings_close(findings);
	findings = open_findings(path, false);
	judge(findings, &rows[3]);
	assert_int_equal(findings_commit(findings, refuse, NULL, &err), -1);
	assert_int_equal(err.code, ERROR_LIMIT);
	findings_close(findings);
	findings = open_findings(path, true);
	CLEANUP_FREE char *text = list_all(findings);
	assert_non_null(strstr(text, "\"a1\""));
	assert_null(strstr(text, "\"b2\""));
	findings_close(findings);
}

static void test_ids(void **state)
{
	const struct findings_use one = {.type = "T", .subject = "K", .party = "P"},
				  other = {.type = "T", .subject = "KP", .party = ""};
	char id[DIGEST_HEX_BYTES], other_id[DIGEST_HEX_BYTES];
	(void)state;
	assert_int_equal(findings_id(&one, id, NULL), 0);
	assert_int_equal(findings_id(&other, other_id, NULL), 0);
	assert_string_not_equal(id, other_id);
	/* printf 'T\nK\nP' | sha256sum */
	assert_string_equal(id, "260b112529d302e183a82327d4a0c7f3edcd12ae9db51e56718f21aacaa2e28a");
}

static void put_lesson(struct findings *findings, const char *kind, const char *text, int64_t at_us)
{
	json_t *body = json_loads(text, 0, NULL);
	assert_int_equal(findings_lesson_put(findings, kind, body, at_us, NULL), 0);
	json_decref(body);
}

static void check_lessons(struct findings *findings, const char *kind, const char *wanted)
{
	struct buffer text = {0};
	assert_int_equal(buffer_append(&text, "", 0, NULL), 0);
	assert_int_equal(findings_lessons(findings, kind, add_line, &text, NULL), 0);
	assert_string_equal(text.bytes, wanted);
	buffer_done(&text);
}

/* What was learned is there in the next run, each once; what is soon of no use goes. */
static void test_lessons(void **state)
{
	const int64_t day_us = INT64_C(86400) * 1000000;
	struct findings *findings = open_findings(path_of("lessons.db"), false);
	(void)state;
	put_lesson(findings, "link", "{\"a\":1}", day_us);
	put_lesson(findings, "link", "{\"a\":1}", day_us);
	put_lesson(findings, "issue", "{\"b\":1}", day_us);
	check_lessons(findings, "link", ""); /* not before the run ends */
	commit(findings);
	findings_close(findings);

	findings = open_findings(path_of("lessons.db"), false);
	check_lessons(findings, "link", "{\"a\":1}\n");
	check_lessons(findings, "issue", "{\"b\":1}\n");
	check_lessons(findings, "claim", "");
	put_lesson(findings, "link", "{\"a\":1}", day_us);
	put_lesson(findings, "issue", "{\"b\":2}", 10 * day_us);
	commit(findings);
	check_lessons(findings, "link", "{\"a\":1}\n");
	check_lessons(findings, "issue", "{\"b\":2}\n");
	findings_close(findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses_files),     cmocka_unit_test(test_order_does_not_show),
		cmocka_unit_test(test_judged_anew),       cmocka_unit_test(test_single_use),
		cmocka_unit_test(test_many_uses),         cmocka_unit_test(test_filters),
		cmocka_unit_test(test_run_is_told_apart), cmocka_unit_test(test_file),
		cmocka_unit_test(test_nothing_half_done), cmocka_unit_test(test_ids),
		cmocka_unit_test(test_lessons),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
