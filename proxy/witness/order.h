/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Puts those in front who are likely to be looked for, and keeps the order within each part: first whoever is named,
 * then whoever `is_likely`, then all others. Nobody is left out, nobody comes twice. Pure, if `is_likely` is. */
void order_pids(uint32_t *pids, size_t count, const uint32_t *named, size_t named_count,
                bool (*is_likely)(const void *context, uint32_t pid), const void *context);
