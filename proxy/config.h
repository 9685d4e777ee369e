/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "proxy/upstream.h"
#include "store/settings.h"
#include "store/upkeep.h"

/* What the daemon needs of the machine before it gives up its privileges. */

struct identity {
	uid_t uid; /* as whom the proxy runs */
	char name[SETTINGS_TEXT_BYTES];
	gid_t gid;
	bool is_root;  /* started as root: becomes that user */
	bool may_look; /* conntrack answers, without which no process can be named */
};

/* Started as root: the user of [daemon] user, which must exist. Else: whoever we are. */
MUST_USE int config_identity(const struct settings *settings, struct identity *ret, struct error *err);

/* Makes the state and runtime folders if missing (0750, of that user). Of those that are there it takes over empty ones
 * of root's. */
MUST_USE int config_folders(const struct settings *settings, const struct identity *identity, struct error *err);

/* As the proxy's user: may it write to both, and does no other daemon? The lock is kept until the process ends. */
MUST_USE int config_take_folders(const struct settings *settings, const struct identity *identity, struct error *err);

/* How many connections can be served at once: max_connections, or fewer where not so many files may be open. `extra`:
 * of the workers that there are beside. */
MUST_USE int config_connections(const struct settings *settings, int extra, int *ret, struct error *err);

/* The state folder: where the ledger lies. */
void config_state_folder(const struct settings *settings, char ret[static PATH_MAX]);

/* How long rows of the ledger stay. */
struct upkeep_limits config_limits(const struct settings *settings);

/* Where upstream is, and how it is asked; lent from the settings. */
struct upstream_options config_upstream(const struct settings *settings);

/* Becomes the proxy's user with no capability left, for good. */
MUST_USE int config_drop_privileges(const struct identity *identity, struct error *err);
