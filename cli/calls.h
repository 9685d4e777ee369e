/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/buffer.h"
#include "common/json.h"

/* What was called with a key, by service: {service, count, errors, calls[] of {name, count, errors}}, most frequent
 * first in both lists. Summed over findings: each use counts once for each finding that it is part of. New reference,
 * NULL without memory. */
json_t *calls_by_service(const json_t *findings);

/* One of them in a line: "s3.amazonaws.com 9, 2 with errors: ListObjects 5, GetObject 4". Names are as logs have them:
 * escape the line where it goes. */
MUST_USE int calls_line(const json_t *service, struct buffer *to, struct error *err);
