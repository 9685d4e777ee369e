/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdint.h>

/* Waiting with a deadline by the monotonic clock: the one on the wall may be set back for hours, and waiting must not
 * take as long. */

/* A condition for pthread_cond_timedwait() with what the functions below give. */
void condition_init(pthread_cond_t *condition);

struct timespec condition_until(int64_t monotonic_ms); /* of clock_monotonic_ms() */
struct timespec condition_after(int64_t ms);           /* from now */
