/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of settings: one row a key, in the order of keytrail.conf(5). */
#include "store/settings.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "common/text.h"

static bool is_absolute(const char *value)
{
	return value[0] == '/';
}

static bool is_name(const char *value)
{
	return value[0] != '\0' && strpbrk(value, " \t/:") == NULL && strcmp(value, "root") != 0;
}

/* Of the redirect's iptables: what it refuses is refused here, too, so that both are up or none. */
static bool is_interface(const char *word, size_t length)
{
	static const char others[] = "]_.:@*?[!-";
	bool is_pattern = false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)word[i]) && strchr(others, word[i]) == NULL)
			return false;
		is_pattern |= strchr("*?[", word[i]) != NULL;
	}
	return is_pattern || length < IFNAMSIZ;
}

/* `auto` or `none` alone, or names and patterns. */
static bool is_interfaces(const char *value)
{
	static const char blanks[] = " \t";
	size_t count = 0, alone = 0;
	for (value += strspn(value, blanks); *value != '\0'; count++) {
		size_t length = strcspn(value, blanks);
		if (!is_interface(value, length))
			return false;
		if (length == 4 && (strncmp(value, "auto", 4) == 0 || strncmp(value, "none", 4) == 0))
			alone++;
		value += length;
		value += strspn(value, blanks);
	}
	return count > 0 && (alone == 0 || count == 1);
}

static bool is_port(const char *text)
{
	uint64_t port;
	return text_to_u64(text, 65535, &port) && port > 0;
}

static bool is_ipv4(const char *value)
{
	char address[SETTINGS_TEXT_BYTES];
	struct in_addr binary;
	char *colon;
	return text_copy(address, sizeof(address), value) && (colon = strrchr(address, ':')) != NULL &&
	       is_port(colon + 1) && (*colon = '\0', inet_pton(AF_INET, address, &binary) == 1);
}

static bool is_ipv6(const char *value)
{
	char address[SETTINGS_TEXT_BYTES];
	struct in6_addr binary;
	char *bracket;
	if (!text_copy(address, sizeof(address), value) || address[0] != '[')
		return false;
	bracket = strchr(address, ']');
	if (bracket == NULL || bracket[1] != ':' || !is_port(bracket + 2))
		return false;
	*bracket = '\0';
	return inet_pton(AF_INET6, address + 1, &binary) == 1;
}

/* A folder's name is not enough. */
static bool is_file(const char *value)
{
	size_t length = strlen(value);
	return value[0] == '/' && value[length - 1] != '/';
}

static bool is_file_or_empty(const char *value)
{
	return value[0] == '\0' || is_file(value);
}

/* Nothing; or a Unix socket, whose path the kernel limits; or an address that only this machine reaches. */
static bool is_metrics_listen(const char *value)
{
	if (text_starts(value, "unix:"))
		return value[5] == '/' && strlen(value + 5) < sizeof(((struct sockaddr_un *)0)->sun_path);
	return value[0] == '\0' || (text_starts(value, "127.") && is_ipv4(value)) ||
	       (text_starts(value, "[::1]:") && is_ipv6(value));
}

static const struct option_choice on_dead_choices[] = {{"closed", false}, {"open", false}, {0}};
static const struct option_choice mode_choices[] = {{"required", false}, {"audit", false}, {0}};
static const struct option_choice scope_choices[] = {
	{"instance", false}, {"netns", false}, {"cgroup", false}, {"process", false}, {0}};
static const struct option_choice ebpf_choices[] = {{"auto", false}, {"on", false}, {"off", false}, {0}};
static const struct option_choice switch_choices[] = {{"off", false}, {"on", false}, {0}};
static const struct option_choice unattributed_choices[] = {{"deliver", false}, {"refuse", false}, {0}};
static const struct option_choice failure_choices[] = {{"journal", false}, {"refuse", false}, {0}};
static const struct option_choice record_choices[] = {{"credentials", false}, {"tokens", false}, {"all", false}, {0}};
static const struct option_choice policy_mode_choices[] = {{"audit", false}, {"enforce", false}, {0}};
static const struct option_choice policy_default_choices[] = {{"allow", false}, {"deny", false}, {0}};

