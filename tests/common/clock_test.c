/* SPDX-License-Identifier: Apache-2.0 */

/* Times: days that do not exist, offsets, fractions, and the forms of HTTP and of the command line. */
#include "tests/common/unit.h"

#include "common/clock.h"

#define SECOND CLOCK_SECOND_US

static const char *const no_times[] = {
	"",
	"2023",
	"2023-01-01",
	"2023-01-01T",
	"2023-01-01T00:00",
	"2023-01-01T00:00:00",
	"2023-01-01T00:00Z",
	"2023-1-01T00:00:00Z",
	"2023-01-1T00:00:00Z",
	"2023-01-01T0:00:00Z",
	"2023-01-01T00:0:00Z",
	"2023-01-01T00:00:0Z",
	"23-01-01T00:00:00Z",
	"02023-01-01T00:00:00Z",
	"2023/01/01T00:00:00Z",
	"2023-01-01_00:00:00Z",
	"20230101T000000Z",
	"2023-01-01T00.00.00Z",
	" 2023-01-01T00:00:00Z",
	"2023-01-01T00:00:00Z ",
	"2023-01-01  00:00:00Z",
	"2023-01-01T00:00:00Zx",
	"2023-01-01T00:00:00.Z",
	"2023-01-01T00:00:00,5Z",
	"2023-01-01T00:00:00.5",
	"2023-01-01T00:00:00.-5Z",
	"+023-01-01T00:00:00Z",
	"-023-01-01T00:00:00Z",
	"2023-+1-01T00:00:00Z",
	"2023-01-01T-1:00:00Z",
	/* Days and hours that do not exist. */
	"2023-00-01T00:00:00Z",
	"2023-13-01T00:00:00Z",
	"2023-01-00T00:00:00Z",
	"2023-01-32T00:00:00Z",
	"2023-02-29T00:00:00Z",
	"2024-02-30T00:00:00Z",
	"1900-02-29T00:00:00Z",
	"2100-02-29T00:00:00Z",
	"2023-04-31T00:00:00Z",
	"2023-06-31T00:00:00Z",
	"2023-09-31T00:00:00Z",
	"2023-11-31T00:00:00Z",
	"2023-01-01T24:00:00Z",
	"2023-01-01T25:00:00Z",
	"2023-01-01T00:60:00Z",
	"2023-01-01T00:00:61Z",
	"2023-99-99T99:99:99Z",
	/* Offsets. */
	"2023-01-01T00:00:00+",
	"2023-01-01T00:00:00+1",
	"2023-01-01T00:00:00+01",
	"2023-01-01T00:00:00+0100",
	"2023-01-01T00:00:00+01:0",
	"2023-01-01T00:00:00+24:00",
	"2023-01-01T00:00:00+00:60",
	"2023-01-01T00:00:00+1:00",
	"2023-01-01T00:00:00++1:00",
	"2023-01-01T00:00:00UTC",
	"2023-01-01T00:00:00+01:00Z",
};

static void refuses_what_is_no_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(no_times); i++) {
		int64_t time_us = 77;
		CHECK(no_times[i], !clock_parse(no_times[i], &time_us));
		CHECK_NUMBER(no_times[i], time_us, 77);
	}
}

static void refuses_a_leap_second_of_no_day(void **state)
{
	static const char *const texts[] = {"2023-02-31T23:59:60Z", "2023-02-29T23:59:60Z", "2023-04-31T23:59:60Z",
	                                    "2023-01-32T23:59:60Z", "2023-01-99T23:59:60Z"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		int64_t time_us = 77;
		CHECK(texts[i], !clock_parse(texts[i], &time_us));
	}
}

