/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/findings.h"

/* The uses that findings are made of, one object each: kind ("use"), event_id, at, finding (its id), service, name,
 * error_code (null: none), region, user_agent, address. Of the findings in a list, by time, then event, then finding;
 * at most `limit`, and *ret_omitted says how many more there are. */
MUST_USE int findings_uses(struct findings *findings, const json_t *list, int64_t limit, ledger_visit *visit,
                           void *context, int64_t *ret_omitted, struct error *err);
