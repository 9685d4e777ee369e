/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Takes live secrets out of a command line before it is stored: `curl -H 'X-aws-ec2-metadata-token: AQAE…'` is what
 * AWS's own documentation tells people to type. Pure. */

#define REDACTED "[redacted]"

/* One argument, after `previous` (NULL for the first). Writes the argument as it may be stored into `to` (cut at
 * size - 1 bytes) and says whether anything was taken out. `patterns`: further globs, space-separated; an argument
 * that matches one is replaced whole. */
bool redact_argument(const char *argument, const char *previous, const char *patterns, char *to, size_t size);
