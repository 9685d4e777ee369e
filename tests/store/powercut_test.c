/* SPDX-License-Identifier: Apache-2.0 */

/* Power cuts under the real writer and journal: after each, the ledger opens, its chain holds, nothing that somebody
 * was told is missing, and what is said to be delivered was. KEYTRAIL_POWER_CUTS says how many (the long form: 2000),
 * KEYTRAIL_POWER_SEED repeats the choices of a run. */
#include "tests/store/disk.h"
#include "tests/store/rows.h"

#include <pthread.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/log.h"
#include "store/audit.h"

#define CUTS_DEFAULT 100
#define PRUNING_BEGINS_MS 500
#define CUTS_OF_A_SESSION 10
#define SESSIONS_OF_A_LEDGER 5
#define NUMBERS_MAX 4096    /* rows of one ledger that somebody was told of */
#define OLD_ROWS 120        /* that pruning takes away */
#define CUTS_TO_NOTICE 2000 /* of a device that lies; a few are enough nearly always */

static uint64_t random_state;

/* splitmix64 */
static uint64_t next_of(uint64_t *state)
{
	uint64_t mixed = (*state += 0x9e3779b97f4a7c15);
	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
	return mixed ^ (mixed >> 31);
}

static uint64_t chance(void)
{
	return next_of(&random_state);
}

static uint64_t number_of_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* One ledger through several sessions and cuts. */
struct life {
	char base[PATH_MAX], folder[PATH_MAX]; /* the folder that lives on */
	bool received[NUMBERS_MAX];            /* told, and that before the cut it lives on from */
	unsigned next;
};

/* What all of it came to. */
static struct {
	unsigned cuts, told, rows, replayed, syncs, faults, pruned;
	char first[600];
} sum;

static void complain(const char *what, const char *more)
{
	if (sum.faults++ == 0)
		(void)snprintf(sum.first, sizeof(sum.first), "cut %u: %s %s", sum.cuts, what, more);
}

/* ---- a session: what the daemon does */

struct client {
	struct writer *writer;
	uint64_t random;
	unsigned first, count; /* its numbers */
};

static int append(struct writer *writer, unsigned number, int64_t at_us, bool is_large)
{
	static char agent[30000];
	char id[ENTRY_ID_BYTES];
	const struct row row = {
		.id = id, .key = "ASIAY34FZKBOKMUTVV7A", .role = "r", .at_us = at_us, .pid = 100, .exe = "/x"};
	CLEANUP_JSON json_t *body = rows_body(&row);
	struct entry entry = {.kind = "delivery", .access_key_id = row.key, .at_us = at_us, .body = body};
	(void)snprintf(id, sizeof(id), "%016x", number);
	(void)snprintf(entry.id, sizeof(entry.id), "%s", id);
	if (is_large) {
		memset(agent, 'a', sizeof(agent) - 1);
		json_put_text(body, "user_agent", agent);
	}
	return writer_append(writer, &entry, NULL);
}

/* Behind the answer, as the daemon does. */
static void append_outcome(struct writer *writer, unsigned number, bool is_delivered)
{
	char subject[ENTRY_ID_BYTES];
	CLEANUP_JSON json_t *body = json_object();
	struct entry entry = {.kind = "outcome", .subject = subject, .at_us = clock_now_us(), .body = body};
	(void)snprintf(subject, sizeof(subject), "%016x", number);
	(void)snprintf(entry.id, sizeof(entry.id), "o%015x", number);
	json_put_text(body, "outcome", is_delivered ? "delivered" : "aborted");
	writer_append_later(writer, &entry);
}

static void *fetch(void *argument)
{
	struct client *client = argument;
	for (unsigned i = 0; i < client->count; i++) {
		unsigned number = client->first + i;
		uint64_t choice = next_of(&client->random) % 16;
		static const char *const failing[] = {"-wal", "-wal", "journal", NULL, NULL, NULL};
		if (choice < 6)
			disk_fail(failing[choice]);
		if (append(client->writer, number, clock_now_us(), choice == 6) < 0)
			continue; /* refused: nobody got anything */
		(void)disk_told(number);
		append_outcome(client->writer, number, choice != 7);
	}
	return NULL;
}

