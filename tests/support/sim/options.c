/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: a few options of its own, and one for each row of the table of settings. */
#include "sim/options.h"

#include <argp.h>
#include <stdlib.h>

enum {
	KEY_LISTEN = 0x100,
	KEY_ECS_LISTEN,
	KEY_EKS_LISTEN,
	KEY_CONTROL,
	KEY_LOG,
	KEY_READY,
	KEY_NO_ROLE,
	KEY_SETTING = 0x200, /* plus the row */
};

static const struct argp_option own_options[] = {
	{"listen", KEY_LISTEN, "ADDRESS:PORT", 0,
         "where to listen, more than once if need be, [ADDRESS]:PORT for IPv6 (127.0.0.1:1338)", 0},
	{"ecs-listen", KEY_ECS_LISTEN, "ADDRESS:PORT", 0, "where to be the ECS agent", 0},
	{"eks-listen", KEY_EKS_LISTEN, "ADDRESS:PORT", 0, "where to be the EKS Pod Identity agent", 0},
	{"control", KEY_CONTROL, "PATH", 0, "Unix socket that takes commands", 0},
	{"log", KEY_LOG, "FILE", 0, "append one JSON object a request", 0},
	{"ready-fd", KEY_READY, "N", 0, "write the line \"ready ADDRESS:PORT...\" there (1)", 0},
	{"no-role", KEY_NO_ROLE, NULL, 0, "no instance profile", 0},
};

static void set(struct options *options, const char *key, const char *value, struct argp_state *state)
{
	struct error err;

	if (settings_set(&options->settings, key, value, &err) != 0)
		argp_error(state, "%s", err.text);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	if (key >= KEY_SETTING && key < KEY_SETTING + (int)settings_count) {
		set(options, settings_table[key - KEY_SETTING].key, argument != NULL ? argument : "on", state);
		return 0;
	}
	switch (key) {
	case KEY_LISTEN:
	case KEY_ECS_LISTEN:
	case KEY_EKS_LISTEN:
		if (options->listen_count == OPTIONS_LISTENERS)
			argp_error(state, "more than %d times --listen", OPTIONS_LISTENERS);
		options->service[options->listen_count] = (enum service)(SERVICE_IMDS + key - KEY_LISTEN);
		options->listen[options->listen_count++] = argument;
		return 0;
	case KEY_CONTROL:
		options->control = argument;
		return 0;
	case KEY_LOG:
		options->log = argument;
		return 0;
	case KEY_READY:
		options->ready_fd = atoi(argument);
		return 0;
	case KEY_NO_ROLE:
		set(options, "role", "", state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void options_parse(int argc, char **argv, struct options *ret_options)
{
	struct argp_option table[COUNT_OF(own_options) + 64] = {0};
	const struct argp argp = {
		.options = table,
		.parser = parse,
		.doc = "Simulates the EC2 instance metadata service.",
	};

	if (settings_count >= 64)
		abort();
	for (size_t i = 0; i < COUNT_OF(own_options); i++)
		table[i] = own_options[i];
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		bool is_flag = setting->type == SETTING_FLAG;

		table[COUNT_OF(own_options) + i] = (struct argp_option){
			.name = setting->key,
			.key = KEY_SETTING + (int)i,
			.arg = is_flag ? "on|off" : setting->placeholder,
			.flags = is_flag ? OPTION_ARG_OPTIONAL : 0,
			.doc = setting->help,
		};
	}

	*ret_options = (struct options){.ready_fd = STDOUT_FILENO};
	settings_init(&ret_options->settings);
	(void)argp_parse(&argp, argc, argv, 0, NULL, ret_options);
	if (ret_options->listen_count == 0)
		ret_options->listen[ret_options->listen_count++] = "127.0.0.1:1338";
}
