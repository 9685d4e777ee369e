/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* One line on long work: how far, how fast (MiB of files as they lie, a second), how much longer. `total` 0: not known,
 * then neither bar nor end are shown. Pure; returns `to`. */
#define PROGRESS_BYTES 128
char *progress_line(uint64_t done_bytes, uint64_t total_bytes, int64_t elapsed_us, char to[static PROGRESS_BYTES]);
