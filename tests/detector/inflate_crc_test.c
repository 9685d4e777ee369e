/* SPDX-License-Identifier: Apache-2.0 */

/* The checksum against zlib's, of every length about the steps it takes, from every offset. */
#include "tests/detector/support.h"

#include <zlib.h>

#include "detector/inflate_crc.h"

#define BYTES 2000

static void compare(const char *bytes, size_t length)
{
	assert_int_equal(inflate_crc(bytes, length), crc32(crc32(0, NULL, 0), (const Bytef *)bytes, (uInt)length));
}

static void test_same_as_zlib(void **state)
{
	char bytes[BYTES + 64];
	(void)state;
	if (!inflate_crc_is_here())
		skip();
	srand(3);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)rand();
	for (size_t length = 0; length <= BYTES; length++)
		compare(bytes + length % 64, length);
}

static void test_beginning_counts(void **state)
{
	char bytes[BYTES] = {0};
	(void)state;
	if (!inflate_crc_is_here())
		skip();
	for (size_t length = 0; length <= BYTES; length++)
		compare(bytes, length);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_as_zlib),
	                                   cmocka_unit_test(test_beginning_counts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
