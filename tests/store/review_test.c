/* SPDX-License-Identifier: Apache-2.0 */

/* State and notes: what is refused, what is kept over runs of the detector, and files of the version before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "store/review.h"

static char folder[] = "/tmp/keytrail-test-XXXXXX";
static char path[64];

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/f.db", folder);
	return 0;
}

static int teardown(void **state)
{
	char command[128];
	(void)state;
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command); // NOLINT(cert-env33-c): a folder of our own
}

static struct findings *open_findings(bool read_only)
{
	struct findings *findings;
	struct error err = {0};
	if (findings_open(path, read_only, &findings, &err) < 0)
		fail_msg("%s", err.text);
	return findings;
}

static int complete(void *context, json_t *finding, struct error *err)
{
	(void)context;
	(void)finding;
	(void)err;
	return 0;
}

/* One run of the detector: event `id` is a use by `party`, or by nobody. */
static void detect(const char *id, const char *party)
{
	CLEANUP_JSON json_t *facts = json_pack("{s:s, s:s}", "type", "T", "access_key_id", "K");
	const struct findings_use use = {.type = "T",
	                                 .subject = "K",
	                                 .party = party,
	                                 .service = "s3",
	                                 .name = "Get",
	                                 .error_code = "",
	                                 .region = "",
	                                 .user_agent = "",
	                                 .address = "",
	                                 .facts = facts};
	const struct findings_event event = {
		.id = id, .at_us = 7, .version = 1, .uses = &use, .use_count = party != NULL};
	struct findings *findings = open_findings(false);
	struct error err = {0};
	if (findings_judge(findings, &event, &err) < 0 || findings_commit(findings, complete, NULL, &err) < 0)
		fail_msg("%s", err.text);
	findings_close(findings);
}

static int take(void *context, const json_t *finding, struct error *err)
{
	(void)err;
	json_decref(*(json_t **)context);
	*(json_t **)context = json_deep_copy(finding);
	return 0;
}

static json_t *only_finding(const struct findings_filter *filter)
{
	struct findings *findings = open_findings(true);
	json_t *found = NULL;
	struct error err = {0};
	if (findings_list(findings, filter, take, &found, &err) < 0)
		fail_msg("%s", err.text);
	findings_close(findings);
	return found;
}

static void set(enum review_state state, bool sets_state, const char *note)
{
	struct findings *findings = open_findings(false);
	struct error err = {0};
	char id[DIGEST_HEX_BYTES];
	CLEANUP_JSON json_t *found = only_finding(&(struct findings_filter){0});
	if (review_find(findings, json_text_at(found, "id"), id, &err) < 0 ||
	    review_set(findings,
	               &(struct review){.id = id,
	                                .sets_state = sets_state,
	                                .state = state,
	                                .note = note,
	                                .by = "a\xff",
	                                .at_us = 1000000},
	               &err) < 0)
		fail_msg("%s", err.text);
	findings_close(findings);
}

static void expect(const char *state, int64_t new_uses, size_t notes)
{
	CLEANUP_JSON json_t *found = only_finding(&(struct findings_filter){0});
	int64_t uses = -1;
	assert_string_equal(json_text_at(found, "state"), state);
	(void)json_int_at(found, "new_uses", &uses);
	assert_int_equal(uses, new_uses);
	assert_int_equal(json_array_size(json_at(found, "notes")), notes);
	assert_int_equal(json_text_at(found, "state_at") != NULL, strcmp(state, "new") != 0);
}

