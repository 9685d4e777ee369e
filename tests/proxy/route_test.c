/* SPDX-License-Identifier: Apache-2.0 */

/* One canonical path, or a refusal: what two readers could read differently never passes. */
#include "tests/common/unit.h"

#include "proxy/route.h"

static const struct {
	const char *raw, *reason;
} refused[] = {
	{"", "not-a-path"},
	{"latest/meta-data", "not-a-path"},
	{"*", "not-a-path"},
	{"?a=b", "not-a-path"},
	{"169.254.169.254:80", "not-a-path"},
	{"https://169.254.169.254/", "not-a-path"},
	{"ftp://169.254.169.254/", "not-a-path"},
	{"http:/latest", "not-a-path"},
	{"\\latest", "not-a-path"},
	{" /latest", "not-a-path"},

	{"http://", "foreign-authority"},
	{"http:///latest", "foreign-authority"},
	{"http://example.com/latest/meta-data/", "foreign-authority"},
	{"http://169.254.169.253/", "foreign-authority"},
	{"http://169.254.169.254.example.com/", "foreign-authority"},
	{"http://169.254.169.2540/", "foreign-authority"},
	{"http://user@169.254.169.254/", "foreign-authority"},
	{"http://169.254.169.254@example.com/", "foreign-authority"},
	{"http://169.254.169.254:/", "foreign-authority"},
	{"http://169.254.169.254:65536/", "foreign-authority"},
	{"http://169.254.169.254:80a/", "foreign-authority"},
	{"http://169.254.169.254:80:80/", "foreign-authority"},
	{"http://169.254.169.254#/", "foreign-authority"},
	{"http://169.254.169.254%2f@example.com/", "foreign-authority"},
	{"http://[fd00:ec2::254/", "foreign-authority"},
	{"http://[fd00:ec2::253]/", "foreign-authority"},
	{"http://2852039166/", "foreign-authority"},
	{"http://0xa9fea9fe/", "foreign-authority"},
	{"http://instance-data.example.com/", "foreign-authority"},
	{"http://instance-dataX/", "foreign-authority"},

	{"/%", "bad-escape"},
	{"/%4", "bad-escape"},
	{"/%g0", "bad-escape"},
	{"/%0g", "bad-escape"},
	{"/%%41", "bad-escape"},
	{"/a%", "bad-escape"},
	{"/a%4", "bad-escape"},
	{"/% 41", "bad-escape"},
	{"/%+1", "bad-escape"},
	{"/a%4?1", "bad-escape"},
	{"/%u0041", "bad-escape"},

	{"/latest%2fmeta-data", "encoded-slash"},
	{"/latest%2Fmeta-data", "encoded-slash"},
	{"/latest%5cmeta-data", "encoded-slash"},
	{"/%2e%2e%2f", "encoded-slash"},
	{"/%252f", "encoded-delimiter"},
	{"/%2541", "encoded-delimiter"},
	{"/a%3fb", "encoded-delimiter"},
	{"/a%3Fb", "encoded-delimiter"},
	{"/a%23b", "encoded-delimiter"},

	{"/%00", "control-byte"},
	{"/latest%00/meta-data", "control-byte"},
	{"/%0a", "control-byte"},
	{"/%0d%0aX-Forwarded-For:%20x", "control-byte"},
	{"/%1f", "control-byte"},
	{"/%7f", "control-byte"},
	{"/%80", "control-byte"},
	{"/%c0%af", "control-byte"},
	{"/%ff", "control-byte"},
	{"/\x01", "control-byte"},
	{"/\x7f", "control-byte"},
	{"/\xc3\xa9", "control-byte"},
	{"/a\tb", "control-byte"},

	{"/.", "dot-segment"},
	{"/..", "dot-segment"},
	{"/./", "dot-segment"},
	{"/../", "dot-segment"},
	{"/latest/./meta-data", "dot-segment"},
	{"/latest/../latest/api/token", "dot-segment"},
	{"/latest/meta-data/..", "dot-segment"},
	{"/latest/meta-data/.", "dot-segment"},
	{"/%2e", "dot-segment"},
	{"/%2e%2e/latest", "dot-segment"},
	{"/.%2e/latest", "dot-segment"},
	{"/%2E./latest", "dot-segment"},
	{"//../latest", "dot-segment"},
	{"/latest//..//x", "dot-segment"},
	{"http://169.254.169.254/..", "dot-segment"},

	{"/a#b", "bad-query"},
	{"/#", "bad-query"},
	{"/a?b#c", "bad-query"},
	{"/a?b c", "bad-query"},
	{"/a?\r\n", "bad-query"},
	{"/a?\x80", "bad-query"},
	{"/a?[", "bad-query"},
	{"/a?\"", "bad-query"},
	{"/a?<", "bad-query"},
	{"/a?\\", "bad-query"},
};

