/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/audit.h"

/* Of a merged ledger, what the importer noted of each machine beside its rows (coverage and its gaps, whose ledger it
 * is, where its rows begin), computed anew from the rows and held against what stands there. For store/merged_audit.c,
 * which alone includes this file. */
MUST_USE int merged_recheck(struct ledger *ledger, struct audit *audit, struct error *err);
