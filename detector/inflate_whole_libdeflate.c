/* SPDX-License-Identifier: Apache-2.0 */

/* Whole files by libdeflate, which is twice as fast as zlib and needs all of input and output in memory. Anything odd
 * is left to the windows, which can say where a file is damaged and give what stands before. */
#include <libdeflate.h>
#include <string.h>

#include "detector/inflate.h"
#include "detector/inflate_crc.h"

#define HEADER_BYTES 10 /* without anything optional */
#define TRAILER_BYTES 8
#define SMALLEST_MEMBER (HEADER_BYTES + TRAILER_BYTES)

struct inflate_whole {
	struct libdeflate_decompressor *decompressor;
	bool checks; /* the checksum ourselves, since that is faster */
};

struct inflate_whole *inflate_whole_new(void)
{
	struct inflate_whole *whole = calloc(1, sizeof(*whole));
	if (whole != NULL && (whole->decompressor = libdeflate_alloc_decompressor()) == NULL) {
		free(whole);
		return NULL;
	}
	if (whole != NULL)
		whole->checks = inflate_crc_is_here();
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

static uint32_t number_at(const char *at)
{
	const unsigned char *bytes = (const unsigned char *)at;
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Where to unpack to. */
struct room {
	char *bytes;
	size_t length;
};

/* One member, whose header has nothing optional, and its checksum. */
static enum libdeflate_result run_checked(struct inflate_whole *whole, const char *packed, size_t length,
                                          const struct room *to, size_t *ret_taken, size_t *ret_made)
{
	size_t taken = 0, made = 0;
	enum libdeflate_result result =
		libdeflate_deflate_decompress_ex(whole->decompressor, packed + HEADER_BYTES, length - SMALLEST_MEMBER,
	                                         to->bytes, to->length, &taken, &made);
	if (result != LIBDEFLATE_SUCCESS)
		return result;
	const char *trailer = packed + HEADER_BYTES + taken;
	if (number_at(trailer) != inflate_crc(to->bytes, made) || number_at(trailer + 4) != (uint32_t)made)
		return LIBDEFLATE_BAD_DATA;
	*ret_taken = taken + SMALLEST_MEMBER;
	*ret_made = made;
	return result;
}

static enum libdeflate_result run_member(struct inflate_whole *whole, const char *packed, size_t length,
                                         const struct room *to, size_t *ret_taken, size_t *ret_made)
{
	static const char plain[] = {0x1f, (char)0x8b, 8, 0};
	if (whole->checks && length >= SMALLEST_MEMBER && memcmp(packed, plain, sizeof(plain)) == 0)
		return run_checked(whole, packed, length, to, ret_taken, ret_made);
	return libdeflate_gzip_decompress_ex(whole->decompressor, packed, length, to->bytes, to->length, ret_taken,
	                                     ret_made);
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
		const struct room to = {space->bytes + used, space->capacity - used};
		enum libdeflate_result result = run_member(whole, packed + at, length - at, &to, &taken, &made);
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
