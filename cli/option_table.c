/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of options: one row each, for parsing, checks, help and completion. */
#include "cli/option_table.h"

#include "cli/option_take.h"
#include "detector/sql/sql.h"
#include "store/review.h"

static const char *const fail_on_names[] = {"LOW", "MEDIUM", "HIGH", "NONE"};
_Static_assert(ARRAY_LENGTH(fail_on_names) == FAIL_ON_NONE + 1, "one name a severity, and NONE");

#define AT(field) .offset = offsetof(struct arguments, field)
#define AND(field) .second = offsetof(struct arguments, field)
#define FLAG(field) .flag = offsetof(struct arguments, field)
#define WORDS(list, length) .names = (list), .name_count = (length)
#define BOTH (OPTIONS_ROWS | OPTIONS_FINDINGS)

const struct option_row option_rows[] = {
	{"output", 'o', "FORM", OPTIONS_OUTPUT, option_take_form, WORDS(form_names, FORM_COUNT),
         .help = "table, json, jsonl or csv (default: table on a terminal, else jsonl). `detect` and `findings` also: "
                 "asff, "
                 "ocsf, guardduty, timesketch"},
	{"config", 'c', "FILE", OPTIONS_SETTINGS, option_take_text, AT(settings),
         .help = "settings (default /etc/keytrail/keytrail.conf, which need not exist)"},
	{"ledger", 0, "FILE", OPTIONS_LEDGER, option_take_ledger,
         .help = "ledger to read (default: [ledger] path of the settings). `detect` takes several, or `none`"},
	{"findings", 0, "FILE", OPTIONS_STORED | OPTIONS_DETECT, option_take_findings, AT(findings),
         .help = "database of findings (default: findings.db beside the ledger). `detect` takes `none`: store nothing"},
	{"follow", 'f', NULL, OPTIONS_FOLLOW, option_take_flag, AT(follow),
         .help = "wait for new rows and show them, oldest first, until interrupted; earlier ones only with --since"},
	{"finding", 0, "FILE", OPTIONS_WHO, option_take_text, AT(reported),
         .help = "take the keys from a finding of GuardDuty or Security Hub, JSON; - is standard input"},
	{"host-key", 0, "PATH", OPTIONS_VERIFY, option_take_text, AT(host_key),
         .help = "key of the fingerprints, or a folder of such keys (default: those beside the ledger)"},
	{"anchor", 0, "FILE", OPTIONS_AUDIT, option_take_text, AT(anchor),
         .help = "verify: also hold the chain to these anchors, a line each; - is standard input"},
	{"before", 0, "TIME", OPTIONS_AUDIT, option_take_time, AT(before_us),
         .help = "prune: forget rows before this time: 400d (ago), 2026-01-31, or 2026-01-31T12:00:00Z"},
	{"cursor", 0, "FILE", OPTIONS_FLEET, option_take_text, AT(cursor),
         .help = "export: only rows behind this cursor, which is moved on afterwards; a missing one is made"},
	{"into", 0, "LEDGER", OPTIONS_FLEET, option_take_text, AT(into),
         .help = "import: the merged ledger, which is made if it is missing"},
	{"since", 0, "TIME", BOTH | OPTIONS_WHO, option_take_time, AT(rows.since_us), AND(found.since_us),
         .help = "at or after this time: 6h (ago; s, m, h, d, w), 2026-01-31, or 2026-01-31T12:00:00Z"},
	{"until", 0, "TIME", BOTH | OPTIONS_WHO, option_take_time, AT(rows.until_us), AND(found.until_us),
         .help = "before this time"},
	{"key", 0, "KEY", BOTH, option_take_key, AT(rows.access_key_id), AND(found.access_key_id),
         .help = "access key id"},
	{"role", 0, "NAME", BOTH, option_take_text, AT(rows.role), AND(found.role),
         .help = "role of the instance or task"},
	{"instance", 0, "ID", BOTH, option_take_text, AT(rows.instance_id), AND(found.instance_id),
         .help = "instance id"},
	{"exe", 0, "PATH", OPTIONS_ROWS, option_take_text, AT(rows.exe), .help = "executable of the process"},
	{"sha256", 0, "DIGEST", OPTIONS_ROWS, option_take_sha256, AT(rows.sha256), .help = "SHA-256 of the executable"},
	{"unit", 0, "NAME", OPTIONS_ROWS, option_take_text, AT(rows.unit), .help = "systemd unit"},
	{"container", 0, "ID", OPTIONS_ROWS, option_take_text, AT(rows.container), .help = "container id"},
	{"user", 0, "NAME", OPTIONS_ROWS, option_take_text, AT(rows.user), .help = "user name"},
	{"uid", 0, "NUMBER", OPTIONS_ROWS, option_take_number, AT(rows.uid), FLAG(rows.has_uid), .help = "user id"},
	{"pid", 0, "NUMBER", OPTIONS_ROWS, option_take_number, AT(rows.pid), FLAG(rows.has_pid), .help = "process id"},
	{"path", 0, "PATH", OPTIONS_ROWS, option_take_text, AT(rows.path), .help = "path that was requested"},
	{"grade", 0, "NAME", OPTIONS_ROWS, option_take_word, AT(rows.grade), WORDS(grade_names, GRADE_COUNT),
         .help = "how sure the attribution is: exact, shared, relay, cgroup, netns, uid, gone, none"},
	{"outcome", 0, "NAME", OPTIONS_ROWS, option_take_word, AT(rows.outcome), WORDS(outcome_names, OUTCOME_COUNT),
         .help = "recorded, delivered, refused or aborted"},
	{"source", 0, "NAME", OPTIONS_ROWS, option_take_word, AT(rows.source), WORDS(source_names, SOURCE_COUNT),
         .help = "imds, identity, ecs, eks or self"},
	{"type", 0, "NAME", OPTIONS_FINDINGS, option_take_text, AT(found.type), .help = "type of finding"},
	{"severity", 0, "NAME", OPTIONS_FINDINGS, option_take_word, AT(found.severity),
         WORDS(severity_names, SEVERITY_COUNT), .help = "LOW, MEDIUM or HIGH"},
	{"id", 0, "ID", OPTIONS_FINDINGS, option_take_text, AT(found.id), .help = "id of the finding"},
	{"account", 0, "ACCOUNT", OPTIONS_FINDINGS, option_take_account, AT(found.remote_account),
         .help = "account from which the key was used, 12 digits"},
	{"state", 0, "NAME", OPTIONS_FINDINGS, option_take_word, AT(found.state),
         WORDS(review_state_names, REVIEW_STATE_COUNT), .help = "new, acknowledged or closed"},
	{"engine", 0, "NAME", OPTIONS_SQL, option_take_word, AT(engine), WORDS(sql_engine_names, SQL_ENGINE_COUNT),
         .help = "clickhouse, athena or duckdb"},
	{"trail", 0, "PLACE", OPTIONS_SQL, option_take_text, AT(trail), .help = "where the engine finds CloudTrail"},
	{"rows", 0, "PLACE", OPTIONS_SQL, option_take_text, AT(rows_at), .help = "where it finds the lines of ledgers"},
	{"file", 0, "FILE", OPTIONS_REPORT | OPTIONS_MERGE, option_take_text, AT(file),
         .help = "write there (default: standard output)"},
	{"note", 0, "TEXT", OPTIONS_REVIEW, option_take_text, AT(note),
         .help = "with ack, close, reopen and note: what to remember"},
	{"inventory", 0, "FILE", OPTIONS_DETECT | OPTIONS_SQL, option_take_text, AT(inventory),
         .help = "own accounts and networks (default /etc/keytrail/inventory.json, which need not exist)"},
	{"ip-ranges", 0, "FILE", OPTIONS_DETECT | OPTIONS_SQL, option_take_text, AT(ip_ranges),
         .help = "AWS's ip-ranges.json (default: the copy that is built in)"},
	{"fail-on", 0, "SEVERITY", OPTIONS_DETECT, option_take_fail_on, WORDS(fail_on_names, FAIL_ON_NONE + 1),
         .help = "exit status 3 from this severity on: LOW, MEDIUM (default), HIGH or NONE"},
	{"workers", 0, "NUMBER", OPTIONS_DETECT, option_take_workers,
         .help = "files read at a time (default: as many as there are processors)"},
	{"since", 0, "TIME", OPTIONS_SOURCE, option_take_time, AT(from.since_us),
         .help = "leave out files that CloudTrail delivered before this time: 6h (ago), 2026-01-31, or "
                 "2026-01-31T12:00:00Z"},
	{"until", 0, "TIME", OPTIONS_SOURCE, option_take_time, AT(from.until_us),
         .help = "leave out files that were delivered later than the slack after this time"},
	{"slack", 0, "SPAN", OPTIONS_SOURCE, option_take_span, AT(from.slack_us),
         .help = "how late CloudTrail may deliver: 24h (default), 90s, 15m, 2d"},
	{"account", 0, "ACCOUNT", OPTIONS_SOURCE, option_take_source_account,
         .help = "only files of this account, 12 digits; may be repeated"},
	{"region", 0, "REGION", OPTIONS_SOURCE | OPTIONS_MERGE, option_take_region,
         .help = "only files of this region; may be repeated"},
	{"profile", 0, "NAME", OPTIONS_SOURCE | OPTIONS_MERGE, option_take_profile,
         .help = "profile of AWS's shared files whose credentials are used (default: the environment's)"},
	{"lookup", 0, NULL, OPTIONS_PROOF, option_take_flag, AT(lookup),
         .help = "ask CloudTrail's LookupEvents for the keys and instances of the ledger: 90 days, no trail needed"},
	{"verify-digests", 0, NULL, OPTIONS_PROOF, option_take_flag, AT(verify_digests),
         .help = "hold the files against CloudTrail's signed digests first: is anything missing or changed?"},
	{"public-keys", 0, "FILE", OPTIONS_PROOF, option_take_text, AT(public_keys),
         .help = "CloudTrail's public keys, as `aws cloudtrail list-public-keys` prints them (default: AWS is asked)"},
	{"merge", 0, "FILE", OPTIONS_MERGE, option_take_text, AT(merge), .help = "add to this hand-written inventory"},
	{"once", 0, NULL, OPTIONS_WATCH, option_take_flag, AT(once), .help = "end when there is nothing new"},
	{"interval", 0, "SPAN", OPTIONS_WATCH, option_take_interval, AT(interval_us),
         .help = "time between two looks (default 5s; 1m for what is far away)"},
	{"checkpoint", 0, "FILE", OPTIONS_WATCH, option_take_text, AT(checkpoint),
         .help = "what was read and said (default: watch.db beside the findings)"},
	{"rules", 0, NULL, OPTIONS_RULES, option_take_flag, AT(list_rules),
         .help = "list the rules and do nothing else"},
	{"dry-run", 'n', NULL, OPTIONS_REDIRECT, option_take_flag, AT(dry_run),
         .help = "print what would be done, change nothing"},
	{"quiet", 'q', NULL, OPTIONS_REDIRECT, option_take_flag, AT(quiet), .help = "check: only the exit status"},
	{"accept-existing", 0, NULL, OPTIONS_REDIRECT, option_take_flag, AT(accept_existing),
         .help = "go ahead although other rules close the metadata service to somebody"},
	{"yes", 0, NULL, OPTIONS_SEAL, option_take_flag, AT(yes), .help = "do not ask"},
	{"help", 'h', NULL, 0, option_take_flag, AT(wants_help), .help = "show this help"},
	{"version", 'V', NULL, 0, option_take_flag, AT(wants_version), .help = "show the version"},
};
const size_t option_row_count = ARRAY_LENGTH(option_rows);
_Static_assert(ARRAY_LENGTH(option_rows) < OPTION_ROWS, "argp needs a closing row");
