/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/buffer.h"

struct aws_http;

/* A command of the operator's own configuration that prints credentials (credential_process). It is no shell's: words
 * are split at white space, quotes and backslashes as in a shell keep them together, nothing else means anything. */

#define AWS_PROCESS_WORDS 64
#define AWS_PROCESS_BYTES ((size_t)64 << 10) /* of what it prints */

/* Splits in place; `words` ends with NULL. Pure. */
MUST_USE int aws_process_split(char *line, char *words[static AWS_PROCESS_WORDS + 1], struct error *err);

/* Runs it, waits for its end (five minutes, or until `http` is told to stop), and gives what it printed, with a NUL
 * behind it, in a buffer that the caller wipes. What it says on standard error goes to the operator. */
MUST_USE int aws_process_run(const char *line, const struct aws_http *http, struct buffer *ret, struct error *err);
