/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/findings_handle.h"

/* A finding's lists: event_ids, calls, errors, user_agents, addresses, endpoints, regions. */

/* By what is stored of its uses. */
MUST_USE int findings_put_lists(struct findings *findings, const char *id, json_t *finding, struct error *err);

/* A use; texts are borrowed, "" where there is nothing to say. */
struct findings_single {
	const char *event, *service, *name, *error, *user_agent, *address, *region;
};

/* The same of a finding of this one use, whose facts are in it already. */
void findings_put_single(const struct findings_single *use, json_t *finding);
