/* SPDX-License-Identifier: Apache-2.0 */

/* The gap's file: written whole under another name, then renamed, so that a reader never sees half of it. */
#include "store/gap.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/folder.h"

#define GAP_BYTES 4096 /* the reason is cut long before */
#define GAP_REASON_BYTES 1024

MUST_USE static int beside(const char *ledger_path, const char *name, char to[static PATH_MAX], struct error *err)
{
	const char *slash = strrchr(ledger_path, '/');
	int folder = slash != NULL ? (int)(slash - ledger_path + 1) : 0;
	if (snprintf(to, PATH_MAX, "%.*s%s", folder, ledger_path, name) >= PATH_MAX)
		return error_set(err, ERROR_LIMIT, "%.80s: the path is too long", ledger_path);
	return 0;
}

/* The daemon's user shall be able to remove it, its group to read it. */
MUST_USE static int put_file(const char *path, const char *line, struct error *err)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	(void)snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) : 1,
	               slash != NULL ? path : ".");
	return folder_put(folder[0] != '\0' ? folder : "/", GAP_NAME, 0640, line, strlen(line), err);
}

int gap_begin(const char *ledger_path, const struct gap *gap, struct error *err)
{
	static const char *const names[] = {[ON_DEAD_CLOSED] = "closed", [ON_DEAD_OPEN] = "open"};
	char path[PATH_MAX];
	struct error ignored;
	CLEANUP_JSON json_t *object = NULL;
	if (beside(ledger_path, GAP_NAME, path, err) < 0)
		return -1;
	if (gap_read(ledger_path, &object, &ignored) < 0 || object == NULL) {
		object = json_object();
		json_put_time(object, "began_at", gap->began_us);
		json_put(object, "reason", json_from_bytes(gap->reason, strnlen(gap->reason, GAP_REASON_BYTES)));
	}
	json_put_text(object, "on_dead", names[gap->on_dead]);
	json_put_text(object, "done", gap->done);
	CLEANUP_FREE char *line = json_line(object);
	if (line == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a gap");
	return put_file(path, line, err);
}

int gap_read(const char *ledger_path, json_t **ret, struct error *err)
{
	char path[PATH_MAX];
	CLEANUP_BUFFER struct buffer text = {.limit = GAP_BYTES};
	struct error problem = {0};
	CLEANUP_JSON json_t *object = NULL;
	*ret = NULL;
	if (beside(ledger_path, GAP_NAME, path, err) < 0)
		return -1;
	if (buffer_read_file(&text, path, &problem) < 0)
		return problem.code == ERROR_MISSING ? 0 : error_set(err, problem.code, "%s", problem.text);
	if (text.length == 0 || json_read(text.bytes, text.length, &object, &problem) < 0 || !json_is_object(object))
		return error_set(err, ERROR_INPUT, "%s: expected one JSON object", path);
	*ret = steal_pointer(&object);
	return 0;
}

int gap_forget(const char *ledger_path, struct error *err)
{
	char path[PATH_MAX];
	if (beside(ledger_path, GAP_NAME, path, err) < 0)
		return -1;
	return unlink(path) == 0 || errno == ENOENT ? 0 : error_errno(err, "%s", path);
}
