/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail ledger verify: the audit's result as one object, and an exit status. A ledger that is too damaged to be read
 * to its end is not whole either. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/columns.h"
#include "cli/ledger_verbs.h"
#include "cli/only.h"
#include "cli/place.h"
#include "store/audit.h"
#include "store/lines.h"

#define UNREADABLE "unreadable"

MUST_USE static int check_anchor(struct ledger *ledger, const char *text, size_t length, struct audit *audit,
                                 int64_t *count, struct error *err)
{
	CLEANUP_JSON json_t *object = NULL;
	struct anchor anchor;
	size_t blank = 0;
	while (blank < length && strchr(" \t\r", text[blank]) != NULL)
		blank++;
	if (blank == length)
		return 0;
	if (json_read(text, length, &object, err) < 0 || anchor_from_json(object, &anchor, err) < 0 ||
	    audit_anchor(ledger, &anchor, audit, err) < 0)
		return -1;
	++*count;
	return 0;
}

static inline void cleanup_lines(struct lines **lines)
{
	lines_free(*lines);
}

/* Each line is an anchor. */
MUST_USE static int check_anchors(struct ledger *ledger, const char *path, struct audit *audit, int64_t *ret_count,
                                  struct error *err)
{
	CLEANUP(cleanup_lines) struct lines *lines = NULL;
	enum lines_what what = LINES_LINE;
	const char *text;
	size_t length;
	CLEANUP_FD int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "%s", path);
	if (lines_new(fd, &lines, err) < 0)
		return -1;
	while (what != LINES_END) {
		if (lines_next(lines, &what, &text, &length, err) < 0)
			return error_prefix(err, "%.200s", path);
		if (what == LINES_TOO_LONG)
			return error_set(err, ERROR_INPUT, "%.200s: line %" PRId64 ": longer than any anchor", path,
			                 lines_number(lines));
		if (what != LINES_END && check_anchor(ledger, text, length, audit, ret_count, err) < 0)
			return error_prefix(err, "%.200s: line %" PRId64, path, lines_number(lines));
	}
	return *ret_count > 0 ? 0 : error_set(err, ERROR_INPUT, "%.200s: no anchor in it", path);
}

static json_t *to_object(const char *path, const struct audit *audit, const char *fault, const char *detail,
                         int64_t anchors)
{
	bool is_whole = fault == NULL;
	json_t *object = json_object();
	json_put_text(object, "kind", "verification");
	json_put_text(object, "ledger", path);
	json_put_bool(object, "whole", is_whole);
	json_put_text(object, "fault", fault);
	json_put(object, "seq", !is_whole && audit->id[0] != '\0' && audit->seq != 0 ? json_integer(audit->seq) : NULL);
	json_put_text(object, "id", !is_whole && audit->id[0] != '\0' ? audit->id : NULL);
	json_put_text(object, "detail", is_whole ? NULL : detail);
	json_put_int(object, "rows", audit->rows);
	json_put_int(object, "pruned_until", audit->pruned_until);
	json_put_int(object, "unimported", audit->unimported);
	json_put_int(object, "anchors", anchors);
	json_put(object, "head", audit->head.ledger_id[0] != '\0' ? anchor_to_json(&audit->head) : NULL);
	return object;
}

/* Opens and looks at all of it; what is damaged so that it cannot be read is left in *damage. */
MUST_USE static int look(const struct arguments *arguments, const struct place *place, struct audit *audit,
                         int64_t *ret_anchors, struct error *damage, struct error *err)
{
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	struct error problem = {0};
	if (place_open_ledger(place, &ledger, &problem) < 0 || audit_ledger(ledger, audit, &problem) < 0) {
		*damage = problem;
		return problem.code == ERROR_DAMAGED ? 0 : error_set(err, problem.code, "%s", problem.text);
	}
	return arguments->anchor == NULL ? 0 : check_anchors(ledger, arguments->anchor, audit, ret_anchors, err);
}

int ledger_verify_run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	struct place place;
	struct audit audit = {0};
	struct error damage = {0};
	int64_t anchors = 0;
	if (place_find(arguments, &place, err) < 0 || look(arguments, &place, &audit, &anchors, &damage, err) < 0)
		return -1;
	const char *fault = damage.code == ERROR_DAMAGED ? UNREADABLE
	                    : audit.fault != AUDIT_WHOLE ? audit_fault_names[audit.fault]
	                                                 : NULL;
	CLEANUP_JSON json_t *object = to_object(place.ledger, &audit, fault,
	                                        damage.code == ERROR_DAMAGED ? damage.text : audit.detail, anchors);
	*ret = fault != NULL ? STATUS_FOUND : audit.unimported > 0 ? STATUS_INCOMPLETE : STATUS_FINE;
	return only_show(arguments->form, &columns_verification, object, err);
}
