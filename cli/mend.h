/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "common/buffer.h"

/* Takes back the last line of the file that `fd` appends to, if it has no end and begins as said: whoever wrote it was
 * killed in the middle. Anything else, and whatever is no regular file, is left as it is. `ret_tail`: the last
 * lines that are there then, for mend_has_line. */
MUST_USE int mend_last_line(int fd, const char *beginning, struct buffer *ret_tail, struct error *err);

/* Does this line stand whole among the last ones? */
bool mend_has_line(const struct buffer *tail, const char *line);
