/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/request.h"
#include "proxy/route.h"
#include "store/settings.h"

/* Will the answer to a request of the metadata service be the same whoever asks, and nothing be written of it, unless
 * something goes wrong? `is_good`: it bears a token that is good for whoever it may be. Pure. */
bool anybody_may_ask(const struct settings *settings, const struct request *request, const struct route *route,
                     bool is_good);