static const struct {
	const char *text;
	int64_t time_us;
	const char *formatted;
} times[] = {
	{"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000000Z"},
	{"1970-01-01T00:00:00.000001Z", 1, "1970-01-01T00:00:00.000001Z"},
	{"1969-12-31T23:59:59.999999Z", -1, "1969-12-31T23:59:59.999999Z"},
	{"1969-12-31T23:59:59Z", -SECOND, "1969-12-31T23:59:59.000000Z"},
	{"2023-11-14T22:13:20Z", 1700000000 * SECOND, "2023-11-14T22:13:20.000000Z"},
	{"2023-11-14t22:13:20z", 1700000000 * SECOND, "2023-11-14T22:13:20.000000Z"},
	{"2023-11-14 22:13:20Z", 1700000000 * SECOND, "2023-11-14T22:13:20.000000Z"},
	{"2023-11-14T22:13:20.5Z", 1700000000 * SECOND + 500000, "2023-11-14T22:13:20.500000Z"},
	{"2023-11-14T22:13:20.123456Z", 1700000000 * SECOND + 123456, "2023-11-14T22:13:20.123456Z"},
	{"2023-11-14T22:13:20.123456999Z", 1700000000 * SECOND + 123456, "2023-11-14T22:13:20.123456Z"},
	{"2023-11-14T22:13:20.99999999999999999999999999Z", 1700000000 * SECOND + 999999,
         "2023-11-14T22:13:20.999999Z"},
	{"2023-11-14T22:13:20.000000Z", 1700000000 * SECOND, "2023-11-14T22:13:20.000000Z"},
	{"2023-11-15T00:13:20+02:00", 1700000000 * SECOND, "2023-11-14T22:13:20.000000Z"},
	{"2023-11-14T16:43:20-05:30", 1700000000 * SECOND, "2023-11-14T22:13:20.000000Z"},
	{"2023-11-14T22:13:20+00:00", 1700000000 * SECOND, "2023-11-14T22:13:20.000000Z"},
	{"2023-11-14T22:13:20-00:00", 1700000000 * SECOND, "2023-11-14T22:13:20.000000Z"},
	{"2023-11-14T22:13:20.25-00:01", 1700000060 * SECOND + 250000, "2023-11-14T22:14:20.250000Z"},
	{"2024-02-29T00:00:00Z", 1709164800 * SECOND, "2024-02-29T00:00:00.000000Z"},
	{"2000-02-29T00:00:00Z", 951782400 * SECOND, "2000-02-29T00:00:00.000000Z"},
	{"0000-01-01T00:00:00Z", -62167219200 * SECOND, "0000-01-01T00:00:00.000000Z"},
	{"9999-12-31T23:59:59.999999Z", 253402300799 * SECOND + 999999, "9999-12-31T23:59:59.999999Z"},
	{"2038-01-19T03:14:08Z", 2147483648 * SECOND, "2038-01-19T03:14:08.000000Z"},
};

static void reads_and_writes_times(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
		int64_t time_us = 77;
		char text[CLOCK_TEXT_BYTES];
		CHECK(times[i].text, clock_parse(times[i].text, &time_us));
		CHECK_NUMBER(times[i].text, time_us, times[i].time_us);
		CHECK_TEXT(times[i].text, clock_format(time_us, text), times[i].formatted);
	}
}

/* A second that UTC has had counts as the one behind it. */
static void takes_leap_seconds(void **state)
{
	static const char *const texts[] = {"2016-12-31T23:59:60Z", "2017-01-01T01:59:60+02:00"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		int64_t time_us = 77;
		CHECK(texts[i], clock_parse(texts[i], &time_us));
		CHECK_NUMBER(texts[i], time_us, 1483228800 * SECOND);
	}
}

static void writes_something_for_any_number(void **state)
{
	static const int64_t numbers[] = {INT64_MIN, INT64_MIN + 1, -62167219200 * SECOND - 1, 253402300800 * SECOND,
	                                  INT64_MAX};
	char text[CLOCK_TEXT_BYTES];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
		assert_string_equal(clock_format(numbers[i], text), "0000-00-00T00:00:00.000000Z");
}

#define NOW (1700000000 * SECOND)

static const struct {
	const char *text;
	bool good;
	int64_t time_us;
} whens[] = {
	{"", false, 0},
	{"s", false, 0},
	{"1", false, 0},
	{"1x", false, 0},
	{"1S", false, 0},
	{"-1s", false, 0},
	{"+1s", false, 0},
	{" 1s", false, 0},
	{"1 s", false, 0},
	{"1.5h", false, 0},
	{"1h30m", false, 0},
	{"1000000001s", false, 0},
	{"99999999999999999999s", false, 0},
	{"2023-02-29", false, 0},
	{"2023-11-14x", false, 0},
	{"2023-11-14T22:13", false, 0},
	{"yesterday", false, 0},
	{"0s", true, NOW},
	{"90s", true, NOW - 90 * SECOND},
	{"15m", true, NOW - 900 * SECOND},
	{"6h", true, NOW - 21600 * SECOND},
	{"7d", true, NOW - 604800 * SECOND},
	{"2w", true, NOW - 1209600 * SECOND},
	{"1000000000s", true, NOW - 1000000000 * SECOND},
	{"2023-11-14", true, 1699920000 * SECOND},
	{"2023-11-14T22:13:20+02:00", true, 1699992800 * SECOND},
};

static void knows_when(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(whens); i++) {
		int64_t time_us = 77;
		CHECK_NUMBER(whens[i].text, clock_parse_when(whens[i].text, NOW, &time_us), whens[i].good);
		CHECK_NUMBER(whens[i].text, time_us, whens[i].good ? whens[i].time_us : 77);
	}
}

/* In a process of its own: an overflow ends it where it is looked for. */
static int far_back(void *context)
{
	int64_t time_us = 77;
	return clock_parse_when(context, NOW, &time_us) && time_us >= NOW ? 1 : 0;
}

static void goes_back_without_overflow(void **state)
{
	static const char *const texts[] = {"1000000000m", "1000000000h", "1000000000d", "1000000000w", "999999999w"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		char text[32];
		(void)snprintf(text, sizeof(text), "%s", texts[i]);
		CHECK_NUMBER(texts[i], unit_in_child(far_back, text), 0);
	}
}

