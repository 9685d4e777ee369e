/* SPDX-License-Identifier: Apache-2.0 */

/* From a gap's file to its row. A crash in between leaves the file, and with it a second row: rather twice than never.
 */
#include "proxy/gap_end.h"

#include "common/clock.h"
#include "common/log.h"
#include "store/gap.h"

MUST_USE static int end_gap(const char *ledger_path, struct writer *writer, struct error *err)
{
	CLEANUP_JSON json_t *gap = NULL;
	struct entry entry = {.kind = "gap", .at_us = clock_now_us()};
	if (gap_read(ledger_path, &gap, err) < 0 || gap == NULL)
		return gap == NULL && err->text[0] == '\0' ? 0 : -1;
	json_put_time(gap, "ended_at", entry.at_us);
	entry.body = gap;
	if (entry_id_make(entry.id, err) < 0 || writer_append(writer, &entry, err) < 0)
		return -1;
	const char *since = json_text_at(gap, "began_at"), *reason = json_text_at(gap, "reason");
	log_line(LOG_LEVEL_WARNING, "gap_ended", "since=%s reason=\"%s\"", since != NULL ? since : "unknown",
	         reason != NULL ? reason : "unknown");
	return gap_forget(ledger_path, err);
}

void gap_end(const char *ledger_path, struct writer *writer)
{
	struct error problem = {0};
	if (end_gap(ledger_path, writer, &problem) < 0)
		log_line(LOG_LEVEL_ERROR, "gap_not_recorded", "reason=\"%s\"", problem.text);
}
