/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Is this text one JSON object or array in the form of json_line()? That is: compact, names of each object ascending
 * and plain (neither escapes nor control bytes), UTF-8, nothing escaped that need not be, integers only, 16 levels at
 * most. A text of which this is true may be put into another one as it is. One pass, no memory; safe from any thread.
 */
bool canonical_json(const char *text, size_t length);