static void refuses_what_has_two_readings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		struct route route = {.path = "untouched"};
		CHECK_TEXT(refused[i].raw, route_parse(SERVICE_IMDS, refused[i].raw, &route), refused[i].reason);
		CHECK_TEXT(refused[i].raw, route.path, "untouched");
	}
}

/* %5c is refused: then the byte itself is, too, since it goes upstream as %5C. */
static void refuses_a_backslash_in_any_spelling(void **state)
{
	static const char *const raws[] = {"/latest\\meta-data", "/\\", "/a\\..\\b", "http://169.254.169.254/\\"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(raws); i++) {
		struct route route;
		CHECK(raws[i], route_parse(SERVICE_IMDS, raws[i], &route) != NULL);
	}
}

static void refuses_what_is_too_long(void **state)
{
	struct route route;
	char raw[ROUTE_PATH_BYTES + 2];
	(void)state;
	memset(raw, 'a', sizeof(raw));
	raw[0] = '/';
	raw[ROUTE_PATH_BYTES] = '\0';
	assert_string_equal(route_parse(SERVICE_IMDS, raw, &route), "too-long");
	raw[ROUTE_PATH_BYTES - 1] = '\0';
	assert_null(route_parse(SERVICE_IMDS, raw, &route));
	assert_string_equal(route.path, raw);
	assert_string_equal(route.target, raw);

	/* A query counts too, also where the path is short. */
	memset(raw, 'a', sizeof(raw));
	raw[0] = '/';
	raw[1] = '?';
	raw[ROUTE_PATH_BYTES] = '\0';
	assert_string_equal(route_parse(SERVICE_IMDS, raw, &route), "too-long");

	/* Every byte escaped again: three times as long, and all of it fits. */
	memset(raw, '"', sizeof(raw));
	raw[0] = '/';
	raw[ROUTE_PATH_BYTES - 1] = '\0';
	assert_null(route_parse(SERVICE_IMDS, raw, &route));
	assert_int_equal(strlen(route.target), 1 + 3 * (ROUTE_PATH_BYTES - 2));
}

static const struct {
	const char *raw, *path, *target;
} taken[] = {
	{"/", "/", "/"},
	{"//", "/", "/"},
	{"///latest////meta-data//", "/latest/meta-data/", "/latest/meta-data/"},
	{"/latest", "/latest", "/latest"},
	{"/latest/", "/latest/", "/latest/"},
	{"/latest/%6deta-data", "/latest/meta-data", "/latest/meta-data"},
	{"/%6c%61test", "/latest", "/latest"},
	{"/a%20b", "/a b", "/a%20b"},
	{"/a b", "/a b", "/a%20b"},
	{"/a\"b", "/a\"b", "/a%22b"},
	{"/%7e", "/~", "/~"},
	{"/a%3bb", "/a;b", "/a;b"},
	{"/a:b@c", "/a:b@c", "/a:b@c"},
	{"/a%5bb", "/a[b", "/a%5Bb"},
	{"/...", "/...", "/..."},
	{"/.a/..b/c.", "/.a/..b/c.", "/.a/..b/c."},
	{"/a/.../b", "/a/.../b", "/a/.../b"},
	{"/a?b=c&d", "/a", "/a?b=c&d"},
	{"/a?", "/a", "/a?"},
	{"/a?b/../c", "/a", "/a?b/../c"},
	{"/a%20b?c", "/a b", "/a%20b?c"},
	{"/?x", "/", "/?x"},
	{"http://169.254.169.254", "/", "/"},
	{"http://169.254.169.254/", "/", "/"},
	{"HTTP://169.254.169.254/latest", "/latest", "/latest"},
	{"http://169.254.169.254:80/latest", "/latest", "/latest"},
	{"http://[fd00:ec2::254]/latest", "/latest", "/latest"},
	{"http://[FD00:EC2::254]:80/latest", "/latest", "/latest"},
	{"http://instance-data/latest", "/latest", "/latest"},
	{"http://instance-data.ec2.internal/latest?x", "/latest", "/latest?x"},
	{"http://169.254.169.254//latest", "/latest", "/latest"},
};

