/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"
#include "store/ledger.h"

/* Who could have leaked the key of a finding: the processes that the ledgers say received it, the likeliest first, each
 * with its reasons. */

#define SUSPECTS_MAX 100 /* listed; how many more there were is said */

/* Puts `suspects`, `suspects_omitted` and `suspects_note` into a finding that has access_key_id, lineage, first_seen
 * and user_agents. Of a derived key they are the receivers of the key that it descends from. */
MUST_USE int suspects_put(json_t *finding, struct ledger *const *ledgers, size_t count, struct error *err);
