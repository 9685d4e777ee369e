/* SPDX-License-Identifier: Apache-2.0 */

/* From arguments to what `detect` and `watch` hand to the detector. */
#include "cli/inputs.h"

/* The detector looks for the system's ledger at its default path; the settings may say otherwise. */
MUST_USE static int choose_ledgers(const struct arguments *arguments, struct inputs *inputs, struct error *err)
{
	struct detect_options *options = &inputs->options;
	options->without_ledger = arguments->without_ledger;
	options->ledgers = arguments->ledgers;
	options->ledger_count = arguments->ledger_count;
	if (arguments->without_ledger || arguments->ledger_count > 0)
		return 0;
	if (place_find(arguments, &inputs->place, err) < 0)
		return -1;
	inputs->ledger = inputs->place.ledger;
	options->ledgers = &inputs->ledger;
	options->ledger_count = 1;
	return 0;
}

int inputs_open(const struct arguments *arguments, const volatile sig_atomic_t *stop, struct inputs *ret,
                struct error *err)
{
	*ret = (struct inputs){.lookup_fd = -1,
	                       .options = {
				       .sources = (const char *const *)arguments->operands,
				       .source_count = (size_t)arguments->operand_count,
				       .from = {.filter = arguments->from},
				       .inventory = arguments->inventory,
				       .ip_ranges = arguments->ip_ranges,
				       .findings = arguments->findings,
				       .workers = arguments->workers,
			       }};
	if (access_open(arguments, stop, &ret->aws, err) < 0)
		return -1;
	ret->options.from.aws = ret->aws;
	return choose_ledgers(arguments, ret, err);
}

void inputs_close(struct inputs *inputs)
{
	if (inputs->lookup_fd >= 0)
		(void)close(inputs->lookup_fd);
	free(inputs->sources);
	aws_close(inputs->aws);
}
