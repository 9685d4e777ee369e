/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/credential.h"
#include "proxy/instance.h"
#include "proxy/response.h"

/* The keys in an answer with status 200, their fingerprints under the key of the instance that this is; if there are
 * some while that is not known, waits for it. Returns how many, or -1 and the reason of a refusal: whatever such an
 * answer holds could not be recorded. *err is filled when it could not be read. From any thread. */
MUST_USE int keys_find(struct instance *instance, const struct response *answer,
                       struct key keys[static CREDENTIALS_MAX], const char **ret_reason, struct error *err);
