/* SPDX-License-Identifier: Apache-2.0 */

/* The rate is the mean since the beginning: it settles, and so does the end that is foretold by it. */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>

#define CELLS 40
#define SETTLE_US 1000000 /* before that nothing is foretold */
#define LONGEST_SECONDS (100 * 3600)

static void put_left(double seconds, char *to, size_t size)
{
	uint64_t left = seconds < LONGEST_SECONDS ? (uint64_t)(seconds + 0.5) : LONGEST_SECONDS - 1;
	if (left >= 3600)
		(void)snprintf(to, size, ", %" PRIu64 ":%02" PRIu64 ":%02" PRIu64 " left", left / 3600, left / 60 % 60,
		               left % 60);
	else
		(void)snprintf(to, size, ", %" PRIu64 ":%02" PRIu64 " left", left / 60, left % 60);
}

char *progress_line(uint64_t done_bytes, uint64_t total_bytes, int64_t elapsed_us, char to[static PROGRESS_BYTES])
{
	static const char full[] = "########################################";
	double rate = elapsed_us > 0 ? (double)done_bytes * 1e6 / (double)elapsed_us : 0;
	char left[32] = "";
	if (total_bytes == 0) {
		(void)snprintf(to, PROGRESS_BYTES, "%" PRIu64 " MiB, %.0f MiB/s", done_bytes >> 20, rate / (1 << 20));
		return to;
	}
	int percent = done_bytes >= total_bytes ? 100 : (int)((double)done_bytes / (double)total_bytes * 100);
	if (elapsed_us >= SETTLE_US && rate > 0 && done_bytes < total_bytes)
		put_left((double)(total_bytes - done_bytes) / rate, left, sizeof(left));
	(void)snprintf(to, PROGRESS_BYTES, "[%-*.*s] %3d %%, %.0f MiB/s%s", CELLS, percent * CELLS / 100, full, percent,
	               rate / (1 << 20), left);
	return to;
}
