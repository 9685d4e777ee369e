/* SPDX-License-Identifier: Apache-2.0 */

/* What is wrong with a value is said here, in one line, with what was expected: everything behind may trust it. */
#include "cli/option_take.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/access_key.h"
#include "common/clock.h"
#include "common/text.h"

#define WORKERS_MAX 256
#define CONTAINER_SHORT 12
#define CONTAINER_DIGITS 64

static void *place(const struct option_reading *reading, size_t offset)
{
	return (char *)reading->arguments + offset;
}

static int refuse(const struct option_reading *reading, const struct option_row *row, const char *value,
                  const char *expected)
{
	return error_set(reading->err, ERROR_USAGE, "--%s %.80s: %s", row->name, value, expected);
}

int option_take_flag(struct option_reading *reading, const struct option_row *row, const char *value)
{
	(void)value;
	*(bool *)place(reading, row->offset) = true;
	return 0;
}

int option_take_text(struct option_reading *reading, const struct option_row *row, const char *value)
{
	if (value[0] == '\0')
		return refuse(reading, row, value, "empty, expected a text");
	*(const char **)place(reading, row->offset) = value;
	if (row->second != 0)
		*(const char **)place(reading, row->second) = value;
	return 0;
}

int option_take_time(struct option_reading *reading, const struct option_row *row, const char *value)
{
	int64_t time_us;
	if (!clock_parse_when(value, reading->now_us, &time_us))
		return refuse(reading, row, value,
		              "no time, expected 90s, 15m, 6h, 7d or 2w ago, 2026-01-31, or 2026-01-31T12:00:00Z");
	*(int64_t *)place(reading, row->offset) = time_us;
	if (row->second != 0)
		*(int64_t *)place(reading, row->second) = time_us;
	return 0;
}

int option_take_number(struct option_reading *reading, const struct option_row *row, const char *value)
{
	uint64_t number;
	if (!text_to_u64(value, UINT32_MAX, &number))
		return refuse(reading, row, value, "no number, expected a whole number from 0 to 4294967295");
	*(int64_t *)place(reading, row->offset) = (int64_t)number;
	*(bool *)place(reading, row->flag) = true;
	return 0;
}

int option_take_key(struct option_reading *reading, const struct option_row *row, const char *value)
{
	if (!access_key_is_valid_pattern(value))
		return refuse(reading, row, value, ACCESS_KEY_EXPECTED ", or a pattern with * and ?");
	return option_take_text(reading, row, value);
}

int option_take_sha256(struct option_reading *reading, const struct option_row *row, const char *value)
{
	bool is_pattern = strpbrk(value, "*?") != NULL;
	if (strspn(value, "0123456789abcdef*?") != strlen(value) || (!is_pattern && strlen(value) != 64))
		return refuse(reading, row, value,
		              "no digest, expected 64 lower-case hexadecimal digits, or a pattern with * and ?");
	return option_take_text(reading, row, value);
}

static int check_account(const struct option_reading *reading, const struct option_row *row, const char *value)
{
	bool is_account = strlen(value) == 12 && strspn(value, "0123456789") == 12;
	return is_account ? 0 : refuse(reading, row, value, "no account, expected 12 digits");
}

/* What was given short, as a pattern. No command takes two such options. */
static int take_pattern(struct option_reading *reading, const struct option_row *row, const char *before,
                        const char *value, const char *behind)
{
	struct arguments *arguments = reading->arguments;
	free(arguments->pattern);
	if (asprintf(&arguments->pattern, "%s%s%s", before, value, behind) < 0) {
		arguments->pattern = NULL;
		return error_set(reading->err, ERROR_MEMORY, "no memory for the command line");
	}
	return option_take_text(reading, row, arguments->pattern);
}

int option_take_container(struct option_reading *reading, const struct option_row *row, const char *value)
{
	size_t length = strlen(value);
	bool is_short =
		length >= CONTAINER_SHORT && length < CONTAINER_DIGITS && strspn(value, "0123456789abcdef") == length;
	return is_short ? take_pattern(reading, row, "", value, "*") : option_take_text(reading, row, value);
}

int option_take_type(struct option_reading *reading, const struct option_row *row, const char *value)
{
	bool is_short = value[0] != '\0' && strpbrk(value, ".*?") == NULL;
	return is_short ? take_pattern(reading, row, "*.", value, "") : option_take_text(reading, row, value);
}

int option_take_account(struct option_reading *reading, const struct option_row *row, const char *value)
{
	if (check_account(reading, row, value) < 0)
		return -1;
	return option_take_text(reading, row, value);
}

