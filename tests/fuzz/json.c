/* SPDX-License-Identifier: Apache-2.0 */

/* json_read, json_line, json_at and field tables: one canonical form, and never a crash on a shape that is not ours. */
#include "common/json.h"
#include "tests/fuzz/fuzz.h"

struct target {
	char text[8];
	int64_t number;
	bool flag;
	const json_t *tree;
};

static const struct json_field fields[] = {
	{"a", JSON_FIELD_TEXT, offsetof(struct target, text), sizeof(((struct target *)NULL)->text), false},
	{"a.b", JSON_FIELD_INT, offsetof(struct target, number), 0, false},
	{"b", JSON_FIELD_BOOL, offsetof(struct target, flag), 0, false},
	{"a.b.c", JSON_FIELD_TREE, offsetof(struct target, tree), 0, false},
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	CLEANUP_JSON json_t *value = NULL;
	CLEANUP_JSON json_t *again = NULL;
	struct target target = {0};
	struct error problem = {0};

	CLEANUP_JSON json_t *string = json_from_bytes(text, length);
	MUST(json_is_string(string));
	if (json_read(text, length, &value, &problem) < 0) {
		MUST(problem.code == ERROR_INPUT && problem.text[0] != '\0');
		return 0;
	}
	CLEANUP_FREE char *line = json_line(value);
	MUST(line != NULL && strchr(line, '\n') == NULL);
	MUST(json_read(line, strlen(line), &again, &problem) == 0);
	CLEANUP_FREE char *line_again = json_line(again);
	MUST(line_again != NULL && strcmp(line, line_again) == 0);
	if (json_fields_read(value, fields, ARRAY_LENGTH(fields), &target, &problem) < 0)
		MUST(problem.code == ERROR_INPUT);
	MUST(strnlen(target.text, sizeof(target.text)) < sizeof(target.text));
	return 0;
}
