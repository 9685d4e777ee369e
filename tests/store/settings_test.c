/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail.conf, row by row: the default, what is taken, what is refused and in which words. */
#include "tests/common/unit.h"

#include "store/settings.h"

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

static int load(const char *text, struct settings *ret, struct error *err)
{
	unit_write(path, text, strlen(text));
	return settings_load(path, ret, err);
}

#define REST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Text behind "keytrail.conf:LINE: " of the error. */
static const struct {
	const char *text;
	int line;
	const char *says;
} refused[] = {
	{"[daemon]\nuser =", 2, "[daemon] user = : expected the name of an unprivileged user"},
	{"[daemon]\nuser = a b", 2, "[daemon] user = a b: expected the name of an unprivileged user"},
	{"[daemon]\nuser = a/b", 2, "expected the name of an unprivileged user"},
	{"[daemon]\nuser = a:b", 2, "expected the name of an unprivileged user"},
	{"[daemon]\nuser = root", 2, "[daemon] user = root: expected the name of an unprivileged user"},
	{"[daemon]\nruntime = run", 2, "[daemon] runtime = run: expected an absolute path"},
	{"[daemon]\nruntime =", 2, "expected an absolute path"},
	{"[daemon]\non_dead = shut", 2, "[daemon] on_dead = shut: expected closed | open"},
	{"[daemon]\non_dead = Closed", 2, "expected closed | open"},
	{"[daemon]\non_dead =", 2, "expected closed | open"},
	{"[listen]\nport = 0", 2, "[listen] port = 0: expected a whole number from 1 to 65535"},
	{"[listen]\nport = 65536", 2, "from 1 to 65535"},
	{"[listen]\nport = -1", 2, "from 1 to 65535"},
	{"[listen]\nport = 80a", 2, "from 1 to 65535"},
	{"[listen]\nport = 0x50", 2, "from 1 to 65535"},
	{"[listen]\nport =", 2, "from 1 to 65535"},
	{"[listen]\nport = 99999999999999999999", 2, "from 1 to 65535"},
	{"[listen]\ncontainer_interfaces =", 2, "expected auto, none, or interface names and patterns"},
	{"[listen]\ncontainer_interfaces = docker0;reboot", 2, "expected auto, none, or interface names and patterns"},
	{"[listen]\ncontainer_interfaces = sixteen-letters-", 2, "expected auto, none, or interface names"},
	{"[listen]\ncontainer_interfaces = docker0 none", 2, "expected auto, none, or interface names"},
	{"[listen]\ncontainer_interfaces = auto auto", 2, "expected auto, none, or interface names"},
	{"[listen]\nmax_connections = 0", 2, "from 1 to 4096"},
	{"[listen]\nmax_connections = 4097", 2, "from 1 to 4096"},
	{"[upstream]\nipv4 = 169.254.169.254", 2, "expected ADDRESS:PORT"},
	{"[upstream]\nipv4 = :80", 2, "expected ADDRESS:PORT"},
	{"[upstream]\nipv4 = 169.254.169.254:", 2, "expected ADDRESS:PORT"},
	{"[upstream]\nipv4 = 169.254.169.254:0", 2, "expected ADDRESS:PORT"},
	{"[upstream]\nipv4 = 169.254.169.254:65536", 2, "expected ADDRESS:PORT"},
	{"[upstream]\nipv4 = 169.254.169.256:80", 2, "expected ADDRESS:PORT"},
	{"[upstream]\nipv4 = 169.254.169:80", 2, "expected ADDRESS:PORT"},
	{"[upstream]\nipv4 = localhost:80", 2, "expected ADDRESS:PORT"},
	{"[upstream]\nipv4 = [::1]:80", 2, "expected ADDRESS:PORT"},
	{"[upstream]\nipv6 = fd00:ec2::254:80", 2, "expected [ADDRESS]:PORT"},
	{"[upstream]\nipv6 = [fd00:ec2::254]", 2, "expected [ADDRESS]:PORT"},
	{"[upstream]\nipv6 = [fd00:ec2::254]80", 2, "expected [ADDRESS]:PORT"},
	{"[upstream]\nipv6 = [fd00:ec2::254]:0", 2, "expected [ADDRESS]:PORT"},
	{"[upstream]\nipv6 = [fd00:ec2::254", 2, "expected [ADDRESS]:PORT"},
	{"[upstream]\nipv6 = [fd00:ec2::g]:80", 2, "expected [ADDRESS]:PORT"},
	{"[upstream]\nipv6 = [127.0.0.1]:80", 2, "expected [ADDRESS]:PORT"},
	{"[endpoints]\necs = yes", 2, "expected off | on"},
	{"[endpoints]\neks =", 2, "expected off | on"},
	{"[upstream]\necs = 169.254.170.2", 2, "[upstream] ecs = 169.254.170.2: expected ADDRESS:PORT"},
	{"[upstream]\neks_ipv4 = [::1]:80", 2, "expected ADDRESS:PORT"},
	{"[upstream]\neks_ipv6 = 169.254.170.23:80", 2, "expected [ADDRESS]:PORT"},
	{"[upstream]\ntimeout_ms = 9", 2, "from 10 to 60000"},
	{"[upstream]\ntimeout_ms = 60001", 2, "from 10 to 60000"},
	{"[upstream]\ncache_ms = -1", 2, "[upstream] cache_ms = -1: "},
	{"[upstream]\ncache_ms = 60001", 2, "from 0 to 60000"},
	{"[imdsv2]\nmode = optional", 2, "expected required | audit"},
	{"[imdsv2]\ntoken_scope = host", 2, "expected instance | netns | cgroup | process"},
	{"[imdsv2]\nput_response_hop_limit = 0", 2, "from 1 to 64"},
	{"[imdsv2]\nput_response_hop_limit = 65", 2, "from 1 to 64"},
	{"[witness]\nebpf_connections = 63", 2, "from 64 to 1048576"},
	{"[witness]\nebpf_connections = 1048577", 2, "from 64 to 1048576"},
	{"[witness]\nebpf = yes", 2, "expected auto | on | off"},
	{"[witness]\nproc_scan = auto", 2, "expected off | on"},
	{"[witness]\non_unattributed = allow", 2, "expected deliver | refuse"},
	{"[ledger]\npath = ledger.db", 2, "expected an absolute path"},
	{"[ledger]\npath =", 2, "expected an absolute path"},
	{"[ledger]\npath = /var/lib/keytrail/", 2,
         "[ledger] path = /var/lib/keytrail/: expected an absolute path of a file"},
	{"[ledger]\npath = /", 2, "expected an absolute path of a file"},
	{"[ledger]\njsonl = /var/log/", 2, "[ledger] jsonl = /var/log/: expected an absolute path of a file"},
	{"[ledger]\nfleet_key = /etc/keytrail/", 2, "expected an absolute path of a file"},
	{"[ledger]\non_failure = ignore", 2, "expected journal | refuse"},
	{"[ledger]\njsonl = rows.jsonl", 2, "expected an absolute path"},
	{"[ledger]\nretain_mb = -1", 2, "[ledger] retain_mb = -1: "},
	{"[ledger]\nretain_days = 0", 2, "[ledger] retain_days = 0: "},
	{"[ledger]\nretain_days = many", 2, "[ledger] retain_days = many: "},
	{"[ledger]\nrecord = some", 2, "expected credentials | tokens | all"},
	{"[policy]\nmode = off", 2, "expected audit | enforce"},
	{"[policy]\ndefault = refuse", 2, "expected allow | deny"},
	{"[metrics]\nlisten = 9100", 2,
         "[metrics] listen = 9100: expected unix:/PATH of at most 107 bytes, or a loopback"},
	{"[metrics]\nlisten = 0.0.0.0:9100", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = :9100", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = 192.0.2.1:9100", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = 127.0.0.1", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = 127.0.0.1:0", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = 127.0.0.1:65536", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = 127.1:9100", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = localhost:9100", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = [::]:9100", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = [::1]", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = ::1:9100", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = [fd00::1]:9100", 2, "or a loopback ADDRESS:PORT"},
	{"[metrics]\nlisten = unix:", 2, "expected unix:/PATH"},
	{"[metrics]\nlisten = unix:metrics.sock", 2, "expected unix:/PATH"},
	{"[metrics]\nlisten = /run/metrics.sock", 2, "expected unix:/PATH"},
	{"[metrics]\nlisten = unix:/" REST "aaaaaaaa", 2, "expected unix:/PATH of at most 107 bytes"},

	{"[allow \"backup\"]", 1, "[allow \"backup\"]: no condition, expected one of path, exe, unit, uid"},
	{"\n[deny \"a\"]\n# uid = 0\n\n[listen]\nport = 1", 2, "[deny \"a\"]: no condition"},
	{"[deny \"a\"]\n[allow \"b\"]\nuid = 0", 1, "[deny \"a\"]: no condition"},
	{"[allow \"a\"]\nuid = 0\n[deny \"a\"]\nuid = 1", 3, "[deny \"a\"]: the name is given twice"},
	{"[allow \"a\"]\nuid = 0\nuid = 1", 3, "[allow \"a\"] uid: given twice"},
	{"[allow \"a\"]\nuser = root", 2, "[allow \"a\"] user: unknown setting"},
	{"[allow \"a\"]\nuid = root", 2, "[allow \"a\"] uid = root: expected numbers of users"},
	{"[allow \"a\"]\nuid = 0 1*", 2, "[allow \"a\"] uid = 1*: expected numbers of users"},
	{"[allow \"a\"]\nuid = 00", 2, "expected numbers of users"},
	{"[allow \"a\"]\nuid = 4294967295", 2, "expected numbers of users"},
	{"[allow \"a\"]\ngid =", 2, "[allow \"a\"] gid = : expected numbers of groups"},
	{"[allow \"a\"]\nexe = curl", 2, "[allow \"a\"] exe = curl: expected absolute paths, or patterns"},
	{"[allow \"a\"]\npath = latest/*", 2, "[allow \"a\"] path = latest/*: expected paths, or patterns"},
	{"[allow \"a\"]\nfamily = imds self", 2,
         "[allow \"a\"] family = self: expected imds, identity, ecs, eks or none"},
	{"[allow \"a\"]\nunit =", 2, "[allow \"a\"] unit = : expected names of units"},
	{"[allow \"a\"]\ncontainer =", 2, "expected ids of containers"},
	{"[allow \"default\"]\nuid = 0", 1, "[allow \"default\"]: the name of what no section decides"},
	{"[allow \"\"]\nuid = 0", 1, "[allow \"\"]: expected a name of 1 to 40"},
	{"[allow \" a\"]\nuid = 0", 1, "expected a name"},
	{"[allow \"a]b\"]\nuid = 0", 1, "expected a name"},
	{"[allow \"a\"b\"]\nuid = 0", 1, "expected a name"},
	{"[allow \"caf\u00e9\"]\nuid = 0", 1, "expected a name"},
	{"[allow \"12345678901234567890123456789012345678901\"]\nuid = 0", 1, "expected a name of 1 to 40"},
	{"[Allow \"x\"]\npath = *", 1, "[Allow \"x\"]: unknown section"},
	{"[refuse \"x\"]\npath = *", 1, "[refuse \"x\"]: unknown section"},
	{"[allow]\nuid = 0", 1, "[allow]: unknown section"},
	{"\n\n# comment\n[listen]\n\nport = x\n", 6, "[listen] port = x: expected"},
	{"[listen]\nport = 1\nport = 1\n", 3, "[listen] port: given twice"},
	{"[listen]\nport = 1\n[daemon]\n[listen]\nport = 2\n", 5, "[listen] port: given twice"},
	{"[daemon]\nport = 1\n", 2, "[daemon] port: unknown setting"},
	{"[ledger]\npath = /" REST REST "\n", 2, "a line of more than 198 bytes"},
};

static void refuses_in_words_that_help(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		struct settings settings = {.port = 77};
		struct error problem = {0};
		char start_of[PATH_MAX + 16];
		CHECK_NUMBER(refused[i].text, load(refused[i].text, &settings, &problem), -1);
		CHECK_NUMBER(refused[i].text, problem.code, ERROR_INPUT);
		(void)snprintf(start_of, sizeof(start_of), "%s:%d: ", path, refused[i].line);
		if (strncmp(problem.text, start_of, strlen(start_of)) != 0 ||
		    strstr(problem.text, refused[i].says) == NULL)
			fail_msg("%s: %s", refused[i].text, problem.text);
		CHECK_NUMBER(refused[i].text, settings.port, 77);
		CHECK(refused[i].text, settings.policy == NULL);
	}
}

