/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/links.h"
#include "detector/spool.h"
#include "detector/tracked.h"

/* Which credentials follow from those that the ledgers know, to any depth: links are gathered in any order, then closed
 * once; between closings it is read-only and safe from any thread. */

#define DERIVED_NONE UINT32_MAX

struct derived {
	enum link_kind kind;
	const char *name;      /* the link's child */
	const char *principal; /* of a key: the session or user that it is good for; "" unknown */
	const char *account, *action, *event_id;
	int64_t at_us, expires_us;
	bool by_key;           /* its parent was named by its key, not by its principal alone */
	const char *shared_id; /* of a record that does not name the parent's key; "" else */
	uint32_t parent;       /* index of the derived one that it came from; DERIVED_NONE: from `root` */
	uint32_t next;         /* another one of the same principal */
	/* What a ledger knows at the other end. */
	const struct tracked_key *root_key; /* NULL: only the session is known */
	const char *root_principal, *root_instance, *root_account;
};

struct lineage {
	const struct tracked *tracked;
	bool every_session; /* without a ledger: any instance's session is a root */
	struct spool links; /* all that were added */
	struct map texts, by_name, by_principal;
	struct map root_index; /* a root's key -> index in roots */
	struct tracked_key **roots;
	size_t root_count, root_capacity;
	struct derived *derived;
	size_t count, capacity;
	bool has_principals; /* some can only be known by their principal: records without a known key matter */
	struct buffer row;   /* being written */
};

MUST_USE int lineage_add(struct lineage *lineage, const struct link *link, struct error *err);

/* Works out from all links so far who descends from whom. */
MUST_USE int lineage_close(struct lineage *lineage, struct error *err);
void lineage_forget(struct lineage *lineage); /* what was worked out; the links stay */
void lineage_done(struct lineage *lineage);

/* A number that is the same for the same descendants. */
uint64_t lineage_digest(const struct lineage *lineage);

/* By what was this call made, if that follows from something known? Keys and sessions that the ledgers know themselves
 * are not looked for. NULL: not known. */
const struct derived *lineage_find(const struct lineage *lineage, const struct caller *caller);

/* The key itself. */
const struct derived *lineage_key(const struct lineage *lineage, const char *id, size_t length);

/* Each link that names the key of a call across accounts, where another record of that call may be judged by its
 * principal: whose key it was settles that. */
typedef int lineage_visit(void *context, const struct link *link, struct error *err);
MUST_USE int lineage_each_keyed(struct lineage *lineage, lineage_visit *visit, void *context, struct error *err);
