/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/inputs.h"
#include "detector/digests.h"

/* How much "nothing was found" is worth: what `detect` says of digests and of LookupEvents. */
MUST_USE int evidence_verify(const struct inputs *inputs, const char *public_keys, struct digests_summary *ret,
                             struct error *err);

/* Asks LookupEvents for the keys of the ledgers, and makes the answers one more source of the inputs. */
MUST_USE int evidence_lookup(struct inputs *inputs, struct error *err);

void evidence_print_digests(const struct digests_summary *summary);
void evidence_print_lookup(const struct lookup_counts *counts);