static void says_when_there_is_no_file(void **state)
{
	struct settings settings;
	struct error problem = {0};
	char missing[PATH_MAX];
	(void)state;
	assert_int_equal(settings_load(unit_path(missing, folder, "missing.conf"), &settings, &problem), -1);
	assert_int_equal(problem.code, ERROR_MISSING);
	assert_non_null(strstr(problem.text, "missing.conf"));
	assert_int_equal(settings_load(folder, &settings, &problem), -1);
	assert_int_equal(settings_load(missing, &settings, NULL), -1);
}

static void check_defaults(const struct settings *settings)
{
	assert_string_equal(settings->user, "keytrail");
	assert_string_equal(settings->runtime, "/run/keytrail");
	assert_int_equal(settings->on_dead, ON_DEAD_CLOSED);
	assert_int_equal(settings->port, 8775);
	assert_string_equal(settings->container_interfaces, "auto");
	assert_int_equal(settings->max_connections, 512);
	assert_string_equal(settings->upstream_ipv4, "169.254.169.254:80");
	assert_string_equal(settings->upstream_ipv6, "[fd00:ec2::254]:80");
	assert_int_equal(settings->ecs, 0);
	assert_int_equal(settings->eks, 0);
	assert_string_equal(settings->upstream_ecs, "169.254.170.2:80");
	assert_string_equal(settings->upstream_eks_ipv4, "169.254.170.23:80");
	assert_string_equal(settings->upstream_eks_ipv6, "[fd00:ec2::23]:80");
	assert_int_equal(settings->upstream_timeout_ms, 2000);
	assert_int_equal(settings->upstream_cache_ms, 0);
	assert_int_equal(settings->imdsv2_mode, IMDSV2_REQUIRED);
	assert_int_equal(settings->token_scope, TOKEN_SCOPE_NETNS);
	assert_int_equal(settings->put_response_hop_limit, 1);
	assert_int_equal(settings->ebpf, TRISTATE_AUTO);
	assert_int_equal(settings->ebpf_connections, 16384);
	assert_int_equal(settings->proc_scan, 1);
	assert_int_equal(settings->on_unattributed, ON_UNATTRIBUTED_DELIVER);
	assert_string_equal(settings->redact, "");
	assert_string_equal(settings->ledger_path, "/var/lib/keytrail/ledger.db");
	assert_int_equal(settings->on_failure, ON_FAILURE_JOURNAL);
	assert_string_equal(settings->jsonl, "");
	assert_int_equal(settings->journald, 1);
	assert_int_equal(settings->retain_days, 400);
	assert_int_equal(settings->record, RECORD_CREDENTIALS);
	assert_int_equal(settings->policy_mode, 0);
	assert_int_equal(settings->policy_default, 0);
	assert_null(settings->policy);
	assert_string_equal(settings->metrics_listen, "");
}

