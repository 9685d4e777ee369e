/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/ledger.h"
#include "store/line.h"

/* Many machines' exports in one ledger. Each machine's chain is computed anew on the way in; a file may come twice, in
 * any order, and overlap with others. What does not fit is refused from its first bad row on, and told; all before it
 * stays. One thread, one importer at a time. */
struct importer;

enum import_fault {
	IMPORT_GOOD,
	IMPORT_NOT_JSON,       /* a line is no JSON object, or a field is not of its type */
	IMPORT_LINE_TOO_LONG,  /* more than LINE_BYTES_MAX */
	IMPORT_NEWER,          /* a later format, or a later schema of the ledger */
	IMPORT_NO_CHAIN,       /* a row without ledger_id, seq or link */
	IMPORT_GENESIS,        /* the head's genesis is not that of its ledger's id */
	IMPORT_CHANGED,        /* the row's link does not follow from its content and the row before */
	IMPORT_MISSING,        /* rows in front of it are not in the file */
	IMPORT_REORDERED,      /* its number was there already, or is behind a greater one */
	IMPORT_FORKED,         /* the ledger holds another row under this number: two machines claim one genesis */
	IMPORT_OTHER_INSTANCE, /* the ledger is of another instance: two machines claim one genesis */
	IMPORT_CUT_OFF,        /* the file ends in the middle of a line, or without its last one */
	IMPORT_FAULT_COUNT,
};
extern const char *const import_fault_names[IMPORT_FAULT_COUNT]; /* "good", "not-json", ...; as they stand in JSON */

/* What became of one file. */
struct import_result {
	enum import_fault fault;
	int64_t line; /* where, from 1; 0: nowhere in particular */
	char ledger_id[LINE_LEDGER_BYTES], id[DIGEST_HEX_BYTES];
	int64_t seq;      /* of the bad row; 0: it has none */
	char detail[240]; /* one sentence, "" when good */
	int64_t rows;     /* new ones */
	int64_t known;    /* that were there already */
	int64_t ledgers;  /* parts of a ledger in the file */
};

/* Makes the merged ledger if there is none. ERROR_INPUT for what is not one: also a machine's own ledger. */
MUST_USE int importer_open(const char *path, struct importer **ret, struct error *err);
void importer_close(struct importer *importer);

/* Reads a file to its end, or to what does not fit; `name` is kept as its provenance. A bad file is a result, no error.
 */
MUST_USE int importer_take(struct importer *importer, const char *name, int fd, struct import_result *ret,
                           struct error *err);

/* The same for lines as shippers carried them away: they may be in any order and lack their place in the chain, which
 * is not checked here. For a private ledger that `ledger verify` may look at. */
MUST_USE int importer_take_loose(struct importer *importer, const char *name, int fd, struct error *err);

/* Each part of a machine's chain that is missing: ledger_id, instance_id, first, last. */
MUST_USE int importer_missing(struct importer *importer, ledger_visit *visit, void *context, struct error *err);
