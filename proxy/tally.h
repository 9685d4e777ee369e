/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/counts.h"
#include "proxy/record.h"

/* What one exchange that is over came to, in the terms of counts.h. */
struct tally {
	const struct record_facts *facts;
	int refused; /* status of the refusal, below 100 when it was a silent one; 0: it was answered */
	bool is_sent;
	int keys;
	int64_t started_us; /* of clock_monotonic_us() */
};

void tally_add(struct counts *counts, const struct tally *tally);
