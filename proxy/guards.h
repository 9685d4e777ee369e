/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/cleanup.h"
#include "proxy/request.h"
#include "proxy/witness/line.h"

/* Is this a request that is served, by its head alone? 0, or the status of a refusal and its reason. Pure. */

/* Whoever it is for: its form and its method. */
MUST_USE int guards_form(const struct request *request, const char **ret_reason);

/* For this service: AWS's defence against forwarding proxies, and ours against names that a browser was made to believe
 * in. */
MUST_USE int guards_origin(enum service service, const struct request *request, const char **ret_reason);
