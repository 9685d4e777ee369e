/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/error.h"

/* System call filters of the daemon's two processes: what is not in the list ends the process, at once and whole; the
 * other one notices and ends as well. Applied when all that start-up needs is done, to all threads. */

enum seccomp_process {
	SECCOMP_PROXY = 1 << 0,
	SECCOMP_WITNESS = 1 << 1,
};

/* For good, and no_new_privs with it. A kernel that has no filters is not an error: then a line in the log says so. */
MUST_USE int seccomp_apply(enum seccomp_process process, struct error *err);
