/* SPDX-License-Identifier: Apache-2.0 */

/* Only the very same is familiar, at the times for which it was found to hold; memory stays bounded. */
#include "tests/detector/support.h"

#include "detector/familiar.h"

#define TEXT(text)                                                                                                     \
	{                                                                                                              \
		text, sizeof(text) - 1                                                                                 \
	}

static const struct glance one = {
	.fields = {[GLANCE_IDENTITY] =
                           TEXT("{\"accessKeyId\":\"ASIA0123456789ABCDEF\",\"type\":\"AssumedRole\","
                                "\"arn\":\"arn:aws:sts::123456789012:assumed-role/web/i-0123456789abcdef0\"}"),
                   [GLANCE_SOURCE] = TEXT("10.0.0.1"),
                   [GLANCE_ENDPOINT] = TEXT("vpce-0123456789abcdef0"),
                   [GLANCE_RECIPIENT] = TEXT("123456789012")},
	.at_us = 1000,
};

/* Every byte decides, also those that the hash passes over. */
static void test_every_byte_counts(void **state)
{
	struct familiar *familiar;
	(void)state;
	assert_int_equal(familiar_new(1 << 16, &familiar, NULL), 0);
	assert_int_equal(familiar_find(familiar, &one), -1);
	familiar_add(familiar, &one, 3, 0, 2000);
	assert_int_equal(familiar_find(familiar, &one), 3);
	for (size_t field = 0; field < GLANCE_DECIDING; field++) {
		struct glance other = one;
		char text[256];
		for (size_t i = 0; i < one.fields[field].length; i++) {
			memcpy(text, one.fields[field].text, one.fields[field].length);
			text[i] = (char)(text[i] ^ 1);
			other.fields[field].text = text;
			assert_int_equal(familiar_find(familiar, &other), -1);
		}
		other.fields[field] = (struct glance_text){0};
		assert_int_equal(familiar_find(familiar, &other), one.fields[field].text == NULL ? 3 : -1);
		other.fields[field] = (struct glance_text){"", 0}; /* empty is not absent */
		assert_int_equal(familiar_find(familiar, &other), -1);
	}
	familiar_free(familiar);
}

/* Met before the rest of the record is read: by its identity in front of more, byte for byte. */
static void test_by_its_caller(void **state)
{
	const struct glance_text *identity = &one.fields[GLANCE_IDENTITY];
	struct familiar_caller caller;
	struct familiar *familiar;
	char text[256];
	(void)state;
	size_t length = (size_t)snprintf(text, sizeof(text), "%s,\"eventTime\"", identity->text);
	assert_int_equal(familiar_new(1 << 16, &familiar, NULL), 0);
	assert_false(familiar_caller(familiar, text, length, &caller));
	familiar_add(familiar, &one, 3, 0, 2000);
	assert_true(familiar_caller(familiar, text, length, &caller));
	assert_int_equal(caller.length, identity->length);
	assert_int_equal(familiar_find_by(familiar, &caller, &one), 3);
	for (size_t i = 0; i < identity->length; i++) {
		text[i] = (char)(text[i] ^ 1);
		assert_false(familiar_caller(familiar, text, length, &caller));
		text[i] = (char)(text[i] ^ 1);
		assert_false(familiar_caller(familiar, text, i, &caller));
	}
	assert_true(familiar_caller(familiar, text, length, &caller));
	for (size_t field = GLANCE_IDENTITY + 1; field < GLANCE_DECIDING; field++) {
		struct glance other = one;
		other.fields[field] = (struct glance_text)TEXT("another");
		assert_int_equal(familiar_find_by(familiar, &caller, &other), -1);
	}
	familiar_clear(familiar);
	assert_false(familiar_caller(familiar, text, length, &caller));
	familiar_free(familiar);
}

/* Two that agree in the bytes that callers are found by: the one met last, and each of them right. */
static void test_callers_alike(void **state)
{
	const struct glance_text *identity = &one.fields[GLANCE_IDENTITY];
	struct familiar_caller caller;
	struct familiar *familiar;
	struct glance two = one, broken = one;
	char text[256];
	(void)state;
	(void)snprintf(text, sizeof(text), "%s", identity->text);
	text[20] = 'X';
	two.fields[GLANCE_IDENTITY].text = text;
	assert_int_equal(familiar_new(1 << 16, &familiar, NULL), 0);
	familiar_add(familiar, &one, 1, 0, 2000);
	familiar_add(familiar, &two, 2, 0, 2000);
	for (int i = 0; i < 3; i++) {
		assert_false(familiar_caller(familiar, identity->text, identity->length, &caller));
		assert_true(familiar_caller(familiar, text, identity->length, &caller));
		assert_int_equal(familiar_find_by(familiar, &caller, &two), 2);
		assert_int_equal(familiar_find_by(familiar, &caller, &one),
		                 2); /* whose identity it is, is the caller's to say */
		assert_int_equal(familiar_find(familiar, &one), 1);
		assert_true(familiar_caller(familiar, identity->text, identity->length, &caller));
		assert_int_equal(familiar_find_by(familiar, &caller, &one), 1);
		assert_int_equal(familiar_find(familiar, &two), 2);
	}
	/* A line feed belongs to no record that may be passed over unread. */
	char line[256];
	(void)snprintf(line, sizeof(line), "%s", identity->text);
	line[70] = '\n';
	broken.fields[GLANCE_IDENTITY].text = line;
	familiar_add(familiar, &broken, 3, 0, 2000);
	assert_int_equal(familiar_find(familiar, &broken), 3);
	assert_false(familiar_caller(familiar, line, identity->length, &caller));
	familiar_free(familiar);
}

