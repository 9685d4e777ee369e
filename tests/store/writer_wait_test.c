/* SPDX-License-Identifier: Apache-2.0 */

/* Waiting for rows without standing still: who is told what, when, and how often. */
#include "tests/store/scratch.h"

#include <pthread.h>
#include <stdatomic.h>

static struct writer *open_writer(bool use_journal, bool held)
{
	struct writer *writer = NULL;
	const struct writer_options options = {.path = path, .use_journal = use_journal, .held = held};
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	return writer;
}

static int64_t status_number(struct writer *writer, const char *name)
{
	CLEANUP_JSON json_t *status = writer_status(writer);
	int64_t number = -1;
	(void)json_int_at(status, name, &number);
	return number;
}

/* One that waits for rows. */
struct waiter {
	struct writer_wait wait; /* first */
	atomic_int told;
	int on_disk; /* rows of the ledger when it was told, by another handle */
};

static void on_done(struct writer_wait *wait)
{
	struct waiter *waiter = (struct waiter *)wait;
	waiter->on_disk = rows_verify(path, NULL);
	(void)atomic_fetch_add(&waiter->told, 1);
}

/* `holders`: of each row. */
static void append(struct writer *writer, struct waiter *waiter, unsigned first, size_t count, size_t holders)
{
	struct entry entries[WRITER_TOGETHER_MAX];
	json_t *bodies[WRITER_TOGETHER_MAX];
	for (size_t i = 0; i < count; i++) {
		json_t *list = json_array();
		bodies[i] = json_object();
		for (size_t j = 0; j < holders; j++)
			(void)json_array_append_new(list, json_pack("{s:i}", "pid", (int)j));
		json_put(bodies[i], "holders", list);
		entries[i] = (struct entry){.kind = "delivery", .at_us = ROWS_START + first, .body = bodies[i]};
		(void)snprintf(entries[i].id, sizeof(entries[i].id), "%016x", first + (unsigned)i);
	}
	waiter->wait.done = on_done;
	writer_append_then(writer, entries, count, &waiter->wait);
	for (size_t i = 0; i < count; i++)
		json_decref(bodies[i]);
}

/* Ten seconds at most. */
static bool is_told(struct waiter *waiter)
{
	for (int i = 0; i < 2000 && atomic_load(&waiter->told) == 0; i++)
		(void)usleep(5000);
	return atomic_load(&waiter->told) == 1;
}

static void tells_when_rows_are_durable(void **state)
{
	struct writer *writer = open_writer(true, false);
	struct waiter waiters[50] = {0};
	(void)state;
	for (unsigned i = 0; i < 50; i++)
		append(writer, &waiters[i], i, 1, 1);
	for (unsigned i = 0; i < 50; i++) {
		assert_true(is_told(&waiters[i]));
		assert_true(waiters[i].wait.is_durable[0]);
		assert_int_equal(waiters[i].wait.problem.code, ERROR_NONE);
		assert_true(waiters[i].on_disk >= (int)i + 1);
		assert_false(writer_give_up(writer, &waiters[i].wait)); /* too late */
	}
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 50);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(atomic_load(&waiters[i].told), 1);
}

static void tells_once_for_several_rows(void **state)
{
	CLEANUP_BUFFER struct buffer ids = {0};
	struct writer *writer = open_writer(true, true);
	struct waiter waiter = {0};
	(void)state;
	append(writer, &waiter, 1, 3, 1);
	(void)usleep(50000);
	assert_int_equal(atomic_load(&waiter.told), 0); /* nothing is written before the release */
	writer_release(writer, NULL);
	assert_true(is_told(&waiter));
	assert_int_equal(waiter.on_disk, 3);
	for (int i = 0; i < 3; i++)
		assert_true(waiter.wait.is_durable[i]);
	writer_close(writer);
	assert_int_equal(rows_verify(path, &ids), 3);
	assert_string_equal(ids.bytes, "0000000000000001,0000000000000002,0000000000000003,");
}

#define LONG_MS 60000 /* nobody waits for so long, unless something is wrong */

static struct writer *open_gathering(int64_t gather_ms)
{
	struct writer *writer = NULL;
	const struct writer_options options = {.path = path, .gather_ms = gather_ms};
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	return writer;
}

/* A row waits for those that are foreseen, and all go to disk together. */
static void gathers_what_is_foreseen(void **state)
{
	struct writer *writer = open_gathering(LONG_MS);
	struct waiter waiters[3] = {0};
	(void)state;
	writer_foresee(writer, &waiters[1].wait);
	writer_foresee(writer, &waiters[2].wait);
	append(writer, &waiters[0], 0, 1, 1);
	(void)usleep(50000);
	assert_int_equal(atomic_load(&waiters[0].told), 0);
	append(writer, &waiters[1], 1, 2, 1);
	(void)usleep(50000);
	assert_int_equal(atomic_load(&waiters[0].told), 0);
	append(writer, &waiters[2], 3, 1, 1);
	for (int i = 0; i < 3; i++) {
		assert_true(is_told(&waiters[i]));
		assert_int_equal(waiters[i].on_disk, 4);
		assert_false(waiters[i].wait.is_foreseen);
	}
	writer_close(writer);
}

