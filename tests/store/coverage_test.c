/* SPDX-License-Identifier: Apache-2.0 */

/* Coverage is a pure function of rows: one table, a story a line. */
#include "common/clock.h"
#include "store/coverage.h"
#include "tests/common/unit.h"

#define M (60 * CLOCK_SECOND_US)
#define ROWS_MAX 8
#define GAPS_MAX 4

/* Rows are told in minutes: event, minute, run, rows lost, and `w`hole, `b`roken or `-` unchecked, checked at. */
struct told {
	char event; /* s(tart), b(eat), c(hange), e(nd); 0: no more; a capital: rows in front of it are missing */
	int minute;
	char run;
	int lost;
	char redirect;
	int checked;
};
struct expected {
	int from, until;
	enum coverage_reason reason;
};

static const struct story {
	const char *name;
	struct told rows[ROWS_MAX];
	int from, until;
	struct expected gaps[GAPS_MAX];
} stories[] = {
	{"no rows at all", {{0}}, 10, 20, {{10, 20, COVERAGE_NOT_KEPT}}},
	{"all is well",
         {{'s', 100, 'x', 0, 'w', 99}, {'b', 110, 'x', 0, 'w', 109}, {'b', 120, 'x', 0, 'w', 119}},
         100,
         120,
         {{0}}},
	{"a part of it",
         {{'s', 100, 'x', 0, 'w', 99}, {'b', 110, 'x', 0, 'w', 109}, {'b', 120, 'x', 0, 'w', 119}},
         103,
         117,
         {{0}}},
	{"one moment", {{'s', 100, 'x', 0, 'w', 99}, {'b', 110, 'x', 0, 'w', 109}}, 105, 105, {{0}}},
	{"before and after",
         {{'s', 100, 'x', 0, 'w', 99}, {'b', 110, 'x', 0, 'w', 109}},
         90,
         130,
         {{90, 100, COVERAGE_NOT_KEPT}, {110, 130, COVERAGE_NOT_YET_KNOWN}}},
	{"told to end, and started later",
         {{'s', 100, 'x', 0, 'w', 99},
          {'e', 105, 'x', 0, 'w', 104},
          {'s', 125, 'y', 0, 'w', 124},
          {'b', 135, 'y', 0, 'w', 134}},
         100,
         135,
         {{105, 125, COVERAGE_DAEMON_DOWN}}},
	{"told to end for good",
         {{'s', 100, 'x', 0, 'w', 99}, {'e', 105, 'x', 0, 'w', 104}},
         100,
         200,
         {{105, 200, COVERAGE_DAEMON_DOWN}}},
	{"died",
         {{'s', 100, 'x', 0, 'w', 99},
          {'b', 110, 'x', 0, 'w', 109},
          {'s', 112, 'y', 0, 'w', 109},
          {'b', 122, 'y', 0, 'w', 119}},
         100,
         122,
         {{110, 112, COVERAGE_DAEMON_DIED}}},
	{"died twice",
         {{'s', 100, 'x', 0, 'w', 99},
          {'s', 103, 'y', 0, 'w', 99},
          {'s', 104, 'z', 0, 'w', 99},
          {'b', 114, 'z', 0, 'w', 109}},
         100,
         114,
         {{100, 104, COVERAGE_DAEMON_DIED}}},
	{"rows were lost",
         {{'s', 100, 'x', 0, 'w', 99}, {'b', 110, 'x', 3, 'w', 109}, {'b', 120, 'x', 3, 'w', 119}},
         100,
         120,
         {{100, 110, COVERAGE_LEDGER_NOT_WRITTEN}}},
	{"the machine slept",
         {{'s', 100, 'x', 0, 'w', 99}, {'b', 300, 'x', 0, 'w', 299}, {'b', 310, 'x', 0, 'w', 309}},
         100,
         310,
         {{100, 300, COVERAGE_NO_BEAT}}},
	{"late, but not missing", {{'s', 100, 'x', 0, 'w', 99}, {'b', 120, 'x', 0, 'w', 119}}, 100, 120, {{0}}},
	{"the redirect broke after its last check",
         {{'s', 100, 'x', 0, 'w', 98},
          {'c', 104, 'x', 0, 'b', 103},
          {'c', 108, 'x', 0, 'w', 107},
          {'b', 118, 'x', 0, 'w', 117}},
         95,
         118,
         {{95, 100, COVERAGE_NOT_KEPT}, {98, 108, COVERAGE_REDIRECT_NOT_WHOLE}}},
	{"never checked",
         {{'s', 100, 'x', 0, '-', 0}, {'b', 110, 'x', 0, '-', 0}},
         100,
         110,
         {{100, 110, COVERAGE_REDIRECT_UNCHECKED}}},
	{"checked for the first time",
         {{'s', 100, 'x', 0, '-', 0}, {'c', 103, 'x', 0, 'w', 102}, {'b', 113, 'x', 0, 'w', 112}},
         100,
         113,
         {{100, 103, COVERAGE_REDIRECT_UNCHECKED}}},
	{"the last check is old",
         {{'s', 100, 'x', 0, 'w', 99}, {'b', 110, 'x', 0, 'w', 99}, {'b', 120, 'x', 0, 'w', 99}},
         100,
         120,
         {{110, 120, COVERAGE_REDIRECT_UNCHECKED}}},
	{"a check of the future is none",
         {{'s', 100, 'x', 0, 'w', 150}, {'b', 110, 'x', 0, 'w', 150}},
         100,
         110,
         {{100, 110, COVERAGE_REDIRECT_UNCHECKED}}},
	{"the clock was set back",
         {{'s', 100, 'x', 0, 'w', 99},
          {'b', 110, 'x', 0, 'w', 109},
          {'b', 104, 'x', 0, 'w', 103},
          {'b', 114, 'x', 0, 'w', 113}},
         100,
         114,
         {{104, 110, COVERAGE_CLOCK_SET_BACK}}},
	{"rows between were never imported",
         {{'s', 100, 'x', 0, 'w', 99}, {'B', 110, 'x', 0, 'w', 109}, {'b', 120, 'x', 0, 'w', 119}},
         100,
         120,
         {{100, 110, COVERAGE_ROWS_MISSING}}},
	{"rows missing, and the clock set back",
         {{'s', 110, 'x', 0, 'w', 109}, {'B', 104, 'x', 0, 'w', 103}},
         104,
         110,
         {{104, 110, COVERAGE_NOT_KEPT}, {104, 110, COVERAGE_ROWS_MISSING}, {104, 110, COVERAGE_NOT_YET_KNOWN}}},
	{"a gap is cut to what is asked",
         {{'s', 100, 'x', 0, 'w', 99}, {'s', 200, 'y', 0, 'w', 199}},
         120,
         130,
         {{120, 130, COVERAGE_DAEMON_DIED}}},
};

