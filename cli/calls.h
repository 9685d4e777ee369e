/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"

/* What was called with a key, by service: {service, count, errors, calls[] of {name, count, errors}}, most frequent
 * first in both lists. Summed over findings: each use counts once for each finding that it is part of. New reference,
 * NULL without memory. */
json_t *calls_by_service(const json_t *findings);
