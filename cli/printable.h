/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/buffer.h"
#include "common/json.h"

/* Untrusted text for a terminal. Only printable ASCII comes out: every other byte becomes \xNN and a backslash two of
 * them, so that what is shown can neither move the cursor, nor hide, nor look like something else. Pure. */
MUST_USE int printable_text(struct buffer *to, const char *text, struct error *err);

/* A command line from its array of arguments, quoted as a shell would take it back (but for the \xNN). */
MUST_USE int printable_command(struct buffer *to, const json_t *arguments, struct error *err);

/* Any JSON value as a short text: lists are comma-separated, null and absent are "-". */
MUST_USE int printable_value(struct buffer *to, const json_t *value, struct error *err);
