/* SPDX-License-Identifier: Apache-2.0 */

/* What is asked for becomes conditions of one SQL statement, so that SQLite's indices do the work. */
#include <string.h>

#include "common/buffer.h"
#include "common/text.h"
#include "store/ledger_handle.h"
#include "store/store.h"

#define CONDITIONS_MAX 20

/* What leads to few rows, and so is what a query goes by; `+` keeps SQLite from taking the index of another condition,
 * of which it cannot know that it leads to more of them. */
enum lead { LEAD_NONE, LEAD_KEY, LEAD_FEW };

struct condition {
	const char *sql;    /* each `?` in it is the value */
	const char *narrow; /* says no more, and leads by an index to few rows; NULL: there is none */
	const char *text;
	int64_t number;
	bool is_number;
	bool is_process; /* must hold of one process that held the socket, together with all others such */
};

struct asked {
	struct condition conditions[CONDITIONS_MAX];
	size_t count;
	enum lead lead;
};

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
		bool is_process;
	} texts[] = {
		{"access_key_id = ?", "access_key_id GLOB ?", filter->access_key_id, NULL, false},
		{"role = ?", "role GLOB ?", filter->role, NULL, false},
		{"exe = ?", "exe GLOB ?", filter->exe, BY_PROCESS("exe"), true},
		{"exe_sha256 = ?", "exe_sha256 GLOB ?", filter->sha256, NULL, true},
		{"unit = ?", "unit GLOB ?", filter->unit, NULL, true},
		{"container_id = ?", "container_id GLOB ?", filter->container, BY_PROCESS("container_id"), true},
		{"user = ?", "user GLOB ?", filter->user, NULL, true},
		{"path = ?", "path GLOB ?", filter->path, NULL, false},
		{"instance_id = ?", "instance_id GLOB ?", filter->instance_id, is_merged ? BY_INSTANCE : NULL, false},
		{"grade = ?", "grade GLOB ?", filter->grade, NULL, false},
		{"outcome = ?", "outcome GLOB ?", filter->outcome, NULL, false},
		{"source = ?", "source GLOB ?", filter->source, NULL, false},
	};
	const struct {
		const char *sql;
		bool wanted;
		int64_t number;
		const char *narrow;
		bool is_process;
	} numbers[] = {
		{"at_us >= ?", filter->since_us != 0, filter->since_us, NULL, false},
		{"at_us < ?", filter->until_us != 0, filter->until_us, NULL, false},
		{"seq > ?", filter->after_seq != 0, filter->after_seq, NULL, false},
		{"uid = ?", filter->has_uid, filter->uid, NULL, true},
		{"pid = ?", filter->has_pid, filter->pid, BY_PROCESS("pid"), true},
	};
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (texts[i].text != NULL)
			conditions[count++] = (struct condition){
				.sql = is_glob(texts[i].text) ? texts[i].glob : texts[i].equal,
				.narrow = is_glob(texts[i].text) ? NULL : texts[i].narrow,
				.text = texts[i].text,
				.is_process = texts[i].is_process,
			};
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
		if (numbers[i].wanted)
			conditions[count++] = (struct condition){.sql = numbers[i].sql,
			                                         .narrow = numbers[i].narrow,
			                                         .number = numbers[i].number,
			                                         .is_number = true,
			                                         .is_process = numbers[i].is_process};
	return count;
}

MUST_USE static int put_sql(struct buffer *sql, const char *text, int number, struct error *err)
{
	for (const char *mark; (mark = strchr(text, '?')) != NULL; text = mark + 1)
		if (buffer_printf(sql, err, "%.*s?%d", (int)(mark - text), text, number) < 0)
			return -1;
	return buffer_printf(sql, err, "%s", text);
}

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

enum which { ALL, OF_ROWS, OF_PROCESSES };

MUST_USE static int put_conditions(struct buffer *sql, const struct asked *asked, enum which which, struct error *err)
{
	for (size_t i = 0; i < asked->count; i++)
		if ((which == ALL || asked->conditions[i].is_process == (which == OF_PROCESSES)) &&
		    put_condition(sql, &asked->conditions[i], (int)i + 1, asked->lead, err) < 0)
			return -1;
	return 0;
}

/* ---- who else held the socket */

bool ledger_has_holders(const struct ledger *ledger)
{
	sqlite3_stmt *row = NULL;
	bool has_any = sqlite3_prepare_v2(ledger->db, "SELECT 1 FROM holder LIMIT 1", -1, &row, NULL) == SQLITE_OK &&
	               sqlite3_step(row) == SQLITE_ROW;
	(void)sqlite3_finalize(row);
	return has_any;
}

static const char *held_by(const struct ledger *ledger)
{
	return ledger->is_merged ? merged_held_sql : ledger_held_sql;
}

