/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail ledger export: the rows as lines, and where the next export goes on. The cursor is an anchor, and moves only
 * when all of the export has arrived. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/complain.h"
#include "cli/ledger_verbs.h"
#include "cli/place.h"
#include "common/buffer.h"
#include "store/export.h"

/* The new content of a file, beside it until it is complete. */
struct replacement {
	char path[PATH_MAX], fresh[PATH_MAX];
	FILE *stream; /* NULL: there is none, or it was put in place */
};

static void cleanup_replacement(struct replacement *replacement)
{
	if (replacement->stream == NULL)
		return;
	(void)fclose(replacement->stream);
	(void)unlink(replacement->fresh);
}
#define CLEANUP_REPLACEMENT CLEANUP(cleanup_replacement)

MUST_USE static int replacement_open(struct replacement *replacement, const char *path, struct error *err)
{
	if (snprintf(replacement->path, PATH_MAX, "%s", path) >= PATH_MAX ||
	    snprintf(replacement->fresh, PATH_MAX, "%s.new", path) >= PATH_MAX)
		return error_set(err, ERROR_LIMIT, "%.80s: the path is too long", path);
	(void)unlink(replacement->fresh); /* of an export that was cut short */
	int fd = open(replacement->fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return error_errno(err, "%s", replacement->fresh);
	replacement->stream = fdopen(fd, "w");
	if (replacement->stream == NULL) {
		(void)close(fd);
		return error_set(err, ERROR_MEMORY, "no memory for a file");
	}
	return 0;
}

/* Whole and durable under its name, or not there. */
MUST_USE static int replacement_close(struct replacement *replacement, struct error *err)
{
	FILE *stream = replacement->stream;
	if (fflush(stream) != 0 || fsync(fileno(stream)) < 0)
		return error_errno(err, "%s", replacement->fresh);
	replacement->stream = NULL;
	if (fclose(stream) != 0 || rename(replacement->fresh, replacement->path) < 0) {
		(void)error_errno(err, "%s", replacement->path);
		(void)unlink(replacement->fresh);
		return -1;
	}
	char folder[PATH_MAX];
	if (place_beside(replacement->path, ".", folder, err) < 0)
		return -1;
	CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && fsync(fd) == 0 ? 0 : error_errno(err, "%s", folder);
}

/* *ret_has false: there is no such file yet. */
MUST_USE static int read_cursor(const char *path, struct anchor *ret, bool *ret_has, struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	CLEANUP_JSON json_t *object = NULL;
	struct error problem = {0};
	if (path == NULL || buffer_read_file(&text, path, &problem) < 0) {
		*ret_has = false;
		return path == NULL || problem.code == ERROR_MISSING ? 0
		                                                     : error_set(err, problem.code, "%s", problem.text);
	}
	*ret_has = true;
	if (json_read(text.bytes != NULL ? text.bytes : "", text.length, &object, err) < 0 ||
	    anchor_from_json(object, ret, err) < 0)
		return error_prefix(err, "cursor %.200s", path);
	return 0;
}

MUST_USE static int write_cursor(const char *path, const struct anchor *at, struct error *err)
{
	CLEANUP_REPLACEMENT struct replacement cursor = {0};
	CLEANUP_JSON json_t *object = anchor_to_json(at);
	CLEANUP_FREE char *line = json_line(object);
	if (line == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a cursor");
	if (replacement_open(&cursor, path, err) < 0)
		return -1;
	if (fprintf(cursor.stream, "%s\n", line) < 0)
		return error_errno(err, "%s", cursor.fresh);
	return replacement_close(&cursor, err);
}

static void tell(const struct export_result *result, const char *ledger)
{
	if (result->is_another)
		complain("the cursor is of another ledger: %s is exported from its beginning", ledger);
	if (result->forgotten > 0)
		complain("%" PRId64 " row(s) behind the cursor were pruned before they could be exported",
		         result->forgotten);
	complain("%" PRId64 " row(s) exported", result->rows);
}

MUST_USE static int write_all(const struct arguments *arguments, struct ledger *ledger, const struct anchor *since,
                              struct export_result *ret, struct error *err)
{
	CLEANUP_REPLACEMENT struct replacement file = {0};
	if (arguments->file == NULL || strcmp(arguments->file, "-") == 0) {
		if (ledger_export(ledger, since, stdout, ret, err) < 0)
			return -1;
		return fflush(stdout) == 0 ? 0 : error_errno(err, "standard output");
	}
	if (replacement_open(&file, arguments->file, err) < 0 ||
	    ledger_export(ledger, since, file.stream, ret, err) < 0)
		return -1;
	return replacement_close(&file, err);
}

int ledger_export_run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	struct export_result result;
	struct place place;
	struct anchor since;
	bool has_cursor = false;
	if (arguments->form == FORM_JSON || arguments->form == FORM_CSV)
		return error_set(err, ERROR_USAGE,
		                 "ledger export: writes JSON Lines and nothing else, expected -o jsonl");
	if (place_find(arguments, &place, err) < 0 || place_open_ledger(&place, &ledger, err) < 0)
		return -1;
	if (arguments->cursor != NULL && ledger_is_merged(ledger))
		return error_set(err, ERROR_USAGE,
		                 "ledger export --cursor: this is a merged ledger, expected one of a machine: each has "
		                 "a cursor of its own");
	if (read_cursor(arguments->cursor, &since, &has_cursor, err) < 0 ||
	    write_all(arguments, ledger, has_cursor ? &since : NULL, &result, err) < 0 ||
	    (arguments->cursor != NULL && write_cursor(arguments->cursor, &result.head, err) < 0))
		return -1;
	tell(&result, place.ledger);
	*ret = result.forgotten > 0 ? STATUS_INCOMPLETE : STATUS_FINE;
	return 0;
}
