/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/json.h"
#include "store/model.h"

/* Reading a ledger: for the command line and the detector. A handle belongs to one thread; any number of handles and
 * processes may read while the daemon writes. Nothing here ever writes to the ledger. */
struct ledger;

#define LEDGER_DEFAULT_PATH "/var/lib/keytrail/ledger.db"

/* Opens a machine's own ledger, a merged one, or lines of JSON (which are read into a private database),
 * of this version or older; ERROR_NEWER names both versions for a newer one, ERROR_MISSING says that
 * there is none, ERROR_INPUT that the file is no ledger. A ledger that cannot be opened as it lies (read-only mount,
 * its WAL unfinished) is copied to a private temporary folder and read there; ledger_close removes the copy. */
MUST_USE int ledger_open(const char *path, struct ledger **ret, struct error *err);
void ledger_close(struct ledger *ledger);

/* Is it of many machines (`ledger import`, or lines that shippers carried away)? */
bool ledger_is_merged(const struct ledger *ledger);

/* Visitors get borrowed objects and return 0 to go on, or -1 with *err set to stop the query with that error. */
typedef int ledger_visit(void *context, const json_t *object, struct error *err);

/* What a list shows. Zero and NULL mean "do not filter". Texts with `*` or `?` are globs, others exact. */
struct ledger_filter {
	int64_t since_us, until_us; /* since <= at < until */
	int64_t after_seq;          /* rows behind this one only: following a live ledger */
	const char *access_key_id, *role, *exe, *sha256, *unit, *container, *user, *path, *instance_id;
	const char *grade, *outcome, *source; /* names of store/model.h */
	bool has_uid, has_pid;
	int64_t uid, pid;
	bool credentials_only; /* rows that carry an access key id and were not refused */
	bool oldest_first;     /* default: newest first */
};

/* Each delivery or refusal as the JSON object of docs/ledger.md. */
MUST_USE int ledger_deliveries(struct ledger *ledger, const struct ledger_filter *filter, ledger_visit *visit,
                               void *context, struct error *err);

/* Each key: access_key_id, account_id, role, source, instance_id, host_account_id, region, updated_at, expires_at,
 * first_delivered_at, last_delivered_at, deliveries (number), processes (number of distinct ones). Only keys with a
 * delivery that passes the filter; refused rows do not count. */
MUST_USE int ledger_keys(struct ledger *ledger, const struct ledger_filter *filter, ledger_visit *visit, void *context,
                         struct error *err);

/* Each distinct process: the fields of a delivery's `process`, and keys[] (access key ids), deliveries, first_seen,
 * last_seen, grade (the best of its rows). */
MUST_USE int ledger_processes(struct ledger *ledger, const struct ledger_filter *filter, ledger_visit *visit,
                              void *context, struct error *err);

/* Where the instance was and when: from, until (null: still true), account_id, region, instance_id, addresses[]
 * (single addresses and CIDR blocks of its own interfaces and VPC, v4 and v6, private and public), vpc_ids[],
 * owner_ids[], clock_offset_ms (upstream's Date minus ours, or null). Oldest first. */
MUST_USE int ledger_placements(struct ledger *ledger, ledger_visit *visit, void *context, struct error *err);

/* Was everything that was asked on that instance from `from` to `until` recorded: daemon up, redirect whole, rows
 * written (store/coverage.h)? False for an instance that the ledger says nothing of. NULL: the one whose ledger this
 * is. What is true for a time that ended before the ledger's newest row never becomes false but by pruning. */
MUST_USE int ledger_covered(struct ledger *ledger, const char *instance_id, int64_t from_us, int64_t until_us,
                            bool *ret, struct error *err);

/* The same as the object of docs/ledger.md, with reasons: kind ("coverage"), instance_id, from, until, complete, gaps[]
 * of {from, until, reason, given_up}. New reference. */
MUST_USE int ledger_coverage_of(struct ledger *ledger, const char *instance_id, int64_t from_us, int64_t until_us,
                                json_t **ret, struct error *err);
MUST_USE int ledger_coverage(struct ledger *ledger, int64_t from_us, int64_t until_us, json_t **ret, struct error *err);

/* Each machine (of a merged ledger; else there is one) that was not covered all of that time: such an object, with
 * `ledger_id` where the machine's instance is not known. *ret_machines: how many there are in all. */
MUST_USE int ledger_uncovered(struct ledger *ledger, int64_t from_us, int64_t until_us, int64_t *ret_machines,
                              ledger_visit *visit, void *context, struct error *err);

/* What `status` shows: schema_version, ledger_id, rows, first_at, last_at, path. The caller frees. */
MUST_USE int ledger_summary(struct ledger *ledger, json_t **ret, struct error *err);

/* The newest row's number, to follow from. */
MUST_USE int ledger_last_seq(struct ledger *ledger, int64_t *ret, struct error *err);
