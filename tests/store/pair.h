/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Two machines' ledgers in a folder, and where a merged one is to be. */
#include "tests/store/machines.h"

#define KEY_ONE "ASIAY34FZKBOKMUTVV7A"
#define KEY_TWO "ASIAY34FZKBOKMUTVV7B"
#define ONE "i-0aaaaaaaa"
#define TWO "i-0bbbbbbbb"

static char folder[PATH_MAX], one[PATH_MAX], two[PATH_MAX], fleet[PATH_MAX];

static inline void pair_make(void)
{
	(void)unit_folder(folder);
	(void)unit_path(one, folder, "one.db");
	(void)unit_path(two, folder, "two.db");
	(void)unit_path(fleet, folder, "fleet.db");
	machine_make(one, ONE, KEY_ONE);
	machine_make(two, TWO, KEY_TWO);
}

/* Both into the merged one. */
static inline void pair_merge(void)
{
	CLEANUP_FREE char *first = machine_export(one, NULL, NULL);
	CLEANUP_FREE char *second = machine_export(two, NULL, NULL);
	(void)machine_import(fleet, first);
	(void)machine_import(fleet, second);
}
