/* SPDX-License-Identifier: Apache-2.0 */

/* A record of any kind, to all that read one: the event, what it hands out, what it says of addresses. */
#include "detector/lesson.h"
#include "detector/claims.h"
#include "detector/links.h"
#include "tests/fuzz/fuzz.h"

static int take(void *context, const struct claim *claim, struct error *err)
{
	(void)context;
	(void)err;
	MUST(claim->address != NULL && claim->holder != NULL && claim->account[0] != '\0');
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	CLEANUP(record_text_done) struct record_text text = {0};
	CLEANUP_BUFFER struct buffer row = {0};
	CLEANUP_FREE char *bytes = fuzz_text(input, length);
	struct event event;
	struct link_room room;
	struct link link, again;
	const char *key, *instance;
	if (!event_read(bytes, length, &event) || !record_text_find(bytes, length, &text))
		return 0;
	(void)claims_read(&text, &event, take, NULL, NULL);
	(void)link_read_issue(&text, &event, &room, &key, &instance);
	if (!link_read(&text, &event, &room, &link))
		return 0;
	MUST(link_pack(&link, &row, NULL) == 0 && link_unpack(row.bytes, row.length, &again));
	MUST(strcmp(again.child, link.child) == 0 && strcmp(again.parent.key, link.parent.key) == 0);
	return 0;
}