static void makes_one_path_of_many_spellings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(taken); i++) {
		struct route route;
		const char *problem = route_parse(SERVICE_IMDS, taken[i].raw, &route);
		if (problem != NULL)
			fail_msg("%s: refused as %s", taken[i].raw, problem);
		CHECK_TEXT(taken[i].raw, route.path, taken[i].path);
		CHECK_TEXT(taken[i].raw, route.target, taken[i].target);
	}
}

static void is_its_own_canonical_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(taken); i++) {
		struct route first, second;
		assert_null(route_parse(SERVICE_IMDS, taken[i].raw, &first));
		CHECK(taken[i].raw, route_parse(SERVICE_IMDS, first.target, &second) == NULL);
		CHECK_TEXT(taken[i].raw, second.path, first.path);
		CHECK_TEXT(taken[i].raw, second.target, first.target);
	}
}

#define ROLES "/latest/meta-data/iam/security-credentials"
#define IDENTITY "/latest/meta-data/identity-credentials/ec2/security-credentials"

static const struct {
	const char *raw;
	enum route_kind kind;
	enum source source;
	const char *role;
} kinds[] = {
	{"/latest/api/token", ROUTE_TOKEN, SOURCE_IMDS, ""},
	{"//latest//api//token", ROUTE_TOKEN, SOURCE_IMDS, ""},
	{"/latest/api/toke%6e", ROUTE_TOKEN, SOURCE_IMDS, ""},
	{"/latest/api/token?x", ROUTE_TOKEN, SOURCE_IMDS, ""},
	{"http://169.254.169.254/latest/api/token", ROUTE_TOKEN, SOURCE_IMDS, ""},
	{"/latest/api/token/", ROUTE_TOKEN_ASTRAY, SOURCE_IMDS, ""},
	{"/latest/api/token//", ROUTE_TOKEN_ASTRAY, SOURCE_IMDS, ""},
	{"/2021-03-23/api/token", ROUTE_TOKEN_ASTRAY, SOURCE_IMDS, ""},
	{"/1.0/api/token/", ROUTE_TOKEN_ASTRAY, SOURCE_IMDS, ""},
	{"/LATEST/api/token", ROUTE_TOKEN_ASTRAY, SOURCE_IMDS, ""},
	{"/latest/api/tokens", ROUTE_OTHER, SOURCE_IMDS, ""},
	{"/latest/api/token/x", ROUTE_OTHER, SOURCE_IMDS, ""},
	{"/latest/api/Token", ROUTE_OTHER, SOURCE_IMDS, ""},
	{"/latest/api", ROUTE_OTHER, SOURCE_IMDS, ""},
	{"/api/token", ROUTE_OTHER, SOURCE_IMDS, ""},
	{"/", ROUTE_OTHER, SOURCE_IMDS, ""},

	{ROLES, ROUTE_OTHER, SOURCE_IMDS, ""},
	{ROLES "/", ROUTE_OTHER, SOURCE_IMDS, ""},
	{ROLES "/app", ROUTE_OTHER, SOURCE_IMDS, "app"},
	{ROLES "/app/", ROUTE_OTHER, SOURCE_IMDS, "app"},
	{ROLES "/a%70p", ROUTE_OTHER, SOURCE_IMDS, "app"},
	{ROLES "/app?x=y", ROUTE_OTHER, SOURCE_IMDS, "app"},
	{ROLES "/my+role,a=b@c-d_e.f", ROUTE_OTHER, SOURCE_IMDS, "my+role,a=b@c-d_e.f"},
	{"/2021-03-23/meta-data/iam/security-credentials/app", ROUTE_OTHER, SOURCE_IMDS, "app"},
	{"/1.0/meta-data/iam/security-credentials/app", ROUTE_OTHER, SOURCE_IMDS, "app"},
	{ROLES "-extended/", ROUTE_OTHER, SOURCE_IMDS, ""},
	{ROLES "-extended/app", ROUTE_OTHER, SOURCE_IMDS, "app"},
	{ROLES "-extend/app", ROUTE_OTHER, SOURCE_IMDS, ""},
	{IDENTITY "/ec2-instance", ROUTE_OTHER, SOURCE_IDENTITY, "ec2-instance"},
	{IDENTITY "/", ROUTE_OTHER, SOURCE_IDENTITY, ""},
	{"/latest/meta-data/identity-credentials/ec2/info", ROUTE_OTHER, SOURCE_IMDS, ""},
	{"/latest/meta-data/iam-ecs-abc/security-credentials/0123-TaskApplication", ROUTE_OTHER, SOURCE_ECS, ""},
	{"/latest/meta-data/iam-ecs-/security-credentials/0123", ROUTE_OTHER, SOURCE_ECS, ""},
	{"/latest/meta-data/iam-ecs-a/b/security-credentials/0123", ROUTE_OTHER, SOURCE_IMDS, ""},
	{"/latest/meta-data/iam-ecs-abc/info", ROUTE_OTHER, SOURCE_IMDS, ""},
	{"/latest/meta-data/iam/info", ROUTE_OTHER, SOURCE_IMDS, ""},
	{"/meta-data/iam/security-credentials/app", ROUTE_OTHER, SOURCE_IMDS, ""},
	{"/latest/user-data", ROUTE_OTHER, SOURCE_IMDS, ""},
};

