/* SPDX-License-Identifier: Apache-2.0 */

/* Members by a table, values by their first and last bytes. The table names also what may be passed over: a member that
 * AWS adds tomorrow may matter, so it is not. */
#include "detector/glance.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "detector/event.h"
#include "detector/lesson.h"
#include "detector/map.h"

#define GLANCE_PASSED_OVER GLANCE_FIELDS

struct member {
	const char *name;
	size_t length;
	enum glance_field field;
};

#define ROW(name, field)                                                                                               \
	{                                                                                                              \
		name, sizeof(name) - 1, field                                                                          \
	}

/* In CloudTrail's own order. */
static const struct member members[] = {
	ROW("eventVersion", GLANCE_PASSED_OVER),
	ROW("userIdentity", GLANCE_IDENTITY),
	ROW("eventTime", GLANCE_TIME),
	ROW("eventSource", GLANCE_PASSED_OVER),
	ROW("eventName", GLANCE_NAME),
	ROW("awsRegion", GLANCE_PASSED_OVER),
	ROW("sourceIPAddress", GLANCE_SOURCE),
	ROW("userAgent", GLANCE_PASSED_OVER),
	ROW("errorCode", GLANCE_PASSED_OVER),
	ROW("errorMessage", GLANCE_PASSED_OVER),
	ROW("requestParameters", GLANCE_PASSED_OVER),
	ROW("responseElements", GLANCE_PASSED_OVER),
	ROW("additionalEventData", GLANCE_PASSED_OVER),
	ROW("requestID", GLANCE_REQUEST),
	ROW("eventID", GLANCE_ID),
	ROW("readOnly", GLANCE_PASSED_OVER),
	ROW("resources", GLANCE_PASSED_OVER),
	ROW("eventType", GLANCE_TYPE),
	ROW("apiVersion", GLANCE_PASSED_OVER),
	ROW("managementEvent", GLANCE_PASSED_OVER),
	ROW("recipientAccountId", GLANCE_RECIPIENT),
	ROW("vpcEndpointId", GLANCE_ENDPOINT),
	ROW("vpcEndpointAccountId", GLANCE_ENDPOINT_ACCOUNT),
	ROW("eventCategory", GLANCE_CATEGORY),
	ROW("tlsDetails", GLANCE_PASSED_OVER),
};

#define BEHIND_IDENTITY 2

/* Of as many bytes as the name has. Without a call: this is asked of each member of each record of ours. */
static bool is_name(const struct member *member, const char *name)
{
	uint64_t wanted[3], given[3];
	size_t length = member->length;
	if (length < sizeof(uint64_t))
		return memcmp(member->name, name, length) == 0;
	size_t middle = length >= 2 * sizeof(uint64_t) ? sizeof(uint64_t) : 0, last = length - sizeof(uint64_t);
	memcpy(&wanted[0], member->name, 8);
	memcpy(&wanted[1], member->name + middle, 8);
	memcpy(&wanted[2], member->name + last, 8);
	memcpy(&given[0], name, 8);
	memcpy(&given[1], name + middle, 8);
	memcpy(&given[2], name + last, 8);
	return ((wanted[0] ^ given[0]) | (wanted[1] ^ given[1]) | (wanted[2] ^ given[2])) == 0;
}

/* The member whose name, between quotes and with a colon behind it, the text begins with; NULL: none of the table, or
 * nothing behind it. The search goes on where the last one ended: `next` is its index. */
static const struct member *member_at(const char *at, const char *end, size_t *next)
{
	for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
		const struct member *member = &members[*next];
		*next = *next + 1 < ARRAY_LENGTH(members) ? *next + 1 : 0;
		const char *behind = at + 1 + member->length;
		if (end - at > (ptrdiff_t)member->length + 3 && behind[0] == '"' && behind[1] == ':' &&
		    is_name(member, at + 1))
			return member;
	}
	return NULL;
}

/* A value, and how many quotes are in it: none of them is escaped. */
struct value {
	const char *at, *end;
	uint32_t quotes;
};

