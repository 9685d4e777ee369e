/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Names of the machine's users, remembered until its list changes, and for a while at most: others may lie on a
 * network. Safe from any thread. */

#define USERS_NAME_BYTES 64
#define USERS_REMEMBERED_MS 10000

/* `root`: the machine's "/" (struct machine), which is not ours where the daemon runs in a container: then its
 * /etc/passwd alone is asked. Always the same one. False: there is none (or none that fits). */
bool users_name(int root, uid_t uid, char ret[static USERS_NAME_BYTES]);
