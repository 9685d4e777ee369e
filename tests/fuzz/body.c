/* SPDX-License-Identifier: Apache-2.0 */

/* body_screen: the first two bytes say what the head said, the rest is the body. A verdict does not depend on how the
 * bytes arrive nor on what follows, and never reaches beyond them. */
#include "proxy/body.h"
#include "tests/fuzz/fuzz.h"

static void check_prefixes(const struct screen *head, const char *text, size_t length, const struct body *whole)
{
	enum screen_verdict before = SCREEN_MORE;
	for (size_t i = 0; i <= length; i++) {
		struct body part = body_screen(head, text, i);
		MUST(before == SCREEN_MORE || part.verdict == before);
		if (part.verdict == SCREEN_GOOD)
			MUST(part.bytes <= i && part.bytes == whole->bytes && part.has_extra == (i > part.bytes));
		before = part.verdict;
	}
	MUST(before == whole->verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	if (length < 2)
		return 0;
	CLEANUP_FREE char *text = malloc(length); /* without a NUL behind it */
	MUST(text != NULL);
	memcpy(text, bytes + 2, length - 2);
	const struct screen head = {
		.verdict = SCREEN_GOOD,
		.is_chunked = bytes[0] & 1,
		.content_length = (bytes[0] & 1) != 0 ? 0 : (size_t)(bytes[0] >> 1) << 8 | bytes[1],
	};
	struct body body = body_screen(&head, text, length - 2);
	MUST((body.reason != NULL) == (body.verdict == SCREEN_BAD));
	MUST(body.verdict != SCREEN_GOOD || (body.bytes <= BODY_BYTES_MAX && body.bytes <= length - 2));
	if (body.verdict == SCREEN_GOOD && head.is_chunked)
		MUST(body.bytes >= 5 && memcmp(text + body.bytes - 4, "\r\n\r\n", 4) == 0);
	if (length <= 512)
		check_prefixes(&head, text, length - 2, &body);
	return 0;
}
