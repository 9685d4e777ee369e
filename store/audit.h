/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/entry.h"
#include "store/ledger.h"

/* Does the ledger still hold what was written into it? Every row's link is computed anew, from the genesis or from the
 * point up to which rows were pruned; then the processes behind the rows, and the tables and views themselves. What a
 * link proves, and what only a value kept elsewhere does, stands in docs/ledger.md. Reads only. */

enum audit_fault {
	AUDIT_WHOLE,
	AUDIT_CHANGED,         /* the row's content or its link is not what was written */
	AUDIT_MISSING,         /* rows were taken out, in front of `seq` or at the end */
	AUDIT_INSERTED,        /* the row was put in between */
	AUDIT_REORDERED,       /* the row stands in another's place */
	AUDIT_PROCESS_CHANGED, /* a process does not fit its digest, or a row names another one than its body */
	AUDIT_PROCESS_MISSING, /* a row names a process that is not there */
	AUDIT_SCHEMA_CHANGED,  /* a table, index or view is not ours, and may show what is not there */
	AUDIT_TABLE_CHANGED,   /* merged ledgers: a table that only follows from rows says something else */
	AUDIT_REWRITTEN,       /* the chain holds, but differs from the anchor: it was computed anew */
	AUDIT_FAULT_COUNT,
};

/* "whole", "changed", ...; as they stand in JSON. */
extern const char *const audit_fault_names[AUDIT_FAULT_COUNT];

/* The chain's value at one row, to be kept where the ledger's writer cannot reach it. */
struct anchor {
	char ledger_id[33];
	int64_t seq, at_us; /* of that row; seq 0: the genesis of an empty ledger */
	uint8_t chain[DIGEST_BYTES];
};

struct audit {
	enum audit_fault fault; /* the first one */
	int64_t seq;            /* of the first bad row; 0: none in particular */
	char id[KEY_ID_BYTES];  /* its id; of table-changed the key's */
	char detail[240];       /* one sentence, "" when whole */
	int64_t rows;           /* whose links were found good */
	int64_t pruned_until;   /* rows up to this one were pruned; 0: none */
	int64_t unimported;     /* merged ledgers: rows that are known not to be there */
	struct anchor head;     /* the last good row; merged ledgers: unset */
};

/* Looks at all of it, in one consistent view; a fault is a result, not an error. */
MUST_USE int audit_ledger(struct ledger *ledger, struct audit *ret, struct error *err);

/* Is the anchor's row still what it was? Sets AUDIT_REWRITTEN or AUDIT_MISSING (cut off at the end) in a result that is
 * whole so far. An anchor of a row that was pruned proves nothing any more, and is no fault. ERROR_INPUT: it is of
 * another ledger. */
MUST_USE int audit_anchor(struct ledger *ledger, const struct anchor *anchor, struct audit *audit, struct error *err);

/* The newest row's anchor; the chain is not looked at. */
MUST_USE int anchor_take(struct ledger *ledger, struct anchor *ret, struct error *err);

/* As JSON: {"kind":"anchor","ledger_id":…,"seq":…,"at":…,"chain":hex}. New reference. */
json_t *anchor_to_json(const struct anchor *anchor);
MUST_USE int anchor_from_json(const json_t *object, struct anchor *ret, struct error *err);
