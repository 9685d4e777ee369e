/* SPDX-License-Identifier: Apache-2.0 */

/* A row counts as written when it is on disk, never before: in the database, or in the journal. A database that is not
 * what it was (taken away, overwritten) is closed, and opened anew by its path. */
#include "store/sink.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "store/appender.h"
#include "store/journal.h"

struct sink {
	struct appender *appender; /* NULL while the database cannot be opened */
	struct journal *journal;   /* NULL: there is none */
	bool use_journal, is_failing;
	char path[PATH_MAX];
	int64_t retry_at_ms; /* of the failing database */
	struct error last_error;
	struct appender_listener listener;
	struct upkeep upkeep;
	int64_t newest_us; /* the time of the newest row; 0: none yet */
};

#define SET_BACK_US (5 * CLOCK_SECOND_US) /* rows may wait a moment, and overtake one another */

MUST_USE static int open_database(struct sink *sink, struct error *err)
{
	if (appender_open(sink->path, &sink->appender, err) < 0)
		return -1;
	appender_listen(sink->appender, &sink->listener);
	return 0;
}

/* ---- writing */

static int replay_one(void *context, const char *line, size_t length, struct error *err)
{
	struct packed packed;
	if (packed_from_line(line, length, &packed, err) < 0)
		return -1;
	int result = appender_insert(context, &packed, err);
	packed_done(&packed);
	return result;
}

/* One transaction: what the journal holds, then the rows. */
MUST_USE static int insert_all(struct sink *sink, const struct sink_row *first, struct error *err)
{
	int result = appender_begin(sink->appender, err);
	if (result == 0 && sink_is_behind(sink))
		result = journal_replay(sink->journal, replay_one, sink->appender, err);
	for (const struct sink_row *row = first; result == 0 && row != NULL; row = row->next)
		result = appender_insert(sink->appender, &row->packed, err);
	return result == 0 ? appender_commit(sink->appender, err) : -1;
}

/* Is it another file by now, or none of ours any more? Then only opening it anew can help. */
static bool is_lost(enum error_code code)
{
	return code == ERROR_MISSING || code == ERROR_DAMAGED || code == ERROR_INPUT;
}

MUST_USE static int write_database(struct sink *sink, const struct sink_row *first, struct error *err)
{
	bool was_behind = sink_is_behind(sink);
	if (sink->appender == NULL && open_database(sink, err) < 0)
		return -1;
	if (insert_all(sink, first, err) < 0) {
		appender_rollback(sink->appender);
		if (is_lost(err->code)) {
			appender_abandon(sink->appender, err->code != ERROR_MISSING);
			sink->appender = NULL;
		}
		return -1;
	}
	if (was_behind) {
		/* A crash before this point replays again; rows are known by their ids. */
		struct error problem = {0};
		if (journal_clear(sink->journal, &problem) < 0)
			log_line(LOG_LEVEL_WARNING, "journal_not_cleared", "reason=\"%s\"", problem.text);
		log_line(LOG_LEVEL_NOTICE, "journal_replayed", "ledger=%s", sink->path);
	}
	return 0;
}

