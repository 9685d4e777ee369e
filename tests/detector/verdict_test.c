/* SPDX-License-Identifier: Apache-2.0 */

/* What is said of findings: one row a sentence; then that every form makes something of the least finding there is. */
#include "tests/detector/support.h"

#include "detector/output_form.h"
#include "detector/verdict.h"

#define TIMES "\"first_seen\":\"2026-01-01T00:00:00.000000Z\",\"last_seen\":\"2026-01-02T00:00:00.000000Z\",\"count\":3"
#define WHOSE                                                                                                          \
	"\"access_key_id\":\"ASIAX\",\"owner\":{\"role\":\"web\",\"instance_id\":\"i-1\",\"account_id\":"              \
	"\"111122223333\"}"
#define SAID "Key ASIAX of role web on i-1 in account 111122223333 "
#define WHEN ", 3 times, from 2026-01-01T00:00:00.000000Z to 2026-01-02T00:00:00.000000Z."

static void test_sentences(void **state)
{
	static const struct {
		const char *finding, *sentence;
	} cases[] = {
		{"{}", "A session of an instance was used where it should not have been."},
		{"{\"type\":\"X\",\"summary\":\"was odd\",\"principal_id\":\"A:i-1\"}", "A session of A:i-1 was odd."},
		{"{\"count\":1,\"first_seen\":\"a\",\"last_seen\":\"a\"}",
	         "A session of an instance was used where it should not have been, once, at a."},
		{"{\"type\":\"InstanceCredentialExfiltration.InsideAWS\",\"remote\":{\"account_id\":\"999988887777\"}"
	         "," WHOSE "," TIMES "}",
	         SAID "was used from another AWS account (999988887777)" WHEN},
		{"{\"type\":\"InstanceCredentialExfiltration.InsideAWS\",\"remote\":{\"vpc_endpoint_id\":\"vpce-1\"}"
	         "," WHOSE "," TIMES "}",
	         SAID "was used from another AWS account (not known which; vpce-1)" WHEN},
		{"{\"type\":\"InstanceCredentialExfiltration.InsideAWS\"," WHOSE "," TIMES "}",
	         SAID "was used from another AWS account" WHEN},
		{"{\"type\":\"InstanceCredentialExfiltration.OutsideAWS\",\"remote\":{\"address\":\"1.2.3.4\"}," WHOSE
	         "," TIMES "}",
	         SAID "was used from outside AWS (1.2.3.4)" WHEN},
		{"{\"type\":\"InstanceCredentialUse.NeverRelayed\",\"remote\":{\"address\":\"1.2.3.4\"}," WHOSE
	         "," TIMES "}",
	         SAID "was used although the proxy of its machine never handed it out" WHEN},
		{"{\"type\":\"InstanceCredentialUse.AfterExpiry\",\"remote\":{\"address\":\"1.2.3.4\"}," WHOSE "," TIMES
	         "}",
	         SAID "was used after it had expired (1.2.3.4)" WHEN},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_JSON json_t *finding = support_json(cases[i].finding);
		CLEANUP_BUFFER struct buffer text = {0};
		assert_int_equal(verdict_sentence(finding, &text, NULL), 0);
		assert_string_equal(text.bytes, cases[i].sentence);
	}
}

/* Three that rank alike: x, y and, later than the first use at noon of January 2, z. */
#define ALIKE_BUT(x_at, x_more, y_at)                                                                                  \
	"\"first_seen\":\"2026-01-02T12:00:00Z\",\"suspects\":[{\"process\":{\"exe\":\"/bin/"                          \
	"x\"},\"delivered_at\":\"" x_at "\"," x_more                                                                   \
	"},{\"process\":{\"exe\":\"/bin/y\",\"pid\":7},\"delivered_at\":\"" y_at                                       \
	"\"},{\"process\":{\"exe\":\"/bin/z\"},\"delivered_at\":\"2026-01-03T00:00:00Z\"}],\"suspects_note\":\"the "   \
	"first ones "                                                                                                  \
	"rank alike: nothing sets one of them apart\"}"
