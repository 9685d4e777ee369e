/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/json.h"

/* One row on its way into the ledger, in the form in which it is hashed, journalled and inserted: all text, so that it
 * may cross threads. */

#define ENTRY_ID_BYTES 17 /* 16 hexadecimal digits and NUL */

#define ENTRY_ACTORS_MAX 33 /* the process and 32 holders: more are cut off where they are collected */

/* Who asked, as texts that are canonical JSON already, and are stored as they are. */
struct entry_actors {
	const char *attribution;                 /* member of the body */
	const char *processes[ENTRY_ACTORS_MAX]; /* distinct; the first `holders` of them are the body's */
	size_t holders;
	int process; /* which of all is the body's `process`; -1: none */
};

/* What a caller wants recorded. `body` is the JSON object of docs/ledger.md without kind and time; for a delivery its
 * `process` and `holders` hold process objects, which are stored once each. */
struct entry {
	const char *kind; /* "delivery", "outcome", "placement", "gap", ... */
	char id[ENTRY_ID_BYTES];
	const char *subject;       /* id of the entry that this one is about, or NULL */
	const char *access_key_id; /* or NULL */
	int64_t at_us;
	const json_t *body;
	const struct entry_actors *actors; /* not NULL: in place of attribution, process and holders in the body */
};

/* A new random id. */
MUST_USE int entry_id_make(char ret[static ENTRY_ID_BYTES], struct error *err);

struct packed_actor {
	uint8_t digest[DIGEST_BYTES];
	char *body;
};

struct packed {
	char *kind, *id, *subject, *access_key_id; /* owned; subject and key may be NULL */
	int64_t at_us;
	char *body;                                   /* owned; processes replaced by their digests in hexadecimal */
	struct packed_actor actors[ENTRY_ACTORS_MAX]; /* distinct; actors[0] is body.process if has_process */
	size_t actor_count;
	bool has_process;
};

MUST_USE int packed_make(const struct entry *entry, struct packed *ret, struct error *err);
void packed_done(struct packed *packed);

/* The journal's form of an entry: one line of JSON. to_line: heap text, NULL without memory. */
MUST_USE char *packed_to_line(const struct packed *packed);
MUST_USE int packed_from_line(const char *line, size_t length, struct packed *ret, struct error *err);