MUST_USE static int write_journal(struct sink *sink, const struct sink_row *row, struct error *err)
{
	if (!sink->use_journal)
		return error_set(err, sink->last_error.code, "%s", sink->last_error.text);
	CLEANUP_FREE char *line = packed_to_line(&row->packed);
	if (line == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a journal line");
	return journal_append(sink->journal, line, strlen(line), err);
}

/* Once a second; more often when the journal fills, or a lock of a moment would cost rows under load. */
static bool is_time_to_try(const struct sink *sink)
{
	return clock_monotonic_ms() >= sink->retry_at_ms ||
	       (sink->journal != NULL && journal_is_filling(sink->journal));
}

/* Tries the database if it is time for that; false: it has not got the rows. */
static bool try_database(struct sink *sink, const struct sink_row *first)
{
	struct error problem = {0};
	if (!is_time_to_try(sink))
		return false;
	bool good = write_database(sink, first, &problem) == 0;
	if (!good)
		sink->retry_at_ms = clock_monotonic_ms() + SINK_RETRY_MS;
	if (good == sink->is_failing)
		log_line(good ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR, good ? "ledger_recovered" : "ledger_failing",
		         "ledger=%s reason=\"%s\"", sink->path, problem.text);
	sink->is_failing = !good;
	sink->last_error = problem;
	return good;
}

/* Rows are kept in the order in which they came, whatever their times say; it is only told. */
static bool is_set_back(struct sink *sink, const struct sink_row *row)
{
	int64_t back_us = sink->newest_us - row->packed.at_us;
	sink->newest_us = row->packed.at_us;
	if (back_us < SET_BACK_US)
		return false;
	log_line(LOG_LEVEL_WARNING, "clock_set_back", "seconds=%lld effect=\"times of rows come twice\"",
	         (long long)(back_us / CLOCK_SECOND_US));
	return true;
}

void sink_write(struct sink *sink, struct sink_row *first, struct sink_done *ret)
{
	bool good = try_database(sink, first);
	*ret = (struct sink_done){.is_failing = sink->is_failing, .last_error = sink->last_error};
	for (struct sink_row *row = first; row != NULL; row = row->next) {
		row->result = good ? 0 : write_journal(sink, row, &row->problem);
		ret->rows += good;
		ret->journalled += !good && row->result == 0;
		ret->lost += row->result != 0;
		ret->set_back += is_set_back(sink, row);
	}
}

bool sink_is_behind(const struct sink *sink)
{
	return sink->journal != NULL && !journal_is_empty(sink->journal);
}

struct error sink_last_error(const struct sink *sink)
{
	return sink->last_error;
}

bool sink_tidy(struct sink *sink, const struct upkeep_limits *limits)
{
	if (sink->appender == NULL || sink->is_failing)
		return false;
	appender_checkpoint(sink->appender);
	upkeep_run(&sink->upkeep, sink->appender, limits);
	return sink->upkeep.is_busy;
}

/* ---- opening and closing */

MUST_USE static int open_journal(struct sink *sink, struct error *err)
{
	char path[PATH_MAX];
	const char *slash = strrchr(sink->path, '/');
	int folder = slash != NULL ? (int)(slash - sink->path) : 0;
	if (snprintf(path, sizeof(path), "%.*s/journal", folder, sink->path) >= (int)sizeof(path))
		return error_set(err, ERROR_LIMIT, "%s: path too long", sink->path);
	if (!sink->use_journal && access(path, F_OK) < 0)
		return 0; /* one of other times is replayed all the same */
	return journal_open(path, &sink->journal, err) < 0 ? error_prefix(err, "%s", path) : 0;
}

MUST_USE static int open_files(struct sink *sink, struct error *err)
{
	struct error problem = {0};
	if (open_journal(sink, err) < 0)
		return -1;
	if (open_database(sink, &problem) == 0)
		return 0;
	if (!sink->use_journal || problem.code == ERROR_NEWER || problem.code == ERROR_INPUT ||
	    problem.code == ERROR_DAMAGED)
		return error_set(err, problem.code, "%s", problem.text);
	log_line(LOG_LEVEL_ERROR, "ledger_failing", "ledger=%s reason=\"%s\"", sink->path, problem.text);
	sink->is_failing = true;
	sink->last_error = problem;
	return 0;
}

static void close_files(struct sink *sink)
{
	appender_close(sink->appender);
	journal_close(sink->journal);
	sink->appender = NULL;
	sink->journal = NULL;
}

int sink_open(const struct sink_options *options, struct sink **ret, struct error *err)
{
	struct sink *sink = calloc(1, sizeof(*sink));
	if (sink == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the ledger");
	sink->use_journal = options->use_journal;
	sink->listener = options->listener;
	(void)snprintf(sink->path, sizeof(sink->path), "%s", options->path);
	if (open_files(sink, err) < 0) {
		sink_close(sink);
		return -1;
	}
	*ret = sink;
	return 0;
}

void sink_close(struct sink *sink)
{
	if (sink == NULL)
		return;
	close_files(sink);
	free(sink);
}

int sink_reopen(struct sink *sink, int (*between)(void *context, struct error *err), void *context, struct error *err)
{
	struct error problem = {0};
	close_files(sink);
	int result = between(context, err);
	if (open_files(sink, &problem) < 0)
		return error_set(err, problem.code, "%s", problem.text);
	return result;
}
