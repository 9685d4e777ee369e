/* SPDX-License-Identifier: Apache-2.0 */

/* Packing: processes taken out and named by digest, once each; and the journal's line there and back. */
#include "tests/common/unit.h"

#include "store/entry.h"
#include "store/line.h"

static json_t *json_of(const char *text)
{
	json_t *made = NULL;
	struct error problem;
	if (json_read(text, strlen(text), &made, &problem) < 0)
		fail_msg("%s: %s", text, problem.text);
	return made;
}

static int pack(const char *body, const char *subject, const char *key, struct packed *ret, struct error *err)
{
	CLEANUP_JSON json_t *object = json_of(body);
	const struct entry entry = {.kind = "delivery",
	                            .id = "0123456789abcdef",
	                            .subject = subject,
	                            .access_key_id = key,
	                            .at_us = INT64_C(1700000000123456),
	                            .body = object};
	return packed_make(&entry, ret, err);
}

static const struct {
	const char *name, *body;
	size_t actors;
	bool has_process;
} cases[] = {
	{"empty", "{}", 0, false},
	{"no process", "{\"a\":1,\"process\":null,\"holders\":[]}", 0, false},
	{"process", "{\"process\":{\"pid\":1}}", 1, true},
	{"process and the same holder", "{\"process\":{\"pid\":1},\"holders\":[{\"pid\":1}]}", 1, true},
	{"the same, members in another order", "{\"process\":{\"a\":1,\"b\":2},\"holders\":[{\"b\":2,\"a\":1}]}", 1,
         true},
	{"two holders", "{\"process\":{\"pid\":1},\"holders\":[{\"pid\":1},{\"pid\":2}]}", 2, true},
	{"holders alone", "{\"process\":null,\"holders\":[{\"pid\":2},{\"pid\":3},{\"pid\":2}]}", 2, false},
	{"process that differs in a null", "{\"process\":{\"pid\":1,\"a\":null},\"holders\":[{\"pid\":1}]}", 2, true},
	{"process of another type", "{\"process\":\"x\",\"holders\":7}", 0, false},
};

static void names_each_process_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct packed packed;
		CHECK_NUMBER(cases[i].name, pack(cases[i].body, NULL, NULL, &packed, NULL), 0);
		CHECK_NUMBER(cases[i].name, packed.actor_count, cases[i].actors);
		CHECK_NUMBER(cases[i].name, packed.has_process, cases[i].has_process);

		/* Put back together it is what it was. */
		CLEANUP_JSON json_t *body = json_of(packed.body);
		CLEANUP_JSON json_t *expected = json_of(cases[i].body);
		for (size_t a = 0; a < packed.actor_count; a++) {
			char hex[DIGEST_HEX_BYTES];
			uint8_t digest[DIGEST_BYTES];
			CLEANUP_JSON json_t *actor = json_of(packed.actors[a].body);
			assert_int_equal(digest_of(packed.actors[a].body, strlen(packed.actors[a].body), digest, NULL),
			                 0);
			CHECK(cases[i].name, memcmp(digest, packed.actors[a].digest, DIGEST_BYTES) == 0);
			(void)digest_hex(digest, DIGEST_BYTES, hex);
			const char *name = json_text_at(body, "process");
			if (name != NULL && strcmp(name, hex) == 0)
				json_put(body, "process", json_incref(actor));
			json_t *holders = json_object_get(body, "holders");
			for (size_t h = 0; h < json_array_size(holders); h++) {
				name = json_string_value(json_array_get(holders, h));
				if (name != NULL && strcmp(name, hex) == 0)
					(void)json_array_set(holders, h, actor);
			}
		}
		CHECK(cases[i].name, json_equal(body, expected));
		packed_done(&packed);
	}
}

static void is_canonical(void **state)
{
	struct packed packed;
	(void)state;
	assert_int_equal(pack(" { \"b\" : [ 1 , 2 ] , \"a\" : \"\\u00e9/\" }", NULL, NULL, &packed, NULL), 0);
	assert_string_equal(packed.body, "{\"a\":\"\xc3\xa9/\",\"b\":[1,2]}");
	packed_done(&packed);
}