static void test_ids(void **state)
{
	static const struct {
		const char *text;
		bool is_id;
	} cases[] = {
		{"", false},
		{"0123456", false},
		{"01234567", true},
		{"0123456A", false},
		{"ASIAIOSFODNN7EXAMPLE", false},
		{"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", true},
		{"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		if (review_is_id(cases[i].text) != cases[i].is_id)
			fail_msg("%s", cases[i].text);
}

static void test_kept_over_runs(void **state)
{
	(void)state;
	detect("a", "one");
	expect("new", -1, 0);
	set(REVIEW_NEW, false, "only a note");
	expect("new", -1, 1);
	set(REVIEW_CLOSED, true, "ours");
	expect("closed", 0, 2);
	detect("a", "one");
	expect("closed", 0, 2);
	detect("b", "one");
	expect("closed", 1, 2);
	set(REVIEW_ACKNOWLEDGED, true, NULL);
	expect("acknowledged", 0, 2);
	/* Taken back, and found again: what people said still holds. */
	detect("a", NULL);
	detect("b", NULL);
	assert_null(only_finding(&(struct findings_filter){0}));
	detect("a", "one");
	expect("acknowledged", 0, 2);
}

static void test_filter_and_notes(void **state)
{
	(void)state;
	assert_null(only_finding(&(struct findings_filter){.state = "closed"}));
	CLEANUP_JSON json_t *found = only_finding(&(struct findings_filter){.state = "acknowledged"});
	assert_non_null(found);
	const json_t *first = json_array_get(json_at(found, "notes"), 0);
	assert_string_equal(json_text_at(first, "text"), "only a note");
	assert_string_equal(json_text_at(first, "state"), "new");
	assert_string_equal(json_text_at(first, "by"), "a\\xff");
	assert_string_equal(json_text_at(first, "at"), "1970-01-01T00:00:01.000000Z");
}

static void test_refused(void **state)
{
	struct findings *findings = open_findings(false);
	struct error err = {0};
	char id[DIGEST_HEX_BYTES] = "unchanged", *note = calloc(1, REVIEW_NOTE_BYTES + 2);
	(void)state;
	detect("c", "two");
	assert_int_equal(review_find(findings, "ffffffff", id, &err), -1);
	assert_int_equal(err.code, ERROR_MISSING);
	assert_int_equal(review_find(findings, "", id, &err), -1);
	assert_int_equal(err.code, ERROR_USAGE);
	assert_string_equal(id, "unchanged");
	assert_non_null(note);
	memset(note, 'x', REVIEW_NOTE_BYTES + 1);
	CLEANUP_JSON json_t *found = only_finding(&(struct findings_filter){.state = "acknowledged"});
	struct review review = {.id = json_text_at(found, "id"), .note = note, .by = "me"};
	assert_int_equal(review_set(findings, &review, &err), -1);
	assert_int_equal(err.code, ERROR_LIMIT);
	review.note = "x";
	for (int i = 2; i < REVIEW_NOTES_MAX; i++)
		assert_int_equal(review_set(findings, &review, &err), 0);
	review.sets_state = true;
	assert_int_equal(review_set(findings, &review, &err), -1);
	assert_int_equal(err.code, ERROR_LIMIT);
	findings_close(findings);
	/* Nothing of what was refused is there. */
	CLEANUP_JSON json_t *still = only_finding(&(struct findings_filter){.state = "acknowledged"});
	assert_int_equal(json_array_size(json_at(still, "notes")), REVIEW_NOTES_MAX);
	free(note);
}

/* A file of the version before, which may not be written: everything in it is new. */
static void test_version_before(void **state)
{
	sqlite3 *db;
	(void)state;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db,
	                     "DROP VIEW v_findings; DROP TABLE review; DROP TABLE note; PRAGMA user_version = 1;"
	                     "CREATE VIEW v_findings AS SELECT id, body FROM finding; DELETE FROM finding;"
	                     "INSERT INTO finding VALUES('0a', 1, 2, 3, '{\"id\":\"0a\",\"count\":4}')",
	                     NULL, NULL, NULL),
		SQLITE_OK);
	(void)sqlite3_close(db);
	expect("new", -1, 0);
	assert_null(only_finding(&(struct findings_filter){.state = "closed"}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_kept_over_runs),
		cmocka_unit_test(test_filter_and_notes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_version_before),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
