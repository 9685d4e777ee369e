/* SPDX-License-Identifier: Apache-2.0 */

/* The gap's file: what it keeps, and what of it cannot be read. */
#include "tests/common/unit.h"

#include <sys/stat.h>

#include "store/gap.h"

static char folder[PATH_MAX], ledger[PATH_MAX], file[PATH_MAX];

static int start(void **state)
{
	(void)state;
	(void)unit_path(ledger, unit_folder(folder), "ledger.db");
	(void)unit_path(file, folder, GAP_NAME);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static void keeps_the_beginning_of_a_gap(void **state)
{
	const struct gap first = {.began_us = 1000000, .on_dead = ON_DEAD_CLOSED, .reason = "a \"crash\"", .done = "x"};
	const struct gap second = {.began_us = 9000000, .on_dead = ON_DEAD_OPEN, .reason = "later", .done = "y"};
	struct error problem = {0};
	struct stat status;
	(void)state;
	if (gap_begin(ledger, &first, &problem) < 0 || gap_begin(ledger, &second, &problem) < 0)
		fail_msg("%s", problem.text);
	CLEANUP_JSON json_t *read = NULL;
	assert_int_equal(gap_read(ledger, &read, NULL), 0);
	assert_string_equal(json_text_at(read, "began_at"), "1970-01-01T00:00:01.000000Z");
	assert_string_equal(json_text_at(read, "reason"), "a \"crash\"");
	assert_string_equal(json_text_at(read, "on_dead"), "open");
	assert_string_equal(json_text_at(read, "done"), "y");
	assert_int_equal(stat(file, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
}

static void is_gone_when_forgotten(void **state)
{
	json_t *read = NULL;
	(void)state;
	assert_int_equal(gap_forget(ledger, NULL), 0);
	assert_int_equal(gap_read(ledger, &read, NULL), 0);
	assert_null(read);
	assert_int_equal(gap_forget(ledger, NULL), 0);
}

static void says_what_it_cannot_read(void **state)
{
	static const char *const texts[] = {"", "{", "[]", "{} {}", "null"};
	struct error problem = {0};
	json_t *read;
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		unit_write(file, texts[i], strlen(texts[i]));
		CHECK_NUMBER(texts[i], gap_read(ledger, &read, &problem), -1);
		CHECK(texts[i], strstr(problem.text, "gap.json: expected one JSON object") != NULL);
	}
	/* A new gap is noted all the same. */
	const struct gap gap = {.began_us = 5000000, .reason = "again", .done = "z"};
	assert_int_equal(gap_begin(ledger, &gap, NULL), 0);
	assert_int_equal(gap_read(ledger, &read, NULL), 0);
	assert_string_equal(json_text_at(read, "reason"), "again");
	json_decref(read);
}

static void fails_where_it_may_not_write(void **state)
{
	const struct gap gap = {.began_us = 1, .reason = "r", .done = "d"};
	struct error problem = {0};
	(void)state;
	assert_int_equal(gap_begin("/nonexistent/ledger.db", &gap, &problem), -1);
	assert_non_null(strstr(problem.text, "/nonexistent/gap.json"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_beginning_of_a_gap),
		cmocka_unit_test(is_gone_when_forgotten),
		cmocka_unit_test(says_what_it_cannot_read),
		cmocka_unit_test(fails_where_it_may_not_write),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
