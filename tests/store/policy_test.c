/* SPDX-License-Identifier: Apache-2.0 */

/* policy: who is refused, what is never believed, and that no doubt opens a door. */
#include "tests/common/unit.h"

#include "store/settings.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char folder[PATH_MAX], path[PATH_MAX];

static int start(void **state)
{
	(void)state;
	(void)unit_path(path, unit_folder(folder), "keytrail.conf");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	unit_folder_remove(folder);
	return 0;
}

static void load(const char *text, struct settings *ret)
{
	struct error problem = {0};
	unit_write(path, text, strlen(text));
	if (settings_load(path, ret, &problem) < 0)
		fail_msg("%s: %s", text, problem.text);
}

/* ---- one process, by the JSON of a row; NULL: nobody is known, the socket was made by uid 7 */
static const struct {
	const char *name, *conditions;
	const char *path, *family, *process;
	bool matches;
} cases[] = {
	{"another executable", "exe = /usr/bin/curl", "/x", "imds", "\"exe\":\"/usr/bin/wget\"", false},
	{"no executable known", "exe = *", "/x", "imds", "\"exe\":null", false},
	{"nobody known", "exe = *", "/x", "imds", NULL, false},
	{"executable of a foreign mount namespace", "exe = /usr/bin/curl", "/x", "imds",
         "\"exe\":\"/usr/bin/curl\",\"exe_foreign_mount\":true", false},
	{"foreign or not is not known", "exe = /usr/bin/curl", "/x", "imds",
         "\"exe\":\"/usr/bin/curl\",\"exe_foreign_mount\":null", false},
	{"executable that is gone", "exe = /usr/bin/curl", "/x", "imds",
         "\"exe\":\"/usr/bin/curl\",\"exe_deleted\":true", false},
	{"renamed executable", "exe = /usr/bin/curl", "/x", "imds", "\"exe\":\"/tmp/curl\"", false},
	{"part of a name", "exe = /usr/bin/curl", "/x", "imds", "\"exe\":\"/usr/bin/curl2\"", false},
	{"the executable", "exe = /usr/bin/curl", "/x", "imds", "\"exe\":\"/usr/bin/curl\"", true},
	{"the second of a list", "exe = /usr/bin/wget /usr/bin/cur?", "/x", "imds", "\"exe\":\"/usr/bin/curl\"", true},

	{"another unit", "unit = web.service", "/x", "imds", "\"unit\":\"db.service\"", false},
	{"no unit", "unit = *", "/x", "imds", "\"unit\":null", false},
	{"nobody's unit", "unit = *", "/x", "imds", NULL, false},
	{"the unit", "unit = db.service web.*", "/x", "imds", "\"unit\":\"web.service\"", true},

	{"another container", "container = " ID, "/x", "imds", "\"container_id\":\"0123\"", false},
	{"no container", "container = *", "/x", "imds", "\"container_id\":null", false},
	{"nobody's container", "container = *", "/x", "imds", NULL, false},
	{"the container", "container = " ID, "/x", "imds", "\"container_id\":\"" ID "\"", true},
	{"any container", "container = *", "/x", "imds", "\"container_id\":\"" ID "\"", true},

	{"another user", "uid = 0", "/x", "imds", "\"uid\":1000", false},
	{"a user of that beginning", "uid = 100", "/x", "imds", "\"uid\":1000", false},
	{"no user known", "uid = 0", "/x", "imds", "\"uid\":null", false},
	{"a user that is none", "uid = 0", "/x", "imds", "\"uid\":-1", false},
	{"the user", "uid = 33 1000", "/x", "imds", "\"uid\":1000", true},
	{"whose socket it is", "uid = 7", "/x", "imds", NULL, true},
	{"whose socket it is does not count for a process", "uid = 7", "/x", "imds", "\"uid\":1000", false},
	{"another group", "gid = 0", "/x", "imds", "\"gid\":1000", false},
	{"nobody's group", "gid = 0 7", "/x", "imds", NULL, false},
	{"the group", "gid = 0", "/x", "imds", "\"gid\":0", true},

	{"another family", "family = imds", "/x", "identity", "", false},
	{"credentials, where none are meant", "family = none", "/x", "imds", "", false},
	{"the family", "family = ecs imds", "/x", "imds", NULL, true},

	{"another path", "path = /latest/user-data", "/latest/meta-data/user-data", "none", "", false},
	{"a longer path", "path = /latest/user-data", "/latest/user-data2", "none", "", false},
	{"another version alone", "path = /2021-03-23/user-data", "/latest/user-data", "none", "", false},
	{"the version's list", "path = /latest/*", "/2021-03-23/", "none", "", false},
	{"the path", "path = /latest/user-data", "/latest/user-data", "none", NULL, true},
	{"with a slash", "path = /latest/user-data", "/latest/user-data/", "none", "", true},
	{"a slash in the rule", "path = /latest/meta-data/", "/latest/meta-data", "none", "", true},
	{"the same under another version", "path = /latest/user-data", "/2009-04-04/user-data", "none", "", true},
	{"both", "path = /latest/user-data", "/1.0/user-data/", "none", "", true},
	{"that very version", "path = /2021-03-23/user-data", "/2021-03-23/user-data", "none", "", true},
	{"below", "path = /latest/meta-data/*", "/1.0/meta-data/iam/info", "none", "", true},
	{"the root", "path = /", "/", "none", "", true},

	{"one of two conditions", "exe = /usr/bin/curl\nuid = 0", "/x", "imds", "\"exe\":\"/usr/bin/curl\",\"uid\":5",
         false},
	{"both conditions", "exe = /usr/bin/curl\nuid = 0", "/x", "imds", "\"exe\":\"/usr/bin/curl\",\"uid\":0", true},
};

