/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/cleanup.h"

/* One line on stderr, `keytrail: ` and the text; control bytes that came in with the arguments are made harmless. */
void complain(const char *format, ...) PRINTF_LIKE(1, 2);

/* How: what a terminal would obey becomes question marks, in place. */
void complain_clean(char *text);
