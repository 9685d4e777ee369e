/* SPDX-License-Identifier: Apache-2.0 */

/* `who --finding`: from a file to the keys in it. What the fields mean is finding_input.c's part. */
#include "cli/reported.h"

#include <string.h>

#include "cli/complain.h"
#include "cli/finding_input.h"
#include "common/buffer.h"

#define FILE_MAX_BYTES ((size_t)64 << 20) /* a page of get-findings is 50 findings, some 300 KB */

MUST_USE static int read_text(const char *path, struct buffer *text, struct error *err)
{
	if (strcmp(path, "-") != 0)
		return buffer_read_file(text, path, err);
	if (buffer_read_fd(text, STDIN_FILENO, err) < 0)
		return error_prefix(err, "standard input");
	return 0;
}

/* GuardDuty's exports to S3 hold one finding a line. */
MUST_USE static int read_lines(const char *text, size_t length, json_t **ret, struct error *err)
{
	CLEANUP_JSON json_t *list = json_array();
	const char *end = text + length;
	for (int number = 1; text < end; number++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline != NULL ? newline : end;
		json_t *value = NULL;
		size_t blank = strspn(text, " \t\r");
		if (text + blank < stop && json_read(text, (size_t)(stop - text), &value, err) < 0)
			return error_set(err, ERROR_INPUT, "line %d is no JSON", number);
		if (value != NULL)
			(void)json_array_append_new(list, value);
		text = stop + 1;
	}
	*ret = steal_pointer(&list);
	return 0;
}

MUST_USE static int read_document(const char *path, json_t **ret, struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {.limit = FILE_MAX_BYTES};
	struct error ignored;
	if (read_text(path, &text, err) < 0)
		return -1;
	if (text.length == 0)
		return error_set(err, ERROR_INPUT, "empty, expected a finding as JSON");
	if (json_read(text.bytes, text.length, ret, err) == 0)
		return 0;
	return read_lines(text.bytes, text.length, ret, &ignored) < 0 ? -1 : 0;
}

static bool holds(const json_t *list, const json_t *value)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_equal(json_array_get(list, i), value))
			return true;
	return false;
}

MUST_USE static int read_reports(const char *path, json_t **ret, size_t *ret_findings, struct error *err)
{
	CLEANUP_JSON json_t *document = NULL;
	if (read_document(path, &document, err) < 0)
		return -1;
	return finding_input_read(document, ret, ret_findings, err);
}

int reported_read(const char *path, json_t **ret_reports, json_t **ret_keys, struct error *err)
{
	CLEANUP_JSON json_t *reports = NULL;
	CLEANUP_JSON json_t *keys = json_array();
	size_t findings = 0;
	if (read_reports(path, &reports, &findings, err) < 0)
		return error_prefix(err, "--finding %.80s", path);
	if (json_array_size(reports) == 0)
		return error_set(err, ERROR_INPUT,
		                 "--finding %.80s: no access key in it, expected a finding about a key "
		                 "(accessKeyDetails, or a resource of type AwsIamAccessKey)",
		                 path);
	if (json_array_size(reports) < findings)
		complain("--finding %.80s: %zu of %zu findings name no access key", path,
		         findings - json_array_size(reports), findings);
	for (size_t i = 0; i < json_array_size(reports); i++) {
		json_t *key = json_object_get(json_array_get(reports, i), "access_key_id");
		if (!holds(keys, key))
			(void)json_array_append(keys, key);
	}
	*ret_reports = steal_pointer(&reports);
	*ret_keys = steal_pointer(&keys);
	return 0;
}
