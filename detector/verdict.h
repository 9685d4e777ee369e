/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/buffer.h"
#include "common/json.h"

/* What a finding comes to, in the words that all who tell people of it share: reports, orders to contain it, other
 * tools' forms. Texts hold what attackers chose (roles, paths): escape them where they go. Pure. */

/* One sentence: whose key, used from where, how often, when. */
MUST_USE int verdict_sentence(const json_t *finding, struct buffer *to, struct error *err);

/* One sentence on who may have leaked it: the likeliest of how many receivers, or that nobody is known. */
MUST_USE int verdict_suspect(const json_t *finding, struct buffer *to, struct error *err);

/* How sure it is whose account the other side is. */
enum certainty {
	CERTAINTY_NONE,   /* it is not known whose */
	CERTAINTY_WEAK,   /* an account of AWS's customers, by its address alone */
	CERTAINTY_STRONG, /* by what people wrote down, or by what logs of the time say */
	CERTAINTY_SURE,   /* AWS itself names the account */
	CERTAINTY_COUNT,
};
extern const char *const certainty_names[CERTAINTY_COUNT]; /* unknown, weak, strong, certain */

/* Whose account the other side is: {account_id, relation, certainty, address, vpc_endpoint_id, network, text, advice}.
 * `text` is one sentence; `advice` what follows for whom to talk to first. account_id is null where it is not known.
 * New reference, NULL without memory. */
json_t *verdict_other_side(const json_t *finding);