static void run_clients(struct life *life, struct writer *writer)
{
	struct client clients[3];
	pthread_t threads[3];
	unsigned count = 1 + (unsigned)(chance() % 2) * 2;
	for (unsigned i = 0; i < count; i++) {
		clients[i] = (struct client){writer, chance(), life->next, 8 + (unsigned)(chance() % 16)};
		life->next += clients[i].count;
		assert_true(life->next < NUMBERS_MAX);
		assert_int_equal(pthread_create(&threads[i], NULL, fetch, &clients[i]), 0);
	}
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* Forgetting is done between other work: on a busy machine a session could end before it has begun. */
static void wait_for_pruning(const char *path)
{
	const int64_t until_ms = clock_monotonic_ms() + PRUNING_BEGINS_MS;
	while (rows_number(path, "SELECT EXISTS(SELECT 1 FROM record WHERE id='0000000010000000')") == 1 &&
	       clock_monotonic_ms() < until_ms)
		(void)usleep(1000);
}

/* Opens, serves, closes; twice, so that what the journal holds goes back. */
static void run_session(struct life *life, int session)
{
	char path[PATH_MAX];
	const struct writer_options options = {
		.path = unit_path(path, life->folder, "ledger.db"),
		.use_journal = true,
		.limits = {.retain_us = session > 0 ? 365 * 86400 * CLOCK_SECOND_US : 0},
	};
	for (int i = 0; i < 2; i++) {
		struct writer *writer = NULL;
		struct error problem = {0};
		disk_fail(NULL);
		if (writer_open(&options, &writer, &problem) < 0)
			fail_msg("%s", problem.text);
		for (unsigned old = 0; session == 0 && i == 0 && old < OLD_ROWS; old++)
			assert_int_equal(append(writer, 0x10000000 + old, ROWS_START + old, false), 0);
		run_clients(life, writer);
		disk_fail(NULL);
		if (session > 0)
			wait_for_pruning(options.path);
		writer_close(writer);
	}
}

/* ---- after a cut */

struct wanted {
	bool told[NUMBERS_MAX];
};

static void want(void *context, unsigned number)
{
	((struct wanted *)context)->told[number] = true;
}

static void check_told(sqlite3 *db, const struct wanted *wanted)
{
	sqlite3_stmt *row = NULL;
	char id[ENTRY_ID_BYTES];
	if (sqlite3_prepare_v2(db, "SELECT 1 FROM record WHERE id=?1", -1, &row, NULL) != SQLITE_OK)
		complain("cannot look:", sqlite3_errmsg(db));
	for (unsigned number = 0; number < NUMBERS_MAX; number++) {
		if (!wanted->told[number])
			continue;
		(void)snprintf(id, sizeof(id), "%016x", number);
		(void)sqlite3_bind_text(row, 1, id, -1, SQLITE_STATIC);
		if (sqlite3_step(row) != SQLITE_ROW)
			complain("a row that was told is missing:", id);
		(void)sqlite3_reset(row);
		sum.told++;
	}
	(void)sqlite3_finalize(row);
}

/* Delivered is only what was told; each outcome is of a delivery that is there. */
static void check_states(sqlite3 *db, const struct wanted *wanted)
{
	sqlite3_stmt *row = NULL;
	const char *sql = "SELECT o.subject, json_extract(o.body,'$.outcome'), d.seq FROM record o LEFT JOIN record d"
			  " ON d.id=o.subject WHERE o.kind='outcome'";
	if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK)
		complain("cannot look:", sqlite3_errmsg(db));
	while (sqlite3_step(row) == SQLITE_ROW) {
		unsigned long number = strtoul(rows_column(row, 0), NULL, 16);
		if (sqlite3_column_type(row, 2) == SQLITE_NULL)
			complain("an outcome without its delivery:", rows_column(row, 0));
		if (strcmp(rows_column(row, 1), "delivered") == 0 && !wanted->told[number])
			complain("said to be delivered, and was not:", rows_column(row, 0));
	}
	(void)sqlite3_finalize(row);
}

static void check_whole(const char *path)
{
	struct ledger *ledger = NULL;
	struct audit audit = {0};
	struct error problem = {0};
	if (ledger_open(path, &ledger, &problem) < 0 || audit_ledger(ledger, &audit, &problem) < 0)
		complain("cannot be checked:", problem.text);
	else if (audit.fault != AUDIT_WHOLE)
		complain(audit_fault_names[audit.fault], audit.detail);
	sum.rows += (unsigned)audit.rows;
	sum.pruned += audit.pruned_until > 0;
	ledger_close(ledger);
}