static void waits_no_more_for_what_is_forgotten(void **state)
{
	struct writer *writer = open_gathering(LONG_MS);
	struct waiter waiters[2] = {0};
	(void)state;
	writer_foresee(writer, &waiters[1].wait);
	writer_foresee(writer, &waiters[1].wait); /* twice is once */
	append(writer, &waiters[0], 0, 1, 1);
	writer_forget(writer, &waiters[1].wait);
	writer_forget(writer, &waiters[1].wait);
	assert_true(is_told(&waiters[0]));
	append(writer, &waiters[1], 1, 1, 1); /* and nobody is foreseen any more */
	assert_true(is_told(&waiters[1]));
	writer_close(writer);
}

/* Rows that are too many to be packed do not come either. */
static void waits_no_more_for_what_fails(void **state)
{
	struct writer *writer = open_gathering(LONG_MS);
	struct waiter waiters[3] = {0};
	(void)state;
	writer_foresee(writer, &waiters[1].wait);
	append(writer, &waiters[0], 0, 1, 1);
	append(writer, &waiters[1], 1, 1, ENTRY_ACTORS_MAX + 1);
	assert_true(is_told(&waiters[1]));
	assert_false(waiters[1].wait.is_durable[0]);
	assert_true(is_told(&waiters[0]));
	append(writer, &waiters[2], 2, 1, 1);
	assert_true(is_told(&waiters[2]));
	writer_close(writer);
}

static void gathers_for_a_while_only(void **state)
{
	struct writer *writer = open_gathering(20);
	struct waiter waiters[2] = {0};
	(void)state;
	writer_foresee(writer, &waiters[1].wait);
	append(writer, &waiters[0], 0, 1, 1);
	assert_true(is_told(&waiters[0]));
	assert_int_equal(atomic_load(&waiters[1].told), 0);
	writer_forget(writer, &waiters[1].wait);
	writer_close(writer);
}

/* Whoever is foreseen while a row waits already does not make it wait longer. */
static bool waits_for_the_first_alone(struct writer *writer, unsigned row)
{
	struct waiter waiters[3] = {0};
	writer_foresee(writer, &waiters[1].wait);
	append(writer, &waiters[0], row, 1, 1);
	(void)usleep(20000); /* it waits now, unless the machine is very busy */
	writer_foresee(writer, &waiters[2].wait);
	append(writer, &waiters[1], row + 1, 1, 1);
	for (int i = 0; i < 100 && atomic_load(&waiters[0].told) == 0; i++)
		(void)usleep(5000);
	bool is_alone = atomic_load(&waiters[0].told) == 1;
	writer_forget(writer, &waiters[2].wait);
	assert_true(is_told(&waiters[0]) && is_told(&waiters[1]));
	return is_alone;
}

static void waits_for_as_many_as_there_were(void **state)
{
	struct writer *writer = open_gathering(LONG_MS);
	unsigned tries = 0;
	(void)state;
	while (tries < 10 && !waits_for_the_first_alone(writer, 2 * tries))
		tries++;
	assert_in_range(tries, 0, 9);
	writer_close(writer);
}

static void gathers_no_more_in_the_end(void **state)
{
	struct writer *writer = open_gathering(LONG_MS);
	struct waiter waiters[2] = {0};
	(void)state;
	writer_foresee(writer, &waiters[1].wait);
	append(writer, &waiters[0], 0, 1, 1);
	writer_close(writer); /* writes what is queued */
	assert_int_equal(atomic_load(&waiters[0].told), 1);
	assert_true(waiters[0].wait.is_durable[0]);
	assert_int_equal(rows_verify(path, NULL), 1);
}

static void tells_of_a_failure(void **state)
{
	struct writer *writer = open_writer(false, false);
	struct waiter waiter = {0};
	sqlite3 *lock = rows_lock(path);
	(void)state;
	append(writer, &waiter, 1, 2, 1);
	assert_true(is_told(&waiter));
	assert_false(waiter.wait.is_durable[0] || waiter.wait.is_durable[1]);
	assert_non_null(strstr(waiter.wait.problem.text, "locked"));
	(void)sqlite3_close(lock);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 0);
}

static void counts_the_journal_as_durable(void **state)
{
	struct writer *writer = open_writer(true, false);
	struct waiter waiter = {0};
	sqlite3 *lock = rows_lock(path);
	(void)state;
	append(writer, &waiter, 1, 2, 1);
	assert_true(is_told(&waiter));
	assert_true(waiter.wait.is_durable[0] && waiter.wait.is_durable[1]);
	assert_int_equal(status_number(writer, "journalled"), 2);
	(void)sqlite3_close(lock);
	writer_close(writer);
	writer_close(open_writer(true, false));
	assert_int_equal(rows_verify(path, NULL), 2);
}

