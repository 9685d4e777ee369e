/* SPDX-License-Identifier: Apache-2.0 */

/* Who waits for the disk is gone on with once, when it is known what became of its rows, whatever the others do. */
#include "tests/store/scratch.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "proxy/parking.h"

#define PATIENCE_MS 100 /* where it is to end */

/* Those that ended with somebody in them: they stay, as where the daemon ends. */
static struct parking *kept[2];

struct place {
	struct writer *writer;
	struct parking *parking;
};

static struct place open_place(bool held, int64_t patience_ms)
{
	struct place place = {0};
	const struct writer_options options = {.path = path, .use_journal = true, .held = held};
	assert_int_equal(writer_open(&options, &place.writer, NULL), 0);
	assert_int_equal(parking_open(place.writer, patience_ms, &place.parking, NULL), 0);
	return place;
}

static void close_place(struct place *place)
{
	assert_true(parking_stop(place->parking, clock_monotonic_ms() + 10000));
	parking_free(place->parking);
	writer_close(place->writer);
}

/* One that is parked, and what it found when it went on. */
struct guest {
	struct parked parked; /* first */
	bool is_slow;         /* does not go on without waiting for its client */
	sem_t *client;        /* what it then waits for */
	atomic_int asked, resumed;
	bool was_durable, waited;
	enum error_code code;
	int on_disk; /* rows */
	pthread_t by;
};

static bool resume(struct parked *parked, bool may_wait)
{
	struct guest *guest = (struct guest *)parked;
	(void)atomic_fetch_add(&guest->asked, 1);
	if (guest->is_slow && !may_wait)
		return false;
	if (guest->client != NULL)
		(void)sem_wait(guest->client);
	guest->was_durable = parked->wait.is_durable[0];
	guest->code = parked->wait.problem.code;
	guest->waited = may_wait;
	guest->on_disk = rows_verify(path, NULL);
	guest->by = pthread_self();
	(void)atomic_fetch_add(&guest->resumed, 1);
	return true;
}

static void enter(struct place *place, struct guest *guest, unsigned number)
{
	CLEANUP_JSON json_t *body = json_object();
	struct entry entry = {.kind = "delivery", .at_us = ROWS_START + number, .body = body};
	(void)snprintf(entry.id, sizeof(entry.id), "%016x", number);
	guest->parked.resume = resume;
	parking_enter(place->parking, &guest->parked);
	writer_append_then(place->writer, &entry, 1, &guest->parked.wait);
}

/* Ten seconds at most. */
static bool is_over(struct guest *guest)
{
	for (int i = 0; i < 2000 && atomic_load(&guest->resumed) == 0; i++)
		(void)usleep(5000);
	return atomic_load(&guest->resumed) == 1;
}

#define THREADS 4
#define EACH 50

struct crowd {
	struct place *place;
	struct guest guests[EACH];
	unsigned first;
};

static void *enter_many(void *argument)
{
	struct crowd *crowd = argument;
	for (unsigned i = 0; i < EACH; i++)
		enter(crowd->place, &crowd->guests[i], crowd->first + i);
	return NULL;
}

static void goes_on_with_each_once(void **state)
{
	static struct crowd crowds[THREADS];
	struct place place = open_place(false, WRITER_PATIENCE_MS);
	pthread_t threads[THREADS];
	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		crowds[i].place = &place;
		crowds[i].first = (i + 1) * 0x10000;
		assert_int_equal(pthread_create(&threads[i], NULL, enter_many, &crowds[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	close_place(&place); /* waits for all */
	for (unsigned i = 0; i < THREADS * EACH; i++) {
		struct guest *guest = &crowds[i / EACH].guests[i % EACH];
		assert_int_equal(atomic_load(&guest->resumed), 1);
		assert_true(guest->was_durable && !guest->waited && guest->on_disk >= 1);
	}
	assert_int_equal(rows_verify(path, NULL), THREADS * EACH);
}

static void goes_on_only_when_rows_are_durable(void **state)
{
	struct place place = open_place(true, WRITER_PATIENCE_MS);
	struct guest guests[3] = {0};
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		enter(&place, &guests[i], i);
	(void)usleep(100000);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(atomic_load(&guests[i].asked), 0);
	assert_true(parking_is_alive(place.parking)); /* it is the disk that it waits for */
	assert_true(parking_is_alive(place.parking));
	writer_release(place.writer, NULL);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(is_over(&guests[i]));
		assert_true(guests[i].was_durable);
		assert_int_equal(guests[i].on_disk, 3);
	}
	close_place(&place);
}

static void tells_when_patience_is_over(void **state)
{
	struct place place = open_place(true, PATIENCE_MS);
	struct guest guests[3] = {0};
	int64_t began_ms = clock_monotonic_ms();
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		enter(&place, &guests[i], i);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(is_over(&guests[i]));
		assert_false(guests[i].was_durable);
		assert_int_equal(guests[i].code, ERROR_TIMEOUT);
	}
	assert_true(clock_monotonic_ms() >= began_ms + PATIENCE_MS);
	writer_release(place.writer, NULL);
	close_place(&place);
	assert_int_equal(rows_verify(path, NULL), 0); /* taken back */
}

/* Nobody has entered for longer than it looks by itself. */
static void wakes_up_for_whom_it_must_give_up(void **state)
{
	struct place place = open_place(true, PATIENCE_MS);
	struct guest guest = {0};
	(void)state;
	(void)usleep(1500000);
	enter(&place, &guest, 1);
	assert_true(is_over(&guest));
	assert_int_equal(guest.code, ERROR_TIMEOUT);
	writer_release(place.writer, NULL);
	close_place(&place);
}

/* A machine that stood still between the two, for longer than there is patience. */
static void waits_for_who_has_not_queued_its_row(void **state)
{
	struct place place = open_place(false, PATIENCE_MS);
	struct guest guest = {.parked.resume = resume};
	CLEANUP_JSON json_t *body = json_object();
	const struct entry entry = {.kind = "delivery", .id = "1", .at_us = ROWS_START, .body = body};
	(void)state;
	parking_enter(place.parking, &guest.parked);
	(void)usleep(3 * PATIENCE_MS * 1000);
	assert_int_equal(atomic_load(&guest.asked), 0);
	writer_append_then(place.writer, &entry, 1, &guest.parked.wait);
	assert_true(is_over(&guest));
	assert_true(guest.was_durable);
	close_place(&place);
}

static void does_not_wait_for_a_slow_client(void **state)
{
	struct place place = open_place(false, WRITER_PATIENCE_MS);
	struct guest slow[4] = {0}, quick = {0};
	sem_t client;
	(void)state;
	assert_int_equal(sem_init(&client, 0, 0), 0);
	for (unsigned i = 0; i < 4; i++) {
		slow[i].is_slow = true;
		slow[i].client = &client;
		enter(&place, &slow[i], i);
	}
	enter(&place, &quick, 10);
	assert_true(is_over(&quick));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(atomic_load(&slow[i].resumed), 0);
	assert_false(parking_stop(place.parking, clock_monotonic_ms() + 50)); /* they are not cut off */
	for (unsigned i = 0; i < 4; i++)
		(void)sem_post(&client);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(is_over(&slow[i]));
		assert_true(slow[i].was_durable && slow[i].waited);
		assert_int_equal(atomic_load(&slow[i].asked), 2);
		assert_false(pthread_equal(slow[i].by, quick.by));
	}
	kept[0] = place.parking;
	writer_close(place.writer);
}

