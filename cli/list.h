/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/arguments.h"

/* What `deliveries`, `keys` and `processes` have in common: one query of the ledger, shown in one of the forms. */
typedef int list_query(struct ledger *ledger, const struct ledger_filter *filter, ledger_visit *visit, void *context,
                       struct error *err);

MUST_USE int list_show(const struct arguments *arguments, const struct columns *columns, list_query *query,
                       struct error *err);