static void has_a_default_for_everything(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"# nothing\n; nothing\n",
		"[daemon]\n[listen]\n[endpoints]\n[upstream]\n[imdsv2]\n[witness]\n[ledger]\n[policy]\n[metrics]\n",
		"[metrics]\nlisten =\n[policy]\nmode = audit\ndefault = allow\n",
		"[daemon]\non_dead = closed\n[witness]\nebpf = auto\n[ledger]\nretain_days = 400\n",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct settings settings;
		struct error problem = {0};
		if (load(texts[i], &settings, &problem) < 0)
			fail_msg("%s: %s", texts[i], problem.text);
		check_defaults(&settings);
	}
}

static void takes_every_setting(void **state)
{
	static const char text[] =
		"[daemon]\nuser = imds\nruntime = /tmp/run\non_dead = closed\n"
		"[listen]\nport = 65535\ncontainer_interfaces = docker0\tbr-*  veth[0-9]?\nmax_connections = 4096\n"
		"[upstream]\nipv4 = 127.0.0.1:1\nipv6 = [::1]:65535\ntimeout_ms = 10\ncache_ms = 60000\n"
		"ecs = 127.0.0.1:51679\neks_ipv4 = 127.0.0.1:2\neks_ipv6 = [::1]:3\n[endpoints]\necs = on\neks = on\n"
		"[imdsv2]\nmode = audit\ntoken_scope = process\nput_response_hop_limit = 64\n"
		"[witness]\nebpf = off\nebpf_connections = 64\nproc_scan = off\non_unattributed = refuse\nredact = "
		"hush-* pin=????\n"
		"[ledger]\npath = /tmp/l.db\non_failure = refuse\njsonl = /tmp/rows\nretain_days = 400\nrecord = all\n"
		"[policy]\nmode = enforce\ndefault = deny\n[metrics]\nlisten =\n"
		"[allow \"1234567890 2345678901 3456789012 456789\"]\npath = /latest/*\nexe = /usr/bin/curl *\n"
		"unit = a.service b-?.service\nuid = 0 4294967294\ngid = 7\ncontainer = *\nfamily = imds none\n"
		"[deny \"other\"]\nuid = 1\n";
	CLEANUP_SETTINGS struct settings settings = {0};
	struct error problem = {0};
	(void)state;
	if (load(text, &settings, &problem) < 0)
		fail_msg("%s", problem.text);
	assert_string_equal(settings.user, "imds");
	assert_string_equal(settings.runtime, "/tmp/run");
	assert_int_equal(settings.port, 65535);
	assert_string_equal(settings.container_interfaces, "docker0\tbr-*  veth[0-9]?");
	assert_int_equal(settings.max_connections, 4096);
	assert_string_equal(settings.upstream_ipv4, "127.0.0.1:1");
	assert_string_equal(settings.upstream_ipv6, "[::1]:65535");
	assert_int_equal(settings.ecs, 1);
	assert_int_equal(settings.eks, 1);
	assert_string_equal(settings.upstream_ecs, "127.0.0.1:51679");
	assert_string_equal(settings.upstream_eks_ipv4, "127.0.0.1:2");
	assert_string_equal(settings.upstream_eks_ipv6, "[::1]:3");
	assert_int_equal(settings.upstream_timeout_ms, 10);
	assert_int_equal(settings.upstream_cache_ms, 60000);
	assert_int_equal(settings.imdsv2_mode, IMDSV2_AUDIT);
	assert_int_equal(settings.token_scope, TOKEN_SCOPE_PROCESS);
	assert_int_equal(settings.put_response_hop_limit, 64);
	assert_int_equal(settings.ebpf, TRISTATE_OFF);
	assert_int_equal(settings.ebpf_connections, 64);
	assert_int_equal(settings.proc_scan, 0);
	assert_int_equal(settings.on_unattributed, ON_UNATTRIBUTED_REFUSE);
	assert_string_equal(settings.redact, "hush-* pin=????");
	assert_string_equal(settings.ledger_path, "/tmp/l.db");
	assert_int_equal(settings.on_failure, ON_FAILURE_REFUSE);
	assert_string_equal(settings.jsonl, "/tmp/rows");
	assert_int_equal(settings.retain_days, 400);
	assert_int_equal(settings.record, RECORD_ALL);
	assert_int_equal(settings.policy_mode, POLICY_ENFORCE);
	assert_int_equal(settings.policy_default, 1);
	assert_non_null(settings.policy);
}

