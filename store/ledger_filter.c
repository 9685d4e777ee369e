/* SPDX-License-Identifier: Apache-2.0 */

/* What is asked for becomes conditions of one SQL statement, so that SQLite's indices do the work. */
#include <string.h>

#include "common/buffer.h"
#include "common/text.h"
#include "store/ledger_handle.h"
#include "store/store.h"

struct condition {
	const char *sql;    /* each `?` in it is the value */
	const char *narrow; /* says no more, and leads by an index to few rows; NULL: there is none */
	const char *text;
	int64_t number;
	bool is_number;
};

#define CONDITIONS_MAX 20

/* Texts with wildcards become GLOB, others equality (which an index can serve). `[` is no wildcard here. */
static bool is_glob(const char *text)
{
	return strpbrk(text, "*?") != NULL && strchr(text, '[') == NULL;
}

/* A view's columns are computed, and the process may be missing: of that SQLite does not see that an index would do. */
#define BY_PROCESS(path) "actor IN (SELECT id FROM actor WHERE json_extract(body,'$." path "') = ?)"
#define BY_INSTANCE "origin IN (SELECT origin FROM origin_instance WHERE instance_id = ?)" /* merged ledgers */

static size_t conditions_of(const struct ledger_filter *filter, bool is_merged,
                            struct condition conditions[static CONDITIONS_MAX])
{
	const struct {
		const char *equal, *glob, *text, *narrow;
	} texts[] = {
		{"access_key_id = ?", "access_key_id GLOB ?", filter->access_key_id, NULL},
		{"role = ?", "role GLOB ?", filter->role, NULL},
		{"exe = ?", "exe GLOB ?", filter->exe, BY_PROCESS("exe")},
		{"exe_sha256 = ?", "exe_sha256 GLOB ?", filter->sha256, NULL},
		{"unit = ?", "unit GLOB ?", filter->unit, NULL},
		{"container_id = ?", "container_id GLOB ?", filter->container, BY_PROCESS("container_id")},
		{"user = ?", "user GLOB ?", filter->user, NULL},
		{"path = ?", "path GLOB ?", filter->path, NULL},
		{"instance_id = ?", "instance_id GLOB ?", filter->instance_id, is_merged ? BY_INSTANCE : NULL},
		{"grade = ?", "grade GLOB ?", filter->grade, NULL},
		{"outcome = ?", "outcome GLOB ?", filter->outcome, NULL},
		{"source = ?", "source GLOB ?", filter->source, NULL},
	};
	const struct {
		const char *sql;
		bool wanted;
		int64_t number;
		const char *narrow;
	} numbers[] = {
		{"at_us >= ?", filter->since_us != 0, filter->since_us, NULL},
		{"at_us < ?", filter->until_us != 0, filter->until_us, NULL},
		{"seq > ?", filter->after_seq != 0, filter->after_seq, NULL},
		{"uid = ?", filter->has_uid, filter->uid, NULL},
		{"pid = ?", filter->has_pid, filter->pid, BY_PROCESS("pid")},
	};
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (texts[i].text != NULL)
			conditions[count++] = (struct condition){
				.sql = is_glob(texts[i].text) ? texts[i].glob : texts[i].equal,
				.narrow = is_glob(texts[i].text) ? NULL : texts[i].narrow,
				.text = texts[i].text,
			};
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
		if (numbers[i].wanted)
			conditions[count++] = (struct condition){.sql = numbers[i].sql,
			                                         .narrow = numbers[i].narrow,
			                                         .number = numbers[i].number,
			                                         .is_number = true};
	return count;
}

MUST_USE static int put_sql(struct buffer *sql, const char *text, int number, struct error *err)
{
	for (const char *mark; (mark = strchr(text, '?')) != NULL; text = mark + 1)
		if (buffer_printf(sql, err, "%.*s?%d", (int)(mark - text), text, number) < 0)
			return -1;
	return buffer_printf(sql, err, "%s", text);
}

/* What leads to few rows, and so is what a query goes by; `+` keeps SQLite from taking the index of another condition,
 * of which it cannot know that it leads to more of them. */
enum lead { LEAD_NONE, LEAD_KEY, LEAD_FEW };

static bool is_exact(const char *text)
{
	return text != NULL && !is_glob(text);
}

static enum lead lead_of(const struct ledger_filter *filter, bool is_merged)
{
	if (is_exact(filter->access_key_id))
		return LEAD_KEY;
	return (is_merged && is_exact(filter->instance_id)) || is_exact(filter->container) || filter->has_pid
	               ? LEAD_FEW
	               : LEAD_NONE;
}

/* A condition with its value numbered. The index on keys has the time in it. */
MUST_USE static int put_condition(struct buffer *sql, const struct condition *condition, int number, enum lead lead,
                                  struct error *err)
{
	bool is_time = text_starts(condition->sql, "at_us"), is_key = text_starts(condition->sql, "access_key_id");
	bool is_passed_over = lead == LEAD_KEY ? !is_key && !is_time : lead == LEAD_FEW && is_time;
	if (buffer_printf(sql, err, " AND %s", is_passed_over ? "+" : "") < 0 ||
	    put_sql(sql, condition->sql, number, err) < 0)
		return -1;
	if (lead == LEAD_KEY || condition->narrow == NULL)
		return 0;
	return buffer_printf(sql, err, " AND ") < 0 ? -1 : put_sql(sql, condition->narrow, number, err);
}

static const char *credentials_condition(const struct ledger *ledger)
{
	return ledger->is_merged ? " AND access_key_id IS NOT NULL AND given=1"
	                         : " AND access_key_id IS NOT NULL AND outcome<>'refused'";
}

int ledger_prepare(struct ledger *ledger, const char *head, const struct ledger_filter *filter, const char *tail,
                   sqlite3_stmt **ret, struct error *err)
{
	CLEANUP_BUFFER struct buffer sql = {0};
	struct condition conditions[CONDITIONS_MAX];
	enum lead lead = lead_of(filter, ledger->is_merged);
	size_t count = conditions_of(filter, ledger->is_merged, conditions);
	if (buffer_printf(&sql, err, "%s WHERE 1", head) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (put_condition(&sql, &conditions[i], (int)i + 1, lead, err) < 0)
			return -1;
	if (filter->credentials_only && buffer_printf(&sql, err, "%s", credentials_condition(ledger)) < 0)
		return -1;
	if (buffer_printf(&sql, err, " %s", tail) < 0)
		return -1;

	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(ledger->db, sql.bytes, -1, &statement, NULL) != SQLITE_OK)
		return store_error(ledger->db, ledger->path, err);
	for (size_t i = 0; i < count; i++)
		if (conditions[i].is_number)
			(void)sqlite3_bind_int64(statement, (int)i + 1, conditions[i].number);
		else
			(void)sqlite3_bind_text(statement, (int)i + 1, conditions[i].text, -1, SQLITE_TRANSIENT);
	*ret = statement;
	return 0;
}

bool ledger_asks_for_all(const struct ledger_filter *filter)
{
	struct condition conditions[CONDITIONS_MAX];
	return conditions_of(filter, true, conditions) == 0;
}