#define TEXT(name) .type = OPTION_TEXT, .offset = offsetof(struct settings, name), .size = SETTINGS_TEXT_BYTES
#define INT(name) .type = OPTION_INT, .offset = offsetof(struct settings, name)
#define CHOICE(name, list) .type = OPTION_CHOICE, .offset = offsetof(struct settings, name), .choices = (list)

static const struct option_row table[] = {
	{"daemon", "user", TEXT(user), .default_text = "keytrail", .is_valid = is_name,
         .expected = "the name of an unprivileged user", .at_start_only = true},
	{"daemon", "runtime", TEXT(runtime), .default_text = "/run/keytrail", .is_valid = is_absolute,
         .expected = "an absolute path", .at_start_only = true},
	{"daemon", "on_dead", CHOICE(on_dead, on_dead_choices), .default_text = "closed"},
	{"listen", "port", INT(port), .default_text = "8775", .minimum = 1, .maximum = 65535, .at_start_only = true},
	{"listen", "container_interfaces", TEXT(container_interfaces), .default_text = "auto",
         .is_valid = is_interfaces, .expected = "auto, none, or interface names and patterns"},
	{"listen", "max_connections", INT(max_connections), .default_text = "512", .minimum = 1, .maximum = 4096,
         .at_start_only = true},
	{"endpoints", "ecs", CHOICE(ecs, switch_choices), .default_text = "off"},
	{"endpoints", "eks", CHOICE(eks, switch_choices), .default_text = "off"},
	{"upstream", "ipv4", TEXT(upstream_ipv4), .default_text = "169.254.169.254:80", .is_valid = is_ipv4,
         .expected = "ADDRESS:PORT"},
	{"upstream", "ipv6", TEXT(upstream_ipv6), .default_text = "[fd00:ec2::254]:80", .is_valid = is_ipv6,
         .expected = "[ADDRESS]:PORT"},
	{"upstream", "ecs", TEXT(upstream_ecs), .default_text = "169.254.170.2:80", .is_valid = is_ipv4,
         .expected = "ADDRESS:PORT"},
	{"upstream", "eks_ipv4", TEXT(upstream_eks_ipv4), .default_text = "169.254.170.23:80", .is_valid = is_ipv4,
         .expected = "ADDRESS:PORT"},
	{"upstream", "eks_ipv6", TEXT(upstream_eks_ipv6), .default_text = "[fd00:ec2::23]:80", .is_valid = is_ipv6,
         .expected = "[ADDRESS]:PORT"},
	{"upstream", "timeout_ms", INT(upstream_timeout_ms), .default_text = "2000", .minimum = 10, .maximum = 60000},
	{"upstream", "cache_ms", INT(upstream_cache_ms), .default_text = "0", .minimum = 0, .maximum = 60000},
	{"imdsv2", "mode", CHOICE(imdsv2_mode, mode_choices), .default_text = "required"},
	{"imdsv2", "token_scope", CHOICE(token_scope, scope_choices), .default_text = "netns"},
	{"imdsv2", "put_response_hop_limit", INT(put_response_hop_limit), .default_text = "1", .minimum = 1,
         .maximum = 64},
	{"witness", "ebpf", CHOICE(ebpf, ebpf_choices), .default_text = "auto", .at_start_only = true},
	{"witness", "ebpf_connections", INT(ebpf_connections), .default_text = "16384", .minimum = 64,
         .maximum = 1048576, .at_start_only = true},
	{"witness", "proc_scan", CHOICE(proc_scan, switch_choices), .default_text = "on"},
	{"witness", "on_unattributed", CHOICE(on_unattributed, unattributed_choices), .default_text = "deliver"},
	{"witness", "redact", TEXT(redact), .default_text = ""},
	{"ledger", "path", TEXT(ledger_path), .default_text = "/var/lib/keytrail/ledger.db", .is_valid = is_file,
         .expected = "an absolute path of a file", .at_start_only = true},
	{"ledger", "on_failure", CHOICE(on_failure, failure_choices), .default_text = "journal", .at_start_only = true},
	{"ledger", "jsonl", TEXT(jsonl), .default_text = "", .is_valid = is_file_or_empty,
         .expected = "an absolute path of a file", .at_start_only = true},
	{"ledger", "journald", CHOICE(journald, switch_choices), .default_text = "on", .at_start_only = true},
	{"ledger", "fleet_key", TEXT(fleet_key), .default_text = "", .is_valid = is_file_or_empty,
         .expected = "an absolute path of a file"},
	{"ledger", "retain_days", INT(retain_days), .default_text = "400", .minimum = 1, .maximum = 36500},
	{"ledger", "retain_mb", INT(retain_mb), .default_text = "0", .minimum = 0, .maximum = 1048576},
	{"ledger", "record", CHOICE(record, record_choices), .default_text = "credentials"},
	{"policy", "mode", CHOICE(policy_mode, policy_mode_choices), .default_text = "audit"},
	{"policy", "default", CHOICE(policy_default, policy_default_choices), .default_text = "allow"},
	{"metrics", "listen", TEXT(metrics_listen), .default_text = "", .is_valid = is_metrics_listen,
         .expected = "unix:/PATH of at most 107 bytes, or a loopback ADDRESS:PORT", .at_start_only = true},
};