/* A process as rows have it. What a case says comes last, and wins. */
static json_t *process_of(const char *fields)
{
	CLEANUP_JSON json_t *said = NULL;
	char text[1024];
	struct error problem = {0};
	json_t *process = json_pack("{s:b,s:b,s:i}", "exe_foreign_mount", 0, "exe_deleted", 0, "pid", 1);
	(void)snprintf(text, sizeof(text), "{%s}", fields);
	if (json_read(text, strlen(text), &said, &problem) < 0 || json_object_update(process, said) < 0)
		fail_msg("%s: %s", fields, problem.text);
	return process;
}

static json_t *seen_of(const char *process, const char *grade)
{
	json_t *seen = json_pack("{s:{s:s},s:[]}", "attribution", "grade", grade, "holders");
	json_put(seen, "process", process != NULL ? process_of(process) : NULL);
	return seen;
}

static void matches_what_is_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP_SETTINGS struct settings settings = {0};
		CLEANUP_JSON json_t *seen = seen_of(cases[i].process, cases[i].process != NULL ? "exact" : "none");
		char text[1024];
		const json_t *culprit;
		(void)snprintf(text, sizeof(text), "[deny \"it\"]\n%s\n", cases[i].conditions);
		load(text, &settings);
		const struct policy_request request = {
			.path = cases[i].path, .family = cases[i].family, .socket_uid = 7, .seen = seen};
		struct policy_verdict verdict = policy_judge_request(settings.policy, &request, &culprit);
		CHECK_NUMBER(cases[i].name, verdict.denies, cases[i].matches);
		CHECK_TEXT(cases[i].name, verdict.rule, cases[i].matches ? "it" : "default");
	}
}

/* ---- several sections, several holders */
#define CURL "\"exe\":\"/usr/bin/curl\",\"uid\":1"
#define EVIL "\"exe\":\"/tmp/evil\",\"uid\":2"
#define ALLOW_CURL "[policy]\ndefault = deny\n[allow \"curl\"]\nexe = /usr/bin/curl\n"

static const struct {
	const char *name, *policy;
	const char *grade, *complete; /* JSON, or NULL: rows of before */
	const char *process, *holders[3];
	int64_t socket_uid;
	bool denies;
	const char *rule;
} judged[] = {
	{"default deny", "[policy]\ndefault = deny\n", "exact", "true", CURL, {CURL}, 1, true, "default"},
	{"default deny, nobody known", ALLOW_CURL, "none", "false", NULL, {0}, -1, true, "default"},
	{"default deny, another", ALLOW_CURL, "exact", "true", EVIL, {EVIL}, 2, true, "default"},
	{"one of two holders", ALLOW_CURL, "shared", "true", CURL, {CURL, EVIL}, 1, true, "default"},
	{"one of two holders, the other order", ALLOW_CURL, "shared", "true", CURL, {EVIL, CURL}, 1, true, "default"},
	{"holders that are not all known", ALLOW_CURL, "shared", "false", CURL, {CURL, CURL}, 1, true, "default"},
	{"the only one found, others not excluded", ALLOW_CURL, "uid", "false", CURL, {CURL}, 1, true, "default"},
	{"holders left out", ALLOW_CURL, "shared", "false", CURL, {0}, 1, true, "default"},
	{"old row, not all known", ALLOW_CURL, "shared", NULL, CURL, {CURL}, 1, true, "default"},
	{"a holder that is denied",
         "[deny \"evil\"]\nuid = 2\n",
         "shared",
         "true",
         CURL,
         {CURL, EVIL},
         1,
         true,
         "evil"},
	{"the owner of an unknown holder's socket",
         "[deny \"evil\"]\nuid = 2\n",
         "cgroup",
         "false",
         NULL,
         {0},
         2,
         true,
         "evil"},
	{"the first that matches denies",
         "[deny \"first\"]\nuid = 1\n[allow \"second\"]\nuid = 1\n",
         "exact",
         "true",
         CURL,
         {CURL},
         1,
         true,
         "first"},
	{"the first that matches allows",
         "[allow \"first\"]\nuid = 1\n[deny \"second\"]\nuid = 1\n",
         "exact",
         "true",
         CURL,
         {CURL},
         1,
         false,
         "first"},
	{"allowed", ALLOW_CURL, "exact", "true", CURL, {CURL}, 1, false, "curl"},
	{"old row, allowed", ALLOW_CURL, "exact", NULL, CURL, {CURL}, 1, false, "curl"},
	{"all holders are allowed", ALLOW_CURL, "shared", "true", CURL, {CURL, CURL}, 1, false, "curl"},
	{"an unknown holder, by the socket's user",
         "[policy]\ndefault = deny\n[allow \"one\"]\nuid = 1\n",
         "uid",
         "false",
         NULL,
         {0},
         1,
         false,
         "one"},
};

