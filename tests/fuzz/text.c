/* SPDX-License-Identifier: Apache-2.0 */

/* text_to_utf8, text_escape, text_glob, text_to_u64, text_trim. */
#include "common/text.h"
#include "common/json.h"
#include "tests/fuzz/fuzz.h"

static void check_printable(const char *text, size_t size)
{
	size_t length = strlen(text);
	MUST(length < size);
	for (size_t i = 0; i < length; i++)
		MUST(text[i] >= 0x20 && text[i] <= 0x7e);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = fuzz_text(bytes, length);

	/* What comes out is UTF-8 without NUL, by another reader's judgement, and comes out of it unchanged. */
	CLEANUP_FREE char *utf8 = text_to_utf8(text, length);
	MUST(utf8 != NULL);
	CLEANUP_JSON json_t *string = json_string(utf8);
	MUST(string != NULL);
	CLEANUP_FREE char *again = text_to_utf8(utf8, strlen(utf8));
	MUST(again != NULL && strcmp(utf8, again) == 0);

	for (size_t size = 1; size < 12; size++) {
		CLEANUP_FREE char *to = malloc(size);
		MUST(to != NULL);
		check_printable(text_escape(to, size, text, length), size);
	}

	MUST(text_glob("*", text) && text_glob(text, "") == (strspn(text, "*") == strlen(text)));
	const char *parted = strchr(text, '\n');
	if (parted != NULL) {
		CLEANUP_FREE char *pattern = strndup(text, (size_t)(parted - text));
		(void)text_glob(pattern, parted + 1);
	} else if (strpbrk(text, "*?") == NULL) {
		MUST(text_glob(text, text));
	}

	uint64_t number;
	if (text_to_u64(text, UINT64_MAX, &number)) {
		MUST(strspn(text, "0123456789") == strlen(text));
		MUST(number == strtoull(text, NULL, 10));
	}
	char *trimmed = text_trim(text);
	MUST(trimmed >= text && strlen(trimmed) <= length);
	return 0;
}
