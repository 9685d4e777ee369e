/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail ledger anchor: one line to be kept elsewhere. */
#include "cli/columns.h"
#include "cli/ledger_verbs.h"
#include "cli/only.h"
#include "cli/place.h"
#include "store/audit.h"

int ledger_anchor_run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	struct place place;
	struct anchor anchor;
	if (place_find(arguments, &place, err) < 0 || place_open_ledger(&place, &ledger, err) < 0 ||
	    anchor_take(ledger, &anchor, err) < 0)
		return -1;
	CLEANUP_JSON json_t *object = anchor_to_json(&anchor);
	*ret = STATUS_FINE;
	return only_show(arguments->form, &columns_anchor, object, err);
}
