/* SPDX-License-Identifier: Apache-2.0 */

/* The C library's timed waits go by the clock on the wall unless told otherwise. */
#include "common/condition.h"

#include <time.h>

#include "common/clock.h"

void condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t monotonic;
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(condition, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
}

struct timespec condition_until(int64_t monotonic_ms)
{
	return (struct timespec){.tv_sec = monotonic_ms / 1000, .tv_nsec = monotonic_ms % 1000 * 1000000};
}

struct timespec condition_after(int64_t ms)
{
	int64_t until_us = clock_monotonic_us() + ms * 1000;
	return (struct timespec){.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
}