static void shows_that_its_thread_is_stuck(void **state)
{
	struct place place = open_place(false, WRITER_PATIENCE_MS);
	struct guest stuck = {0}, behind = {0};
	sem_t client;
	(void)state;
	assert_int_equal(sem_init(&client, 0, 0), 0);
	stuck.client = &client; /* waits though it must not */
	enter(&place, &stuck, 1);
	for (int i = 0; i < 2000 && atomic_load(&stuck.asked) == 0; i++)
		(void)usleep(5000);
	enter(&place, &behind, 2);
	int looks = 0; /* until the row of the second is durable, there is none to take */
	while (parking_is_alive(place.parking) && looks++ < 2000)
		(void)usleep(5000);
	assert_in_range(looks, 0, 1999);
	(void)sem_post(&client);
	assert_true(is_over(&behind));
	assert_true(parking_is_alive(place.parking));
	close_place(&place);
}

static void does_not_answer_who_is_left(void **state)
{
	struct place place = open_place(true, WRITER_PATIENCE_MS);
	struct guest left = {0}, late = {0};
	(void)state;
	enter(&place, &left, 1);
	int64_t began_ms = clock_monotonic_ms();
	assert_false(parking_stop(place.parking, began_ms + 50));
	assert_true(clock_monotonic_ms() >= began_ms + 50);
	enter(&place, &late, 2); /* by a worker that was not waited for either */
	writer_close(place.writer);
	assert_true(left.parked.wait.is_durable[0] && late.parked.wait.is_durable[0]);
	assert_int_equal(atomic_load(&left.asked) + atomic_load(&late.asked), 0);
	kept[1] = place.parking;
}

static void stops_when_nothing_was_there(void **state)
{
	struct place place = open_place(false, WRITER_PATIENCE_MS);
	(void)state;
	close_place(&place);
	parking_free(NULL);
	place = open_place(false, WRITER_PATIENCE_MS);
	parking_free(place.parking); /* where the start failed */
	writer_close(place.writer);
}

/* ---- no thread to be had */

#define NOBODY 60078 /* has no processes */
#define CANNOT_TRY 99

static int meet_slow_client_without_threads(void *context)
{
	struct rlimit none = {0, 0};
	struct guest slow = {.is_slow = true};
	int pair[2];
	char byte;
	(void)context;
	if (geteuid() != 0)
		return CANNOT_TRY;
	struct place place = open_place(false, WRITER_PATIENCE_MS);
	EXPECT(chmod(folder, 0755) == 0); /* the writer goes on looking whether its file is there */
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	slow.parked.fd = pair[0];
	EXPECT(setrlimit(RLIMIT_NPROC, &none) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
	enter(&place, &slow, 1);
	EXPECT(is_over(&slow));
	EXPECT(slow.was_durable && slow.waited && atomic_load(&slow.asked) == 2);
	EXPECT(recv(pair[1], &byte, 1, MSG_DONTWAIT) == 0); /* cut off, so there is nothing to wait for */
	return 0;
}

static void cuts_a_slow_client_off_where_there_is_no_thread(void **state)
{
	(void)state;
	int result = unit_in_child(meet_slow_client_without_threads, NULL);
	if (result == CANNOT_TRY)
		skip();
	assert_int_equal(result, 0);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(goes_on_with_each_once),
		IN_A_FOLDER(goes_on_only_when_rows_are_durable),
		IN_A_FOLDER(tells_when_patience_is_over),
		IN_A_FOLDER(wakes_up_for_whom_it_must_give_up),
		IN_A_FOLDER(waits_for_who_has_not_queued_its_row),
		IN_A_FOLDER(does_not_wait_for_a_slow_client),
		IN_A_FOLDER(shows_that_its_thread_is_stuck),
		IN_A_FOLDER(does_not_answer_who_is_left),
		IN_A_FOLDER(stops_when_nothing_was_there),
		IN_A_FOLDER(cuts_a_slow_client_off_where_there_is_no_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
