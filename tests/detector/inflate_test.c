/* SPDX-License-Identifier: Apache-2.0 */

/* Unpacking: damage first, then plain, gzip of several members, and what is too large to be unpacked at once. */
#include "tests/detector/support.h"

#include <zlib.h>

#include "detector/inflate.h"

static struct inflate_budget budget;
static struct inflate *inflater;

struct read_back {
	struct buffer text;
	size_t appetite; /* takes at most so many bytes of a window that is not the last */
	size_t windows, largest;
	bool had_last, had_full;
};

static int on_window(void *context, const struct window *window, size_t *ret_used, struct error *err)
{
	struct read_back *back = context;
	size_t used = window->length;
	back->had_full = back->had_full || window->is_full;
	if (!window->is_last && !window->is_full && used > back->appetite)
		used = back->appetite;
	assert_false(back->had_last);
	back->had_last = window->is_last;
	back->windows++;
	back->largest = window->length > back->largest ? window->length : back->largest;
	*ret_used = used;
	assert_int_equal((uintptr_t)window->bytes % INFLATE_ALIGNMENT, 0);
	/* The padding must be readable and, behind the text, empty. */
	for (size_t i = 0; i < INFLATE_PADDING; i++)
		assert_int_equal(window->bytes[window->length + i], 0);
	return buffer_append(&back->text, window->bytes, used, err);
}

static void pack(struct buffer *to, const char *bytes, size_t length)
{
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)length};
	size_t room = length + length / 100 + 1000;
	CLEANUP_FREE char *packed = malloc(room);
	assert_int_equal(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_out = (Bytef *)packed;
	stream.avail_out = (uInt)room;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(buffer_append(to, packed, stream.total_out, NULL), 0);
	assert_int_equal(deflateEnd(&stream), Z_OK);
}

static int read_file(const struct buffer *file, struct read_back *back, struct error *err)
{
	const char *path = support_write("file", file->bytes != NULL ? file->bytes : "", file->length);
	CLEANUP_FD int fd = open(path, O_RDONLY);
	back->appetite = back->appetite > 0 ? back->appetite : SIZE_MAX;
	return inflate_run(inflater, fd, on_window, back, err);
}

