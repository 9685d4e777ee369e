/* SPDX-License-Identifier: Apache-2.0 */

/* Time in and out of text. Only this file and the callers of clock_now_us ask the machine what time it is. */
#include "common/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/text.h"

int64_t clock_now_us(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * CLOCK_SECOND_US + now.tv_nsec / 1000;
}

int64_t clock_monotonic_us(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * CLOCK_SECOND_US + now.tv_nsec / 1000;
}

int64_t clock_monotonic_ms(void)
{
	return clock_monotonic_us() / 1000;
}

int64_t clock_boot_seconds(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

/* Rounds towards minus infinity, so that times before 1970 keep a positive fraction. */
static time_t whole_seconds(int64_t time_us)
{
	int64_t seconds = time_us / CLOCK_SECOND_US;
	return (time_t)(time_us % CLOCK_SECOND_US < 0 ? seconds - 1 : seconds);
}

char *clock_format(int64_t time_us, char to[static CLOCK_TEXT_BYTES])
{
	time_t seconds = whole_seconds(time_us);
	struct tm parts;
	if (gmtime_r(&seconds, &parts) == NULL || parts.tm_year < -1900 || parts.tm_year > 8099) {
		(void)text_copy(to, CLOCK_TEXT_BYTES, "0000-00-00T00:00:00.000000Z");
		return to;
	}
	(void)snprintf(to, CLOCK_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
	               (unsigned)(parts.tm_year + 1900) % 10000, (unsigned)(parts.tm_mon + 1) % 100,
	               (unsigned)parts.tm_mday % 100, (unsigned)parts.tm_hour % 100, (unsigned)parts.tm_min % 100,
	               (unsigned)parts.tm_sec % 100,
	               (unsigned)(time_us - (int64_t)seconds * CLOCK_SECOND_US) % 1000000);
	return to;
}

/* Takes exactly `count` digits at *text and moves past them. */
static bool take_digits(const char **text, int count, int *ret)
{
	int value = 0;
	for (int i = 0; i < count; i++, (*text)++) {
		if (!isdigit((unsigned char)**text))
			return false;
		value = value * 10 + (**text - '0');
	}
	*ret = value;
	return true;
}

static bool take(const char **text, char wanted)
{
	if (**text != wanted)
		return false;
	(*text)++;
	return true;
}

static int64_t take_fraction_us(const char **text)
{
	int64_t fraction = 0, unit = CLOCK_SECOND_US / 10;
	for (; isdigit((unsigned char)**text); (*text)++, unit /= 10)
		fraction += (**text - '0') * unit;
	return fraction;
}

static bool take_zone(const char **text, int64_t *ret_offset_us)
{
	*ret_offset_us = 0;
	if (take(text, 'Z') || take(text, 'z'))
		return true;
	int sign = **text == '-' ? -1 : 1, hours, minutes;
	if (!take(text, '+') && !take(text, '-'))
		return false;
	if (!take_digits(text, 2, &hours) || !take(text, ':') || !take_digits(text, 2, &minutes) || hours > 23 ||
	    minutes > 59)
		return false;
	*ret_offset_us = sign * (hours * 60 + minutes) * 60 * CLOCK_SECOND_US;
	return true;
}

static bool to_us(struct tm *parts, int64_t *ret_us)
{
	int day = parts->tm_mday, month = parts->tm_mon;
	bool is_leap_second = parts->tm_sec == 60;
	if (month < 0 || month > 11 || day < 1 || parts->tm_hour > 23 || parts->tm_min > 59 || parts->tm_sec > 60)
		return false;
	parts->tm_sec -= is_leap_second;
	time_t seconds = timegm(parts) + is_leap_second;
	if (parts->tm_mday != day || parts->tm_mon != month)
		return false; /* the 31st of a month that has 30 days */
	*ret_us = (int64_t)seconds * CLOCK_SECOND_US;
	return true;
}

static bool take_date(const char **text, struct tm *parts)
{
	int year;
	if (!take_digits(text, 4, &year) || !take(text, '-') || !take_digits(text, 2, &parts->tm_mon) ||
	    !take(text, '-') || !take_digits(text, 2, &parts->tm_mday))
		return false;
	parts->tm_year = year - 1900;
	parts->tm_mon--;
	return true;
}

bool clock_parse(const char *text, int64_t *ret_us)
{
	struct tm parts = {0};
	int64_t time_us, fraction_us = 0, offset_us;
	if (!take_date(&text, &parts))
		return false;
	if (!take(&text, 'T') && !take(&text, 't') && !take(&text, ' '))
		return false;
	if (!take_digits(&text, 2, &parts.tm_hour) || !take(&text, ':') || !take_digits(&text, 2, &parts.tm_min) ||
	    !take(&text, ':') || !take_digits(&text, 2, &parts.tm_sec))
		return false;
	if (take(&text, '.')) {
		if (!isdigit((unsigned char)*text))
			return false;
		fraction_us = take_fraction_us(&text);
	}
	if (!take_zone(&text, &offset_us) || *text != '\0' || !to_us(&parts, &time_us))
		return false;
	*ret_us = time_us + fraction_us - offset_us;
	return true;
}

#define AGO_SECONDS_MAX INT64_C(1000000000) /* some thirty years */

bool clock_parse_when(const char *text, int64_t now_us, int64_t *ret_us)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};

	char number[16];
	size_t length = strlen(text);
	for (size_t i = 0; i < ARRAY_LENGTH(units) && length >= 2 && length < sizeof(number); i++) {
		uint64_t count;
		(void)text_copy(number, sizeof(number), text);
		number[length - 1] = '\0';
		if (text[length - 1] != units[i].unit ||
		    !text_to_u64(number, (uint64_t)(AGO_SECONDS_MAX / units[i].seconds), &count))
			continue;
		*ret_us = now_us - (int64_t)count * units[i].seconds * CLOCK_SECOND_US;
		return true;
	}

	struct tm parts = {0};
	const char *rest = text;
	if (take_date(&rest, &parts) && *rest == '\0')
		return to_us(&parts, ret_us);
	return clock_parse(text, ret_us);
}

