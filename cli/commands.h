/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "cli/command.h"

/* All commands, in the order in which the usage lists them; NULL behind the last. */
const struct command *command_at(size_t index);

/* NULL: there is none of that name. */
const struct command *command_find(const char *name);
