/* SPDX-License-Identifier: Apache-2.0 */

/* One object on its own, in whichever form. */
#include "cli/only.h"

int only_show(enum form form, const struct columns *columns, const json_t *object, struct error *err)
{
	const struct output_options options = {.form = form, .columns = columns, .stream = stdout};
	CLEANUP_OUTPUT struct output *output = NULL;
	if (form == FORM_JSON || form == FORM_JSONL)
		return output_object(stdout, object, err) < 0 ? -1 : output_finish(stdout, err);
	if (output_open(&options, &output, err) < 0 || output_row(output, object, err) < 0)
		return -1;
	return output_close(steal_pointer(&output), err);
}
