/* SPDX-License-Identifier: Apache-2.0 */

/* Whole files by libdeflate, which is twice as fast as zlib and needs all of input and output in memory. Anything odd
 * is left to the windows, which can say where a file is damaged and give what stands before. */
#include <libdeflate.h>

#include "detector/inflate.h"

#define SMALLEST_MEMBER 18 /* header and trailer */

struct inflate_whole {
	struct libdeflate_decompressor *decompressor;
};

struct inflate_whole *inflate_whole_new(void)
{
	struct inflate_whole *whole = calloc(1, sizeof(*whole));
	if (whole != NULL && (whole->decompressor = libdeflate_alloc_decompressor()) == NULL) {
		free(whole);
		return NULL;
	}
	return whole;
}

void inflate_whole_free(struct inflate_whole *whole)
{
	if (whole == NULL)
		return;
	libdeflate_free_decompressor(whole->decompressor);
	free(whole);
}

static bool is_padding(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i] != '\0')
			return false;
	return true;
}

enum inflate_whole_result inflate_whole_run(struct inflate_whole *whole, const char *packed, size_t length,
                                            struct inflate_space *space, size_t *ret_length)
{
	size_t used = 0, at = 0;
	if (length < SMALLEST_MEMBER)
		return INFLATE_WHOLE_DAMAGED;
	if (!inflate_space_grow(space, inflate_hint((const unsigned char *)packed + length - 4)))
		return INFLATE_WHOLE_TOO_LARGE;
	while (at < length && !is_padding(packed + at, length - at)) {
		size_t taken = 0, made = 0;
		enum libdeflate_result result =
			libdeflate_gzip_decompress_ex(whole->decompressor, packed + at, length - at,
		                                      space->bytes + used, space->capacity - used, &taken, &made);
		if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
			if (space->capacity >= INFLATE_WHOLE_BYTES ||
			    !inflate_space_grow(space, space->capacity * 2 + 1))
				return INFLATE_WHOLE_TOO_LARGE;
			continue;
		}
		if (result != LIBDEFLATE_SUCCESS)
			return INFLATE_WHOLE_DAMAGED;
		at += taken;
		used += made;
	}
	*ret_length = used;
	return INFLATE_WHOLE_DONE;
}