static void takes_places_for_metrics_that_only_the_machine_reaches(void **state)
{
	static const char *const places[] = {"127.0.0.1:9100", "127.1.2.3:65535", "[::1]:9100", "unix:/run/m.sock",
	                                     "unix:/" REST "aaaaaaa"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
		struct settings settings;
		char text[200];
		(void)snprintf(text, sizeof(text), "[metrics]\nlisten = %s\n", places[i]);
		CHECK_NUMBER(places[i], load(text, &settings, NULL), 0);
		CHECK_TEXT(places[i], settings.metrics_listen, places[i]);
	}
}

static const struct {
	const char *section, *key, *value;
	size_t offset;
	int wanted;
} choices[] = {
	{"imdsv2", "mode", "required", offsetof(struct settings, imdsv2_mode), IMDSV2_REQUIRED},
	{"imdsv2", "token_scope", "instance", offsetof(struct settings, token_scope), TOKEN_SCOPE_INSTANCE},
	{"imdsv2", "token_scope", "netns", offsetof(struct settings, token_scope), TOKEN_SCOPE_NETNS},
	{"imdsv2", "token_scope", "cgroup", offsetof(struct settings, token_scope), TOKEN_SCOPE_CGROUP},
	{"witness", "ebpf", "auto", offsetof(struct settings, ebpf), TRISTATE_AUTO},
	{"witness", "proc_scan", "on", offsetof(struct settings, proc_scan), 1},
	{"witness", "on_unattributed", "deliver", offsetof(struct settings, on_unattributed), ON_UNATTRIBUTED_DELIVER},
	{"ledger", "on_failure", "journal", offsetof(struct settings, on_failure), ON_FAILURE_JOURNAL},
	{"ledger", "record", "credentials", offsetof(struct settings, record), RECORD_CREDENTIALS},
	{"policy", "mode", "audit", offsetof(struct settings, policy_mode), POLICY_AUDIT},
	{"policy", "mode", "enforce", offsetof(struct settings, policy_mode), POLICY_ENFORCE},
	{"policy", "default", "allow", offsetof(struct settings, policy_default), 0},
	{"policy", "default", "deny", offsetof(struct settings, policy_default), 1},
	{"daemon", "on_dead", "closed", offsetof(struct settings, on_dead), ON_DEAD_CLOSED},
	{"daemon", "on_dead", "open", offsetof(struct settings, on_dead), ON_DEAD_OPEN},
	{"ledger", "record", "tokens", offsetof(struct settings, record), RECORD_TOKENS},
};

