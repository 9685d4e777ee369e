/* SPDX-License-Identifier: Apache-2.0 */

/* Reading names. They come from whoever may write to the bucket: a name that does not follow the layout to the letter
 * is taken as one that says nothing, so that it is read rather than left out. */
#include "detector/source_layout.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/text.h"

#define PARTS_MAX 64 /* of a path; deeper ones say nothing */
#define DAY_US (INT64_C(86400) * CLOCK_SECOND_US)
#define CLOCKS_US (INT64_C(300) * CLOCK_SECOND_US) /* two clocks, and a name that is cut to the minute */

struct part {
	const char *text;
	size_t length;
};

static bool is_text(const struct part *part, const char *text)
{
	return part->length == strlen(text) && memcmp(part->text, text, part->length) == 0;
}

static bool are_digits(const char *text, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!isdigit((unsigned char)text[i]))
			return false;
	return true;
}

static bool is_account(const struct part *part)
{
	return part->length == ACCOUNT_BYTES - 1 && are_digits(part->text, part->length);
}

static bool is_organisation(const struct part *part)
{
	if (part->length < 12 || part->length > 34 || memcmp(part->text, "o-", 2) != 0)
		return false;
	for (size_t i = 2; i < part->length; i++)
		if (!isdigit((unsigned char)part->text[i]) && !islower((unsigned char)part->text[i]))
			return false;
	return true;
}

/* us-east-1, us-gov-west-1, ap-southeast-7 */
static bool is_region(const struct part *part)
{
	size_t dashes = 0;
	if (part->length < 8 || part->length >= sizeof(((struct source_place *)NULL)->region))
		return false;
	for (size_t i = 0; i < part->length; i++) {
		if (!isdigit((unsigned char)part->text[i]) && !islower((unsigned char)part->text[i]) &&
		    part->text[i] != '-')
			return false;
		dashes += part->text[i] == '-';
	}
	return dashes >= 2 && isdigit((unsigned char)part->text[part->length - 1]);
}

static void copy_part(char *to, const struct part *part)
{
	memcpy(to, part->text, part->length);
	to[part->length] = '\0';
}

static size_t split(const char *path, struct part parts[static PARTS_MAX])
{
	size_t count = 0;
	while (*path != '\0') {
		size_t length = strcspn(path, "/");
		if (length > 0 && count == PARTS_MAX)
			return 0;
		if (length > 0)
			parts[count++] = (struct part){path, length};
		path += length + (path[length] == '/');
	}
	return count;
}

static int number(const char *text, size_t count)
{
	int value = 0;
	for (size_t i = 0; i < count; i++)
		value = value * 10 + (text[i] - '0');
	return value;
}

/* The calendar's own arithmetic: month 13 is the next January. */
static int64_t day_us(int year, int month, int day)
{
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
	return (int64_t)timegm(&tm) * CLOCK_SECOND_US;
}

/* YYYY, MM, DD: as many as there are. */
static void read_days(const struct part *parts, size_t count, struct source_place *place)
{
	static const size_t lengths[] = {4, 2, 2};
	int values[] = {0, 1, 1};
	size_t known = 0;
	while (known < count && known < 3 && parts[known].length == lengths[known] &&
	       are_digits(parts[known].text, lengths[known])) {
		values[known] = number(parts[known].text, lengths[known]);
		known++;
	}
	if (known == 0 || values[0] < 2000 || values[1] < 1 || values[1] > 12 || values[2] < 1 || values[2] > 31)
		return;
	place->from_us = day_us(values[0], values[1], values[2]);
	place->until_us = day_us(values[0] + (known == 1), values[1] + (known == 2), values[2] + (known == 3));
	place->is_day = known == 3;
}

