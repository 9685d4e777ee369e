/* SPDX-License-Identifier: Apache-2.0 */

/* Where a distribution has no libdeflate: every file is read in windows by zlib. */
#include "detector/inflate.h"

struct inflate_whole {
	char unused;
};

struct inflate_whole *inflate_whole_new(void)
{
	return calloc(1, sizeof(struct inflate_whole));
}

void inflate_whole_free(struct inflate_whole *whole)
{
	free(whole);
}

enum inflate_whole_result inflate_whole_run(struct inflate_whole *whole, const char *packed, size_t length,
                                            struct inflate_space *space, size_t *ret_length)
{
	(void)whole;
	(void)packed;
	(void)length;
	(void)space;
	(void)ret_length;
	return INFLATE_WHOLE_TOO_LARGE;
}
