/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/findings.h"

/* The names of files that earlier runs have read. A key may be used in one of them and have been made in a file that is
 * read later: then they are read once more. Names are kept for two days after the reading, the newest EARLIER_MAX. */

#define EARLIER_MAX 20000

/* A file has been read; "-": standard input, which cannot be read again. */
MUST_USE int earlier_note(struct findings *findings, const char *name, int64_t now_us, struct error *err);

struct earlier {
	char **names;
	size_t count, capacity;
	uint64_t lost; /* without a name that could be opened */
};

/* Those of other runs that may hold something of `since_us` or later. */
MUST_USE int earlier_list(struct findings *findings, int64_t since_us, struct earlier *ret, struct error *err);
void earlier_done(struct earlier *earlier);
