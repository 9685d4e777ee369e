/* SPDX-License-Identifier: Apache-2.0 */

/* Words as they stand in the ledger, and the account that an access key id tells, or does not. */
#include "tests/common/unit.h"

#include "store/model.h"

static const struct {
	const char *name, *key, *account; /* "": unknown */
} accounts[] = {
	/* The older generation holds no account; reading one all the same gives somebody else's. */
	{"older, real account 342082656213", "ASIAI3HLUW3QQTLCLRPQ", ""},
	{"older, the same account", "ASIAJIL4ANW2S4PU3YJA", ""},
	{"documentation's example", "AKIAIOSFODNN7EXAMPLE", ""},
	{"8 is not in the alphabet", "AKIAI44QH8DHBEXAMPLE", ""},
	{"8 and 4 in a newer one", "AKIATFQR7NSC8Q4X20BJ", ""},
	{"empty", "", ""},
	{"prefix alone", "ASIA", ""},
	{"19 characters", "ASIAY34FZKBOKMUTVV7", ""},
	{"21 characters", "ASIAY34FZKBOKMUTVV7AA", ""},
	{"unique id", "AROAY34FZKBOKMUTVV7AA", ""},
	{"small letters", "asiay34fzkbokmutvv7a", ""},
	{"one small letter", "ASIAY34FZKBOKMUTVV7a", ""},
	{"0", "ASIAY34FZKBOKMUTVV70", ""},
	{"1", "ASIAY34FZKBOKMUTVV71", ""},
	{"9", "ASIAY94FZKBOKMUTVV7A", ""},
	{"space", "ASIAY34FZKBOKMUTVV7 ", ""},
	{"underscore", "ASIA_34FZKBOKMUTVV7A", ""},
	{"digit in the prefix", "ASI9Y34FZKBOKMUTVV7A", ""},
	{"bytes above ASCII",
         "ASIA\xd0\x90"
         "4FZKBOKMUTVV7A",
         ""},
	{"above 12 digits", "ASIA7777777777777777", ""},

	{"published vector", "ASIAY34FZKBOKMUTVV7A", "609629065308"},
	{"leading zero", "ASIAQNZGKIQY56JQ7WML", "029608264753"},
	{"largest", "AKIA6RVFFB77RE7OLMKI", "999999999999"},
	{"digits in order", "AKIARZPUZDIKGB2VALC4", "123456789012"},
	{"all zeros", "ASIAQAAAAAAAGMKEM7X5", "000000000000"},
	{"confirmed by the same record 1", "ASIAU7JNXC7KZZSDWDG3", "342082656213"},
	{"confirmed by the same record 2", "ASIA52GPOBQCD6DF76FQ", "949622803460"},
	{"confirmed by the same record 3", "ASIA52CDAKM456D2HKTH", "949328302905"},
	{"confirmed by the same record 4", "ASIA2NCBAL3RITJGADU7", "715248393954"},
};

static void tells_the_account_of_newer_keys_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(accounts); i++) {
		char account[ACCOUNT_BYTES] = "xxxxxxxxxxxx";
		key_account(accounts[i].key, account);
		CHECK_TEXT(accounts[i].name, account, accounts[i].account);
	}
}

static void has_a_name_for_each_word(void **state)
{
	static const struct {
		const char *what;
		const char *const *names;
		int count;
	} tables[] = {
		{"grades", grade_names, GRADE_COUNT},
		{"outcomes", outcome_names, OUTCOME_COUNT},
		{"sources", source_names, SOURCE_COUNT},
	};
	(void)state;
	for (size_t t = 0; t < ARRAY_LENGTH(tables); t++) {
		for (int i = 0; i < tables[t].count; i++) {
			CHECK(tables[t].what, tables[t].names[i] != NULL);
			CHECK_NUMBER(tables[t].what, name_index(tables[t].names, tables[t].count, tables[t].names[i]),
			             i);
		}
		CHECK_NUMBER(tables[t].what, name_index(tables[t].names, tables[t].count, ""), -1);
		CHECK_NUMBER(tables[t].what, name_index(tables[t].names, tables[t].count, "EXACT"), -1);
		CHECK_NUMBER(tables[t].what, name_index(tables[t].names, tables[t].count, "deliver"), -1);
	}
}

/* These stand in files that outlive this program. */
static void keeps_its_words(void **state)
{
	(void)state;
	assert_int_equal(name_index(grade_names, GRADE_COUNT, "none"), GRADE_NONE);
	assert_int_equal(name_index(grade_names, GRADE_COUNT, "exact"), GRADE_EXACT);
	assert_int_equal(name_index(grade_names, GRADE_COUNT, "shared"), GRADE_SHARED);
	assert_int_equal(name_index(grade_names, GRADE_COUNT, "relay"), GRADE_RELAY);
	assert_int_equal(name_index(outcome_names, OUTCOME_COUNT, "recorded"), OUTCOME_RECORDED);
	assert_int_equal(name_index(outcome_names, OUTCOME_COUNT, "delivered"), OUTCOME_DELIVERED);
	assert_int_equal(name_index(outcome_names, OUTCOME_COUNT, "refused"), OUTCOME_REFUSED);
	assert_int_equal(name_index(outcome_names, OUTCOME_COUNT, "aborted"), OUTCOME_ABORTED);
	assert_int_equal(name_index(source_names, SOURCE_COUNT, "imds"), SOURCE_IMDS);
	assert_int_equal(name_index(source_names, SOURCE_COUNT, "self"), SOURCE_SELF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_the_account_of_newer_keys_only),
		cmocka_unit_test(has_a_name_for_each_word),
		cmocka_unit_test(keeps_its_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
