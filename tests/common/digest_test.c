/* SPDX-License-Identifier: Apache-2.0 */

/* SHA-256 by the vectors of FIPS 180-4, whole and in pieces. */
#include "tests/common/unit.h"

#include "common/digest.h"

static const struct {
	const char *text, *hex;
} vectors[] = {
	{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	{"The quick brown fox jumps over the lazy dog",
         "d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592"},
};

static void knows_the_published_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
		uint8_t made[DIGEST_BYTES];
		char hex[DIGEST_HEX_BYTES];
		assert_int_equal(digest_of(vectors[i].text, strlen(vectors[i].text), made, NULL), 0);
		CHECK_TEXT(vectors[i].text, digest_hex(made, DIGEST_BYTES, hex), vectors[i].hex);
	}
}

static void is_the_same_in_pieces(void **state)
{
	struct digest *digest = NULL;
	(void)state;
	assert_int_equal(digest_new(&digest, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++)
		for (size_t cut = 0; cut <= strlen(vectors[i].text); cut++) {
			uint8_t made[DIGEST_BYTES];
			char hex[DIGEST_HEX_BYTES];
			assert_int_equal(digest_add(digest, vectors[i].text, cut, NULL), 0);
			assert_int_equal(digest_add(digest, vectors[i].text + cut, strlen(vectors[i].text) - cut, NULL),
			                 0);
			assert_int_equal(digest_take(digest, made, NULL), 0); /* and ready for the next */
			CHECK_TEXT(vectors[i].text, digest_hex(made, DIGEST_BYTES, hex), vectors[i].hex);
		}
	digest_free(digest);
	digest_free(NULL);
}

static void writes_hexadecimal(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x09, 0x0a, 0x10, 0x7f, 0x80, 0xff};
	char hex[2 * sizeof(bytes) + 1];
	(void)state;
	assert_string_equal(digest_hex(bytes, sizeof(bytes), hex), "00090a107f80ff");
	assert_string_equal(digest_hex(bytes, 0, hex), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_published_vectors),
		cmocka_unit_test(is_the_same_in_pieces),
		cmocka_unit_test(writes_hexadecimal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
