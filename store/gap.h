/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"
#include "store/settings.h"

/* A time in which nothing is recorded, because the daemon cannot be started any more. Its beginning is a file in the
 * state folder (`gap.json`, one JSON object: began_at, on_dead, reason, done), since there is nobody to write the
 * ledger; the next daemon makes a row of it and removes the file. */

#define GAP_NAME "gap.json"

struct gap {
	int64_t began_us;
	enum on_dead on_dead;
	const char *reason; /* why the daemon could not be started */
	const char *done;   /* what was done about it */
};

/* Notes a gap beside this ledger. One that is noted already keeps its beginning and its reason. The file gets the
 * folder's owner, 0640. */
MUST_USE int gap_begin(const char *ledger_path, const struct gap *gap, struct error *err);

/* The object of the file; NULL when there is no gap. Something unreadable there is an error. */
MUST_USE int gap_read(const char *ledger_path, json_t **ret, struct error *err);

/* Removes the file, when its row is written. */
MUST_USE int gap_forget(const char *ledger_path, struct error *err);
