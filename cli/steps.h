/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/target.h"

/* Adds the steps that end a target's permissions: {id, target, title, why, breaks, undo, policy, commands[]}. Pure. */
void steps_add(json_t *list, const struct target *target);

/* Adds a line for a shell, from words up to a NULL; each is quoted where it has to be. */
void steps_add_command(json_t *commands, const char *const *words);
