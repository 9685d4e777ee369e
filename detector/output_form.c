/* SPDX-License-Identifier: Apache-2.0 */

/* What the forms share: texts within their bounds, times in their units, and the fields that they all ask for. */
#include "detector/output_form.h"

#include <string.h>

#include "common/cidr.h"
#include "common/clock.h"
#include "common/text.h"
#include "detector/verdict.h"

json_t *output_text(const char *text, size_t limit)
{
	if (text == NULL || text[strspn(text, " \t\r\n")] == '\0')
		return NULL;
	size_t length = strlen(text);
	if (length > limit) {
		length = limit;
		while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
			length--;
	}
	return json_from_bytes(text, length);
}

json_t *output_title(const json_t *finding, size_t limit)
{
	CLEANUP_BUFFER struct buffer text = {0};
	return verdict_sentence(finding, &text, NULL) < 0 ? NULL : output_text(text.bytes, limit);
}

json_t *output_description(const json_t *finding, size_t limit)
{
	CLEANUP_BUFFER struct buffer text = {0};
	CLEANUP_JSON json_t *side = verdict_other_side(finding);
	const char *whose = json_text_at(side, "text");
	if (verdict_sentence(finding, &text, NULL) < 0 || buffer_printf(&text, NULL, " ") < 0 ||
	    verdict_suspect(finding, &text, NULL) < 0 ||
	    buffer_printf(&text, NULL, " %s", whose != NULL ? whose : "") < 0)
		return NULL;
	return output_text(text.bytes, limit);
}

const json_t *output_first(const json_t *value, const char *path)
{
	return json_array_get(json_at(value, path), 0);
}

const char *output_region(const json_t *finding)
{
	const char *of_calls = json_text_at(output_first(finding, "regions"), "region");
	const char *of_host = json_text_at(output_first(finding, "suspects"), "host.region");
	return of_calls != NULL ? of_calls : of_host != NULL ? of_host : OUTPUT_UNKNOWN;
}

const char *output_partition(const json_t *finding)
{
	const char *region = output_region(finding);
	return text_starts(region, "cn-") ? "aws-cn" : text_starts(region, "us-gov-") ? "aws-us-gov" : "aws";
}

const char *output_account(const json_t *finding)
{
	const char *account = json_text_at(finding, "owner.account_id");
	return account != NULL ? account : OUTPUT_UNKNOWN;
}

const char *output_updated(const json_t *finding)
{
	const char *seen = json_text_at(finding, "last_seen"), *said = json_text_at(finding, "state_at");
	/* Both are of one form, so their order is that of their bytes. */
	return seen == NULL || (said != NULL && strcmp(said, seen) > 0) ? said : seen;
}

json_t *output_time(const json_t *value, const char *path, int64_t unit_us)
{
	const char *text = json_text_at(value, path);
	int64_t time_us;
	return text != NULL && clock_parse(text, &time_us) ? json_integer(time_us / unit_us) : NULL;
}

const char *output_file_name(const char *path)
{
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;
	return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

enum output_source output_source(const json_t *finding, const char **ret_text)
{
	struct address address;
	const char *text = json_text_at(finding, "remote.address");
	*ret_text = text;
	if (text == NULL)
		return OUTPUT_SOURCE_NONE;
	if (!address_parse(text, &address))
		return OUTPUT_SOURCE_OTHER;
	return strchr(text, ':') != NULL ? OUTPUT_SOURCE_V6 : OUTPUT_SOURCE_V4;
}

json_t *output_command(const json_t *process, size_t limit)
{
	const json_t *words = json_at(process, "cmdline");
	CLEANUP_BUFFER struct buffer text = {0};
	for (size_t i = 0; i < json_array_size(words); i++) {
		const char *word = json_string_value(json_array_get(words, i));
		if (buffer_printf(&text, NULL, "%s%s", i > 0 ? " " : "", word != NULL ? word : "") < 0)
			return NULL;
	}
	return output_text(text.bytes, limit);
}

void output_put(json_t *object, const char *key, json_t *value)
{
	if (value != NULL)
		json_put(object, key, value);
}

bool output_has_state(const json_t *finding, const char *state)
{
	const char *is = json_text_at(finding, "state");
	return strcmp(is != NULL ? is : "new", state) == 0;
}
