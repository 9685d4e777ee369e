/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>

#include "common/json.h"

/* The program keytrail-redirect: where it is, and what it says. */

/* Tells it which program it may ask for what no shell can find out. */
#define REDIRECT_PROGRAM "KEYTRAIL_PROGRAM"

/* In the source tree that this program was built in (build/PRESET/bin beside iptables/), else where it is installed.
 * `program` is the path of this program. ERROR_MISSING names the places. */
MUST_USE int redirect_find(const char *program, char ret[static PATH_MAX], struct error *err);

/* Runs it (needs root) with this verb and the settings file, NULL for the default, and gives its exit status and the
 * lines that it printed, as a list. */
MUST_USE int redirect_run(const char *settings, const char *verb, int *ret_status, json_t **ret_lines,
                          struct error *err);

/* The path of the running program. */
MUST_USE int redirect_self(char ret[static PATH_MAX], struct error *err);
