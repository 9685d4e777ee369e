/* SPDX-License-Identifier: Apache-2.0 */

/* screen_head: a verdict does not depend on how the bytes arrive, and a good head has one reading. */
#include "proxy/screen.h"
#include "tests/fuzz/fuzz.h"

/* Byte by byte: once there is a verdict it stands, and a head is good from its last byte on. */
static void check_prefixes(const char *text, size_t length, const struct screen *whole)
{
	enum screen_verdict before = SCREEN_MORE;
	for (size_t i = 0; i <= length; i++) {
		struct screen part = screen_head(text, i);
		if (part.verdict == SCREEN_GOOD)
			MUST(i >= part.head_bytes && (before == SCREEN_GOOD || i == part.head_bytes));
		if (before != SCREEN_MORE)
			MUST(part.verdict == before);
		before = part.verdict;
	}
	MUST(before == whole->verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = malloc(length > 0 ? length : 1); /* without a NUL behind it */
	MUST(text != NULL);
	memcpy(text, bytes, length);
	struct screen screen = screen_head(text, length);
	MUST((screen.reason != NULL) == (screen.verdict == SCREEN_BAD));
	if (length <= 512)
		check_prefixes(text, length, &screen);
	if (screen.verdict != SCREEN_GOOD)
		return 0;
	MUST(screen.head_bytes >= 16 && screen.head_bytes <= length && screen.head_bytes <= SCREEN_HEAD_BYTES);
	MUST(memcmp(text + screen.head_bytes - 4, "\r\n\r\n", 4) == 0);
	MUST(memmem(text, screen.head_bytes - 1, "\r\n\r\n", 4) == NULL);
	MUST(memchr(text, '\0', screen.head_bytes) == NULL);
	for (size_t i = 0; i < screen.head_bytes; i++) {
		MUST(text[i] != '\n' || (i > 0 && text[i - 1] == '\r'));
		MUST(text[i] != '\r' || text[i + 1] == '\n');
		MUST(i < 2 || text[i - 1] != '\n' || (text[i] != ' ' && text[i] != '\t')); /* nothing is folded */
	}
	return 0;
}