static void leaves_what_it_packs_alone(void **state)
{
	CLEANUP_JSON json_t *body = json_of("{\"process\":{\"pid\":1},\"holders\":[{\"pid\":1},{\"pid\":2}]}");
	CLEANUP_JSON json_t *before = json_deep_copy(body);
	const struct entry entry = {.kind = "delivery", .id = "0", .body = body};
	struct packed packed;
	(void)state;
	assert_int_equal(packed_make(&entry, &packed, NULL), 0);
	packed_done(&packed);
	assert_true(json_equal(body, before));
}

static json_t *body_of_holders(size_t count)
{
	json_t *body = json_object(), *holders = json_array();
	json_put(body, "process", json_pack("{s:i}", "pid", 0));
	for (size_t i = 1; i <= count; i++)
		(void)json_array_append_new(holders, json_pack("{s:i}", "pid", (int)i));
	json_put(body, "holders", holders);
	return body;
}

static void bounds_the_processes(void **state)
{
	CLEANUP_JSON json_t *most = body_of_holders(ENTRY_ACTORS_MAX - 1);
	CLEANUP_JSON json_t *more = body_of_holders(ENTRY_ACTORS_MAX);
	struct packed packed = {.at_us = 77};
	struct error problem = {0};
	(void)state;
	assert_int_equal(packed_make(&(struct entry){.kind = "delivery", .body = more}, &packed, &problem), -1);
	assert_int_equal(problem.code, ERROR_LIMIT);
	assert_int_equal(packed.at_us, 77);
	assert_int_equal(packed_make(&(struct entry){.kind = "delivery", .body = most}, &packed, &problem), 0);
	assert_int_equal(packed.actor_count, ENTRY_ACTORS_MAX);
	packed_done(&packed);
	packed_done(&packed); /* once more is fine */
}

static void check_same(const struct packed *a, const struct packed *b)
{
	assert_string_equal(a->kind, b->kind);
	assert_string_equal(a->id, b->id);
	assert_true((a->subject == NULL) == (b->subject == NULL));
	assert_true(a->subject == NULL || strcmp(a->subject, b->subject) == 0);
	assert_true((a->access_key_id == NULL) == (b->access_key_id == NULL));
	assert_true(a->access_key_id == NULL || strcmp(a->access_key_id, b->access_key_id) == 0);
	assert_true(a->at_us == b->at_us);
	assert_string_equal(a->body, b->body);
	assert_int_equal(a->has_process, b->has_process);
	assert_int_equal(a->actor_count, b->actor_count);
	for (size_t i = 0; i < a->actor_count; i++) {
		assert_string_equal(a->actors[i].body, b->actors[i].body);
		assert_memory_equal(a->actors[i].digest, b->actors[i].digest, DIGEST_BYTES);
	}
}

/* What the witness says comes as texts; rows of before that were packed from trees. Both make the same bytes. */
static void packs_texts_like_trees(void **state)
{
	static const char attribution[] = "{\"complete\":true,\"evidence\":[\"a \\\"b\\\"\"],\"grade\":\"exact\"}";
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_JSON json_t *tree = json_of(cases[i].body);
		const json_t *process = json_at(tree, "process"), *holders = json_at(tree, "holders");
		char *texts[ENTRY_ACTORS_MAX] = {NULL};
		struct entry_actors actors = {.attribution = attribution, .process = -1};
		if (!json_is_array(holders))
			continue;
		while (actors.holders < json_array_size(holders)) {
			const json_t *holder = json_array_get(holders, actors.holders);
			texts[actors.holders] = json_line(holder);
			if (actors.process < 0 && process != NULL && json_equal(holder, process))
				actors.process = (int)actors.holders;
			actors.holders++;
		}
		if (process != NULL && actors.process < 0) {
			actors.process = (int)actors.holders;
			texts[actors.process] = json_line(process);
		}
		memcpy(actors.processes, texts, sizeof(texts));
		json_put_text(tree, "access_key_id", "AKIA");
		json_put_text(tree, "zone", "\x01");
		CLEANUP_JSON json_t *rest = json_copy(tree);
		json_put(tree, "attribution", json_of(attribution));
		struct packed by_tree, by_texts;
		CHECK_NUMBER(cases[i].name, packed_make(&(struct entry){.kind = "k", .body = tree}, &by_tree, NULL), 0);
		CHECK_NUMBER(
			cases[i].name,
			packed_make(&(struct entry){.kind = "k", .body = rest, .actors = &actors}, &by_texts, NULL), 0);
		check_same(&by_tree, &by_texts);
		packed_done(&by_tree);
		packed_done(&by_texts);
		for (size_t k = 0; k < ENTRY_ACTORS_MAX; k++)
			free(texts[k]);
	}
}

