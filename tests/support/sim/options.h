/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/answer.h"
#include "sim/settings.h"

#define OPTIONS_LISTENERS 16

/* What the command line says. Strings are the program's own arguments. */
struct options {
	const char *listen[OPTIONS_LISTENERS];
	enum service service[OPTIONS_LISTENERS]; /* of each of them */
	size_t listen_count;
	const char *control; /* NULL: none */
	const char *log;     /* NULL: none */
	int ready_fd;
	struct settings settings;
};

/* Ends the process on --help and on errors, as argp does. */
void options_parse(int argc, char **argv, struct options *ret_options);