static void bounds_a_policy(void **state)
{
	CLEANUP_SETTINGS struct settings settings = {0};
	struct error problem = {0};
	char text[16384];
	size_t used = 0;
	(void)state;
	for (int i = 0; i < POLICY_SECTIONS_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "[deny \"%d\"]\nuid = %d\n", i, i);
	assert_int_equal(load(text, &settings, &problem), 0);
	(void)snprintf(text + used, sizeof(text) - used, "[deny \"one more\"]\nuid = 1\n");
	assert_int_equal(load(text, &settings, &problem), -1);
	assert_non_null(strstr(problem.text, ":513: [deny \"one more\"]: more than 256 sections of a policy"));
}

static void takes_each_choice(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(choices); i++) {
		CLEANUP_SETTINGS struct settings settings = {0};
		char text[200];
		int value;
		(void)snprintf(text, sizeof(text), "[%s]\n%s = %s\n", choices[i].section, choices[i].key,
		               choices[i].value);
		CHECK_NUMBER(text, load(text, &settings, NULL), 0);
		memcpy(&value, (const char *)&settings + choices[i].offset, sizeof(value));
		CHECK_NUMBER(text, value, choices[i].wanted);
	}
}

/* Each setting with another value than the default, and whether a running daemon may take it. */
static const struct {
	const char *text;
	const char *fixed; /* NULL: it may */
} changes[] = {
	{"[daemon]\nuser = imds", "[daemon] user"},
	{"[daemon]\nruntime = /run/other", "[daemon] runtime"},
	{"[daemon]\non_dead = open", NULL}, /* for when there is no daemon */
	{"[listen]\nport = 8776", "[listen] port"},
	{"[listen]\ncontainer_interfaces = br0", NULL}, /* the redirect's */
	{"[listen]\nmax_connections = 511", "[listen] max_connections"},
	{"[upstream]\nipv4 = 127.0.0.1:81", NULL},
	{"[upstream]\nipv6 = [::1]:81", NULL},
	{"[upstream]\ntimeout_ms = 1999", NULL},
	{"[upstream]\ncache_ms = 1000", NULL},
	{"[imdsv2]\nmode = audit", NULL},
	{"[imdsv2]\ntoken_scope = instance", NULL},
	{"[imdsv2]\nput_response_hop_limit = 2", NULL},
	{"[witness]\nebpf = off", "[witness] ebpf"},
	{"[witness]\nproc_scan = off", NULL},
	{"[witness]\non_unattributed = refuse", NULL},
	{"[witness]\nredact = pin=*", NULL},
	{"[ledger]\npath = /tmp/other.db", "[ledger] path"},
	{"[ledger]\non_failure = refuse", "[ledger] on_failure"},
	{"[ledger]\njsonl = /tmp/rows", "[ledger] jsonl"},
	{"[ledger]\njournald = off", "[ledger] journald"},
	{"[ledger]\nrecord = all", NULL},
	{"[policy]\nmode = enforce", NULL},
	{"[policy]\ndefault = deny", NULL},
	{"[deny \"root\"]\nuid = 0", NULL},
	{"[metrics]\nlisten = 127.0.0.1:9475", "[metrics] listen"},
};

