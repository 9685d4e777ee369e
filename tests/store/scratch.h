/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For each test of a file a folder of its own, in which a ledger may lie: start and stop are its fixture. */
#include "tests/store/rows.h"

static char folder[PATH_MAX], path[PATH_MAX]; /* of the ledger, which is not made yet */

static int start(void **state)
{
	(void)state;
	(void)unit_path(path, unit_folder(folder), "ledger.db");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}
