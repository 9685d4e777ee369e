/* SPDX-License-Identifier: Apache-2.0 */

/* Each request is counted once, and the totals that `keytrail status` shows are sums of that. */
#include "tests/common/unit.h"

#include "proxy/counts.h"

#define REFUSED(why)                                                                                                   \
	{                                                                                                              \
		.class = CLASS_METADATA, .result = RESULT_REFUSED, .reason = (why)                                     \
	}
#define FAILED(why)                                                                                                    \
	{                                                                                                              \
		.class = CLASS_CREDENTIAL, .result = RESULT_FAILED, .reason = (why)                                    \
	}

static const struct {
	const char *name;
	struct outcome_facts facts;
	uint64_t totals[COUNTER_COUNT];
} rows[] = {
	{"a token", {.class = CLASS_TOKEN, .result = RESULT_DELIVERED}, {[COUNTER_TOKENS] = 1}},
	{"a token that nobody took", {.class = CLASS_TOKEN, .result = RESULT_ABORTED}, {0}},
	{"a key", {.class = CLASS_CREDENTIAL, .result = RESULT_DELIVERED, .keys = 1}, {[COUNTER_DELIVERED] = 1}},
	{"two keys", {.class = CLASS_CREDENTIAL, .result = RESULT_DELIVERED, .keys = 2}, {[COUNTER_DELIVERED] = 2}},
	{"a key that nobody took",
         {.class = CLASS_CREDENTIAL, .result = RESULT_ABORTED, .keys = 1},
         {[COUNTER_ABORTED] = 1}},
	{"a key that was refused",
         {.class = CLASS_CREDENTIAL, .result = RESULT_REFUSED, .keys = 1, .reason = "unattributed"},
         {[COUNTER_REFUSED] = 1}},
	{"metadata", {.class = CLASS_METADATA, .result = RESULT_RELAYED}, {[COUNTER_RELAYED] = 1}},
	{"metadata, IMDSv1",
         {.class = CLASS_METADATA, .result = RESULT_RELAYED, .without_token = true},
         {[COUNTER_RELAYED] = 1, [COUNTER_WITHOUT_TOKEN] = 1}},
	{"pipelined",
         {.class = CLASS_METADATA, .result = RESULT_RELAYED, .has_extra = true},
         {[COUNTER_RELAYED] = 1, [COUNTER_WITH_EXTRA] = 1}},
	{"refused", REFUSED("forwarded-for"), {[COUNTER_REFUSED] = 1}},
	{"refused for a new reason", REFUSED("because"), {[COUNTER_REFUSED] = 1}},
	{"refused without a reason", REFUSED(NULL), {[COUNTER_REFUSED] = 1}},
	{"upstream", FAILED("upstream"), {[COUNTER_REFUSED] = 1, [COUNTER_UPSTREAM_FAILED] = 1}},
	{"upstream's refusal", FAILED("upstream-refused"), {[COUNTER_REFUSED] = 1}},
	{"ledger", FAILED("ledger"), {[COUNTER_REFUSED] = 1, [COUNTER_LEDGER_FAILED] = 1}},
};

static void adds_up_to_what_status_shows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct counts counts = {0};
		counts_add(&counts, &rows[i].facts);
		CHECK_NUMBER(rows[i].name, counts_total(&counts, COUNTER_REQUESTS), 1);
		for (int counter = COUNTER_DELIVERED; counter < COUNTER_COUNT; counter++)
			CHECK_NUMBER(rows[i].name, counts_total(&counts, (enum counter)counter),
			             rows[i].totals[counter]);
	}
	assert_int_equal(counts_total(&(struct counts){0}, COUNTER_COUNT), 0);
}

static uint64_t refusals(const struct counts *counts, const char *reason)
{
	int index = name_index(reason_names, REASON_COUNT, reason);
	assert_true(index >= 0);
	return counts_read(&counts->refusals[index]);
}

static void knows_reasons_by_name(void **state)
{
	struct counts counts = {0};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		counts_add(&counts, &rows[i].facts);
	assert_int_equal(refusals(&counts, "forwarded-for"), 1);
	assert_int_equal(refusals(&counts, "upstream"), 1);
	assert_int_equal(refusals(&counts, "ledger"), 1);
	assert_int_equal(refusals(&counts, "other"), 2);
	assert_string_equal(reason_names[REASON_COUNT - 1], "other");
	for (int i = 0; i < REASON_COUNT; i++)
		CHECK_NUMBER(reason_names[i], name_index(reason_names, REASON_COUNT, reason_names[i]), i);
}

static const struct {
	int64_t took_us;
	int bucket;
} times[] = {
	{0, 0},
	{999, 0},
	{1000, 0},
	{1001, 1},
	{2500, 1},
	{2501, 2},
	{999999, 9},
	{1000000, 9},
	{2500000, 10},
	{2500001, BUCKET_COUNT},
	{INT64_C(1) << 40, BUCKET_COUNT},
};

static void sorts_times_into_buckets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
		const struct outcome_facts facts = {.class = CLASS_TOKEN, .took_us = times[i].took_us};
		struct counts counts = {0};
		counts_add(&counts, &facts);
		for (int bucket = 0; bucket <= BUCKET_COUNT; bucket++)
			assert_int_equal(counts_read(&counts.buckets[CLASS_TOKEN][bucket]), bucket == times[i].bucket);
		assert_int_equal(counts_read(&counts.took_us[CLASS_TOKEN]), times[i].took_us);
	}
}

static const struct {
	const char *method;
	enum method wanted;
} methods[] = {
	{NULL, METHOD_NONE},
	{"none", METHOD_NONE},
	{"conntrack", METHOD_CONNTRACK},
	{"sock_diag", METHOD_SOCK_DIAG},
	{"sock_diag+proc", METHOD_SOCK_DIAG_PROC},
	{"ebpf+sock_diag", METHOD_EBPF_SOCK_DIAG},
	{"ebpf+sock_diag+proc", METHOD_EBPF_SOCK_DIAG_PROC},
	{"sock_diag+", METHOD_OTHER},
};

static void counts_attributions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
		struct outcome_facts facts = {.grade = GRADE_SHARED, .method = methods[i].method};
		struct counts counts = {0};
		counts_add(&counts, &facts);
		assert_int_equal(counts_read(&counts.attributions[GRADE_SHARED][methods[i].wanted]), 0);
		facts.was_attributed = true;
		counts_add(&counts, &facts);
		assert_int_equal(counts_read(&counts.attributions[GRADE_SHARED][methods[i].wanted]), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_up_to_what_status_shows),
		cmocka_unit_test(knows_reasons_by_name),
		cmocka_unit_test(sorts_times_into_buckets),
		cmocka_unit_test(counts_attributions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