static const char *const no_http_dates[] = {
	"",
	"Sun",
	"Sun, 06 Nov 1994 08:49:37",
	"Sun, 06 Nov 1994 08:49:37 UTC",
	"Sun, 06 Nov 1994 08:49:37 GMTx",
	"Sun, 06 Nov 1994 08:49:37 GMT ",
	"Sun 06 Nov 1994 08:49:37 GMT",
	"06 Nov 1994 08:49:37 GMT",
	"Sun, 06 Nox 1994 08:49:37 GMT",
	"Sun, 06 nov 1994 08:49:37 GMT",
	"Sun, 31 Feb 1994 08:49:37 GMT",
	"Sun, 00 Nov 1994 08:49:37 GMT",
	"Sun, 06 Nov 1994 24:49:37 GMT",
	"Sun, 06 Nov 1994 08:60:37 GMT",
	"Sun, 06 Nov 1994 08:49:61 GMT",
	"Sunday, 06-Nov-94 08:49:37 GMT",
	"Sun Nov  6 08:49:37 1994",
	"Sun, 06 Nov 1994 08:49 GMT",
	"1994-11-06T08:49:37Z",
	"Sun, 06 Novx1994 08:49:37 GMT",
};

static void refuses_what_is_no_http_date(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(no_http_dates); i++) {
		int64_t time_us = 77;
		CHECK(no_http_dates[i], !clock_parse_http(no_http_dates[i], &time_us));
		CHECK_NUMBER(no_http_dates[i], time_us, 77);
	}
}

/* RFC 9110 gives the form with fixed widths; signs and short fields are no part of it. */
static void refuses_signs_in_an_http_date(void **state)
{
	static const char *const texts[] = {
		"Sun, +6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 -8:49:37 GMT", "Sun, 06 Nov 1994 08:-9:37 GMT",
		"Sun, 06 Nov 1994 08:49:-7 GMT", "Sun, 06 Nov -994 08:49:37 GMT", "Sun, 6 Nov 94 8:49:37 GMT",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		int64_t time_us;
		CHECK(texts[i], !clock_parse_http(texts[i], &time_us));
	}
}

static const struct {
	const char *text;
	int64_t seconds;
} http_dates[] = {
	{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},  {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
	{"Wed, 31 Dec 1969 23:59:59 GMT", -1},         {"Thu, 29 Feb 2024 23:59:59 GMT", 1709251199},
	{"Wed, 30 Jul 2025 12:00:00 GMT", 1753876800}, {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
};

static void reads_and_writes_http_dates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(http_dates); i++) {
		char text[CLOCK_HTTP_BYTES];
		int64_t time_us = 77;
		CHECK(http_dates[i].text, clock_parse_http(http_dates[i].text, &time_us));
		CHECK_NUMBER(http_dates[i].text, time_us, http_dates[i].seconds * SECOND);
		CHECK_TEXT(http_dates[i].text, clock_format_http(time_us + 999999, text), http_dates[i].text);
	}
}

static void goes_forward(void **state)
{
	int64_t now = clock_now_us(), monotonic = clock_monotonic_ms();
	(void)state;
	assert_true(now > 1700000000 * SECOND);
	(void)usleep(2000);
	assert_true(clock_now_us() > now);
	assert_true(clock_monotonic_ms() > monotonic);
}

static void says_how_long_ago(void **state)
{
	static const struct {
		int64_t seconds; /* before now */
		const char *text;
	} cases[] = {
		{0, "now"},          {1, "1 s ago"},       {59, "59 s ago"},
		{60, "1 min ago"},   {3599, "59 min ago"}, {3600, "1 h ago"},
		{86399, "23 h ago"}, {86400, "1 d ago"},   {34560000, "400 d ago"},
		{-1, "in 1 s"},      {-7200, "in 2 h"},    {-86400, "in 1 d"},
	};
	char text[CLOCK_AGO_BYTES];
	const int64_t now_us = 1795700000 * CLOCK_SECOND_US;
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		CHECK_TEXT(cases[i].text, clock_ago(now_us - cases[i].seconds * CLOCK_SECOND_US, now_us, text),
		           cases[i].text);
	CHECK_TEXT("half a second", clock_ago(now_us - 500000, now_us, text), "now");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_no_time),
		cmocka_unit_test(refuses_a_leap_second_of_no_day),
		cmocka_unit_test(refuses_what_is_no_http_date),
		cmocka_unit_test(refuses_signs_in_an_http_date),
		cmocka_unit_test(goes_back_without_overflow),
		cmocka_unit_test(reads_and_writes_times),
		cmocka_unit_test(takes_leap_seconds),
		cmocka_unit_test(writes_something_for_any_number),
		cmocka_unit_test(knows_when),
		cmocka_unit_test(reads_and_writes_http_dates),
		cmocka_unit_test(goes_forward),
		cmocka_unit_test(says_how_long_ago),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
