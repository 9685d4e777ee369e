/* SPDX-License-Identifier: Apache-2.0 */

/* One key at a time says the same as the list of all keys, of a machine's own ledger and of a merged one, and goes by
 * an index. */
#include "store/ledger_handle.h"
#include "store/ledger_lookup.h"
#include "tests/store/pair.h"

#define KEY_REFUSED "ASIAY34FZKBOKMUTVV7C"

/* Another delivery of the first key, and a key that was refused. */
static void add_rows(void)
{
	struct writer *writer = NULL;
	const struct writer_options options = {.path = one};
	const struct row later = {
		.id = "00000000000000aa", .key = KEY_ONE, .role = "other", .instance = ONE, .at_us = AT(55)};
	const struct row refused = {.id = "00000000000000ab",
	                            .key = KEY_REFUSED,
	                            .instance = "i-0cccccccc",
	                            .outcome = "refused",
	                            .at_us = AT(56)};
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	assert_int_equal(rows_append(writer, &later, NULL), 0);
	assert_int_equal(rows_append(writer, &refused, NULL), 0);
	writer_close(writer);
}

static int setup(void **state)
{
	(void)state;
	pair_make();
	add_rows();
	pair_merge();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static int64_t time_of(const json_t *object, const char *path)
{
	int64_t time_us = 0;
	const char *text = json_text_at(object, path);
	return text != NULL && clock_parse(text, &time_us) ? time_us : 0;
}

struct seen {
	struct ledger_lookup *lookup;
	unsigned keys, ids, instances, unwanted;
	bool wants_none;
};

/* Holds a key of the list against what is said of it alone. */
static int compare(void *context, const json_t *object, struct error *err)
{
	struct seen *seen = context;
	struct ledger_key key;
	bool is_known = false;
	assert_int_equal(ledger_lookup_key(seen->lookup, json_text_at(object, "access_key_id"), &key, &is_known, err),
	                 0);
	assert_true(is_known);
	const struct {
		const char *name, *is;
	} texts[] = {{"role", key.role},
	             {"instance_id", key.instance_id},
	             {"host_account_id", key.host_account_id},
	             {"region", key.region}};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		CHECK_TEXT(texts[i].name, texts[i].is, json_text_at(object, texts[i].name));
	assert_int_equal(key.expires_at_us, time_of(object, "expires_at"));
	assert_int_equal(key.first_delivered_us, time_of(object, "first_delivered_at"));
	seen->keys++;
	return 0;
}

static int take_id(void *context, const char *id, struct error *err)
{
	struct seen *seen = context;
	(void)err;
	seen->ids |= strcmp(id, KEY_ONE) == 0       ? 1U
	             : strcmp(id, KEY_TWO) == 0     ? 2U
	             : strcmp(id, KEY_REFUSED) == 0 ? 4U
	                                            : 8U;
	return 0;
}

static bool is_wanted(void *context, const char *instance)
{
	struct seen *seen = context;
	seen->unwanted += seen->wants_none && instance[0] == 'i';
	return !seen->wants_none;
}

static int take_instance(void *context, const struct ledger_key *by, struct error *err)
{
	struct seen *seen = context;
	(void)err;
	assert_string_equal(by->host_account_id, "123456789012");
	seen->instances |= strcmp(by->instance_id, ONE) == 0 ? 1U : strcmp(by->instance_id, TWO) == 0 ? 2U : 8U;
	return 0;
}

static const struct {
	const char *name, *path;
	unsigned keys, ids, instances;
} ledgers[] = {
	{"a machine's own", one, 1, 1 | 4, 1}, /* with the id of what was refused */
	{"merged", fleet, 2, 1 | 2, 1 | 2},
};

static void says_the_same_as_the_list(void **state)
{
	const struct ledger_filter all = {.oldest_first = true};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ledgers); i++) {
		struct ledger *ledger = NULL;
		struct seen seen = {0};
		struct ledger_key key;
		bool is_known = true;
		const struct ledger_lookup_visitor visitor = {is_wanted, take_instance, &seen};
		assert_int_equal(ledger_open(ledgers[i].path, &ledger, NULL), 0);
		assert_int_equal(ledger_lookup_open(ledger, &seen.lookup, NULL), 0);
		assert_int_equal(ledger_keys(ledger, &all, compare, &seen, NULL), 0);
		CHECK_NUMBER(ledgers[i].name, seen.keys, ledgers[i].keys);
		assert_int_equal(ledger_lookup_ids(seen.lookup, take_id, &seen, NULL), 0);
		CHECK_NUMBER(ledgers[i].name, seen.ids, ledgers[i].ids);
		assert_int_equal(ledger_lookup_instances(seen.lookup, &visitor, NULL), 0);
		CHECK_NUMBER(ledgers[i].name, seen.instances, ledgers[i].instances);
		seen.wants_none = true;
		seen.instances = 0;
		assert_int_equal(ledger_lookup_instances(seen.lookup, &visitor, NULL), 0);
		CHECK_NUMBER(ledgers[i].name, seen.instances, 0);
		assert_true(seen.unwanted > 0);
		assert_int_equal(ledger_lookup_key(seen.lookup, KEY_REFUSED, &key, &is_known, NULL), 0);
		assert_false(is_known);
		assert_true(ledger_lookup_bytes(seen.lookup) > 0);
		ledger_lookup_close(seen.lookup);
		ledger_close(ledger);
	}
}

/* Nothing that was asked keeps the writer's WAL from being begun anew. */
static void leaves_the_wal_alone(void **state)
{
	struct ledger *ledger = NULL;
	struct ledger_lookup *lookup = NULL;
	struct ledger_key key;
	bool is_known = false;
	sqlite3 *db = NULL;
	(void)state;
	assert_int_equal(ledger_open(one, &ledger, NULL), 0);
	assert_int_equal(ledger_lookup_open(ledger, &lookup, NULL), 0);
	assert_int_equal(ledger_lookup_key(lookup, KEY_ONE, &key, &is_known, NULL), 0);
	assert_true(is_known);
	assert_int_equal(sqlite3_open(one, &db), SQLITE_OK);
	assert_int_equal(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	ledger_lookup_close(lookup);
	ledger_close(ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_the_same_as_the_list),
		cmocka_unit_test(leaves_the_wal_alone),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
