/* SPDX-License-Identifier: Apache-2.0 */

/* json_read, json_line, canonical_json, and what stands at a path: one canonical form, and never a crash on a shape
 * that is not ours. */
#include "common/json.h"
#include "common/canonical.h"
#include "tests/fuzz/fuzz.h"

static const char *const paths[] = {"a", "a.b", "b", "a.b.c"};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	CLEANUP_JSON json_t *value = NULL;
	CLEANUP_JSON json_t *again = NULL;
	struct error problem = {0};

	CLEANUP_JSON json_t *string = json_from_bytes(text, length);
	MUST(json_is_string(string));
	bool is_canonical = canonical_json(text, length);
	if (json_read(text, length, &value, &problem) < 0) {
		MUST(!is_canonical);
		MUST(problem.code == ERROR_INPUT && problem.text[0] != '\0');
		return 0;
	}
	CLEANUP_FREE char *line = json_line(value);
	MUST(line != NULL && strchr(line, '\n') == NULL);
	MUST(!is_canonical || (strlen(line) == length && memcmp(line, text, length) == 0));
	MUST(json_read(line, strlen(line), &again, &problem) == 0);
	CLEANUP_FREE char *line_again = json_line(again);
	MUST(line_again != NULL && strcmp(line, line_again) == 0);
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		const json_t *found = json_at(value, paths[i]);
		int64_t number = 7;
		bool flag = false;
		const char *at = json_text_at(value, paths[i]);
		MUST(found == NULL || !json_is_null(found)); /* null is absent */
		MUST(at == NULL || json_is_string(found));
		MUST(json_int_at(value, paths[i], &number) == json_is_integer(found));
		MUST(json_bool_at(value, paths[i], &flag) == json_is_boolean(found));
	}
	return 0;
}
