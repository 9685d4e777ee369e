/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/upstream.h"
#include "proxy/witness/line.h"
#include "store/settings.h"

/* What sets the services apart that the proxy stands in front of. Pure. */

/* The metadata service always is, the agents if the settings say so; SERVICE_NONE never. */
bool service_is_served(enum service service, const struct settings *settings);

/* An agent of a container host: no tokens there, and who asks is told by an id in the path or by Authorization. */
bool service_is_agent(enum service service);

/* Where a client's request to it goes on to; `ipv6`: the client came that way. */
enum upstream_endpoint service_endpoint(enum service service, bool ipv6);
