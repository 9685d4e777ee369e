/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/settings.h"

/* The settings in force. A snapshot never changes: who has taken one keeps it, whole, until it is given back, however
 * many reloads there are meanwhile. An exchange takes one at its start. Safe from any thread. */
struct current;

/* Takes the settings over (*first is emptied of what it owned). */
MUST_USE int current_new(struct settings *first, struct current **ret, struct error *err);
/* With every snapshot given back. */
void current_free(struct current *current);

/* Never NULL. Give it back once. */
const struct settings *current_take(struct current *current);
void current_give(struct current *current, const struct settings *taken);

/* Puts others in their place (taken over as by current_new); the old ones end with their last taker. */
MUST_USE int current_replace(struct current *current, struct settings *next, struct error *err);

/* ---- what became of the last reload, for `status` */

struct reload_result {
	int64_t at_us; /* 0: there was none yet */
	bool refused;
	char reason[sizeof(((struct error *)0)->text)]; /* why it was refused, or "" */
};

void current_note(struct current *current, const struct reload_result *result);
struct reload_result current_last(struct current *current);

/* Since when the present ones are in force. */
int64_t current_since_us(struct current *current);
