/* SPDX-License-Identifier: Apache-2.0 */

/* clock_parse, clock_parse_when, clock_parse_http: what is read is written so that it reads the same. */
#include "common/clock.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	char written[CLOCK_TEXT_BYTES], date[CLOCK_HTTP_BYTES];
	int64_t time_us, again_us;
	const int64_t now_us = INT64_C(1700000000000000);

	/* An offset may lead out of the years 0 to 9999, for which there is no text. */
	if (clock_parse(text, &time_us) && strcmp(clock_format(time_us, written), "0000-00-00T00:00:00.000000Z") != 0)
		MUST(clock_parse(written, &again_us) && again_us == time_us);
	if (clock_parse_when(text, now_us, &time_us) && strpbrk(text, "-:") == NULL)
		MUST(time_us <= now_us);
	if (clock_parse_http(text, &time_us)) {
		MUST(clock_parse_http(clock_format_http(time_us, date), &again_us));
		MUST(again_us == time_us);
	}
	return 0;
}