static void knows_the_families(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		struct route route;
		CHECK(kinds[i].raw, route_parse(SERVICE_IMDS, kinds[i].raw, &route) == NULL);
		CHECK_NUMBER(kinds[i].raw, route.kind, kinds[i].kind);
		CHECK_NUMBER(kinds[i].raw, route.source, kinds[i].source);
		CHECK_TEXT(kinds[i].raw, route.role, kinds[i].role);
	}
}

static void takes_no_part_of_a_role_that_is_too_long(void **state)
{
	char raw[256] = ROLES "/";
	struct route route;
	size_t base = strlen(raw);
	(void)state;
	memset(raw + base, 'r', ROLE_BYTES - 1);
	assert_null(route_parse(SERVICE_IMDS, raw, &route));
	assert_int_equal(strlen(route.role), ROLE_BYTES - 1);
	memset(raw + base, 'r', ROLE_BYTES);
	assert_null(route_parse(SERVICE_IMDS, raw, &route));
	assert_string_equal(route.role, "");
}

static const struct {
	const char *host;
	bool known;
} hosts[] = {
	{"", false},
	{"example.com", false},
	{"169.254.169.25", false},
	{"169.254.169.2544", false},
	{"169.254.169.254.", false},
	{"169.254.169.254 ", false},
	{" 169.254.169.254", false},
	{"169.254.169.254:", false},
	{"169.254.169.254:x", false},
	{"169.254.169.254:-1", false},
	{"169.254.169.254:65536", false},
	{"169.254.169.254:80 ", false},
	{"169.254.169.254/", false},
	{"169.254.170.2", false},
	{"[fd00:ec2::254", false},
	{"fd00:ec2::254]", false},
	{"[fd00:ec2::23]", false},
	{"[fd00:ec2::254]x", false},
	{"[fd00:ec2::254]]", false},
	{"[fd00:ec2::254%eth0]", false},
	{"[::ffff:169.254.169.254]", false},
	{"[169.254.169.254]", false},
	{"[]", false},
	{"[", false},
	{"[fd00:ec2:0000:0000:0000:0000:0000:0000:0000:0000:0000:0254]", false},
	{"fd00:ec2::2540", false},
	{"xinstance-data", false},
	{"instance-data.ec2", false},
	{"instance-data.ec2.internal.evil", false},
	{"localhost", false},
	{"169.254.169.254", true},
	{"169.254.169.254:80", true},
	{"169.254.169.254:8775", true},
	{"[fd00:ec2::254]", true},
	{"[FD00:EC2::254]", true},
	{"[fd00:ec2::254]:80", true},
	{"[fd00:ec2:0:0:0:0:0:254]", true},
	{"[fd00:0ec2::0254]:80", true},
	{"fd00:ec2::254", true},
	{"fd00:ec2::254:80", true},
	{"instance-data", true},
	{"Instance-Data", true},
	{"instance-data:80", true},
	{"instance-data.ec2.internal", true},
	{"instance-data.ec2.internal:80", true},
};

static void knows_the_names_of_the_service(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++)
		CHECK_NUMBER(hosts[i].host, route_is_host(SERVICE_IMDS, hosts[i].host), hosts[i].known);
}

/* ---- the agents of container hosts */

