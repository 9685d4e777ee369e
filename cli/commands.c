/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of commands. Dispatch, usage, help and completion come from it. */
#include "cli/commands.h"

#include <string.h>

#include "common/cleanup.h"

/* clang-format off: one a line, so that a new one is one line */
static const struct command *const commands[] = {
	&command_status,   &command_deliveries, &command_who,     &command_keys,       &command_processes,
	&command_findings, &command_detect,     &command_watch,   &command_inventory,  &command_policy,
	&command_verify,   &command_ledger,     &command_contain, &command_report,     &command_sql,
	&command_redirect, &command_seal,       &command_dead,    &command_completion,
};
/* clang-format on */

const struct command *command_at(size_t index)
{
	return index < ARRAY_LENGTH(commands) ? commands[index] : NULL;
}

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}
