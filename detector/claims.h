/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"
#include "detector/event.h"
#include "detector/fields.h"

/* What one record of EC2's says of whose an address, a network interface or an endpoint is. Successful calls only. */

enum claim_kind {
	CLAIM_OWN,      /* the address belongs to the account, held by nobody known */
	CLAIM_HOLD,     /* ... and is held by `holder`: an instance, a network interface or a NAT gateway */
	CLAIM_LET_GO,   /* nobody holds it any more; it still belongs to the account */
	CLAIM_FREE,     /* it belongs to the account no more */
	CLAIM_ENDED,    /* `holder` is no more: what it held by itself is free, elastic addresses are let go */
	CLAIM_STOPPED,  /* `holder` rests: its own IPv4 addresses are free, all others stay */
	CLAIM_ATTACH,   /* the network interface `name` is part of the instance `holder` */
	CLAIM_ENDPOINT, /* the endpoint `name` belongs to the account */
	CLAIM_KIND_COUNT,
};
extern const char *const claim_kind_names[CLAIM_KIND_COUNT];

/* Texts are never NULL, "" where unknown. Of `address`, `allocation` and `association` at least one is known, where the
 * kind needs an address: the others are known from other records. */
struct claim {
	enum claim_kind kind;
	int64_t at_us;
	const char *account, *event_id;
	const char *address, *allocation, *association;
	const char *holder, *name;
	bool is_stored; /* known from an earlier run */
};

/* Hands over each claim of a record whose name is one of LESSON_CLAIM; texts are lent during the call. */
typedef int claim_take(void *context, const struct claim *claim, struct error *err);
MUST_USE int claims_read(const struct record_text *text, const struct event *event, claim_take *take, void *context,
                         struct error *err);