/* What stands behind AWSLogs. */
static void read_folders(const struct part *parts, size_t count, struct source_place *place)
{
	size_t at = count > 0 && is_organisation(&parts[0]) ? 1 : 0;
	if (at >= count || !is_account(&parts[at]))
		return;
	copy_part(place->account, &parts[at++]);
	if (at >= count)
		return;
	bool is_log = is_text(&parts[at], "CloudTrail");
	place->kind = is_log ? SOURCE_LOG : is_text(&parts[at], "CloudTrail-Digest") ? SOURCE_DIGEST : SOURCE_OTHER;
	if (place->kind == SOURCE_OTHER && at + 1 == count)
		place->kind = SOURCE_LOG; /* a file: what it holds is not said */
	if (!is_log && place->kind != SOURCE_DIGEST)
		return;
	if (++at >= count || !is_region(&parts[at]))
		return;
	copy_part(place->region, &parts[at++]);
	read_days(parts + at, count - at, place);
}

/* YYYYMMDDTHHmmZ */
static bool read_minute(const char *text, int64_t *ret_us)
{
	if (strlen(text) < 14 || !are_digits(text, 8) || text[8] != 'T' || !are_digits(text + 9, 4) || text[13] != 'Z')
		return false;
	int month = number(text + 4, 2), day = number(text + 6, 2), hour = number(text + 9, 2);
	int minute = number(text + 11, 2);
	if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59)
		return false;
	*ret_us = day_us(number(text, 4), month, day) + (hour * INT64_C(60) + minute) * 60 * CLOCK_SECOND_US;
	return true;
}

/* ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_ID.json.gz */
static void read_file_name(const struct part *name, struct source_place *place)
{
	static const char middle[] = "_CloudTrail_";
	struct part account = {name->text, ACCOUNT_BYTES - 1};
	if (name->length < ACCOUNT_BYTES - 1 + sizeof(middle) || !is_account(&account) ||
	    memcmp(name->text + account.length, middle, sizeof(middle) - 1) != 0)
		return;
	struct part region = {.text = name->text + account.length + sizeof(middle) - 1};
	const char *end = memchr(region.text, '_', (size_t)(name->text + name->length - region.text));
	int64_t minute_us;
	if (end == NULL)
		return;
	region.length = (size_t)(end - region.text);
	if (!is_region(&region) || !read_minute(end + 1, &minute_us))
		return;
	copy_part(place->account, &account);
	copy_part(place->region, &region);
	place->from_us = minute_us;
	place->until_us = minute_us + 60 * CLOCK_SECOND_US;
}

struct source_place source_place_of(const char *path)
{
	struct source_place place = {0};
	struct part parts[PARTS_MAX];
	size_t count = split(path, parts);
	for (size_t i = count; i-- > 0;) {
		/* Also where somebody copied only a part of the layout. */
		if (is_text(&parts[i], "CloudTrail-Digest"))
			place.kind = SOURCE_DIGEST;
		if (is_text(&parts[i], "CloudTrail-Insight"))
			place.kind = SOURCE_OTHER;
		if (is_text(&parts[i], "AWSLogs")) {
			read_folders(parts + i + 1, count - i - 1, &place);
			break;
		}
	}
	if (count > 0 && place.kind == SOURCE_LOG)
		read_file_name(&parts[count - 1], &place);
	return place;
}

bool source_filter_is_open(const struct source_filter *filter)
{
	return filter->since_us == 0 && filter->until_us == 0 && filter->account_count == 0 &&
	       filter->region_count == 0;
}

static bool is_listed(const char *text, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, list[i]) == 0)
			return true;
	return text[0] == '\0' || count == 0;
}

bool source_filter_takes(const struct source_filter *filter, const struct source_place *place)
{
	if (!is_listed(place->account, filter->accounts, filter->account_count) ||
	    !is_listed(place->region, filter->regions, filter->region_count))
		return false;
	if (place->until_us == 0)
		return true;
	return (filter->since_us == 0 || place->until_us + CLOCKS_US > filter->since_us) &&
	       (filter->until_us == 0 || place->from_us < filter->until_us + filter->slack_us + CLOCKS_US);
}

bool source_is_log_name(const char *name)
{
	static const char *const endings[] = {".json", ".jsonl", ".json.gz", ".jsonl.gz"};
	const char *base = text_base(name);
	size_t length = strlen(base);
	for (size_t i = 0; i < ARRAY_LENGTH(endings); i++) {
		size_t wanted = strlen(endings[i]);
		if (length > wanted && strcmp(base + length - wanted, endings[i]) == 0)
			return true;
	}
	return false;
}
