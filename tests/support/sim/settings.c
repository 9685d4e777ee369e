/* SPDX-License-Identifier: Apache-2.0 */
/* The table of settings, and the only place where their text becomes values. Unknown keys, trailing bytes and
 * values out of range are errors: a test that misspells a mode must not pass by accident. */
#include "sim/settings.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

static bool is_account(const char *text)
{
	return strlen(text) == 12 && strspn(text, "0123456789") == 12;
}

static bool is_role(const char *text)
{
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && strchr("_+=,.@-", *text) == NULL)
			return false;
	return true;
}

static bool is_ipv4(const char *text)
{
	struct in_addr address;
	return inet_pton(AF_INET, text, &address) == 1;
}

static bool is_ipv4_or_none(const char *text)
{
	return *text == '\0' || is_ipv4(text);
}

static bool is_ipv6_or_none(const char *text)
{
	struct in6_addr address;
	return *text == '\0' || inet_pton(AF_INET6, text, &address) == 1;
}

/* A name that is one segment of a path. */
static bool is_segment(const char *text)
{
	return *text != '\0' && strpbrk(text, "/%?<> ") == NULL;
}

static const char *const variants[] = {"a", "b", NULL};
static const char *const token_modes[] = {"required", "optional", NULL};
static const char *const redirects[] = {"auto", "on", "off", NULL};
static const char *const throttle_modes[] = {"503", "silence", NULL};
static const char *const spots[] = {"none", "hibernate", "stop", "terminate", NULL};
static const char *const faults[] = {"none", "cut", "reset", "stall", "short", "long", NULL};

#define WORDS(name, value, what, first) .key = (name), .placeholder = (value), .help = (what), .initial = (first)
#define AT(field) .offset = offsetof(struct settings, field)
#define TEXT(field, check)                                                                                             \
	.type = SETTING_TEXT, AT(field), .size = sizeof(((struct settings *)NULL)->field), .valid = (check)
#define NUMBER(field, low, high) .type = SETTING_NUMBER, AT(field), .minimum = (low), .maximum = (high)
#define FLAG(field) .type = SETTING_FLAG, AT(field)
#define CHOICE(field, words) .type = SETTING_CHOICE, AT(field), .choices = (words)

#define TASKS "5f1d3b7c-0d2e-4c53-9a1b-7e6a4c2f8b10,c0a8e9d4-61f7-4b2a-8f35-2d9b7e1a3c64"

const struct setting settings_table[] = {
	{WORDS("variant", "a|b", "server generation", "a"), CHOICE(variant, variants)},
	{WORDS("tokens", "required|optional", "IMDSv2 only, or both", "required"), CHOICE(tokens, token_modes)},
	{WORDS("role", "NAME", "role of the instance profile; empty: none", "web-server"), TEXT(role, is_role)},
	{WORDS("account", "ID", "account of the instance and of its keys", "123456789012"), TEXT(account, is_account)},
	{WORDS("region", "R", "region", "eu-central-1"), TEXT(region, is_segment)},
	{WORDS("instance-id", "ID", "instance id", "i-0123456789abcdef0"), TEXT(instance_id, is_segment)},
	{WORDS("private-ip", "A", "private IPv4 address", "10.0.1.23"), TEXT(private_ip, is_ipv4)},
	{WORDS("public-ip", "A", "public IPv4 address; empty: none", "198.51.100.23"),
         TEXT(public_ip, is_ipv4_or_none)},
	{WORDS("ipv6", "A", "IPv6 address; empty: none", "2001:db8:1234:1a00::17"), TEXT(ipv6, is_ipv6_or_none)},
	{WORDS("mac", "MAC", "address of the only interface", "02:29:96:8f:6a:2d"), TEXT(mac, is_segment)},
	{WORDS("vpc-id", "ID", "VPC", "vpc-0a1b2c3d4e5f60718"), TEXT(vpc_id, is_segment)},
	{WORDS("vpc-cidr", "CIDR", "IPv4 range of the VPC", "10.0.0.0/16"), TEXT(vpc_cidr, NULL)},
	{WORDS("subnet-id", "ID", "subnet", "subnet-0a1b2c3d4e5f60718"), TEXT(subnet_id, is_segment)},
	{WORDS("subnet-cidr", "CIDR", "IPv4 range of the subnet", "10.0.1.0/24"), TEXT(subnet_cidr, NULL)},
	{WORDS("interface-id", "ID", "interface", "eni-0a1b2c3d4e5f60718"), TEXT(interface_id, is_segment)},
	{WORDS("credentials", "FILE", "document served byte for byte for the role", ""), TEXT(credentials, NULL)},
	{WORDS("user-data", "FILE", "bytes served as user-data; default: a script with NUL bytes", ""),
         TEXT(user_data, NULL)},
	{WORDS("role-error", "CODE", "serve an error document for the role, such as AssumeRoleUnauthorizedAccess", ""),
         TEXT(role_error, is_role)},
	{WORDS("rotate-seconds", "N", "new credentials every N seconds; 0: only on command", "3600"),
         NUMBER(rotate_seconds, 0, 1000000)},
	{WORDS("key-lifetime", "N", "seconds from LastUpdated to Expiration, from the next rotation on", "22320"),
         NUMBER(key_lifetime, -1000000, 1000000)},
	{WORDS("extended", NULL, "serve iam/security-credentials-extended", "off"), FLAG(extended)},
	{WORDS("ecs", NULL, "serve iam-ecs-*", "on"), FLAG(ecs)},
	{WORDS("tasks", "ID,...", "credential ids that the ECS agent knows", TASKS), TEXT(tasks, NULL)},
	{WORDS("tags", NULL, "serve tags/instance", "off"), FLAG(tags)},
	{WORDS("spot", "none|hibernate|stop|terminate", "spot/instance-action", "none"), CHOICE(spot, spots)},
	{WORDS("disabled", NULL, "answer 403 to everything", "off"), FLAG(disabled)},
	{WORDS("hop-limit", "N", "IP TTL of answers to PUT; 0: the system's", "0"), NUMBER(hop_limit, 0, 64)},
	{WORDS("redirect", "auto|on|off", "301 for a directory without its slash; auto: in variant b only", "auto"),
         CHOICE(redirect, redirects)},
	{WORDS("date-offset", "N", "seconds added to the Date header", "0"), NUMBER(date_offset, -1000000, 1000000)},
	{WORDS("fault-path", "PREFIX", "stalls, statuses and body faults only for paths that begin so", ""),
         TEXT(fault_path, NULL)},
	{WORDS("stall-put-ms", "N", "wait before answering a PUT", "0"), NUMBER(stall_put_ms, 0, 60000)},
	{WORDS("stall-get-ms", "N", "wait before answering anything else", "0"), NUMBER(stall_get_ms, 0, 60000)},
	{WORDS("throttle", "N", "at most N requests a second; 0: no limit", "0"), NUMBER(throttle, 0, 1000000)},
	{WORDS("throttle-mode", "503|silence", "what a throttled request gets", "503"),
         CHOICE(throttle_mode, throttle_modes)},
	{WORDS("put-status", "N", "answer every PUT with this status; 0: off", "0"), NUMBER(put_status, 0, 599)},
	{WORDS("get-status", "N", "answer every GET and HEAD with this status; 0: off", "0"),
         NUMBER(get_status, 0, 599)},
	{WORDS("body-fault", "none|cut|reset|stall|short|long", "spoil answers that have a body", "none"),
         CHOICE(body_fault, faults)},
};
const size_t settings_count = COUNT_OF(settings_table);

