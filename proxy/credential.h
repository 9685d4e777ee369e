/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/secret.h"
#include "store/model.h"

/* Does an answer's body hold credentials? Found by content under any path: IMDS, ECS and EKS documents differ, and more
 * families are coming. Error documents ("Code" : "AssumeRoleUnauthorizedAccess", with HTTP 200) hold none. */

#define CREDENTIALS_MAX 8 /* in one body; a document holds one */

/* Fills up to CREDENTIALS_MAX keys, fingerprints made under host_key, role from the document if it names one. Returns
 * how many there are, or -1. More than CREDENTIALS_MAX is ERROR_LIMIT. The secrets pass through wiped memory only. */
MUST_USE int credential_find(const char *body, size_t length, const struct secret_key *host_key,
                             struct key keys[static CREDENTIALS_MAX], struct error *err);
