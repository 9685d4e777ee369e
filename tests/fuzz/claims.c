/* SPDX-License-Identifier: Apache-2.0 */

/* What EC2's records say of addresses: every claim is of a known kind, and all of its texts are there. */
#include "detector/claims.h"
#include "tests/fuzz/fuzz.h"

static int on_claim(void *context, const struct claim *claim, struct error *err)
{
	const char *const texts[] = {claim->account,     claim->event_id, claim->address, claim->allocation,
	                             claim->association, claim->holder,   claim->name};
	(void)err;
	MUST((size_t)claim->kind < CLAIM_KIND_COUNT);
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		MUST(texts[i] != NULL);
	++*(size_t *)context;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *record = fuzz_text(bytes, length);
	CLEANUP(record_text_done) struct record_text text = {0};
	struct event event;
	struct error problem = {0};
	size_t count = 0;
	if (!record_text_find(record, length, &text) || !event_read(record, length, &event))
		return 0;
	(void)claims_read(&text, &event, on_claim, &count, &problem);
	MUST(count <= length);
	return 0;
}