static bool asks_for_processes(const struct asked *asked)
{
	for (size_t i = 0; i < asked->count; i++)
		if (asked->conditions[i].is_process)
			return true;
	return false;
}

/* All that is said of a process, of the first holder or of another one. */
MUST_USE static int put_any_holder(struct buffer *sql, const struct ledger *ledger, const struct asked *asked,
                                   struct error *err)
{
	struct asked plain = *asked;
	plain.lead = LEAD_KEY; /* what narrows stands behind */
	if (buffer_printf(sql, err, " AND ((1") < 0 || put_conditions(sql, &plain, OF_PROCESSES, err) < 0 ||
	    buffer_printf(sql, err, ") OR seq IN (SELECT seq FROM (%s) WHERE 1", held_by(ledger)) < 0 ||
	    put_conditions(sql, &plain, OF_PROCESSES, err) < 0 || buffer_printf(sql, err, "))") < 0)
		return -1;
	for (size_t i = 0; i < asked->count && asked->lead != LEAD_KEY; i++) {
		const char *narrow = asked->conditions[i].narrow;
		if (!asked->conditions[i].is_process || narrow == NULL)
			continue;
		if (buffer_printf(sql, err, " AND (") < 0 || put_sql(sql, narrow, (int)i + 1, err) < 0 ||
		    buffer_printf(sql, err, " OR seq IN (SELECT record FROM holder WHERE ") < 0 ||
		    put_sql(sql, narrow, (int)i + 1, err) < 0 || buffer_printf(sql, err, "))") < 0)
			return -1;
	}
	return 0;
}

/* ---- whole statements */

static struct asked asked_of(const struct ledger *ledger, const struct ledger_filter *filter)
{
	struct asked asked = {.lead = lead_of(filter, ledger->is_merged)};
	asked.count = conditions_of(filter, ledger->is_merged, asked.conditions);
	return asked;
}

MUST_USE static int prepare(struct ledger *ledger, const struct buffer *sql, const struct asked *asked,
                            struct lent_statement *ret, struct error *err)
{
	if (statements_lend(&ledger->lent, ledger->db, sql->bytes, ledger->path, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < asked->count; i++) {
		const struct condition *condition = &asked->conditions[i];
		if (condition->is_number)
			(void)sqlite3_bind_int64(ret->sql, (int)i + 1, condition->number);
		else
			(void)sqlite3_bind_text(ret->sql, (int)i + 1, condition->text, -1, SQLITE_TRANSIENT);
	}
	return 0;
}

int ledger_prepare(struct ledger *ledger, const char *head, const struct ledger_filter *filter, const char *tail,
                   struct lent_statement *ret, struct error *err)
{
	CLEANUP_BUFFER struct buffer sql = {0};
	const struct asked asked = asked_of(ledger, filter);
	bool goes_by_holders = asks_for_processes(&asked) && ledger_has_holders(ledger);
	if (buffer_printf(&sql, err, "%s FROM v_deliveries WHERE 1", head) < 0 ||
	    put_conditions(&sql, &asked, goes_by_holders ? OF_ROWS : ALL, err) < 0 ||
	    (goes_by_holders && put_any_holder(&sql, ledger, &asked, err) < 0) ||
	    (filter->credentials_only && buffer_printf(&sql, err, "%s", credentials_condition(ledger)) < 0) ||
	    buffer_printf(&sql, err, " %s", tail) < 0)
		return -1;
	return prepare(ledger, &sql, &asked, ret, err);
}

int ledger_prepare_each(struct ledger *ledger, const char *head, const char *columns,
                        const struct ledger_filter *filter, const char *tail, struct lent_statement *ret,
                        struct error *err)
{
	CLEANUP_BUFFER struct buffer sql = {0};
	const struct asked asked = asked_of(ledger, filter);
	const char *const from[] = {"SELECT * FROM v_deliveries", held_by(ledger)};
	size_t parts = ledger_has_holders(ledger) ? 2 : 1;
	if (buffer_printf(&sql, err, "%s FROM (", head) < 0)
		return -1;
	for (size_t i = 0; i < parts; i++)
		if (buffer_printf(&sql, err, "%sSELECT %s FROM (%s) WHERE 1", i > 0 ? " UNION ALL " : "", columns,
		                  from[i]) < 0 ||
		    put_conditions(&sql, &asked, ALL, err) < 0 ||
		    (filter->credentials_only && buffer_printf(&sql, err, "%s", credentials_condition(ledger)) < 0))
			return -1;
	if (buffer_printf(&sql, err, ") %s", tail) < 0)
		return -1;
	return prepare(ledger, &sql, &asked, ret, err);
}

bool ledger_asks_for_all(const struct ledger_filter *filter)
{
	struct condition conditions[CONDITIONS_MAX];
	return conditions_of(filter, true, conditions) == 0;
}
