/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLES of what lists show. Access keys, times and pids are never cut: they get copied from here into other tools.
 * Widths add up so that the columns without `from_width` fit 80 characters. */
#include "cli/columns.h"

#include <string.h>

#include "common/text.h"

/* The fields of a delivery that only CSV has room for. */
#define DELIVERY_DETAILS                                                                                               \
	{.path = "account_id"}, {.path = "source"}, {.path = "path"}, {.path = "expires_at"}, {.path = "reason"},      \
		{.path = "policy.verdict"}, {.path = "policy.rule"}, {.path = "client.address"},                       \
		{.path = "client.port"}, {.path = "client.netns"}, {.path = "attribution.method"},                     \
		{.path = "process.started_at"}, {.path = "process.uid"}, {.path = "process.exe_sha256"},               \
		{.path = "process.script.path"}, {.path = "process.cmdline"}, {.path = "process.pod_uid"},             \
		{.path = "attribution.evidence"}, {.path = "holders"}, {.path = "user_agent"},                         \
		{.path = "host.instance_id"}, {.path = "host.account_id"},                                             \
	{                                                                                                              \
		.path = "host.region"                                                                                  \
	}

#define FINDING_DETAILS                                                                                                \
	{.path = "id"}, {.path = "score"}, {.path = "confidence"}, {.path = "lineage"}, {.path = "owner.account_id"},  \
		{.path = "owner.role"}, {.path = "remote.relation"}, {.path = "remote.vpc_endpoint_id"},               \
		{.path = "remote.network"}, {.path = "rung"}, {.path = "evidence"}, {.path = "techniques"},            \
		{.path = "suspects_note"}, {.path = "calls"}, {.path = "event_ids"}, {.path = "state_at"},             \
		{.path = "new_uses"},                                                                                  \
	{                                                                                                              \
		.path = "notes"                                                                                        \
	}

static const struct column deliveries[] = {
	{.path = "delivered_at", .heading = "DELIVERED AT", .width = 27},
	{.path = "access_key_id", .heading = "ACCESS KEY", .width = 20},
	{.path = "process.pid", .heading = "PID", .kind = COLUMN_PID, .width = 9},
	{.path = "process.user",
         .heading = "USER",
         .from_width = 100,
         .wraps = true,
         .otherwise = "process.uid",
         .width = 8},
	{.path = "process.exe", .heading = "EXECUTABLE", .wraps = true},
	{.path = "attribution.grade", .heading = "GRADE", .kind = COLUMN_VERDICT, .from_width = 90, .width = 6},
	{.path = "outcome", .heading = "OUTCOME", .kind = COLUMN_VERDICT, .width = 9},
	{.path = "delivered_at", .heading = "AGO", .kind = COLUMN_AGO, .from_width = 110, .width = 10},
	{.path = "role", .heading = "ROLE", .from_width = 130, .wraps = true, .width = 12},
	{.path = "process.unit", .heading = "UNIT", .from_width = 150, .wraps = true, .width = 18},
	{.path = "process.container_id", .heading = "CONTAINER", .kind = COLUMN_ID, .from_width = 160, .width = 12},
	{.path = "process.container_id"},
	{.path = "kind"},
	DELIVERY_DETAILS,
};

static const struct column matches[] = {
	{.path = "match", .heading = "MATCH", .kind = COLUMN_VERDICT},
	{.path = "access_key_id", .heading = "ACCESS KEY"},
	{.path = "delivered_at", .heading = "DELIVERED AT"},
	{.path = "process.pid", .heading = "PID", .kind = COLUMN_PID},
	{.path = "process.user", .heading = "USER", .from_width = 100, .otherwise = "process.uid"},
	{.path = "process.exe", .heading = "EXECUTABLE", .wraps = true},
	{.path = "attribution.grade", .heading = "GRADE", .kind = COLUMN_VERDICT, .from_width = 110},
	{.path = "outcome", .heading = "OUTCOME", .kind = COLUMN_VERDICT, .from_width = 120},
	{.path = "role"},
	{.path = "process.unit"},
	{.path = "process.container_id"},
	{.path = "kind"},
	DELIVERY_DETAILS,
};

static const struct column keys[] = {
	{.path = "access_key_id", .heading = "ACCESS KEY"},
	{.path = "role", .heading = "ROLE", .wraps = true},
	{.path = "last_delivered_at", .heading = "LAST DELIVERED"},
	{.path = "deliveries", .heading = "TIMES", .kind = COLUMN_NUMBER},
	{.path = "processes", .heading = "PROCESSES", .kind = COLUMN_NUMBER},
	{.path = "last_delivered_at", .heading = "AGO", .kind = COLUMN_AGO, .from_width = 100},
	{.path = "expires_at", .heading = "EXPIRES", .from_width = 120},
	{.path = "instance_id", .heading = "INSTANCE", .from_width = 142},
	{.path = "first_delivered_at", .heading = "FIRST DELIVERED", .from_width = 174},
	{.path = "account_id"},
	{.path = "source"},
	{.path = "host_account_id"},
	{.path = "region"},
	{.path = "updated_at"},
};