static const struct {
	enum service service;
	const char *raw, *path, *target;
	enum source source;
} agents[] = {
	{SERVICE_ECS, "/v2/credentials/5f1d3b7c-0d2e", "/v2/credentials/[redacted]", "/v2/credentials/5f1d3b7c-0d2e",
         SOURCE_ECS},
	{SERVICE_ECS, "//v2//credentials/a%62c/d?x=1", "/v2/credentials/[redacted]", "/v2/credentials/abc/d?x=1",
         SOURCE_ECS},
	{SERVICE_ECS, "/V2/Credentials/x", "/V2/Credentials/[redacted]", "/V2/Credentials/x", SOURCE_ECS},
	{SERVICE_ECS, "/v2/credentials/", "/v2/credentials/", "/v2/credentials/", SOURCE_ECS},
	{SERVICE_ECS, "/v2/credentials", "/v2/credentials", "/v2/credentials", SOURCE_ECS},
	{SERVICE_ECS, "/v1/credentials?id=5f1d3b7c", "/v1/credentials", "/v1/credentials?id=5f1d3b7c", SOURCE_ECS},
	{SERVICE_ECS, "http://169.254.170.2/v4/ab-1/task", "/v4/ab-1/task", "/v4/ab-1/task", SOURCE_ECS},
	{SERVICE_ECS, "/latest/api/token", "/latest/api/token", "/latest/api/token", SOURCE_ECS},
	{SERVICE_EKS, "/v1/credentials", "/v1/credentials", "/v1/credentials", SOURCE_EKS},
	{SERVICE_EKS, "http://[fd00:ec2::23]:80/v1/credentials", "/v1/credentials", "/v1/credentials", SOURCE_EKS},
	{SERVICE_EKS, "/latest/meta-data/iam/security-credentials/role",
         "/latest/meta-data/iam/security-credentials/role", "/latest/meta-data/iam/security-credentials/role",
         SOURCE_EKS},
};

static void knows_the_agents(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(agents); i++) {
		struct route route;
		CHECK(agents[i].raw, route_parse(agents[i].service, agents[i].raw, &route) == NULL);
		CHECK_TEXT(agents[i].raw, route.path, agents[i].path);
		CHECK_TEXT(agents[i].raw, route.target, agents[i].target);
		CHECK_NUMBER(agents[i].raw, route.kind, ROUTE_OTHER);
		CHECK_NUMBER(agents[i].raw, route.source, agents[i].source);
		CHECK_TEXT(agents[i].raw, route.role, "");
	}
}

static const struct {
	const char *host;
	bool ecs, eks;
} agent_hosts[] = {
	{"169.254.170.2", true, false},       {"169.254.170.2:80", true, false},     {"169.254.170.23", false, true},
	{"169.254.170.23:80", false, true},   {"[fd00:ec2::23]", false, true},       {"[FD00:EC2::23]:80", false, true},
	{"fd00:ec2::23", false, true},        {"169.254.170.2:", false, false},      {"169.254.170.2.", false, false},
	{"169.254.169.254", false, false},    {"169.254.170.2:80:80", false, false}, {"localhost", false, false},
	{"169.254.170.2@evil", false, false}, {"[169.254.170.2]", false, false},     {"", false, false},
	{"fd00:ec2::254", false, false},      {"169.254.170.2 ", false, false},      {"instance-data", false, false},
};

static void knows_the_names_of_the_agents(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(agent_hosts); i++) {
		const char *host = agent_hosts[i].host;
		struct route route;
		char raw[128];
		CHECK_NUMBER(host, route_is_host(SERVICE_ECS, host), agent_hosts[i].ecs);
		CHECK_NUMBER(host, route_is_host(SERVICE_EKS, host), agent_hosts[i].eks);
		CHECK_NUMBER(host, route_is_host(SERVICE_NONE, host), false);
		(void)snprintf(raw, sizeof(raw), "http://%s/v1/credentials", host);
		CHECK(host, (route_parse(SERVICE_ECS, raw, &route) == NULL) == agent_hosts[i].ecs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_has_two_readings),
		cmocka_unit_test(refuses_a_backslash_in_any_spelling),
		cmocka_unit_test(refuses_what_is_too_long),
		cmocka_unit_test(makes_one_path_of_many_spellings),
		cmocka_unit_test(is_its_own_canonical_form),
		cmocka_unit_test(knows_the_families),
		cmocka_unit_test(takes_no_part_of_a_role_that_is_too_long),
		cmocka_unit_test(knows_the_names_of_the_service),
		cmocka_unit_test(knows_the_agents),
		cmocka_unit_test(knows_the_names_of_the_agents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
