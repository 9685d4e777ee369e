/* SPDX-License-Identifier: Apache-2.0 */

/* Names of files and objects: what they say fits together, and an open filter leaves nothing out. */
#include "detector/source_layout.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	const struct source_filter open = {0};
	struct source_place place = source_place_of(text);
	(void)source_is_log_name(text);
	MUST(place.account[0] == '\0' || strlen(place.account) == 12);
	MUST(strnlen(place.region, sizeof(place.region)) < sizeof(place.region));
	MUST(place.until_us == 0 || place.from_us < place.until_us);
	MUST(source_filter_takes(&open, &place));
	return 0;
}