static bool is_string(const struct value *value)
{
	return value->quotes == 2 && value->end - value->at >= 2 && value->at[0] == '"' && value->end[-1] == '"';
}

/* A string, and nothing else. */
static bool take_text(const struct value *value, struct glance_text *ret)
{
	if (!is_string(value))
		return false;
	*ret = (struct glance_text){value->at + 1, (size_t)(value->end - value->at - 2)};
	return ret->length < EVENT_TEXT_BYTES;
}

static bool is_null(const char *at, const char *end)
{
	return end - at == 4 && memcmp(at, "null", 4) == 0;
}

static bool is_scalar(const char *at, const char *end)
{
	if (end - at == 4 && (memcmp(at, "true", 4) == 0 || is_null(at, end)))
		return true;
	for (; at < end; at++)
		if (!isalnum((unsigned char)*at) && *at != '.' && *at != '-' && *at != '+')
			return false;
	return true;
}

/* A value that does not matter: is it one at all? */
static bool is_value(const struct value *value)
{
	const char *at = value->at, *end = value->end;
	if (end - at < 2)
		return end > at && is_scalar(at, end);
	if (at[0] == '"')
		return is_string(value);
	return (at[0] == '{' && end[-1] == '}') || (at[0] == '[' && end[-1] == ']') || is_scalar(at, end);
}

/* `whole`: name and value. */
static bool take_member(const struct value *whole, size_t *next, struct glance *glance)
{
	const char *at = whole->at, *end = whole->end;
	const struct member *member = at < end && *at == '"' ? member_at(at, end, next) : NULL;
	if (member == NULL)
		return false;
	const struct value value = {at + member->length + 3, end, whole->quotes - 2};
	if (member->field == GLANCE_PASSED_OVER)
		return is_value(&value);
	struct glance_text *to = &glance->fields[member->field];
	if (to->text != NULL)
		return false;
	if (is_null(value.at, end))
		return true;
	if (member->field != GLANCE_IDENTITY)
		return take_text(&value, to);
	*to = (struct glance_text){value.at, (size_t)(end - value.at)};
	return value.at[0] == '{' && end[-1] == '}';
}

/* ---- what must hold of the values */

static bool take_number(const char *at, int digits, int *ret)
{
	*ret = 0;
	for (int i = 0; i < digits; i++) {
		if (at[i] < '0' || at[i] > '9')
			return false;
		*ret = *ret * 10 + (at[i] - '0');
	}
	return true;
}

static const int days_before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

static int days_of(int year, int month)
{
	return days_before[month] - days_before[month - 1] + (month == 2 && year % 4 == 0);
}

/* YYYY-MM-DDTHH:MM:SSZ in this and the last century's years; others are parsed. */
static bool take_time(const struct glance_text *text, int64_t *ret_us)
{
	int year, month, day, hour, minute, second;
	const char *t = text->text;
	if (t == NULL || text->length != 20 || t[4] != '-' || t[7] != '-' || t[10] != 'T' || t[13] != ':' ||
	    t[16] != ':' || t[19] != 'Z' || !take_number(t, 4, &year) || !take_number(t + 5, 2, &month) ||
	    !take_number(t + 8, 2, &day) || !take_number(t + 11, 2, &hour) || !take_number(t + 14, 2, &minute) ||
	    !take_number(t + 17, 2, &second) || year < 1970 || year > 2099 || month < 1 || month > 12 || day < 1 ||
	    day > days_of(year, month) || hour > 23 || minute > 59 || second > 59)
		return false;
	int64_t days = (year - 1970) * 365 + (year - 1969) / 4 + days_before[month - 1] + day - 1;
	days += month > 2 && year % 4 == 0; /* 2000 was a leap year */
	*ret_us = (((days * 24 + hour) * 60 + minute) * 60 + second) * INT64_C(1000000);
	return true;
}

