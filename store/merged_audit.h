/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/audit.h"

/* What store/audit.h promises, of a merged ledger; for store/audit.c and store/anchor.c, which alone include this file.
 */
MUST_USE int merged_audit(struct ledger *ledger, struct audit *audit, struct error *err);
MUST_USE int merged_audit_anchor(struct ledger *ledger, const struct anchor *anchor, struct audit *audit,
                                 struct error *err);