static const struct column processes[] = {
	{.path = "last_seen", .heading = "LAST SEEN"},
	{.path = "pid", .heading = "PID", .kind = COLUMN_NUMBER},
	{.path = "user", .heading = "USER", .wraps = true, .otherwise = "uid", .width = 8},
	{.path = "exe", .heading = "EXECUTABLE", .wraps = true, .width = 20},
	{.path = "grade", .heading = "GRADE", .kind = COLUMN_VERDICT},
	{.path = "deliveries", .heading = "TIMES", .kind = COLUMN_NUMBER},
	{.path = "last_seen", .heading = "AGO", .kind = COLUMN_AGO, .from_width = 100},
	{.path = "keys", .heading = "KEYS", .from_width = 120, .wraps = true, .width = 20},
	{.path = "unit", .heading = "UNIT", .from_width = 140, .wraps = true, .width = 18},
	{.path = "cmdline", .heading = "COMMAND", .kind = COLUMN_COMMAND, .from_width = 150, .wraps = true},
	{.path = "first_seen"},
	{.path = "started_at"},
	{.path = "uid"},
	{.path = "exe_sha256"},
	{.path = "container_id"},
	{.path = "pod_uid"},
};

static const struct column findings[] = {
	{.path = "severity", .heading = "SEVERITY", .kind = COLUMN_VERDICT},
	{.path = "id", .heading = "ID", .kind = COLUMN_ID},
	{.path = "type", .heading = "TYPE", .from_width = 120},
	{.path = "type", .heading = "TYPE", .kind = COLUMN_TAIL, .below_width = 120},
	{.path = "access_key_id", .heading = "ACCESS KEY"},
	{.path = "remote.account_id", .heading = "REMOTE", .wraps = true, .otherwise = "remote.address"},
	{.path = "count", .heading = "COUNT", .kind = COLUMN_NUMBER},
	{.path = "state", .heading = "STATE", .kind = COLUMN_STATE, .from_width = 90},
	{.path = "suppression.reason", .heading = "SUPPRESSED", .from_width = 132, .wraps = true},
	{.path = "last_seen", .heading = "LAST SEEN", .from_width = 146},
	{.path = "last_seen", .heading = "AGO", .kind = COLUMN_AGO, .from_width = 158},
	{.path = "suspects.0.process.exe",
         .heading = "SUSPECT",
         .kind = COLUMN_SUSPECT,
         .from_width = 176,
         .wraps = true},
	{.path = "suspects.0.process.pid"},
	{.path = "owner.instance_id", .heading = "INSTANCE", .from_width = 220},
	{.path = "first_seen", .heading = "FIRST SEEN", .from_width = 250},
	{.path = "kind"},
	{.path = "remote.address"},
	{.path = "suppressed"},
	FINDING_DETAILS,
};

static const struct column rule_columns[] = {
	{.path = "type", .heading = "TYPE"},
	{.path = "summary", .heading = "SUMMARY", .wraps = true},
	{.path = "techniques", .heading = "ATT&CK", .from_width = 130},
};

static const struct column simulation[] = {
	{.path = "rule", .heading = "REFUSED BY", .wraps = true},
	{.path = "process.exe", .heading = "EXECUTABLE", .wraps = true},
	{.path = "process.user", .heading = "USER", .otherwise = "process.uid"},
	{.path = "path", .heading = "PATH", .wraps = true},
	{.path = "requests", .heading = "TIMES", .kind = COLUMN_NUMBER},
	{.path = "last_at", .heading = "LAST SEEN", .from_width = 120},
	{.path = "family", .heading = "FAMILY", .from_width = 140},
	{.path = "process.unit", .heading = "UNIT", .from_width = 160, .wraps = true},
	{.path = "process.container_id", .heading = "CONTAINER", .from_width = 180, .wraps = true},
	{.path = "kind"},
	{.path = "first_at"},
	{.path = "process.pid"},
	{.path = "process.uid"},
	{.path = "process.gid"},
	{.path = "process.cgroup"},
	{.path = "process.exe_foreign_mount"},
	{.path = "process.cmdline"},
};

static const struct column who[] = {
	{.path = "kind"},
	{.path = "access_key_id"},
	{.path = "delivered_at"},
	{.path = "process.pid"},
	{.path = "process.user"},
	{.path = "process.exe"},
	{.path = "process.unit"},
	{.path = "process.container_id"},
	{.path = "attribution.grade"},
	{.path = "outcome"},
	{.path = "role"},
	DELIVERY_DETAILS,
	{.path = "severity"},
	{.path = "type"},
	{.path = "remote.account_id"},
	{.path = "remote.address"},
	{.path = "first_seen"},
	{.path = "last_seen"},
	{.path = "count"},
	{.path = "from"},
	{.path = "until"},
	{.path = "complete"},
	{.path = "owner.instance_id"},
	{.path = "state"},
	FINDING_DETAILS,
};

