/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"

/* Times are microseconds since 1970 in UTC (int64_t, "_us"); durations for waiting are monotonic milliseconds. */

#define CLOCK_TEXT_BYTES 28 /* 2026-01-02T03:04:05.678901Z and its NUL */
#define CLOCK_SECOND_US INT64_C(1000000)

int64_t clock_now_us(void);
int64_t clock_monotonic_ms(void);

/* Since boot, suspended time included: it follows no change of the wall clock. */
int64_t clock_boot_seconds(void);
int64_t clock_monotonic_us(void); /* for measuring */

/* RFC 3339 in UTC with six decimals and Z. Years 0 to 9999; returns `to`. */
char *clock_format(int64_t time_us, char to[static CLOCK_TEXT_BYTES]);

/* RFC 3339 date and time: `T` or a space between them, any number of decimals (cut to six), Z or +hh:mm.
 * False for anything else, also for days that do not exist; *ret_us is then untouched. */
MUST_USE bool clock_parse(const char *text, int64_t *ret_us);

/* `90s`, `15m`, `6h`, `7d`, `2w` before now, or what clock_parse takes, or a bare date: for --since and --until. */
MUST_USE bool clock_parse_when(const char *text, int64_t now_us, int64_t *ret_us);

/* How long before or after `now_us`, for people: "12 s ago", "5 min ago", "3 h ago", "4 d ago", "in 6 h", "now". */
#define CLOCK_AGO_BYTES 32
char *clock_ago(int64_t time_us, int64_t now_us, char to[static CLOCK_AGO_BYTES]);

/* The form of HTTP's Date header (RFC 9110 5.6.7, IMF-fixdate). */
MUST_USE bool clock_parse_http(const char *text, int64_t *ret_us);
#define CLOCK_HTTP_BYTES 32
char *clock_format_http(int64_t time_us, char to[static CLOCK_HTTP_BYTES]);