static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/* Takes one of the names at *text and moves past it; -1: none of them. */
static int take_name(const char **text, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!text_starts(*text, names[i]))
			continue;
		*text += strlen(names[i]);
		return (int)i;
	}
	return -1;
}

bool clock_parse_http(const char *text, int64_t *ret_us)
{
	struct tm parts = {0};
	int year;
	if (take_name(&text, day_names, ARRAY_LENGTH(day_names)) < 0 || !take(&text, ',') || !take(&text, ' ') ||
	    !take_digits(&text, 2, &parts.tm_mday) || !take(&text, ' '))
		return false;
	parts.tm_mon = take_name(&text, month_names, ARRAY_LENGTH(month_names));
	if (!take(&text, ' ') || !take_digits(&text, 4, &year) || !take(&text, ' ') ||
	    !take_digits(&text, 2, &parts.tm_hour) || !take(&text, ':') || !take_digits(&text, 2, &parts.tm_min) ||
	    !take(&text, ':') || !take_digits(&text, 2, &parts.tm_sec) || strcmp(text, " GMT") != 0)
		return false;
	parts.tm_year = year - 1900;
	return to_us(&parts, ret_us);
}

char *clock_format_http(int64_t time_us, char to[static CLOCK_HTTP_BYTES])
{
	time_t seconds = whole_seconds(time_us);
	struct tm parts = {0};
	(void)gmtime_r(&seconds, &parts);
	(void)snprintf(to, CLOCK_HTTP_BYTES, "%s, %02u %s %04u %02u:%02u:%02u GMT", day_names[parts.tm_wday % 7],
	               (unsigned)parts.tm_mday % 100, month_names[parts.tm_mon % 12],
	               (unsigned)(parts.tm_year + 1900) % 10000, (unsigned)parts.tm_hour % 100,
	               (unsigned)parts.tm_min % 100, (unsigned)parts.tm_sec % 100);
	return to;
}

char *clock_ago(int64_t time_us, int64_t now_us, char to[static CLOCK_AGO_BYTES])
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = {{24 * 3600, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	const bool is_ahead = time_us > now_us;
	const int64_t seconds = (is_ahead ? time_us - now_us : now_us - time_us) / CLOCK_SECOND_US;
	(void)snprintf(to, CLOCK_AGO_BYTES, "now");
	for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
		if (seconds >= units[i].seconds) {
			(void)snprintf(to, CLOCK_AGO_BYTES, "%s%lld %s%s", is_ahead ? "in " : "",
			               (long long)(seconds / units[i].seconds), units[i].name, is_ahead ? "" : " ago");
			break;
		}
	return to;
}