static const struct column status[] = {
	{.path = "kind"},
	{.path = "whole"},
	{.path = "daemon.version"},
	{.path = "daemon.pid"},
	{.path = "daemon.witness_pid"},
	{.path = "daemon.started_at"},
	{.path = "ledger.path"},
	{.path = "ledger.rows"},
	{.path = "ledger.last_at"},
	{.path = "redirect.checked"},
	{.path = "redirect.whole"},
	{.path = "redirect.faults"},
	{.path = "faults"},
	{.path = "bypasses"},
};

static const struct column verification[] = {
	{.path = "whole", .heading = "WHOLE"},
	{.path = "fault", .heading = "FAULT", .kind = COLUMN_VERDICT},
	{.path = "seq", .heading = "ROW", .kind = COLUMN_NUMBER},
	{.path = "rows", .heading = "GOOD ROWS", .kind = COLUMN_NUMBER},
	{.path = "anchors", .heading = "ANCHORS", .kind = COLUMN_NUMBER},
	{.path = "detail", .heading = "DETAIL", .wraps = true},
	{.path = "kind"},
	{.path = "ledger"},
	{.path = "id"},
	{.path = "pruned_until"},
	{.path = "head.ledger_id"},
	{.path = "head.seq"},
	{.path = "head.at"},
	{.path = "head.chain"},
};

static const struct column seal[] = {
	{.path = "removed", .heading = "REMOVED", .kind = COLUMN_NUMBER},
	{.path = "others", .heading = "OTHERS", .kind = COLUMN_NUMBER},
	{.path = "ledger", .heading = "LEDGER", .wraps = true},
	{.path = "kind"},
};

static const struct column pruning[] = {
	{.path = "rows", .heading = "ROWS", .kind = COLUMN_NUMBER},
	{.path = "processes", .heading = "PROCESSES", .kind = COLUMN_NUMBER},
	{.path = "pruned_until", .heading = "UNTIL ROW", .kind = COLUMN_NUMBER},
	{.path = "ledger", .heading = "LEDGER", .wraps = true},
	{.path = "kind"},
};

static const struct column import[] = {
	{.path = "kind"},
	{.path = "file", .heading = "FILE", .otherwise = "instance_id"},
	{.path = "ledgers", .heading = "LEDGERS", .kind = COLUMN_NUMBER},
	{.path = "rows", .heading = "NEW", .kind = COLUMN_NUMBER},
	{.path = "known", .heading = "KNOWN", .kind = COLUMN_NUMBER},
	{.path = "fault", .heading = "FAULT", .kind = COLUMN_VERDICT},
	{.path = "line", .heading = "LINE", .kind = COLUMN_NUMBER},
	{.path = "ledger_id", .heading = "LEDGER", .from_width = 120},
	{.path = "instance_id"},
	{.path = "seq", .heading = "ROW", .kind = COLUMN_NUMBER},
	{.path = "first_seq"},
	{.path = "last_seq"},
	{.path = "detail", .heading = "WHAT", .wraps = true},
};

static const struct column anchor[] = {
	{.path = "ledger_id", .heading = "LEDGER"},
	{.path = "seq", .heading = "ROW", .kind = COLUMN_NUMBER},
	{.path = "at", .heading = "OF"},
	{.path = "chain", .heading = "CHAIN"},
	{.path = "kind"},
};

static const struct column steps[] = {
	{.path = "id"},     {.path = "target"}, {.path = "title"},  {.path = "why"},
	{.path = "breaks"}, {.path = "undo"},   {.path = "policy"}, {.path = "commands"},
};

#define COLUMNS(table)                                                                                                 \
	{                                                                                                              \
		.column = (table), .count = ARRAY_LENGTH(table)                                                        \
	}

const struct columns columns_deliveries = COLUMNS(deliveries);
const struct columns columns_keys = COLUMNS(keys);
const struct columns columns_processes = COLUMNS(processes);
const struct columns columns_findings = COLUMNS(findings);
const struct columns columns_rules = COLUMNS(rule_columns);
const struct columns columns_simulation = COLUMNS(simulation);
const struct columns columns_who = COLUMNS(who);
const struct columns columns_status = COLUMNS(status);

bool columns_is_field(const struct column *column)
{
	return column->kind != COLUMN_AGO && column->kind != COLUMN_TAIL && column->kind != COLUMN_ID;
}

const json_t *columns_value(const json_t *object, const char *path)
{
	while (object != NULL && *path != '\0') {
		char name[64];
		uint64_t index;
		size_t length = strcspn(path, ".");
		if (length >= sizeof(name))
			return NULL;
		memcpy(name, path, length);
		name[length] = '\0';
		if (json_is_array(object))
			object = text_to_u64(name, SIZE_MAX, &index) ? json_array_get(object, (size_t)index) : NULL;
		else
			object = json_object_get(object, name);
		path += length + (path[length] == '.');
	}
	return json_is_null(object) ? NULL : object;
}
const struct columns columns_verification = COLUMNS(verification);
const struct columns columns_anchor = COLUMNS(anchor);
const struct columns columns_import = COLUMNS(import);
const struct columns columns_seal = COLUMNS(seal);
const struct columns columns_pruning = COLUMNS(pruning);
const struct columns columns_matches = COLUMNS(matches);
const struct columns columns_steps = COLUMNS(steps);