static void check_same(const struct buffer *file, const struct buffer *wanted, size_t appetite)
{
	struct read_back back = {.appetite = appetite};
	struct error err = {0};
	if (read_file(file, &back, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(back.had_last);
	assert_int_equal(back.text.length, wanted->length);
	if (wanted->length > 0)
		assert_memory_equal(back.text.bytes, wanted->bytes, wanted->length);
	buffer_done(&back.text);
}

#define PATTERN_BYTES ((size_t)1 << 20) /* then the same again */

/* Text that packs well, but not to nothing. */
static void fill(struct buffer *text, size_t length)
{
	char line[64];
	for (unsigned i = 0; text->length < length && text->length < PATTERN_BYTES; i++) {
		int used = snprintf(line, sizeof(line), "%u:%x ", i, i * 2654435761U);
		assert_int_equal(buffer_append(text, line, (size_t)used, NULL), 0);
	}
	CLEANUP_FREE char *pattern = memcpy(malloc(text->length), text->bytes, text->length);
	for (size_t used = text->length; text->length < length;)
		assert_int_equal(buffer_append(text, pattern, used, NULL), 0);
}

static void test_damaged(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	CLEANUP_BUFFER struct buffer packed = {0};
	(void)state;
	fill(&text, 300000);
	pack(&packed, text.bytes, text.length);
	const struct {
		const char *name;
		size_t length, flip; /* the file is cut at length; the byte at flip changed */
		const char *expected;
	} cases[] = {
		{"the header alone", 10, 0, "expected more gzip data"},
		{"two bytes", 2, 0, "expected more gzip data"},
		{"cut in the middle", packed.length / 2, 0, "expected more gzip data"},
		{"cut in the trailer", packed.length - 3, 0, "expected more gzip data"},
		{"a flipped bit", packed.length, packed.length / 2, "expected gzip data"},
		{"a wrong checksum", packed.length, packed.length - 7, "incorrect data check"},
		{"a wrong length", packed.length, packed.length - 2, "incorrect length check"},
		{"a bad method", packed.length, 2, "expected gzip data"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_BUFFER struct buffer file = {0};
		struct read_back back = {0};
		struct error err = {0};
		assert_int_equal(buffer_append(&file, packed.bytes, cases[i].length, NULL), 0);
		file.bytes[cases[i].flip] = (char)(file.bytes[cases[i].flip] ^ (cases[i].flip != 0 ? 0x10 : 0));
		if (read_file(&file, &back, &err) == 0)
			fail_msg("%s: nothing noticed", cases[i].name);
		if (err.code != ERROR_INPUT || strstr(err.text, cases[i].expected) == NULL)
			fail_msg("%s: %s", cases[i].name, err.text);
		assert_false(back.had_last);
		/* What stood before the damage was read. */
		if (cases[i].flip == 0 && cases[i].length > 1000)
			assert_true(back.text.length > cases[i].length);
		if (back.text.length > 0 && cases[i].flip == 0)
			assert_memory_equal(back.text.bytes, text.bytes, back.text.length);
		buffer_done(&back.text);
	}
}

static void test_garbage_behind(void **state)
{
	CLEANUP_BUFFER struct buffer file = {0};
	struct read_back back = {0};
	struct error err = {0};
	(void)state;
	pack(&file, "[]", 2);
	assert_int_equal(buffer_append(&file, "garbage", 7, NULL), 0);
	assert_int_equal(read_file(&file, &back, &err), -1);
	assert_int_equal(err.code, ERROR_INPUT);
	assert_string_equal(back.text.bytes, "[]");
	buffer_done(&back.text);
}

static void test_record_too_long(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	const char *path;
	struct read_back back = {.appetite = 0};
	struct error err = {0};
	(void)state;
	fill(&text, INFLATE_RECORD_BYTES + INFLATE_WINDOW_BYTES);
	path = support_write("file", text.bytes, text.length);
	CLEANUP_FD int fd = open(path, O_RDONLY);
	assert_int_equal(inflate_run(inflater, fd, on_window, &back, &err), 0);
	assert_true(back.had_full);
	assert_int_equal(back.largest, INFLATE_RECORD_BYTES);
	assert_int_equal(back.text.length, text.length);
	assert_memory_equal(back.text.bytes, text.bytes, text.length);
	buffer_done(&back.text);
}

static void test_read_error(void **state)
{
	struct read_back back = {.appetite = 1};
	struct error err = {0};
	(void)state;
	assert_int_equal(inflate_run(inflater, -1, on_window, &back, &err), -1);
	assert_int_equal(err.code, ERROR_SYSTEM);
}

static void test_plain(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 3, 262143, 262144, 262145, 1048575, 1048576, 1048577, 5000000};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		CLEANUP_BUFFER struct buffer text = {0};
		if (sizes[i] > 0)
			fill(&text, sizes[i]);
		text.length = sizes[i];
		check_same(&text, &text, SIZE_MAX);
		check_same(&text, &text, 700001);
	}
}

static void test_members(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	CLEANUP_BUFFER struct buffer packed = {0};
	CLEANUP_BUFFER struct buffer twice = {0};
	(void)state;
	fill(&text, 3000000);
	pack(&packed, text.bytes, 1000);
	pack(&packed, text.bytes + 1000, 0);
	pack(&packed, text.bytes + 1000, text.length - 1000);
	check_same(&packed, &text, SIZE_MAX);
	assert_int_equal(buffer_append(&packed, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22, NULL), 0);
	check_same(&packed, &text, SIZE_MAX);
	assert_int_equal(buffer_append(&twice, text.bytes, text.length, NULL), 0);
	assert_int_equal(buffer_append(&twice, "x", 1, NULL), 0);
	pack(&packed, "x", 1);
	check_same(&packed, &twice, SIZE_MAX);
}

static void test_large(void **state)
{
	CLEANUP_BUFFER struct buffer text = {0};
	CLEANUP_BUFFER struct buffer packed = {0};
	(void)state;
	fill(&text, INFLATE_WHOLE_BYTES + 5000000);
	pack(&packed, text.bytes, text.length);
	struct read_back back = {.appetite = 1000003};
	struct error err = {0};
	assert_int_equal(read_file(&packed, &back, &err), 0);
	assert_true(back.windows > 60);
	assert_true(back.largest <= 2 * INFLATE_WINDOW_BYTES);
	assert_int_equal(back.text.length, text.length);
	assert_memory_equal(back.text.bytes, text.bytes, text.length);
	buffer_done(&back.text);
}

static int setup(void **state)
{
	inflate_budget_init(&budget);
	return support_setup(state) < 0 || inflate_new_within(&budget, INFLATE_KEPT_BYTES / 2, &inflater, NULL) < 0 ? -1
	                                                                                                            : 0;
}

static int teardown(void **state)
{
	inflate_free(inflater);
	return support_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damaged),         cmocka_unit_test(test_garbage_behind),
		cmocka_unit_test(test_record_too_long), cmocka_unit_test(test_read_error),
		cmocka_unit_test(test_plain),           cmocka_unit_test(test_members),
		cmocka_unit_test(test_large),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
