/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/columns.h"
#include "common/buffer.h"
#include "common/json.h"

/* CSV as in RFC 4180: lines end in CRLF, quotes where needed, a first line of headings. Null and absent are empty,
 * lists and objects are JSON in one field.
 *
 * Two things protect whoever opens it. A text that starts with = + - @ or white space of control gets a ' in front: a
 * spreadsheet would run it. Control characters but for tab, CR and LF become \xNN: a terminal would obey them. Numbers
 * are left alone, they come from us. Pure. */
MUST_USE int csv_heading(struct buffer *to, const struct columns *columns, struct error *err);
MUST_USE int csv_row(struct buffer *to, const struct columns *columns, const json_t *object, struct error *err);
