/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cidr.h"
#include "detector/map.h"
#include "detector/tracked_keys.h"
#include "store/ledger.h"

/* What the ledgers say: which keys were handed out, whose they are, and where their instances were. Instances and
 * places are loaded once; keys are asked of the ledgers as they are met (tracked_keys.h). Once sealed, safe from any
 * thread. Texts are never NULL, "" where unknown, and live as long as the struct, those of keys as long as the room. */

/* Where an instance was for a while. */
struct placement {
	const char *instance_id, *account_id, *region;
	int64_t from_us, until_us; /* until 0: still true */
	struct cidr_set addresses; /* sealed */
	const char **owners;       /* accounts that own its interfaces; NULL ends the list */
	int64_t clock_offset_us;   /* AWS's clock minus the machine's; 0 also where unknown */
};

struct tracked_instance {
	const char *id, *home_account, *role, *region;
	uint32_t first_placement, placement_count; /* in placements[] */
};

struct tracked {
	struct map texts;
	struct map instance_index;
	struct tracked_keys *keys; /* NULL: of no ledger */
	struct tracked_instance *instances;
	size_t instance_count, instance_capacity;
	struct placement *placements; /* by instance, then time, once sealed */
	size_t placement_count, placement_capacity;
	struct cidr_set machines; /* public addresses of single machines -> index in placements[], once sealed */
};

/* Adds what one ledger knows, which must stay open; a key that several ledgers know keeps the first one's facts. Then
 * seal, once, which reads the keys' ids; also into `sieve`, which is made for them, unless it is NULL. */
MUST_USE int tracked_load(struct tracked *tracked, struct ledger *ledger, struct error *err);
MUST_USE int tracked_seal(struct tracked *tracked, struct sieve *sieve, struct error *err);
void tracked_done(struct tracked *tracked);

/* NULL where unknown. Asks the ledgers: that of a key is for ids that are met in earnest. */
const struct tracked_key *tracked_key(const struct tracked *tracked, const char *id, struct tracked_room *room);
bool tracked_may_know(const struct tracked *tracked, const char *id, size_t length); /* no: it is of no ledger */

/* -1 once a ledger could not be asked: what was found since may be wrong. */
MUST_USE int tracked_check(const struct tracked *tracked, struct error *err);
const struct tracked_instance *tracked_instance(const struct tracked *tracked, const char *id, size_t length);

/* Two clocks, and an address that changes between two looks of the daemon. */
#define PLACEMENT_SLACK_US (INT64_C(10) * 60 * 1000000)

/* The places that were true at `at_us`, give or take the slack: *ret_count of them from the returned one on. Before
 * the first of an instance, the first counts, because a key may be used before the daemon has looked. */
const struct placement *tracked_placements(const struct tracked *tracked, const char *instance_id, int64_t at_us,
                                           size_t *ret_count);

/* Another instance that had this public address then, give or take the slack; of several the latest. NULL: none. */
const struct placement *tracked_machine(const struct tracked *tracked, const struct address *address, int64_t at_us,
                                        const char *except_instance);

/* For which times around `at_us` tracked_placements gives the same: from the first to before the second. */
void tracked_placements_hold(const struct tracked *tracked, const char *instance_id, int64_t at_us,
                             int64_t *ret_from_us, int64_t *ret_until_us);