static void check_cut(const struct life *life, const char *folder, size_t moment)
{
	char path[PATH_MAX];
	struct wanted wanted;
	struct writer *writer = NULL;
	struct error problem = {0};
	const struct writer_options options = {.path = unit_path(path, folder, "ledger.db"), .use_journal = true};
	memcpy(wanted.told, life->received, sizeof(wanted.told));
	disk_each_told(moment, want, &wanted);
	if (writer_open(&options, &writer, &problem) < 0) {
		complain("does not open:", problem.text);
		return;
	}
	writer_close(writer);
	sqlite3 *db = NULL;
	(void)sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
	if (rows_number(path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check='ok'") != 1)
		complain("not whole to SQLite", "");
	check_told(db, &wanted);
	check_states(db, &wanted);
	(void)sqlite3_close(db);
	check_whole(path);
}

/* ---- lives */

static void life_begin(struct life *life)
{
	*life = (struct life){.next = 1};
	(void)unit_path(life->folder, unit_folder(life->base), "0");
	assert_int_equal(mkdir(life->folder, 0700), 0);
}

/* A session, some cuts in it, and the last of them is what life goes on from. */
static void live_and_cut(struct life *life, int session, enum disk_lie lie, unsigned cuts)
{
	char folder[PATH_MAX], name[32];
	size_t moment = 0;
	disk_begin(life->folder);
	disk_lie(lie);
	size_t from = disk_moments();
	run_session(life, session);
	sum.syncs += (unsigned)disk_syncs();
	for (unsigned i = 0; i < cuts; i++) {
		(void)snprintf(name, sizeof(name), "%u", 1 + sum.cuts);
		(void)unit_path(folder, life->base, name);
		assert_int_equal(mkdir(folder, 0700), 0);
		moment = from + (size_t)(chance() % (disk_moments() - from + 1));
		disk_cut(moment, chance, folder);
		check_cut(life, folder, moment);
		sum.cuts++;
		if (i + 1 < cuts)
			unit_folder_remove(folder);
	}
	struct wanted wanted;
	memcpy(wanted.told, life->received, sizeof(wanted.told));
	disk_each_told(moment, want, &wanted);
	memcpy(life->received, wanted.told, sizeof(wanted.told));
	disk_end();
	unit_folder_remove(life->folder);
	memcpy(life->folder, folder, sizeof(folder));
}

/* So many cuts; how many faults they showed. */
static unsigned cut_often(unsigned cuts, enum disk_lie lie)
{
	static struct life life;
	memset(&sum, 0, sizeof(sum));
	while (sum.cuts < cuts) {
		life_begin(&life);
		for (int i = 0; i < SESSIONS_OF_A_LEDGER && sum.cuts < cuts && (lie == DISK_HONEST || sum.faults == 0);
		     i++)
			live_and_cut(&life, i, lie, CUTS_OF_A_SESSION);
		unit_folder_remove(life.base);
		if (lie != DISK_HONEST && sum.faults > 0)
			break;
	}
	return sum.faults;
}

static void loses_nothing_that_was_told(void **state)
{
	unsigned cuts = (unsigned)number_of_environment("KEYTRAIL_POWER_CUTS", CUTS_DEFAULT);
	uint64_t seed = number_of_environment("KEYTRAIL_POWER_SEED", (uint64_t)clock_now_us());
	(void)state;
	random_state = seed;
	unsigned faults = cut_often(cuts, DISK_HONEST);
	print_message(
		"power cuts: %u, rows that were told and are there: %u, rows checked: %u, syncs: %u, ledgers with a "
		"pruned beginning: %u, faults: %u, seed: %llu\n",
		sum.cuts, sum.told, sum.rows, sum.syncs, sum.pruned, faults, (unsigned long long)seed);
	if (faults > 0)
		fail_msg("seed %llu: %s", (unsigned long long)seed, sum.first);
	assert_true(sum.told > sum.cuts && sum.pruned > 0);
}

/* The same with a device that says "synced" too early must fail, or the above would show nothing. */
static void would_notice_a_device_that_lies(void **state)
{
	static const struct {
		const char *name;
		enum disk_lie lie;
	} lies[] = {{"WAL", DISK_LIES_WAL}, {"journal", DISK_LIES_JOURNAL}, {"folder", DISK_LIES_FOLDER}};
	(void)state;
	random_state = 1;
	for (size_t i = 0; i < ARRAY_LENGTH(lies); i++) {
		CHECK(lies[i].name, cut_often(CUTS_TO_NOTICE, lies[i].lie) > 0);
		print_message("%s: noticed after %u cuts: %s\n", lies[i].name, sum.cuts, sum.first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loses_nothing_that_was_told),
		cmocka_unit_test(would_notice_a_device_that_lies),
	};
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
