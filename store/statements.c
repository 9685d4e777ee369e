/* SPDX-License-Identifier: Apache-2.0 */

/* To prepare a statement over a view of JSON takes longer than to run it for one row. A kept one that waits for nothing
 * holds no lock and no place in the WAL. */
#include "store/statements.h"

#include <string.h>

#include "store/store.h"

int statements_lend(struct statements *from, sqlite3 *db, const char *text, const char *what,
                    struct lent_statement *ret, struct error *err)
{
	*ret = (struct lent_statement){.from = from};
	for (size_t i = 0; i < STATEMENTS_KEPT; i++) {
		if (from->kept[i] == NULL || strcmp(sqlite3_sql(from->kept[i]), text) != 0)
			continue;
		ret->sql = from->kept[i];
		from->kept[i] = NULL;
		return 0;
	}
	if (sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, &ret->sql, NULL) != SQLITE_OK)
		return store_error(db, what, err);
	return 0;
}

void statements_return(struct lent_statement *lent)
{
	struct statements *to = lent->from;
	size_t at = 0;
	if (lent->sql == NULL)
		return;
	while (at < STATEMENTS_KEPT && to->kept[at] != NULL)
		at++;
	if (at == STATEMENTS_KEPT) {
		at = to->next;
		to->next = (at + 1) % STATEMENTS_KEPT;
	}
	(void)sqlite3_reset(lent->sql);
	(void)sqlite3_clear_bindings(lent->sql);
	(void)sqlite3_finalize(to->kept[at]);
	to->kept[at] = lent->sql;
	lent->sql = NULL;
}

void statements_done(struct statements *statements)
{
	for (size_t i = 0; i < STATEMENTS_KEPT; i++)
		(void)sqlite3_finalize(statements->kept[i]);
	*statements = (struct statements){0};
}
