/* SPDX-License-Identifier: Apache-2.0 */

/* What counts as a secret on a command line: the values behind known names, and what has a secret's own shape. */
#include "proxy/witness/redact.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/text.h"

/* `name: value` and `name=value`, anywhere in an argument, without regard to case. */
static const char *const names[] = {
	"x-aws-ec2-metadata-token",
	"x-amz-security-token",
	"authorization",
	"aws_secret_access_key",
	"aws_session_token",
	"secretaccesskey",
	"sessiontoken",
	"secret",
	"password",
	"passwd",
	"token",
	"api-key",
	"api_key",
	"apikey",
};

/* Options whose value is the next argument. */
static const char *const options[] = {"--secret",         "--password",          "--token",   "--secret-key",
                                      "--session-token",  "--secret-access-key", "--api-key", "aws_secret_access_key",
                                      "aws_session_token"};

/* Where the value starts when a secret's name stands at `at`; NULL: none does. The TTL header is no secret. */
static const char *value_behind_name(const char *at)
{
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		size_t length = strlen(names[i]);
		if (tolower((unsigned char)*at) != names[i][0] || strncasecmp(at, names[i], length) != 0)
			continue;
		const char *value = at + length;
		if (*value == '"' || *value == '\'')
			value++;
		while (*value == ' ')
			value++;
		if (*value != ':' && *value != '=')
			continue;
		value++;
		while (*value == ' ' || *value == '"' || *value == '\'')
			value++;
		return value;
	}
	return NULL;
}

/* Where the credential id of an ECS task starts, which is all that one needs to get its credentials; NULL: not here. */
static const char *task_id_at(const char *at)
{
	static const char *const paths[] = {"/v2/credentials/", "/v1/credentials?id="};
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
		if (text_starts(at, paths[i]))
			return at + strlen(paths[i]);
	return NULL;
}

/* A metadata token by its shape: AQAE and 40 or more characters of URL-safe base64. */
static size_t token_at(const char *at)
{
	size_t length = 0;
	if (strncmp(at, "AQAE", 4) != 0)
		return 0;
	while (isalnum((unsigned char)at[length]) || (at[length] != '\0' && strchr("-_=", at[length]) != NULL))
		length++;
	return length >= 40 ? length : 0;
}

/* `$NAME`, `${NAME}`, `$(...)`, and a command in backquotes: not the secret itself. */
static bool is_variable(const char *value)
{
	if (value[0] == '`')
		return true;
	return value[0] == '$' &&
	       (isalpha((unsigned char)value[1]) || (value[1] != '\0' && strchr("_{(", value[1]) != NULL));
}

static size_t append(char *to, size_t size, size_t used, const char *text, size_t length)
{
	if (used + length >= size)
		length = size - 1 - used;
	memcpy(to + used, text, length);
	to[used + length] = '\0';
	return used + length;
}

bool redact_argument(const char *argument, const char *previous, const char *patterns, char *to, size_t size)
{
	bool behind_option = false;
	for (size_t i = 0; previous != NULL && i < ARRAY_LENGTH(options); i++)
		behind_option |= strcasecmp(previous, options[i]) == 0;
	to[0] = '\0';
	if (behind_option || text_glob_any(patterns, argument)) {
		(void)append(to, size, 0, REDACTED, strlen(REDACTED));
		return true;
	}

	size_t used = 0;
	bool any = false;
	for (const char *at = argument; *at != '\0' && used < size - 1;) {
		const char *value = at[0] == '/' ? task_id_at(at) : value_behind_name(at);
		size_t token = token_at(at);
		if (value != NULL && *value != '\0' && !is_variable(value) &&
		    strncmp(value, REDACTED, strlen(REDACTED)) != 0) {
			/* Up to the end of the value: quote, white space, or the next form field. */
			bool is_header = memchr(at, ':', (size_t)(value - at)) != NULL;
			size_t length = strcspn(value, is_header ? "\"'\r\n" : "\"' &\r\n");
			used = append(to, size, used, at, (size_t)(value - at));
			used = append(to, size, used, REDACTED, strlen(REDACTED));
			at = value + length;
			any = true;
		} else if (token > 0) {
			used = append(to, size, used, REDACTED, strlen(REDACTED));
			at += token;
			any = true;
		} else {
			used = append(to, size, used, at++, 1);
		}
	}
	return any;
}
