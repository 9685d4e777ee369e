/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* Memory for large tables that are read at random: zeroed, and on large pages where the kernel has some, so that a look
 * into it does not have to find its page first. NULL without memory. */
void *pages_new(size_t bytes);
/* Of as many bytes; NULL is fine. */
void pages_free(void *pages, size_t bytes);
