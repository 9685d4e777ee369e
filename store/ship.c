/* SPDX-License-Identifier: Apache-2.0 */

/* What is shipped waits in memory until its transaction is over. A file or a journal that takes nothing holds up nobody
 * for longer than a system call, and is told of once. */
#include "store/ship.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>

#include "common/log.h"
#include "common/text.h"
#include "store/ship_journal.h"

struct shipper {
	char *path; /* NULL: no file */
	int fd;
	struct ship_journal *journal; /* NULL: no journal */
	struct buffer lines;          /* for the file, of the transaction at hand */
	atomic_bool reopen;
	char ledger_id[LINE_LEDGER_BYTES]; /* of the newest row that had a place; "": not known yet */
	bool is_failing;
};

static void note(struct shipper *shipper, bool failed, const char *reason)
{
	if (failed && !shipper->is_failing)
		log_line(LOG_LEVEL_WARNING, "jsonl_failed", "file=%s reason=\"%s\"", shipper->path, reason);
	shipper->is_failing = failed;
}

MUST_USE static int open_file(struct shipper *shipper, struct error *err)
{
	int fd = open(shipper->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return error_errno(err, "%s", shipper->path);
	if (shipper->fd >= 0)
		(void)close(shipper->fd);
	shipper->fd = fd;
	return 0;
}

MUST_USE static int open_named(struct shipper *shipper, const char *path, struct error *err)
{
	shipper->path = strdup(path);
	if (shipper->path == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a path");
	return open_file(shipper, err);
}

int ship_open(const struct ship_options *options, struct shipper **ret, struct error *err)
{
	struct shipper *shipper = calloc(1, sizeof(*shipper));
	bool has_file = options->jsonl != NULL && options->jsonl[0] != '\0';
	bool has_journal = options->journal_socket != NULL && options->journal_socket[0] != '\0';
	if (shipper == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a shipper");
	shipper->fd = -1;
	int result = has_file ? open_named(shipper, options->jsonl, err) : 0;
	if (result == 0 && has_journal)
		result = ship_journal_open(options->journal_socket, &shipper->journal, err);
	if (result < 0) {
		ship_close(shipper);
		return -1;
	}
	*ret = shipper;
	return 0;
}

void ship_close(struct shipper *shipper)
{
	if (shipper == NULL)
		return;
	if (shipper->fd >= 0)
		(void)close(shipper->fd);
	ship_journal_close(shipper->journal);
	buffer_done(&shipper->lines);
	free(shipper->path);
	free(shipper);
}

void ship_reopen(struct shipper *shipper)
{
	atomic_store(&shipper->reopen, true);
}

/* ---- rows */

static void take(struct shipper *shipper, const struct packed *packed, int64_t seq, const struct line_place *place)
{
	struct error problem = {0};
	size_t before = shipper->lines.length;
	if (shipper->path == NULL && !ship_journal_is_there(shipper->journal))
		return;
	if (line_of_packed(packed, seq, place, &shipper->lines, &problem) < 0) {
		shipper->lines.length = before;
		log_line(LOG_LEVEL_WARNING, "row_not_shipped", "id=%s reason=\"%s\"", packed->id, problem.text);
		return;
	}
	if (shipper->journal != NULL)
		ship_journal_add(shipper->journal, packed, seq, place, shipper->lines.bytes + before,
		                 shipper->lines.length - before - 1);
	if (shipper->path == NULL)
		shipper->lines.length = before;
}

static void write_lines(struct shipper *shipper)
{
	struct error problem = {0};
	if (atomic_exchange(&shipper->reopen, false) && open_file(shipper, &problem) < 0)
		note(shipper, true, problem.text);
	const char *at = shipper->lines.bytes;
	size_t left = shipper->lines.length;
	while (left > 0) {
		ssize_t written = write(shipper->fd, at, left);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			note(shipper, true, strerror(errno));
			return;
		}
		at += written;
		left -= (size_t)written;
	}
	note(shipper, false, "");
}

static void flush(struct shipper *shipper, bool durable)
{
	if (durable && shipper->path != NULL && shipper->lines.length > 0)
		write_lines(shipper);
	buffer_clear(&shipper->lines);
	if (shipper->journal != NULL)
		ship_journal_flush(shipper->journal, durable);
}

static void on_row(void *context, const struct packed *packed, int64_t seq, const struct line_place *place)
{
	struct shipper *shipper = context;
	(void)text_copy(shipper->ledger_id, sizeof(shipper->ledger_id), place->ledger_id);
	take(context, packed, seq, place);
}

static void on_end(void *context, bool committed)
{
	flush(context, committed);
}

struct appender_listener ship_listener(struct shipper *shipper)
{
	return (struct appender_listener){.row = on_row, .end = on_end, .context = shipper};
}

void ship_row(struct shipper *shipper, const struct packed *packed)
{
	const struct line_place place = {.ledger_id = shipper->ledger_id[0] != '\0' ? shipper->ledger_id : NULL};
	take(shipper, packed, 0, &place);
	flush(shipper, true);
}