/* The index of a word in the row's list, whatever its case; -1 with the list in the message. */
static int word_index(const struct option_reading *reading, const struct option_row *row, const char *value)
{
	char list[200] = "unknown, expected one of ";
	for (int i = 0; i < row->name_count; i++) {
		if (strcasecmp(row->names[i], value) == 0)
			return i;
		size_t used = strlen(list);
		(void)snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", row->names[i]);
	}
	return refuse(reading, row, value, list);
}

int option_take_word(struct option_reading *reading, const struct option_row *row, const char *value)
{
	int index = word_index(reading, row, value);
	if (index < 0)
		return -1;
	*(const char **)place(reading, row->offset) = row->names[index];
	return 0;
}

int option_take_workers(struct option_reading *reading, const struct option_row *row, const char *value)
{
	uint64_t number;
	if (!text_to_u64(value, WORKERS_MAX, &number) || number == 0)
		return refuse(reading, row, value, "expected a number from 1 to 256");
	reading->arguments->workers = (size_t)number;
	return 0;
}

int option_take_fail_on(struct option_reading *reading, const struct option_row *row, const char *value)
{
	int index = word_index(reading, row, value);
	if (index < 0)
		return -1;
	reading->arguments->fail_on = index;
	return 0;
}

int option_take_form(struct option_reading *reading, const struct option_row *row, const char *value)
{
	bool takes_others = (reading->command->options & OPTIONS_FORMS) != 0;
	struct option_row own = *row;
	own.name_count = takes_others ? FORM_COUNT : FORM_OWN_COUNT;
	int index = word_index(reading, &own, value);
	if (index < 0)
		return -1;
	reading->arguments->form = (enum form)index;
	return 0;
}

int option_take_ledger(struct option_reading *reading, const struct option_row *row, const char *value)
{
	struct arguments *arguments = reading->arguments;
	bool may_have_several = (reading->command->options & OPTIONS_DETECT) != 0;
	if (value[0] == '\0')
		return refuse(reading, row, value, "empty, expected a file");
	if (may_have_several && strcmp(value, "none") == 0) {
		arguments->without_ledger = true;
		return 0;
	}
	if (!may_have_several && arguments->ledger_count > 0)
		return refuse(reading, row, value, "given twice, expected one ledger");
	arguments->ledgers[arguments->ledger_count++] = value;
	return 0;
}

int option_take_findings(struct option_reading *reading, const struct option_row *row, const char *value)
{
	bool may_be_none = (reading->command->options & OPTIONS_DETECT) != 0;
	if (may_be_none && strcmp(value, "none") == 0) {
		reading->arguments->findings = "";
		return 0;
	}
	return option_take_text(reading, row, value);
}

/* A lateness: 90s, 15m, 6h, 7d, 2w. */
int option_take_span(struct option_reading *reading, const struct option_row *row, const char *value)
{
	int64_t before_us;
	size_t length = strlen(value);
	if (length < 2 || strchr("smhdw", value[length - 1]) == NULL ||
	    !clock_parse_when(value, reading->now_us, &before_us))
		return refuse(reading, row, value, "no span of time, expected 90s, 15m, 6h, 7d or 2w");
	*(int64_t *)place(reading, row->offset) = reading->now_us - before_us;
	return 0;
}

int option_take_interval(struct option_reading *reading, const struct option_row *row, const char *value)
{
	if (option_take_span(reading, row, value) < 0)
		return -1;
	if (*(int64_t *)place(reading, row->offset) == 0)
		return refuse(reading, row, value, "no time at all, expected 1s or more");
	return 0;
}

int option_take_source_account(struct option_reading *reading, const struct option_row *row, const char *value)
{
	struct arguments *arguments = reading->arguments;
	if (check_account(reading, row, value) < 0)
		return -1;
	arguments->accounts[arguments->from.account_count++] = value;
	return 0;
}

int option_take_profile(struct option_reading *reading, const struct option_row *row, const char *value)
{
	struct arguments *arguments = reading->arguments;
	bool may_have_several = (reading->command->options & OPTIONS_MERGE) != 0;
	if (!may_have_several && arguments->profile_count > 0)
		return refuse(reading, row, value, "given twice, expected one profile");
	arguments->profiles[arguments->profile_count++] = value;
	return 0;
}

int option_take_region(struct option_reading *reading, const struct option_row *row, const char *value)
{
	struct arguments *arguments = reading->arguments;
	if (strchr(value, '-') == NULL || strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(value))
		return refuse(reading, row, value, "no region, expected a name such as us-east-1");
	arguments->regions[arguments->from.region_count++] = value;
	return 0;
}