static void reads_what_can_be_read(void **state)
{
	static const char *const texts[] = {
		"[daemon]\non_dead = open\nuser = a/b\n[listen]\nport = 99\n",
		"[daemon]\nuser = a/b\non_dead = open\n[listen]\nmax_connections = x\n[listen]\nport = 99\n",
		"nonsense\n[daemon\n[nowhere]\nport = 1\n[daemon]\nno such = 1\non_dead = open\n[listen]\nport = 99\n",
		"[daemon]\non_dead = open\n[allow \"x\"]\n[deny]\nport = 5\n[listen]\nport = 99\n",
		"[daemon]\non_dead = open\n[listen]\nport = 99\nport = 100\n[ledger]\npath = /" REST REST "\n",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct settings settings = {0};
		struct error strict = {0}, forgiven = {0};
		CHECK_NUMBER(texts[i], load(texts[i], &settings, &strict), -1);
		settings_load_forgiving(path, &settings, &forgiven);
		CHECK_TEXT(texts[i], forgiven.text, strict.text);
		CHECK_NUMBER(texts[i], settings.on_dead, ON_DEAD_OPEN);
		CHECK_NUMBER(texts[i], settings.port, 99);
		CHECK_TEXT(texts[i], settings.user, "keytrail");
		CHECK_TEXT(texts[i], settings.ledger_path, "/var/lib/keytrail/ledger.db");
	}
}

