/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>

#include "cli/arguments.h"
#include "store/settings.h"

/* Where things are on this machine, as arguments and settings have it. */
struct place {
	char ledger[PATH_MAX];
	char findings[PATH_MAX]; /* beside the ledger, unless --findings says otherwise */
	char runtime[SETTINGS_TEXT_BYTES];
	char fleet_key[SETTINGS_TEXT_BYTES]; /* "": none */
	char settings_problem[512];          /* what is wrong with the settings, where that is forgiven; "" */
};

/* Reads the settings; where --ledger makes them needless, bad ones are no hindrance: a ledger can be read anywhere. Nor
 * are they to a command that asks the daemon (OPTIONS_DAEMON), as long as they can be opened: it has the settings
 * before, and somebody wants to know. */
MUST_USE int place_find(const struct arguments *arguments, struct place *ret, struct error *err);

/* The file of that name in the folder that `path` is in. */
MUST_USE int place_beside(const char *path, const char *name, char to[static PATH_MAX], struct error *err);

/* Opens the ledger; failing says what to do next. */
MUST_USE int place_open_ledger(const struct place *place, struct ledger **ret, struct error *err);

/* Opens the findings for reading; *ret is NULL when nothing was ever stored there. With --findings it must exist. */
MUST_USE int place_open_findings(const struct arguments *arguments, const struct place *place, struct findings **ret,
                                 struct error *err);

static inline void cleanup_ledger(struct ledger **ledger)
{
	ledger_close(*ledger);
}

static inline void cleanup_findings(struct findings **findings)
{
	if (*findings != NULL)
		findings_close(*findings);
}

#define CLEANUP_LEDGER CLEANUP(cleanup_ledger)
#define CLEANUP_FINDINGS CLEANUP(cleanup_findings)