static struct coverage_row row_of(const struct told *told)
{
	static const char events[] = "sbce";
	return (struct coverage_row){
		.at_us = told->minute * M,
		.event = (enum coverage_event)(strchr(events, told->event | 0x20) - events),
		.run = {told->run},
		.every_us = 10 * M,
		.lost = told->lost,
		.redirect_whole = told->redirect == 'w',
		.redirect_checked_us = told->checked * M,
		.behind_hole = (told->event & 0x20) == 0,
	};
}

static void finds_the_gaps(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(stories); i++) {
		const struct story *story = &stories[i];
		struct coverage_row rows[ROWS_MAX];
		struct coverage_gap gaps[ROWS_MAX + 1];
		size_t count = 0, expected = 0;
		while (count < ROWS_MAX && story->rows[count].event != 0) {
			rows[count] = row_of(&story->rows[count]);
			count++;
		}
		while (expected < GAPS_MAX && story->gaps[expected].until != 0)
			expected++;
		CHECK_NUMBER(story->name, coverage_gaps(rows, count, story->from * M, story->until * M, gaps),
		             expected);
		for (size_t j = 0; j < expected; j++) {
			CHECK_NUMBER(story->name, gaps[j].from_us / M, story->gaps[j].from);
			CHECK_NUMBER(story->name, gaps[j].until_us / M, story->gaps[j].until);
			CHECK_NUMBER(story->name, gaps[j].reason, story->gaps[j].reason);
		}
	}
}

static void comes_back_from_json(void **state)
{
	(void)state;
	const struct told told[] = {{'s', 100, 'x', 0, '-', 0}, {'c', 1, 'y', 7, 'w', 1}, {'e', 9, 'z', 1, 'b', 3}};
	for (size_t i = 0; i < ARRAY_LENGTH(told); i++) {
		struct coverage_row row = row_of(&told[i]), back = {0};
		CLEANUP_JSON json_t *body = coverage_to_body(&row);
		assert_int_equal(coverage_from_body(body, row.at_us, &back, NULL), 0);
		assert_memory_equal(&row, &back, sizeof(row));
	}
}

