/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "common/digest.h"

/* The hash chain that binds each row of the ledger to all rows before it. Pure. */

struct chain_row {
	int64_t seq, at_us;
	const char *id, *kind;
	const char *subject, *access_key_id; /* NULL where the column is null */
	const char *body;
};

/* The link before the first row: it depends on the ledger's id, so that rows of two ledgers cannot be mixed. */
MUST_USE int chain_genesis(const char *ledger_id, uint8_t ret[static DIGEST_BYTES], struct error *err);

/* SHA-256 over the previous link and every field of the row, each with its length in front. */
MUST_USE int chain_next(const uint8_t previous[static DIGEST_BYTES], const struct chain_row *row,
                        uint8_t ret[static DIGEST_BYTES], struct error *err);
