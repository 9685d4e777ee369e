/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/subject.h"

/* The life of a key: points in time, each {at, kind, text, row}: kind is issued, delivered, derived, used or expires;
 * `text` one line (it holds what others chose); `row` the delivery or use it is about, or null. By time. New reference,
 * NULL without memory. */
json_t *timeline_make(const struct subject *subject);

/* The same for a few lines: of deliveries and uses the first and the last, with how many there are (`count`; `which`:
 * first or last). */
json_t *timeline_brief(const json_t *timeline);
