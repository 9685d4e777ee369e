/* SPDX-License-Identifier: Apache-2.0 */

/* The whole truth table. What each grade needs is said here on its own, grade by grade, and not in the order in which
 * the code asks. */
#include "tests/common/unit.h"

#include "proxy/witness/grade.h"

/* May this grade be claimed on this evidence? */
static bool is_supported(enum grade grade, const struct evidence *e)
{
	bool known = e->has_tuple && !e->is_ambiguous;
	bool there = known && e->is_found && e->is_alive;
	switch (grade) {
	case GRADE_NONE:
		return true;
	case GRADE_GONE:
		return known && e->has_looked && ((!e->is_found && e->is_output) || (e->is_found && !e->is_alive));
	case GRADE_NETNS:
		return known && !e->is_found && !e->is_output;
	case GRADE_UID:
		return there;
	case GRADE_CGROUP:
		return there && e->has_cgroup;
	case GRADE_RELAY:
		return there && e->holders >= 1 && e->is_relay;
	case GRADE_SHARED:
		return there && !e->is_relay && (e->holders >= 2 || (e->holders == 1 && e->owner_differs));
	case GRADE_EXACT:
		return there && !e->is_relay && e->holders == 1 && e->is_complete && !e->owner_differs;
	case GRADE_COUNT:
	default:
		return false;
	}
}

/* The best that the evidence supports: gone and netns exclude the ranks above them by themselves. */
static enum grade best(const struct evidence *evidence)
{
	for (int grade = GRADE_COUNT - 1; grade > GRADE_NONE; grade--)
		if (is_supported((enum grade)grade, evidence))
			return (enum grade)grade;
	return GRADE_NONE;
}

static void is_as_good_as_the_evidence_and_never_better(void **state)
{
	static const size_t holders[] = {0, 1, 2, 3, 16, 17};
	unsigned seen[GRADE_COUNT] = {0};
	(void)state;
	for (unsigned bits = 0; bits < 1u << 10; bits++)
		for (size_t i = 0; i < ARRAY_LENGTH(holders); i++) {
			const struct evidence evidence = {
				.has_tuple = bits & 1,
				.is_output = bits & 2,
				.is_found = bits & 4,
				.is_ambiguous = bits & 8,
				.is_alive = bits & 16,
				.has_cgroup = bits & 32,
				.is_complete = bits & 64,
				.owner_differs = bits & 128,
				.is_relay = bits & 256,
				.has_looked = bits & 512,
				.holders = holders[i],
			};
			enum grade grade = grade_of(&evidence);
			if (grade != best(&evidence))
				fail_msg("bits %#x, %zu holders: %s, expected %s", bits, holders[i], grade_names[grade],
				         grade_names[best(&evidence)]);
			seen[grade]++;
		}
	for (int grade = 0; grade < GRADE_COUNT; grade++)
		CHECK(grade_names[grade], seen[grade] > 0);
}

static const struct {
	const char *name;
	struct evidence evidence;
	enum grade grade;
} cases[] = {
	{"nothing", {.has_tuple = false}, GRADE_NONE},
	{"one tuple in two namespaces",
         {.has_tuple = true,
          .is_found = true,
          .is_ambiguous = true,
          .is_alive = true,
          .holders = 1,
          .is_complete = true},
         GRADE_NONE},
	{"closed before it was looked for", {.has_looked = true, .has_tuple = true, .is_output = true}, GRADE_GONE},
	{"closed while it was looked for",
         {.has_looked = true,
          .has_tuple = true,
          .is_output = true,
          .is_found = true,
          .holders = 1,
          .is_complete = true},
         GRADE_GONE},
	{"from a container that cannot be looked into", {.has_tuple = true}, GRADE_NETNS},
	{"nobody holds it, root group", {.has_tuple = true, .is_found = true, .is_alive = true}, GRADE_UID},
	{"nobody holds it", {.has_tuple = true, .is_found = true, .is_alive = true, .has_cgroup = true}, GRADE_CGROUP},
	{"one holder, search cut short",
         {.has_tuple = true, .is_found = true, .is_alive = true, .has_cgroup = true, .holders = 1},
         GRADE_CGROUP},
	{"one holder",
         {.has_tuple = true, .is_found = true, .is_alive = true, .holders = 1, .is_complete = true},
         GRADE_EXACT},
	{"one holder, another one at accept",
         {.has_tuple = true,
          .is_found = true,
          .is_alive = true,
          .holders = 1,
          .is_complete = true,
          .owner_differs = true},
         GRADE_SHARED},
	{"two holders",
         {.has_tuple = true, .is_found = true, .is_alive = true, .holders = 2, .is_complete = true},
         GRADE_SHARED},
	{"two holders, search cut short",
         {.has_tuple = true, .is_found = true, .is_alive = true, .holders = 2},
         GRADE_SHARED},
	{"a relay",
         {.has_tuple = true, .is_found = true, .is_alive = true, .holders = 1, .is_complete = true, .is_relay = true},
         GRADE_RELAY},
	{"a relay among others",
         {.has_tuple = true, .is_found = true, .is_alive = true, .holders = 3, .is_relay = true},
         GRADE_RELAY},
	{"it could not be looked for", {.has_tuple = true, .is_output = true}, GRADE_NONE},
	{"it could not be looked for again", {.has_tuple = true, .is_output = true, .is_found = true}, GRADE_NONE},
};

static void grades_known_situations(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		CHECK_TEXT(cases[i].name, grade_names[grade_of(&cases[i].evidence)], grade_names[cases[i].grade]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_as_good_as_the_evidence_and_never_better),
		cmocka_unit_test(grades_known_situations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