#define ALIKE(x_at, x_more, y_at) "{" ALIKE_BUT(x_at, x_more, y_at)

static void test_suspects(void **state)
{
	static const struct {
		const char *finding, *sentence;
	} cases[] = {
		{"{}", "No ledger that was read says who had received it."},
		{"{\"suspects\":[{\"process\":null}]}", "Its only known receiver is a process that is not known."},
		{"{\"suspects\":[{\"process\":{\"exe\":\"/bin/x\",\"pid\":7,\"user\":\"u\",\"unit\":\"x.service\","
	         "\"container_id\":\"0123456789abcdef\"}}],\"suspects_omitted\":4}",
	         "The likeliest of 5 receivers is /bin/x, process 7, user u, unit x.service, container 0123456789ab."},
		{"{\"suspects\":[{\"process\":{\"exe\":\"/bin/x\"},\"holders\":[{},{}]}]}",
	         "Its only known receiver is /bin/x, or another process that held the same connection."},
		{"{\"suspects\":[{\"process\":{\"exe\":\"/bin/x\"},\"attribution\":{\"grade\":\"relay\"}}]}",
	         "Its only known receiver is /bin/x, or somebody whose connections it passes on."},
		{"{\"suspects\":[{\"process\":{\"exe\":\"/bin/x\"}},{}],\"suspects_note\":\"the only process on record "
	         "that received the "
	         "key before its first use\"}",
	         "Its only known receiver before its first use is /bin/x."},
		{"{\"suspects\":[{\"process\":{\"exe\":\"/bin/x\"}},{}],\"suspects_note\":\"every process that "
	         "received the key "
	         "before its first use: nothing sets one apart\"}",
	         "Nothing sets one of its 2 receivers apart."},
		{ALIKE("2026-01-01T00:00:00Z", "\"reasons\":[]", "2026-01-02T00:00:00Z"),
	         "Nothing sets one of its 3 receivers apart. The last before its first use was /bin/y, process 7."},
		{ALIKE("2026-01-01T00:00:00Z", "\"deliveries\":2", "2026-01-02T00:00:00Z"),
	         "Nothing sets one of its 3 receivers apart."},
		{ALIKE("2026-01-01T00:00:00Z",
	               "\"reasons\":[\"x\",\"the machine's clock was 7200 s fast: reckoned by AWS's\"]",
	               "2026-01-02T00:00:00Z"),
	         "Nothing sets one of its 3 receivers apart."},
		{ALIKE("2026-01-01T23:56:00Z", "\"reasons\":[]", "2026-01-02T00:00:00Z"),
	         "Nothing sets one of its 3 receivers apart."},
		{ALIKE("2026-01-01T00:00:00Z", "\"reasons\":[]", "2026-01-02T12:03:00Z"),
	         "Nothing sets one of its 3 receivers apart."},
		{"{\"lineage\":[{},{\"at\":\"2026-01-01T12:00:00Z\"}]," ALIKE_BUT(
			 "2026-01-01T00:00:00Z", "\"reasons\":[]", "2026-01-02T00:00:00Z"),
	         "Nothing sets one of its 3 receivers apart. The last before its first use was /bin/x."},
		{"{\"suspects\":[{\"process\":{\"exe\":\"/bin/x\"}}],\"suspects_note\":\"nobody is on record as having "
	         "received "
	         "the key before its first use\"}",
	         "Nobody is on record as having received it before its first use; 1 received it later."},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_JSON json_t *finding = support_json(cases[i].finding);
		CLEANUP_BUFFER struct buffer text = {0};
		assert_int_equal(verdict_suspect(finding, &text, NULL), 0);
		assert_string_equal(text.bytes, cases[i].sentence);
	}
}

#define THEIRS "\"remote\":{\"account_id\":\"999988887777\",\"relation\":\"unaffiliated\"}"
#define FRIENDS "\"remote\":{\"account_id\":\"999988887777\",\"relation\":\"affiliated\"}"

