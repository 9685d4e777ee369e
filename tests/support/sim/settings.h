/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "sim/util.h"

enum variant { VARIANT_A, VARIANT_B, VARIANT_COUNT };
enum tokens { TOKENS_REQUIRED, TOKENS_OPTIONAL };
enum redirect { REDIRECT_AUTO, REDIRECT_ON, REDIRECT_OFF };
enum throttle_mode { THROTTLE_503, THROTTLE_SILENCE };
enum body_fault {
	FAULT_NONE,
	FAULT_CUT,   /* half of the body, then FIN */
	FAULT_RESET, /* half of the body, then RST */
	FAULT_STALL, /* half of the body, then nothing until the client gives up */
	FAULT_SHORT, /* Content-Length says less than is sent */
	FAULT_LONG,  /* Content-Length says more than is sent */
};
enum spot { SPOT_NONE, SPOT_HIBERNATE, SPOT_STOP, SPOT_TERMINATE };

/* Everything that can be chosen on the command line and changed while running. Plain values: a copy is one
 * assignment. Choices are stored as the index of their word. */
struct settings {
	/* the instance */
	char role[65]; /* empty: no instance profile */
	char account[13];
	char region[33];
	char instance_id[33];
	char private_ip[16];
	char public_ip[16];
	char ipv6[46];
	char mac[18];
	char vpc_id[33];
	char vpc_cidr[19];
	char subnet_id[33];
	char subnet_cidr[19];
	char interface_id[33];
	/* what it serves */
	char credentials[256];
	char user_data[256];
	char role_error[65];
	long rotate_seconds;
	long key_lifetime;
	long extended;
	long ecs;
	char tasks[256];
	long tags;
	long spot;
	/* how the server behaves */
	long variant;
	long tokens;
	long disabled;
	long hop_limit;
	long redirect;
	long date_offset;
	/* faults */
	char fault_path[128];
	long stall_put_ms;
	long stall_get_ms;
	long throttle;
	long throttle_mode;
	long put_status;
	long get_status;
	long body_fault;
};

enum setting_type { SETTING_TEXT, SETTING_NUMBER, SETTING_FLAG, SETTING_CHOICE };

struct setting {
	const char *key;
	const char *placeholder;
	const char *help;
	const char *initial;
	const char *const *choices;  /* SETTING_CHOICE, ends in NULL */
	bool (*valid)(const char *); /* SETTING_TEXT; NULL: any printable text */
	enum setting_type type;
	long minimum; /* SETTING_NUMBER */
	long maximum;
	size_t offset;
	size_t size; /* SETTING_TEXT */
};

/* One row a setting: the command line, `set`, `settings` and the help text all come from here. */
extern const struct setting settings_table[];
extern const size_t settings_count;

void settings_init(struct settings *ret_settings);

MUST_USE int settings_set(struct settings *settings, const char *key, const char *value, struct error *err);

/* Writes the value as it would be given to settings_set. */
void settings_write(FILE *out, const struct settings *settings, const struct setting *setting);
