/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"
#include "store/ledger.h"

/* Findings and the uses they are made of: findings.db beside the ledger, never the live ledger itself. Storing the same
 * use twice changes nothing, so input may be repeated, split and in any order. A handle belongs to one thread. */
struct findings;

enum severity { SEVERITY_LOW, SEVERITY_MEDIUM, SEVERITY_HIGH, SEVERITY_COUNT };
extern const char *const severity_names[SEVERITY_COUNT]; /* LOW, MEDIUM, HIGH */

/* `path` NULL: in memory. Makes the file (0640) if it may and it does not exist, unless read_only. */
MUST_USE int findings_open(const char *path, bool read_only, struct findings **ret, struct error *err);
void findings_close(struct findings *findings);

struct findings_filter {
	int64_t since_us, until_us; /* of last_seen */
	const char *access_key_id, *role, *type, *severity, *id, *instance_id, *remote_account;
};

/* Each finding as the JSON object of docs/findings.md, HIGH first, then by first_seen, then id. */
MUST_USE int findings_list(struct findings *findings, const struct findings_filter *filter, ledger_visit *visit,
                           void *context, struct error *err);