static void comes_back_from_its_line(void **state)
{
	static const char *const texts[] = {NULL, "", "ASIA\n\x1b\"\\"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		for (size_t t = 0; t < ARRAY_LENGTH(texts); t++) {
			struct packed packed, back;
			assert_int_equal(pack(cases[i].body, texts[t], texts[t], &packed, NULL), 0);
			CLEANUP_FREE char *line = packed_to_line(&packed);
			assert_non_null(line);
			CHECK(cases[i].name, strchr(line, '\n') == NULL);
			CHECK_NUMBER(cases[i].name, packed_from_line(line, strlen(line), &back, NULL), 0);
			check_same(&packed, &back);
			packed_done(&packed);
			packed_done(&back);
		}
}

/* What log shippers get: the processes in full, named fields in place. */
static const struct {
	const char *name, *kind, *subject, *body, *object;
} shipped[] = {
	{"delivery", "delivery", NULL, "{\"role\":\"r\",\"process\":{\"pid\":1},\"holders\":[{\"pid\":2},{\"pid\":1}]}",
         "{\"delivered_at\":\"2023-11-14T22:13:20.123456Z\",\"holders\":[{\"pid\":2},{\"pid\":1}],"
         "\"id\":\"0123456789abcdef\",\"kind\":\"delivery\",\"process\":{\"pid\":1},\"role\":\"r\"}"},
	{"nobody known", "delivery", NULL, "{\"process\":null,\"holders\":[]}",
         "{\"delivered_at\":\"2023-11-14T22:13:20.123456Z\",\"holders\":[],\"id\":\"0123456789abcdef\","
         "\"kind\":\"delivery\",\"process\":null}"},
	{"outcome", "outcome", "fedcba9876543210", "{\"outcome\":\"delivered\"}",
         "{\"at\":\"2023-11-14T22:13:20.123456Z\",\"id\":\"0123456789abcdef\",\"kind\":\"outcome\","
         "\"outcome\":\"delivered\",\"subject\":\"fedcba9876543210\"}"},
};

static void ships_processes_in_full(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(shipped); i++) {
		CLEANUP_JSON json_t *body = json_of(shipped[i].body);
		const struct entry entry = {.kind = shipped[i].kind,
		                            .id = "0123456789abcdef",
		                            .subject = shipped[i].subject,
		                            .at_us = INT64_C(1700000000123456),
		                            .body = body};
		struct packed packed;
		assert_int_equal(packed_make(&entry, &packed, NULL), 0);
		CLEANUP_BUFFER struct buffer object = {0};
		const struct line_place nowhere = {0};
		CHECK_NUMBER(shipped[i].name, line_of_packed(&packed, 0, &nowhere, &object, NULL), 0);
		object.bytes[object.length - 1] = '\0'; /* the newline */
		packed_done(&packed);
		CHECK_TEXT(shipped[i].name, object.bytes, shipped[i].object);
	}
}