static long *number_of(struct settings *settings, const struct setting *setting)
{
	return (long *)(void *)((char *)settings + setting->offset);
}

static int set_text(struct settings *settings, const struct setting *setting, const char *value, struct error *err)
{
	if (strlen(value) >= setting->size)
		return error_set(err, "%s: longer than %zu characters", setting->key, setting->size - 1);
	for (const char *at = value; *at != '\0'; at++)
		if (!isprint((unsigned char)*at))
			return error_set(err, "%s: not printable", setting->key);
	if (setting->valid != NULL && !setting->valid(value))
		return error_set(err, "%s: bad value '%s'", setting->key, value);

	(void)strcpy((char *)settings + setting->offset, value);
	return 0;
}

static int set_number(struct settings *settings, const struct setting *setting, const char *value, struct error *err)
{
	char *end;

	errno = 0;
	long number = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || number < setting->minimum || number > setting->maximum)
		return error_set(err, "%s: a number from %ld to %ld, not '%s'", setting->key, setting->minimum,
		                 setting->maximum, value);

	*number_of(settings, setting) = number;
	return 0;
}

static const char *const flag_words[] = {"off", "on", NULL};

static int set_choice(struct settings *settings, const struct setting *setting, const char *const *words,
                      const char *value, struct error *err)
{
	for (long index = 0; words[index] != NULL; index++) {
		if (strcmp(words[index], value) == 0) {
			*number_of(settings, setting) = index;
			return 0;
		}
	}
	return error_set(err, "%s: %s, not '%s'", setting->key,
	                 setting->placeholder != NULL ? setting->placeholder : "on|off", value);
}

int settings_set(struct settings *settings, const char *key, const char *value, struct error *err)
{
	const struct setting *setting = NULL;

	for (size_t i = 0; i < settings_count; i++)
		if (strcmp(settings_table[i].key, key) == 0)
			setting = &settings_table[i];
	if (setting == NULL)
		return error_set(err, "no setting '%s'", key);

	switch (setting->type) {
	case SETTING_TEXT:
		return set_text(settings, setting, value, err);
	case SETTING_NUMBER:
		return set_number(settings, setting, value, err);
	case SETTING_FLAG:
		return set_choice(settings, setting, flag_words, value, err);
	case SETTING_CHOICE:
		return set_choice(settings, setting, setting->choices, value, err);
	}
	return error_set(err, "%s: cannot be set", key);
}

void settings_init(struct settings *ret_settings)
{
	*ret_settings = (struct settings){0};

	for (size_t i = 0; i < settings_count; i++) {
		struct error err;
		if (settings_set(ret_settings, settings_table[i].key, settings_table[i].initial, &err) != 0) {
			(void)fprintf(stderr, "imds-sim: default of %s\n", err.text);
			abort();
		}
	}
}

void settings_write(FILE *out, const struct settings *settings, const struct setting *setting)
{
	const char *at = (const char *)settings + setting->offset;
	long number = 0;

	if (setting->type != SETTING_TEXT)
		(void)memcpy(&number, at, sizeof(number));

	switch (setting->type) {
	case SETTING_TEXT:
		json_string(out, at);
		break;
	case SETTING_NUMBER:
		(void)fprintf(out, "\"%ld\"", number);
		break;
	case SETTING_FLAG:
		json_string(out, flag_words[number]);
		break;
	case SETTING_CHOICE:
		json_string(out, setting->choices[number]);
		break;
	}
}