/* From one table to another, for the times for which it was known there. */
static void test_taken(void **state)
{
	struct familiar *first, *second;
	struct glance at = one;
	(void)state;
	assert_int_equal(familiar_new(1 << 16, &first, NULL), 0);
	assert_int_equal(familiar_new(1 << 16, &second, NULL), 0);
	assert_int_equal(familiar_take(first, &at, second), -1);
	familiar_add(first, &one, 2, 500, 2000);
	at.at_us = 499;
	assert_int_equal(familiar_take(first, &at, second), -1);
	at.at_us = 500;
	assert_int_equal(familiar_find(second, &at), -1);
	assert_int_equal(familiar_take(first, &at, second), 2);
	familiar_free(first);
	for (int64_t us = 499; us <= 2000; us++) {
		at.at_us = us;
		assert_int_equal(familiar_find(second, &at), us >= 500 && us < 2000 ? 2 : -1);
	}
	familiar_free(second);
}

static void test_times(void **state)
{
	struct familiar *familiar;
	struct glance at = one;
	static const struct {
		int64_t at_us;
		int what;
	} cases[] = {{99, -1}, {100, 1}, {199, 1}, {200, 2}, {299, 2}, {300, -1}, {INT64_MAX, -1}, {INT64_MIN, -1}};
	(void)state;
	assert_int_equal(familiar_new(1 << 16, &familiar, NULL), 0);
	familiar_add(familiar, &one, 1, 100, 200);
	familiar_add(familiar, &one, 2, 200, 300);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		at.at_us = cases[i].at_us;
		assert_int_equal(familiar_find(familiar, &at), cases[i].what);
	}
	familiar_clear(familiar);
	at.at_us = 100;
	assert_int_equal(familiar_find(familiar, &at), -1);
	familiar_free(familiar);
}

/* What holds at no time takes nobody's place. */
static void test_never(void **state)
{
	struct familiar *familiar;
	(void)state;
	assert_int_equal(familiar_new(1 << 16, &familiar, NULL), 0);
	familiar_add(familiar, &one, 1, 500, 2000);
	for (unsigned i = 0; i < 1000; i++)
		familiar_add(familiar, &one, 2, 0, 0);
	assert_int_equal(familiar_find(familiar, &one), 1);
	familiar_free(familiar);
}

/* Many more than there is room for: what is found is right. */
static void test_bounded(void **state)
{
	struct familiar *familiar;
	struct glance many = one;
	unsigned found = 0;
	(void)state;
	assert_int_equal(familiar_new(1 << 16, &familiar, NULL), 0);
	for (unsigned i = 0; i < 50000; i++) {
		char text[40];
		many.fields[GLANCE_SOURCE] =
			(struct glance_text){text, (size_t)snprintf(text, sizeof(text), "10.%u", i)};
		familiar_add(familiar, &many, (int)(i % 5), 0, 2000);
		unsigned before = i - (unsigned)rand() % (i < 100 ? i + 1 : 100);
		many.fields[GLANCE_SOURCE].length = (size_t)snprintf(text, sizeof(text), "10.%u", before);
		int what = familiar_find(familiar, &many);
		assert_true(what == -1 || what == (int)(before % 5));
		found += what >= 0;
	}
	assert_true(found > 5000);
	familiar_free(familiar);
}

static void test_too_long(void **state)
{
	static char text[1 << 16];
	struct familiar *familiar;
	struct glance huge = one;
	(void)state;
	assert_int_equal(familiar_new(1 << 16, &familiar, NULL), 0);
	memset(text, 'x', sizeof(text));
	huge.fields[GLANCE_IDENTITY] = (struct glance_text){text, sizeof(text)};
	familiar_add(familiar, &huge, 1, 0, 2000);
	assert_int_equal(familiar_find(familiar, &huge), -1);
	familiar_free(familiar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_byte_counts),
	                                   cmocka_unit_test(test_by_its_caller),
	                                   cmocka_unit_test(test_callers_alike),
	                                   cmocka_unit_test(test_taken),
	                                   cmocka_unit_test(test_times),
	                                   cmocka_unit_test(test_never),
	                                   cmocka_unit_test(test_bounded),
	                                   cmocka_unit_test(test_too_long)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
