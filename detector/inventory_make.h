/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"
#include "detector/aws.h"

/* Makes inventory.json out of what AWS's APIs say: STS GetCallerIdentity, EC2 Describe*, Organizations ListAccounts.
 * The tree has the form that inventory.c reads (docs/findings.md); lists are in order and without repetitions, so that
 * the same answers give the same bytes. */

/* An empty inventory, or what `path` holds: a hand-written part, which stays as it is and is added to. */
MUST_USE int inventory_make_begin(const char *path, json_t **ret, struct error *err);

struct inventory_maker {
	struct aws *aws;
	const char *const *regions; /* none: the one that is configured */
	size_t region_count;
	/* What could not be asked; the rest is still asked. */
	void (*complain)(void *context, const char *line);
	void *context;
};

/* Adds one account, as the credentials have it, and the others of its organisation. *ret_whole: nothing was left out.
 * -1 when it cannot even be told which account it is. */
MUST_USE int inventory_make_add(json_t *inventory, const struct inventory_maker *maker, bool *ret_whole,
                                struct error *err);

/* Puts lists in order, and holds the result against what the detector takes: two owners of one address are an error. */
MUST_USE int inventory_make_end(json_t *inventory, struct error *err);