static void test_other_side(void **state)
{
	static const struct {
		const char *finding, *certainty, *text, *advice;
	} cases[] = {
		{"{}", "unknown", "is not known", "AWS Support can say"},
		{"{\"rung\":99}", "unknown", "is not known", "AWS Support can say"},
		{"{\"rung\":1," THEIRS "}", "certain", "account 999988887777", "Trust & Safety"},
		{"{\"rung\":2," THEIRS "}", "strong", "inventory", "Trust & Safety"},
		{"{\"rung\":2}", "unknown", "no record and no inventory", "AWS Support can say"},
		{"{\"rung\":3," THEIRS "}", "certain", "own log", "Trust & Safety"},
		{"{\"rung\":4," FRIENDS "}", "strong", "at that time", "ask its owner"},
		{"{\"rung\":5}", "weak", "only AWS can say which", "AWS Support can say"},
		{"{\"rung\":6}", "unknown", "There is no AWS account", "whoever runs the network"},
		{"{\"rung\":7}", "unknown", "private address", "AWS Support can say"},
		{"{\"rung\":4,\"owner\":{\"account_id\":\"999988887777\"}," FRIENDS "}", "strong",
	         "the key's own account", "which machine of yours"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_JSON json_t *finding = support_json(cases[i].finding);
		CLEANUP_JSON json_t *side = verdict_other_side(finding);
		assert_string_equal(json_text_at(side, "certainty"), cases[i].certainty);
		if (strstr(json_text_at(side, "text"), cases[i].text) == NULL ||
		    strstr(json_text_at(side, "advice"), cases[i].advice) == NULL)
			fail_msg("case %zu: %s %s", i, json_text_at(side, "text"), json_text_at(side, "advice"));
	}
}

/* Nothing is known, or nothing is of the type that it should be. */
static void test_least_findings(void **state)
{
	static const struct output_form *const forms[] = {&output_asff, &output_ocsf, &output_guardduty,
	                                                  &output_timesketch};
	static const char *const findings[] = {
		"{}",
		"{\"first_seen\":\"2026-01-01T00:00:00.000000Z\",\"count\":2,\"last_seen\":\"no time\"}",
		"{\"suspects\":[{}],\"calls\":[{}],\"notes\":[{}],\"evidence\":[null],\"event_ids\":[\"\"],\"score\":"
		"\"8\"}",
		"{\"suspects\":3,\"calls\":{},\"notes\":\"\",\"rung\":\"1\",\"id\":4,\"techniques\":[\"T1552.005\","
		"\"\",3]}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(findings); i++)
		for (size_t j = 0; j < ARRAY_LENGTH(forms); j++) {
			CLEANUP_JSON json_t *finding = support_json(findings[i]);
			CLEANUP_JSON json_t *made = json_array();
			struct error err = {0};
			assert_int_equal(forms[j]->make(finding, made, &err), 0);
			assert_true(forms[j] == &output_timesketch || json_array_size(made) == 1);
		}
}

static void test_texts_are_cut(void **state)
{
	static const struct {
		const char *text;
		size_t limit;
		const char *cut; /* NULL: nothing */
	} cases[] = {
		{NULL, 9, NULL},       {"", 9, NULL},           {" \t\n", 9, NULL},
		{"ab", 2, "ab"},       {"abc", 2, "ab"},        {"a\xc3\xa9", 3, "a\xc3\xa9"},
		{"a\xc3\xa9", 2, "a"}, {"\xe2\x80\xae", 2, ""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_JSON json_t *text = output_text(cases[i].text, cases[i].limit);
		assert_int_equal(text == NULL, cases[i].cut == NULL);
		if (text != NULL)
			assert_string_equal(json_string_value(text), cases[i].cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sentences),     cmocka_unit_test(test_suspects),
		cmocka_unit_test(test_other_side),    cmocka_unit_test(test_least_findings),
		cmocka_unit_test(test_texts_are_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