/* Eight bytes at a time, the last ones perhaps once more. */
static bool is_ascii(const struct glance_text *text)
{
	uint64_t bits = 0, word = 0;
	size_t i = 0;
	for (; i + sizeof(word) <= text->length; i += sizeof(word)) {
		memcpy(&word, text->text + i, sizeof(word));
		bits |= word;
	}
	if (i > 0)
		memcpy(&word, text->text + text->length - sizeof(word), sizeof(word));
	else if (text->length > 0)
		memcpy(&word, text->text, text->length);
	return ((bits | word) & UINT64_C(0x8080808080808080)) == 0;
}

static bool is_text(const struct glance_text *text, const char *wanted)
{
	return text->length == strlen(wanted) && memcmp(text->text, wanted, text->length) == 0;
}

static bool is_plain_call(const struct glance *glance)
{
	const struct glance_text *category = &glance->fields[GLANCE_CATEGORY], *type = &glance->fields[GLANCE_TYPE];
	const struct glance_text *name = &glance->fields[GLANCE_NAME];
	return type->text != NULL && is_text(type, "AwsApiCall") &&
	       (category->text == NULL || is_text(category, "Management") || is_text(category, "Data")) &&
	       name->text != NULL && lesson_of(name->text, name->length) == LESSON_NONE;
}

/* ---- the record */

/* From the member on that begins at `at`, of which the outline's `first` is the end. */
static bool take_members(const char *bytes, size_t at, const struct scan_outline *outline, size_t first,
                         struct glance *ret)
{
	uint32_t before = first > 0 ? outline->quotes[first - 1] : 0;
	/* Of the table: where members are found in its order, each is at the first look. */
	size_t next = first > 0 ? BEHIND_IDENTITY : 0;
	for (size_t i = first; i < outline->count; i++) {
		const struct value member = {bytes + at, bytes + outline->end[i], outline->quotes[i] - before};
		if (!take_member(&member, &next, ret))
			return false;
		before = outline->quotes[i];
		at = outline->end[i] + 1;
	}
	if (!is_ascii(&ret->fields[GLANCE_ID]) || !is_ascii(&ret->fields[GLANCE_REQUEST]))
		return false; /* the parser may read it otherwise */
	if (ret->fields[GLANCE_ID].length == 0)
		return false;
	ret->id_hash = map_quick(ret->fields[GLANCE_ID].text, ret->fields[GLANCE_ID].length);
	return ret->fields[GLANCE_IDENTITY].text != NULL && take_time(&ret->fields[GLANCE_TIME], &ret->at_us) &&
	       is_plain_call(ret);
}

bool glance_read(scan_outline_function *outline, const char *bytes, size_t length, struct glance *ret)
{
	struct scan_outline members_of;
	*ret = (struct glance){0};
	if (length < 2 || bytes[0] != '{' || bytes[length - 1] != '}' || !outline(bytes, 0, length, &members_of) ||
	    members_of.end[members_of.count - 1] != length - 1)
		return false;
	return take_members(bytes, 1, &members_of, 0, ret);
}

bool glance_has_head(const char *bytes)
{
	static const char before[] = "{\"eventVersion\":\"", behind[] = "\",\"userIdentity\":";
	const size_t first = sizeof(before) - 1, last = GLANCE_HEAD_BYTES - (sizeof(behind) - 1);
	if (memcmp(bytes, before, first) != 0 || memcmp(bytes + last, behind, sizeof(behind) - 1) != 0)
		return false;
	for (size_t i = first; i < last; i++)
		if ((bytes[i] < '0' || bytes[i] > '9') && bytes[i] != '.')
			return false;
	return true;
}

bool glance_go_on(scan_outline_function *outline, const char *bytes, size_t length, size_t identity, struct glance *ret,
                  size_t *ret_length)
{
	struct scan_outline members_of;
	size_t at = GLANCE_HEAD_BYTES + identity;
	*ret = (struct glance){.fields = {[GLANCE_IDENTITY] = {bytes + GLANCE_HEAD_BYTES, identity}}};
	if (!outline(bytes, at, length, &members_of) || members_of.end[0] != at || members_of.count < 2)
		return false;
	*ret_length = members_of.end[members_of.count - 1] + 1;
	return bytes[*ret_length - 1] == '}' && take_members(bytes, at + 1, &members_of, 1, ret);
}
