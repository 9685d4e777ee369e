/* SPDX-License-Identifier: Apache-2.0 */

/* Which of the three parts a value is, its name says, however it is spelled: SecretAccessKey, aws_secret_access_key,
 * AWS_SECRET_ACCESS_KEY. Nothing of the input is ever put into a message. */
#include "cli/leaked.h"

#include <ctype.h>
#include <string.h>

#include "cli/access_key.h"
#include "common/json.h"
#include "common/text.h"

#define NAME_BYTES 64
#define DEPTH_MAX 16

enum part { PART_NONE, PART_KEY, PART_SECRET, PART_TOKEN };

static const struct {
	const char *name; /* letters only, lower case, without "aws" */
	enum part part;
} names[] = {
	{"accesskeyid", PART_KEY},    {"secretaccesskey", PART_SECRET}, {"secretkey", PART_SECRET},
	{"sessiontoken", PART_TOKEN}, {"securitytoken", PART_TOKEN},    {"token", PART_TOKEN},
};

struct reading {
	struct leaked *found;
	size_t count;
	bool is_open; /* the last one takes more parts */
	struct error *err;
};

static enum part part_of(const char *name, size_t length)
{
	char letters[NAME_BYTES];
	size_t used = 0;
	for (size_t i = 0; i < length && used < sizeof(letters) - 1; i++)
		if (isalpha((unsigned char)name[i]))
			letters[used++] = (char)tolower((unsigned char)name[i]);
	letters[used] = '\0';
	const char *plain = text_starts(letters, "aws") ? letters + 3 : letters;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (strcmp(names[i].name, plain) == 0)
			return names[i].part;
	return PART_NONE;
}

static bool has_part(const struct leaked *leaked, enum part part)
{
	switch (part) {
	case PART_KEY:
		return leaked->access_key_id[0] != '\0';
	case PART_SECRET:
		return leaked->secret.length > 0;
	case PART_TOKEN:
		return leaked->token.length > 0;
	case PART_NONE:
		break;
	}
	return false;
}

/* A part that the present credential has already begins the next one. */
MUST_USE static int put(struct reading *reading, enum part part, const char *value, size_t length)
{
	if (length == 0)
		return 0;
	if (!reading->is_open || has_part(&reading->found[reading->count - 1], part)) {
		if (reading->count == LEAKED_MAX)
			return error_set(reading->err, ERROR_LIMIT, "more than %d credentials", LEAKED_MAX);
		reading->found[reading->count++] = (struct leaked){0};
		reading->is_open = true;
	}
	struct leaked *leaked = &reading->found[reading->count - 1];
	if (part == PART_SECRET)
		return secret_set(&leaked->secret, value, length, reading->err);
	if (part == PART_TOKEN)
		return secret_set(&leaked->token, value, length, reading->err);
	if (length >= sizeof(leaked->access_key_id))
		return error_set(reading->err, ERROR_INPUT, "an access key id of %zu characters", length);
	memcpy(leaked->access_key_id, value, length);
	leaked->access_key_id[length] = '\0';
	return 0;
}

/* ---- JSON */

MUST_USE static int walk(struct reading *reading, json_t *value, int depth)
{
	const char *name;
	json_t *child;
	size_t index;
	if (depth > DEPTH_MAX)
		return 0;
	reading->is_open = false;
	json_object_foreach (value, name, child) {
		enum part part = json_is_string(child) ? part_of(name, strlen(name)) : PART_NONE;
		if (part != PART_NONE && put(reading, part, json_string_value(child), json_string_length(child)) < 0)
			return -1;
	}
	json_object_foreach (value, name, child)
		if (walk(reading, child, depth + 1) < 0)
			return -1;
	json_array_foreach (value, index, child)
		if (walk(reading, child, depth + 1) < 0)
			return -1;
	return 0;
}

/* ---- lines */

/* `export NAME="value"`, `NAME = value`, `NAME: value`, `$env:NAME = 'value'`, `set NAME=value`. */
MUST_USE static int take_line(struct reading *reading, const char *line, size_t length)
{
	const char *end = line + length;
	while (line < end && isspace((unsigned char)*line))
		line++;
	if (line < end && *line == '[')
		reading->is_open = false; /* a new profile */
	size_t before = strcspn(line, "=\n");
	const char *sign = before < (size_t)(end - line) && line[before] == '='
	                           ? line + before
	                           : memchr(line, ':', (size_t)(end - line));
	if (sign == NULL)
		return 0;
	const char *name = sign;
	while (name > line && strchr(" \t\"'", name[-1]) != NULL)
		name--;
	const char *name_end = name;
	while (name > line && (isalnum((unsigned char)name[-1]) || name[-1] == '_' || name[-1] == '-'))
		name--;
	enum part part = part_of(name, (size_t)(name_end - name));
	const char *value = sign + 1;
	while (value < end && strchr(" \t\"'", *value) != NULL)
		value++;
	while (end > value && strchr(" \t\r\"';,", end[-1]) != NULL)
		end--;
	return part == PART_NONE ? 0 : put(reading, part, value, (size_t)(end - value));
}

MUST_USE static int take_lines(struct reading *reading, const char *text, const char *end)
{
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		stop = stop != NULL ? stop : end;
		if (take_line(reading, text, (size_t)(stop - text)) < 0)
			return -1;
		text = stop + 1;
	}
	return 0;
}

/* One word: a key id says so itself, all else may be either secret. */
MUST_USE static int take_lone(struct reading *reading, const char *text, size_t length)
{
	char id[KEY_ID_BYTES];
	if (length < sizeof(id)) {
		memcpy(id, text, length);
		id[length] = '\0';
		if (access_key_is_valid(id) && (text_starts(id, "ASIA") || text_starts(id, "AKIA")))
			return put(reading, PART_KEY, text, length);
	}
	if (put(reading, PART_SECRET, text, length) < 0 || put(reading, PART_TOKEN, text, length) < 0)
		return -1;
	reading->found[reading->count - 1].is_lone = true;
	return 0;
}

int leaked_read(const char *text, size_t length, struct leaked ret[static LEAKED_MAX], size_t *ret_count,
                struct error *err)
{
	struct reading reading = {.found = ret, .err = err};
	struct error problem = {0};
	int result;
	while (length > 0 && isspace((unsigned char)*text))
		text++, length--;
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	size_t word = 0;
	while (word < length && !isspace((unsigned char)text[word]))
		word++;
	if (length > 0 && (text[0] == '{' || text[0] == '[')) {
		CLEANUP_JSON json_t *document = NULL;
		/* What is wrong with it is not quoted: it is a secret. */
		if (json_read(text, length, &document, &problem) == 0)
			result = walk(&reading, document, 0);
		else
			result = take_lines(&reading, text, text + length);
	} else if (word == length && length > 0 && memchr(text, '=', length - 2 < length ? length - 2 : 0) == NULL) {
		result = take_lone(&reading, text, length);
	} else {
		result = take_lines(&reading, text, text + length);
	}
	if (result == 0 && reading.count == 0)
		result = error_set(err, ERROR_INPUT,
		                   "no credential in it, expected JSON of the metadata service or the AWS CLI, a "
		                   "credentials file, exports, or a lone secret, token or key id");
	if (result < 0)
		leaked_done(ret, reading.count);
	else
		*ret_count = reading.count;
	return result;
}

void leaked_done(struct leaked *leaked, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		secret_done(&leaked[i].secret);
		secret_done(&leaked[i].token);
	}
}