static void takes_all_or_none(void **state)
{
	struct writer *writer = open_writer(true, false);
	struct waiter waiter = {0};
	(void)state;
	append(writer, &waiter, 1, 3, ENTRY_ACTORS_MAX + 1);
	assert_int_equal(atomic_load(&waiter.told), 1); /* at once */
	assert_int_equal(waiter.wait.problem.code, ERROR_LIMIT);
	for (int i = 0; i < 3; i++)
		assert_false(waiter.wait.is_durable[i]);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 0);
}

static void refuses_when_too_much_waits(void **state)
{
	struct writer *writer = open_writer(true, true);
	struct waiter waiter = {0};
	unsigned number = 0;
	(void)state;
	while (status_number(writer, "dropped") == 0)
		for (int i = 0; i < 100; i++)
			rows_append_later(writer, ++number);
	append(writer, &waiter, 1000000, 2, 1);
	assert_int_equal(atomic_load(&waiter.told), 1);
	assert_int_equal(waiter.wait.problem.code, ERROR_LIMIT);
	writer_close(writer);
}

static void takes_back_what_is_given_up(void **state)
{
	struct writer *writer = open_writer(true, true);
	struct waiter first = {0}, given_up = {0}, last = {0};
	(void)state;
	append(writer, &first, 1, 1, 1);
	append(writer, &given_up, 2, 3, 1);
	append(writer, &last, 5, 1, 1);
	assert_true(writer_give_up(writer, &given_up.wait));
	assert_int_equal(given_up.wait.problem.code, ERROR_TIMEOUT);
	assert_false(writer_give_up(writer, &given_up.wait));
	assert_int_equal(status_number(writer, "dropped"), 3);
	assert_int_equal(status_number(writer, "waiting"), 2);
	writer_release(writer, NULL);
	assert_true(is_told(&first) && is_told(&last));
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 2);
	assert_int_equal(atomic_load(&given_up.told), 0);
}

/* By somebody else, before its own thread has come to queue it. */
static void gives_up_nothing_that_was_not_queued(void **state)
{
	struct writer *writer = open_writer(true, false);
	struct waiter waiter = {0};
	(void)state;
	assert_false(writer_give_up(writer, &waiter.wait));
	append(writer, &waiter, 1, 2, 1);
	assert_true(is_told(&waiter));
	assert_true(waiter.wait.is_durable[0] && waiter.wait.is_durable[1]);
	assert_int_equal(status_number(writer, "dropped"), 0);
	writer_close(writer);
	assert_int_equal(rows_verify(path, NULL), 2);
}

/* Its thread is at it: the row may become durable after all, but nobody is told. */
static void leaves_what_is_being_written(void **state)
{
	struct writer *writer = open_writer(true, false);
	struct waiter given_up = {0}, next = {0};
	sqlite3 *lock = rows_lock(path);
	(void)state;
	append(writer, &given_up, 1, 1, 1);
	for (int i = 0; i < 2000 && status_number(writer, "waiting") > 0; i++)
		(void)usleep(100);
	if (!writer_give_up(writer, &given_up.wait)) /* the machine was too busy to come here in time */
		skip();
	assert_int_equal(given_up.wait.problem.code, ERROR_TIMEOUT);
	(void)sqlite3_close(lock);
	append(writer, &next, 2, 1, 1);
	assert_true(is_told(&next));
	writer_close(writer);
	writer_close(open_writer(true, false)); /* it may have gone to the journal */
	assert_int_equal(rows_verify(path, NULL), 2);
	assert_int_equal(atomic_load(&given_up.told), 0);
}

static void tells_all_when_it_is_closed(void **state)
{
	struct writer *writer = open_writer(true, true);
	struct waiter waiters[5] = {0};
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		append(writer, &waiters[i], i, 1, 1);
	writer_close(writer);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(atomic_load(&waiters[i].told), 1);
		assert_true(waiters[i].wait.is_durable[0]);
		assert_int_equal(waiters[i].on_disk, 5); /* of one transaction */
	}
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(tells_when_rows_are_durable),
		IN_A_FOLDER(tells_once_for_several_rows),
		IN_A_FOLDER(gathers_what_is_foreseen),
		IN_A_FOLDER(waits_no_more_for_what_is_forgotten),
		IN_A_FOLDER(waits_no_more_for_what_fails),
		IN_A_FOLDER(gathers_for_a_while_only),
		IN_A_FOLDER(waits_for_as_many_as_there_were),
		IN_A_FOLDER(gathers_no_more_in_the_end),
		IN_A_FOLDER(tells_of_a_failure),
		IN_A_FOLDER(counts_the_journal_as_durable),
		IN_A_FOLDER(takes_all_or_none),
		IN_A_FOLDER(refuses_when_too_much_waits),
		IN_A_FOLDER(takes_back_what_is_given_up),
		IN_A_FOLDER(gives_up_nothing_that_was_not_queued),
		IN_A_FOLDER(leaves_what_is_being_written),
		IN_A_FOLDER(tells_all_when_it_is_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
