/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/secret.h"
#include "store/model.h"

/* Keyed digests of a credential, so that the ledger can recognise a leaked one without holding it. HMAC-SHA256 under
 * host.key, each over a domain word and the value, so that a secret's digest never equals a token's. */
MUST_USE int fingerprint_make(const struct secret_key *host_key, const char *access_key_id, const struct secret *secret,
                              const struct secret *token, struct fingerprint *ret, struct error *err);
