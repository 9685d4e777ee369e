/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever changes in a row changes its link, and all after it. */
#include "tests/common/unit.h"

#include "store/chain.h"

static const uint8_t previous[DIGEST_BYTES] = {1, 2, 3};
static const struct chain_row base = {
	.seq = 1, .at_us = 2, .id = "id", .kind = "kind", .subject = "subject", .access_key_id = "key", .body = "body"};

#define ROW(...)                                                                                                       \
	{                                                                                                              \
		.seq = 1, .at_us = 2, .id = "id", .kind = "kind", .subject = "subject", .access_key_id = "key",        \
		.body = "body", __VA_ARGS__                                                                            \
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
static const struct {
	const char *name;
	struct chain_row row;
} changed[] = {
	{"seq", ROW(.seq = 2)},
	{"negative seq", ROW(.seq = -1)},
	{"at", ROW(.at_us = 3)},
	{"seq and at exchanged", ROW(.seq = 2, .at_us = 1)},
	{"id", ROW(.id = "ie")},
	{"kind", ROW(.kind = "kine")},
	{"id and kind exchanged", ROW(.id = "kind", .kind = "id")},
	{"subject", ROW(.subject = "Subject")},
	{"subject empty", ROW(.subject = "")},
	{"subject null", ROW(.subject = NULL)},
	{"key", ROW(.access_key_id = "keys")},
	{"key empty", ROW(.access_key_id = "")},
	{"key null", ROW(.access_key_id = NULL)},
	{"both null", ROW(.subject = NULL, .access_key_id = NULL)},
	{"both empty", ROW(.subject = "", .access_key_id = "")},
	{"null and empty", ROW(.subject = NULL, .access_key_id = "")},
	{"empty and null", ROW(.subject = "", .access_key_id = NULL)},
	{"key as subject", ROW(.subject = "key", .access_key_id = NULL)},
	{"subject as key", ROW(.subject = NULL, .access_key_id = "subject")},
	{"body", ROW(.body = "bodies")},
	{"body empty", ROW(.body = "")},
	{"byte moved from id to kind", ROW(.id = "i", .kind = "dkind")},
	{"byte moved from kind to subject", ROW(.kind = "kin", .subject = "dsubject")},
	{"byte moved from key to body", ROW(.access_key_id = "ke", .body = "ybody")},
};
#pragma GCC diagnostic pop

static void changes_with_every_field(void **state)
{
	uint8_t links[ARRAY_LENGTH(changed) + 1][DIGEST_BYTES];
	(void)state;
	assert_int_equal(chain_next(previous, &base, links[ARRAY_LENGTH(changed)], NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(changed); i++)
		assert_int_equal(chain_next(previous, &changed[i].row, links[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(changed); i++)
		for (size_t k = i + 1; k <= ARRAY_LENGTH(changed); k++)
			CHECK(changed[i].name, memcmp(links[i], links[k], DIGEST_BYTES) != 0);
}

static void changes_with_the_row_before(void **state)
{
	uint8_t a[DIGEST_BYTES], b[DIGEST_BYTES], other[DIGEST_BYTES];
	(void)state;
	assert_int_equal(chain_next(previous, &base, a, NULL), 0);
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		memcpy(other, previous, sizeof(other));
		other[i] ^= 0x80;
		assert_int_equal(chain_next(other, &base, b, NULL), 0);
		assert_memory_not_equal(a, b, DIGEST_BYTES);
	}
	assert_int_equal(chain_next(previous, &base, b, NULL), 0);
	assert_memory_equal(a, b, DIGEST_BYTES);
}

static void starts_from_the_ledger_itself(void **state)
{
	uint8_t a[DIGEST_BYTES], b[DIGEST_BYTES];
	(void)state;
	assert_int_equal(chain_genesis("0123", a, NULL), 0);
	assert_int_equal(chain_genesis("0124", b, NULL), 0);
	assert_memory_not_equal(a, b, DIGEST_BYTES);
	assert_int_equal(chain_genesis("", b, NULL), 0);
	assert_memory_not_equal(a, b, DIGEST_BYTES);
}

/* Ledgers outlive this program: the form is fixed. Written out by hand: previous link; seq and at as eight bytes, big
 * end first; then id, kind, subject, key and body, each with its length in eight bytes in front, a null with all bits
 * of its length set. */
static void keeps_its_form(void **state)
{
	static const char genesis_form[] = "\0\0\0\0\0\0\0\x11keytrail ledger 1\0\0\0\0\0\0\0\4abcd";
	static const char row_form[] = "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1\0"
				       "\0\0\0\0\0\0\0\1i\0\0\0\0\0\0\0\2kk\xff\xff\xff\xff\xff\xff\xff\xff"
				       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\3{ }";
	const struct chain_row row = {
		.seq = 1, .at_us = 256, .id = "i", .kind = "kk", .subject = NULL, .access_key_id = "", .body = "{ }"};
	uint8_t expected[DIGEST_BYTES], made[DIGEST_BYTES], bytes[DIGEST_BYTES + sizeof(row_form) - 1];
	(void)state;
	assert_int_equal(digest_of(genesis_form, sizeof(genesis_form) - 1, expected, NULL), 0);
	assert_int_equal(chain_genesis("abcd", made, NULL), 0);
	assert_memory_equal(made, expected, DIGEST_BYTES);

	memcpy(bytes, previous, DIGEST_BYTES);
	memcpy(bytes + DIGEST_BYTES, row_form, sizeof(row_form) - 1);
	assert_int_equal(digest_of(bytes, sizeof(bytes), expected, NULL), 0);
	assert_int_equal(chain_next(previous, &row, made, NULL), 0);
	assert_memory_equal(made, expected, DIGEST_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_with_every_field),
		cmocka_unit_test(changes_with_the_row_before),
		cmocka_unit_test(starts_from_the_ledger_itself),
		cmocka_unit_test(keeps_its_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
