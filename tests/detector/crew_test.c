/* SPDX-License-Identifier: Apache-2.0 */

/* Every task is worked on once and comes back in order, however long it takes. And sets that many threads fill. */
#include "tests/detector/support.h"

#include <unistd.h>

#include "detector/crew.h"
#include "detector/seen.h"

#define TASKS 500

struct task {
	unsigned number;
	bool is_done;
};

static struct work {
	unsigned next, ticks;
	struct seen seen;
	unsigned firsts;
	pthread_mutex_t lock;
} work = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_work(void *context, size_t worker, void *task)
{
	struct task *mine = task;
	unsigned firsts = 0;
	(void)context;
	(void)worker;
	if (mine->number % 50 == 0)
		(void)usleep(20000);
	for (uint64_t i = 0; i < 100; i++) /* each hash by two tasks */
		firsts += seen_first(&work.seen, (mine->number / 2 * 100 + i) * UINT64_C(0x9e3779b97f4a7c15));
	(void)pthread_mutex_lock(&work.lock);
	work.firsts += firsts;
	(void)pthread_mutex_unlock(&work.lock);
	mine->is_done = true;
}

static void on_done(void *context, void *task)
{
	struct task *mine = task;
	(void)context;
	assert_true(mine->is_done);
	assert_int_equal(mine->number, work.next++);
	free(mine);
}

static void on_tick(void *context)
{
	(void)context;
	work.ticks++;
}

static void test_order(void **state)
{
	const struct crew_work what = {on_work, on_done, on_tick, NULL};
	(void)state;
	for (size_t workers = 1; workers <= 8; workers++) {
		struct crew *crew;
		work.next = work.firsts = 0;
		assert_int_equal(crew_new(workers, &what, &crew, NULL), 0);
		for (unsigned i = 0; i < TASKS; i++) {
			struct task *task = calloc(1, sizeof(*task));
			task->number = i;
			crew_give(crew, task);
			if (i == TASKS / 2) {
				crew_wait(crew);
				assert_int_equal(work.next, i + 1);
			}
		}
		crew_free(crew);
		assert_int_equal(work.next, TASKS);
		assert_int_equal(work.firsts, TASKS / 2 * 100);
		assert_true(seen_holds(&work.seen, 7 * UINT64_C(0x9e3779b97f4a7c15)));
		assert_false(seen_holds(&work.seen, 12345));
		seen_done(&work.seen);
	}
	assert_true(work.ticks > 0);
}

static void test_without_tasks(void **state)
{
	const struct crew_work what = {on_work, on_done, on_tick, NULL};
	struct crew *crew;
	(void)state;
	assert_int_equal(crew_new(3, &what, &crew, NULL), 0);
	crew_wait(crew);
	crew_free(crew);
	crew_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_without_tasks)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