static const struct {
	const char *name, *line;
} broken[] = {
	{"empty", ""},
	{"no JSON", "nonsense"},
	{"a list", "[]"},
	{"empty object", "{}"},
	{"no kind", "{\"id\":\"i\",\"at\":1,\"body\":\"{}\",\"actors\":[]}"},
	{"no id", "{\"kind\":\"k\",\"at\":1,\"body\":\"{}\",\"actors\":[]}"},
	{"no time", "{\"kind\":\"k\",\"id\":\"i\",\"body\":\"{}\",\"actors\":[]}"},
	{"no body", "{\"kind\":\"k\",\"id\":\"i\",\"at\":1,\"actors\":[]}"},
	{"time of a text", "{\"kind\":\"k\",\"id\":\"i\",\"at\":\"1\",\"body\":\"{}\"}"},
	{"time of a fraction", "{\"kind\":\"k\",\"id\":\"i\",\"at\":1.5,\"body\":\"{}\"}"},
	{"time beyond 64 bits", "{\"kind\":\"k\",\"id\":\"i\",\"at\":99999999999999999999,\"body\":\"{}\"}"},
	{"body of an object", "{\"kind\":\"k\",\"id\":\"i\",\"at\":1,\"body\":{}}"},
	{"null kind", "{\"kind\":null,\"id\":\"i\",\"at\":1,\"body\":\"{}\"}"},
	{"actor of an object", "{\"kind\":\"k\",\"id\":\"i\",\"at\":1,\"body\":\"{}\",\"actors\":[{}]}"},
	{"second actor of null", "{\"kind\":\"k\",\"id\":\"i\",\"at\":1,\"body\":\"{}\",\"actors\":[\"{}\",null]}"},
	{"member twice", "{\"kind\":\"k\",\"kind\":\"k\",\"id\":\"i\",\"at\":1,\"body\":\"{}\"}"},
	{"text behind it", "{\"kind\":\"k\",\"id\":\"i\",\"at\":1,\"body\":\"{}\"}x"},
};

static void refuses_what_is_no_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
		struct packed packed = {.at_us = 77};
		struct error problem = {0};
		CHECK_NUMBER(broken[i].name,
		             packed_from_line(broken[i].line, strlen(broken[i].line), &packed, &problem), -1);
		CHECK_NUMBER(broken[i].name, problem.code, ERROR_INPUT);
		CHECK_NUMBER(broken[i].name, packed.at_us, 77);
	}
}

static void refuses_too_many_processes_in_a_line(void **state)
{
	CLEANUP_JSON json_t *line = json_of("{\"kind\":\"k\",\"id\":\"i\",\"at\":1,\"body\":\"{}\",\"actors\":[]}");
	struct packed packed;
	(void)state;
	for (size_t i = 0; i < ENTRY_ACTORS_MAX; i++)
		(void)json_array_append_new(json_object_get(line, "actors"), json_string("{}"));
	CLEANUP_FREE char *most = json_line(line);
	assert_int_equal(packed_from_line(most, strlen(most), &packed, NULL), 0);
	packed_done(&packed);
	(void)json_array_append_new(json_object_get(line, "actors"), json_string("{}"));
	CLEANUP_FREE char *more = json_line(line);
	assert_int_equal(packed_from_line(more, strlen(more), &packed, NULL), -1);
}

static void makes_ids_that_differ(void **state)
{
	char ids[64][ENTRY_ID_BYTES];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
		assert_int_equal(entry_id_make(ids[i], NULL), 0);
		assert_int_equal(strspn(ids[i], "0123456789abcdef"), ENTRY_ID_BYTES - 1);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(ids[i], ids[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_no_line),
		cmocka_unit_test(refuses_too_many_processes_in_a_line),
		cmocka_unit_test(bounds_the_processes),
		cmocka_unit_test(names_each_process_once),
		cmocka_unit_test(is_canonical),
		cmocka_unit_test(leaves_what_it_packs_alone),
		cmocka_unit_test(packs_texts_like_trees),
		cmocka_unit_test(comes_back_from_its_line),
		cmocka_unit_test(ships_processes_in_full),
		cmocka_unit_test(makes_ids_that_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
