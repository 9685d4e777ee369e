/* SPDX-License-Identifier: Apache-2.0 */

/* A statement that is returned is lent again, without its values; two that run at once are two; few are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "store/statements.h"

static sqlite3 *db;

static int setup(void **state)
{
	(void)state;
	return sqlite3_open(":memory:", &db) == SQLITE_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return sqlite3_close(db) == SQLITE_OK ? 0 : -1; /* refused while a statement is left */
}

static void test_lent_again(void **state)
{
	struct statements statements = {0};
	struct lent_statement first, second, third;
	struct error err;
	(void)state;
	assert_int_equal(statements_lend(&statements, db, "SELECT ?1", "test", &first, &err), 0);
	assert_int_equal(statements_lend(&statements, db, "SELECT ?1", "test", &second, &err), 0);
	assert_ptr_not_equal(first.sql, second.sql);
	assert_int_equal(sqlite3_bind_int(first.sql, 1, 7), SQLITE_OK);
	assert_int_equal(sqlite3_step(first.sql), SQLITE_ROW);
	sqlite3_stmt *was = first.sql;
	statements_return(&first);
	assert_null(first.sql);
	statements_return(&first); /* nothing is on loan */

	assert_int_equal(statements_lend(&statements, db, "SELECT ?1", "test", &third, &err), 0);
	assert_ptr_equal(third.sql, was);
	assert_int_equal(sqlite3_step(third.sql), SQLITE_ROW);
	assert_int_equal(sqlite3_column_type(third.sql, 0), SQLITE_NULL);
	statements_return(&second);
	statements_return(&third);
	statements_done(&statements);
}

static void test_few_are_kept(void **state)
{
	struct statements statements = {0};
	struct error err;
	char text[32];
	int count = 0;
	(void)state;
	for (int i = 0; i < 3 * STATEMENTS_KEPT; i++) {
		CLEANUP_LENT struct lent_statement lent;
		(void)snprintf(text, sizeof(text), "SELECT %d", i);
		assert_int_equal(statements_lend(&statements, db, text, "test", &lent, &err), 0);
		assert_int_equal(sqlite3_step(lent.sql), SQLITE_ROW);
		assert_int_equal(sqlite3_column_int(lent.sql, 0), i);
	}
	for (sqlite3_stmt *at = NULL; (at = sqlite3_next_stmt(db, at)) != NULL; count++)
		assert_false(sqlite3_stmt_busy(at));
	assert_int_equal(count, STATEMENTS_KEPT);
	statements_done(&statements);
}

static void test_wrong_sql(void **state)
{
	struct statements statements = {0};
	struct lent_statement lent;
	struct error err = {0};
	(void)state;
	assert_int_equal(statements_lend(&statements, db, "SELECT missing", "test", &lent, &err), -1);
	assert_string_equal(err.text, "test: no such column: missing");
	statements_return(&lent);
	statements_done(&statements);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lent_again),
		cmocka_unit_test(test_few_are_kept),
		cmocka_unit_test(test_wrong_sql),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