static void doubts_do_not_help(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(judged); i++) {
		CLEANUP_SETTINGS struct settings settings = {0};
		CLEANUP_JSON json_t *seen = seen_of(judged[i].process, judged[i].grade);
		const json_t *culprit;
		if (judged[i].complete != NULL)
			json_put_bool(json_object_get(seen, "attribution"), "complete",
			              strcmp(judged[i].complete, "true") == 0);
		for (size_t j = 0; j < ARRAY_LENGTH(judged[i].holders) && judged[i].holders[j] != NULL; j++)
			(void)json_array_append_new(json_object_get(seen, "holders"), process_of(judged[i].holders[j]));
		load(judged[i].policy, &settings);
		const struct policy_request request = {
			.path = "/x", .family = "imds", .socket_uid = judged[i].socket_uid, .seen = seen};
		struct policy_verdict verdict = policy_judge_request(settings.policy, &request, &culprit);
		CHECK_NUMBER(judged[i].name, verdict.denies, judged[i].denies);
		CHECK_TEXT(judged[i].name, verdict.rule, judged[i].rule);
	}
}

static void names_who_is_refused(void **state)
{
	CLEANUP_SETTINGS struct settings settings = {0};
	CLEANUP_JSON json_t *seen = seen_of(CURL, "shared");
	const json_t *culprit = NULL;
	const struct policy_request request = {.path = "/x", .family = "imds", .socket_uid = 1, .seen = seen};
	(void)state;
	(void)json_array_append_new(json_object_get(seen, "holders"), process_of(CURL));
	(void)json_array_append_new(json_object_get(seen, "holders"), process_of(EVIL));
	load(ALLOW_CURL, &settings);
	assert_true(policy_judge_request(settings.policy, &request, &culprit).denies);
	assert_string_equal(json_text_at(culprit, "exe"), "/tmp/evil");
	(void)json_array_remove(json_object_get(seen, "holders"), 1);
	assert_true(policy_judge_request(settings.policy, &request, &culprit).denies); /* grade `shared`: another */
	assert_null(culprit);
}

static void without_a_policy_nobody_is_refused(void **state)
{
	const json_t *culprit;
	const struct policy_request request = {.path = "/x", .family = "imds", .socket_uid = -1};
	struct policy_verdict verdict = policy_judge_request(NULL, &request, &culprit);
	(void)state;
	assert_false(verdict.denies);
	assert_null(verdict.rule);
	assert_false(policy_needs_process(NULL, "/x", "imds"));
	policy_free(NULL);
}

/* ---- is the witness to be asked? */
static const struct {
	const char *policy, *path, *family;
	bool needed;
} needs[] = {
	{"[policy]\ndefault = deny\n", "/latest/user-data", "none", false},
	{"[deny \"a\"]\npath = /latest/user-data\n", "/latest/user-data", "none", false},
	{"[deny \"a\"]\nfamily = imds\nexe = *\n", "/latest/user-data", "none", false},
	{"[allow \"a\"]\nfamily = none\n[deny \"b\"]\nexe = *\n", "/latest/user-data", "none", false},
	{"[deny \"b\"]\nexe = *\n[allow \"a\"]\nfamily = none\n", "/latest/user-data", "none", true},
	{"[deny \"a\"]\npath = /latest/user-data\nuid = 1\n", "/1.0/user-data", "none", true},
	{"[deny \"a\"]\ngid = 1\n", "/x", "none", true},
	{"[deny \"a\"]\nunit = b\n", "/x", "none", true},
	{"[deny \"a\"]\ncontainer = b\n", "/x", "none", true},
};

static void asks_only_where_it_matters(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(needs); i++) {
		CLEANUP_SETTINGS struct settings settings = {0};
		load(needs[i].policy, &settings);
		CHECK_NUMBER(needs[i].policy, policy_needs_process(settings.policy, needs[i].path, needs[i].family),
		             needs[i].needed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_what_is_known),      cmocka_unit_test(doubts_do_not_help),
		cmocka_unit_test(names_who_is_refused),       cmocka_unit_test(without_a_policy_nobody_is_refused),
		cmocka_unit_test(asks_only_where_it_matters),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
