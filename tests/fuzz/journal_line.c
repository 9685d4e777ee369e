/* SPDX-License-Identifier: Apache-2.0 */

/* packed_from_line: a line that is taken is written again as a line that reads the same. */
#include "store/line.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	struct packed packed, again;
	struct error problem = {0};
	if (packed_from_line(text, length, &packed, &problem) < 0) {
		MUST(problem.code == ERROR_INPUT);
		return 0;
	}
	MUST(packed.kind != NULL && packed.id != NULL && packed.body != NULL && packed.actor_count <= ENTRY_ACTORS_MAX);
	CLEANUP_FREE char *line = packed_to_line(&packed);
	MUST(line != NULL && packed_from_line(line, strlen(line), &again, &problem) == 0);
	CLEANUP_FREE char *line_again = packed_to_line(&again);
	MUST(line_again != NULL && strcmp(line, line_again) == 0);
	CLEANUP_BUFFER struct buffer object = {0};
	const struct line_place nowhere = {0};
	MUST(line_of_packed(&packed, 0, &nowhere, &object, NULL) == 0);
	MUST(strchr(object.bytes, '\n') == object.bytes + object.length - 1);
	packed_done(&packed);
	packed_done(&again);
	return 0;
}