static void refuses_what_is_no_coverage(void **state)
{
	static const char *const bodies[] = {
		"{}",
		"{\"event\":\"start\",\"run\":\"x\",\"every_s\":1}",
		"{\"event\":\"x\",\"run\":\"x\",\"every_s\":1,\"lost\":0}",
		"{\"event\":\"start\",\"run\":\"0123456789abcdef0\",\"every_s\":1,\"lost\":0}",
		"{\"event\":\"stop\",\"run\":\"x\",\"every_s\":1,\"lost\":0,\"redirect\":{\"checked_at\":\"today\"}}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
		CLEANUP_JSON json_t *body = NULL;
		struct coverage_row row;
		struct error problem = {0};
		assert_int_equal(json_read(bodies[i], strlen(bodies[i]), &body, NULL), 0);
		CHECK_NUMBER(bodies[i], coverage_from_body(body, 1, &row, &problem), -1);
		CHECK_NUMBER(bodies[i], problem.code, ERROR_INPUT);
	}
}

/* ---- two ledgers of one instance */

static const struct pair {
	const char *name;
	struct expected a[GAPS_MAX], b[GAPS_MAX], common[GAPS_MAX];
} pairs[] = {
	{"one of them is complete", {{10, 20, COVERAGE_NO_BEAT}}, {{0}}, {{0}}},
	{"one goes on where the other ends",
         {{100, 200, COVERAGE_NOT_YET_KNOWN}},
         {{1, 100, COVERAGE_NOT_KEPT}},
         {{0}}},
	{"between the two",
         {{100, 200, COVERAGE_NOT_YET_KNOWN}},
         {{1, 120, COVERAGE_NOT_KEPT}},
         {{100, 120, COVERAGE_NOT_YET_KNOWN}}},
	{"the one that says more",
         {{100, 200, COVERAGE_DAEMON_DOWN}},
         {{1, 150, COVERAGE_NOT_KEPT}, {180, 300, COVERAGE_NOT_YET_KNOWN}},
         {{100, 150, COVERAGE_DAEMON_DOWN}, {180, 200, COVERAGE_DAEMON_DOWN}}},
	{"out of order, and within each other",
         {{50, 60, COVERAGE_NO_BEAT}, {10, 100, COVERAGE_CLOCK_SET_BACK}},
         {{55, 70, COVERAGE_NO_BEAT}, {20, 30, COVERAGE_NO_BEAT}},
         {{20, 30, COVERAGE_NO_BEAT}, {55, 70, COVERAGE_NO_BEAT}}},
	{"they do not touch", {{10, 20, COVERAGE_NO_BEAT}}, {{20, 30, COVERAGE_NO_BEAT}}, {{0}}},
};

static size_t told_gaps(const struct expected from[static GAPS_MAX], struct coverage_gap to[static GAPS_MAX])
{
	size_t count = 0;
	for (; count < GAPS_MAX && from[count].until != 0; count++)
		to[count] = (struct coverage_gap){from[count].from * M, from[count].until * M, from[count].reason};
	return count;
}

/* In what neither ledger covers, every minute is in a gap of both, and no other is. */
static void finds_what_neither_covers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++)
		for (int turned = 0; turned < 2; turned++) {
			struct coverage_gap a[GAPS_MAX], b[GAPS_MAX], wanted[GAPS_MAX], found[2 * GAPS_MAX];
			bool is_in[400] = {false};
			size_t a_count = told_gaps(pairs[i].a, a), b_count = told_gaps(pairs[i].b, b);
			size_t count = turned != 0 ? coverage_common(b, b_count, a, a_count, found)
			                           : coverage_common(a, a_count, b, b_count, found);
			size_t expected = told_gaps(pairs[i].common, wanted);
			for (size_t j = 0; j < count; j++)
				for (int64_t m = found[j].from_us / M; m < found[j].until_us / M; m++)
					is_in[m] = true;
			for (int64_t m = 0; m < 400; m++) {
				enum coverage_reason reason = COVERAGE_REASON_COUNT;
				for (size_t j = 0; j < expected; j++)
					if (m >= wanted[j].from_us / M && m < wanted[j].until_us / M)
						reason = wanted[j].reason;
				CHECK_NUMBER(pairs[i].name, is_in[m], reason != COVERAGE_REASON_COUNT);
			}
			if (expected == 1)
				CHECK_NUMBER(pairs[i].name, found[0].reason, wanted[0].reason);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_gaps),
		cmocka_unit_test(finds_what_neither_covers),
		cmocka_unit_test(comes_back_from_json),
		cmocka_unit_test(refuses_what_is_no_coverage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
