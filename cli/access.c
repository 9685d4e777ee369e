/* SPDX-License-Identifier: Apache-2.0 */

/* Who asks AWS: nobody, unless something to be read is there. */
#include "cli/access.h"

#include "common/text.h"
#include "detector/queue.h"

static bool is_far(const struct arguments *arguments)
{
	for (int i = 0; i < arguments->operand_count; i++)
		if (text_starts(arguments->operands[i], "s3://") || queue_is_name(arguments->operands[i]))
			return true;
	return false;
}

int access_open(const struct arguments *arguments, const volatile sig_atomic_t *stop, struct aws **ret,
                struct error *err)
{
	const struct aws_options options = {.profile = arguments->profile_count > 0 ? arguments->profiles[0] : NULL,
	                                    .stop = stop};
	return is_far(arguments) || arguments->lookup ? aws_open(&options, ret, err) : 0;
}
