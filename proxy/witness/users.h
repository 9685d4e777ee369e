/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Names of the machine's users, remembered for a while: a list of users may lie on a network. Safe from any thread. */

#define USERS_NAME_BYTES 64
#define USERS_REMEMBERED_MS 10000

/* False: there is none (or none that fits). */
bool users_name(uid_t uid, char ret[static USERS_NAME_BYTES]);
