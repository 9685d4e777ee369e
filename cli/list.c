/* SPDX-License-Identifier: Apache-2.0 */

/* A list of what is in the ledger, from opening it to the last line. No limit and no window unless asked for. */
#include "cli/list.h"

#include "cli/place.h"

int list_show(const struct arguments *arguments, const struct columns *columns, list_query *query, struct error *err)
{
	struct place place;
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	CLEANUP_OUTPUT struct output *output = NULL;
	struct output_options options = {.form = arguments->form, .columns = columns, .stream = stdout};
	if (place_find(arguments, &place, err) < 0 || place_open_ledger(&place, &ledger, err) < 0 ||
	    output_open(&options, &output, err) < 0)
		return -1;
	if (query(ledger, &arguments->rows, output_row, output, err) < 0)
		return -1;
	return output_close(steal_pointer(&output), err);
}
