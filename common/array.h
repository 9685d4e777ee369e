/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "common/error.h"

/* Makes room for one more element of `size` bytes in an array that grows: `array` points to its pointer. `what` it is
 * for stands in the error. */
MUST_USE int array_reserve(void *array, size_t size, size_t count, size_t *capacity, const char *what,
                           struct error *err);