static void forgives_also_a_file_that_is_not_there(void **state)
{
	struct settings settings = {0};
	struct error problem = {0};
	char missing[PATH_MAX];
	(void)state;
	settings_load_forgiving(unit_path(missing, folder, "missing.conf"), &settings, &problem);
	check_defaults(&settings);
	assert_non_null(strstr(problem.text, "missing.conf"));
	assert_int_equal(load("[imdsv2]\nmode = audit\n[deny \"a\"]\nuid = 1\n", &settings, NULL), 0);
	settings_done(&settings);
	settings_load_forgiving(path, &settings, &problem);
	assert_string_equal(problem.text, "");
	assert_int_equal(settings.imdsv2_mode, IMDSV2_AUDIT);
	settings_done(&settings);
}

static void knows_what_needs_a_restart(void **state)
{
	(void)state;
	CLEANUP_SETTINGS struct settings now = {0};
	assert_int_equal(load("", &now, NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
		CLEANUP_SETTINGS struct settings next = {0};
		struct error problem = {0};
		char wanted[100] = "";
		CHECK_NUMBER(changes[i].text, load(changes[i].text, &next, NULL), 0);
		if (changes[i].fixed != NULL)
			(void)snprintf(wanted, sizeof(wanted), "%s: is read at start only: restart to change it",
			               changes[i].fixed);
		CHECK_NUMBER(changes[i].text, settings_check_change(&now, &next, &problem),
		             changes[i].fixed != NULL ? -1 : 0);
		CHECK_TEXT(changes[i].text, problem.text, wanted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_in_words_that_help),
		cmocka_unit_test(says_when_there_is_no_file),
		cmocka_unit_test(has_a_default_for_everything),
		cmocka_unit_test(takes_every_setting),
		cmocka_unit_test(takes_each_choice),
		cmocka_unit_test(knows_what_needs_a_restart),
		cmocka_unit_test(reads_what_can_be_read),
		cmocka_unit_test(forgives_also_a_file_that_is_not_there),
		cmocka_unit_test(bounds_a_policy),
		cmocka_unit_test(takes_places_for_metrics_that_only_the_machine_reaches),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