/* [allow "name"] and [deny "name"]: the sections of the policy, in their order. */
static int take_named(void *config, const char *section, const char *name, const char *key, const char *value,
                      struct error *err)
{
	struct settings *settings = config;
	bool denies = strcmp(section, "deny") == 0;
	if (!denies && strcmp(section, "allow") != 0)
		return error_set(err, ERROR_INPUT, "[%s \"%.60s\"]: unknown section", section, name);
	if (settings->policy == NULL)
		settings->policy = policy_new();
	if (settings->policy == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a policy");
	return key == NULL ? policy_begin(settings->policy, denies, name, err)
	                   : policy_add(settings->policy, key, value, err);
}

static int end_named(void *config, struct error *err)
{
	const struct settings *settings = config;
	return policy_end(settings->policy, err);
}

MUST_USE static int set_default(struct settings *settings, struct error *err)
{
	bool denies = settings->policy_default != 0;
	if (denies && settings->policy == NULL)
		settings->policy = policy_new();
	if (denies && settings->policy == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a policy");
	if (denies)
		policy_set_default(settings->policy, true);
	return 0;
}

static const struct options options = {
	.table = table, .count = ARRAY_LENGTH(table), .named = take_named, .named_end = end_named};

int settings_load(const char *path, struct settings *ret, struct error *err)
{
	CLEANUP_SETTINGS struct settings loaded = {0};
	struct error problem = {0};
	int result = options_load(&options, path != NULL ? path : SETTINGS_DEFAULT_PATH, &loaded, &problem);
	if (result < 0 && path == NULL && problem.code == ERROR_MISSING)
		result = options_load(&options, NULL, &loaded, &problem);
	if (result == 0)
		result = set_default(&loaded, &problem);
	if (result < 0)
		return error_set(err, problem.code, "%s", problem.text);
	*ret = loaded;
	loaded.policy = NULL;
	return 0;
}

void settings_load_forgiving(const char *path, struct settings *ret, struct error *ret_problem)
{
	static const struct options what_can_be_read = {
		.table = table, .count = ARRAY_LENGTH(table), .forgiving = true};
	struct settings loaded = {0};
	struct error problem = {0}, ignored;
	/* Sections of a policy are none that this table knows, so only a strict reading says what is wrong. */
	if (settings_load(path, ret, &problem) == 0) {
		ret_problem->text[0] = '\0';
		return;
	}
	if (options_load(&what_can_be_read, path != NULL ? path : SETTINGS_DEFAULT_PATH, &loaded, &ignored) < 0)
		(void)options_load(&what_can_be_read, NULL, &loaded, &ignored);
	*ret_problem = problem;
	*ret = loaded;
}

void settings_done(struct settings *settings)
{
	policy_free(settings->policy);
	settings->policy = NULL;
}

int settings_check_change(const struct settings *now, const struct settings *next, struct error *err)
{
	const struct option_row *row = options_fixed_change(&options, now, next);
	if (row == NULL)
		return 0;
	return error_set(err, ERROR_USAGE, "[%s] %s: is read at start only: restart to change it", row->section,
	                 row->key);
}
