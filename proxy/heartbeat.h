/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/writer.h"

/* Rows of kind `coverage` (store/coverage.h): that the daemon is up, and what the last check of the redirect said. A
 * thread of its own. Checks are made by root, who leaves their result in the runtime folder (`redirect.json`, replaced
 * whole); files of others than root and ourselves are not believed. */
struct heartbeat;

/* `boot_id`: checks of an earlier boot are not believed either. */
MUST_USE int heartbeat_start(struct writer *writer, const char *runtime, const char *boot_id, struct heartbeat **ret,
                             struct error *err);
/* Ends the thread and writes the last row. NULL is fine. */
void heartbeat_stop(struct heartbeat *heartbeat);

/* For `status` and monitoring: {checked_at, age_s, whole}, nulls when no check is known. New reference. */
json_t *heartbeat_redirect(struct heartbeat *heartbeat);
