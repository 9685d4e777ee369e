/* SPDX-License-Identifier: Apache-2.0 */

/* Answers to clients that read, that do not, and that are gone. */
#include "tests/common/unit.h"

#include <pthread.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "proxy/send.h"

#define LARGE (4 << 20) /* more than a socket takes by itself */

static void make_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

static void fill(struct buffer *bytes, size_t length)
{
	for (size_t i = 0; i < length; i += 8)
		assert_int_equal(buffer_printf(bytes, NULL, "%08zx", i), 0);
}

/* What there is to read until the end, or for now. */
static void drain(int fd, struct buffer *to, bool is_whole)
{
	char bytes[65536];
	ssize_t got;
	while ((got = recv(fd, bytes, sizeof(bytes), is_whole ? 0 : MSG_DONTWAIT)) > 0)
		assert_int_equal(buffer_append(to, bytes, (size_t)got, NULL), 0);
}

static void sends_what_fits_at_once(void **state)
{
	CLEANUP_BUFFER struct buffer bytes = {0};
	CLEANUP_BUFFER struct buffer came = {0};
	int pair[2];
	size_t sent = 0;
	(void)state;
	make_pair(pair);
	fill(&bytes, 1024);
	assert_int_equal(send_now(pair[0], &bytes, &sent), SENDING_DONE);
	assert_int_equal(sent, bytes.length);
	drain(pair[1], &came, true); /* to the end: our direction has one */
	assert_int_equal(came.length, bytes.length);
	assert_memory_equal(came.bytes, bytes.bytes, bytes.length);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

/* Piece by piece, as the client reads: nothing is left out, and nothing comes twice. */
static void goes_on_where_it_had_to_wait(void **state)
{
	CLEANUP_BUFFER struct buffer bytes = {0};
	CLEANUP_BUFFER struct buffer came = {0};
	int pair[2], waited = 0;
	size_t sent = 0;
	enum sending sending;
	(void)state;
	make_pair(pair);
	fill(&bytes, LARGE);
	while ((sending = send_now(pair[0], &bytes, &sent)) == SENDING_WAITS) {
		assert_true(sent < bytes.length);
		waited++;
		drain(pair[1], &came, false);
	}
	assert_int_equal(sending, SENDING_DONE);
	assert_true(waited > 0);
	drain(pair[1], &came, true);
	assert_int_equal(came.length, bytes.length);
	assert_memory_equal(came.bytes, bytes.bytes, bytes.length);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void waits_no_longer_than_it_may(void **state)
{
	CLEANUP_BUFFER struct buffer bytes = {0};
	int pair[2];
	(void)state;
	make_pair(pair);
	fill(&bytes, LARGE);
	int64_t began_ms = clock_monotonic_ms();
	assert_false(send_until(pair[0], &bytes, began_ms + 100));
	assert_true(clock_monotonic_ms() >= began_ms + 100);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void *read_all(void *argument)
{
	CLEANUP_BUFFER struct buffer came = {0};
	const int *fd = argument;
	(void)usleep(50000);
	drain(*fd, &came, true);
	return came.length == LARGE ? argument : NULL;
}

static void waits_for_who_reads(void **state)
{
	CLEANUP_BUFFER struct buffer bytes = {0};
	pthread_t reader;
	void *good = NULL;
	int pair[2];
	size_t sent = 0;
	(void)state;
	make_pair(pair);
	fill(&bytes, LARGE);
	assert_int_equal(send_now(pair[0], &bytes, &sent), SENDING_WAITS);
	assert_int_equal(pthread_create(&reader, NULL, read_all, &pair[1]), 0);
	assert_true(send_rest(pair[0], &bytes, &sent, clock_monotonic_ms() + SEND_TIMEOUT_MS));
	assert_int_equal(pthread_join(reader, &good), 0);
	assert_non_null(good);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void sees_who_is_gone(void **state)
{
	CLEANUP_BUFFER struct buffer bytes = {0};
	int pair[2];
	size_t sent = 0;
	(void)state;
	make_pair(pair);
	(void)close(pair[1]);
	fill(&bytes, 1024);
	assert_int_equal(send_now(pair[0], &bytes, &sent), SENDING_FAILED);
	assert_false(send_all(pair[0], &bytes));
	(void)close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_what_fits_at_once),
		cmocka_unit_test(goes_on_where_it_had_to_wait),
		cmocka_unit_test(waits_no_longer_than_it_may),
		cmocka_unit_test(waits_for_who_reads),
		cmocka_unit_test(sees_who_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
