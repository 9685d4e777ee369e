/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail inventory: makes inventory.json out of what AWS's APIs say. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/arguments.h"
#include "cli/complain.h"
#include "detector/inventory_make.h"

static void on_complaint(void *context, const char *line)
{
	(void)context;
	complain("%s", line);
}

/* With one profile, or with the environment's credentials. */
MUST_USE static int add_profile(const struct arguments *arguments, const char *profile, json_t *inventory,
                                bool *is_whole, struct error *err)
{
	CLEANUP_AWS struct aws *aws = NULL;
	const struct aws_options options = {.profile = profile};
	bool whole = false;
	if (aws_open(&options, &aws, err) < 0)
		return -1;
	const struct inventory_maker maker = {.aws = aws,
	                                      .regions = arguments->from.regions,
	                                      .region_count = arguments->from.region_count,
	                                      .complain = on_complaint};
	if (inventory_make_add(inventory, &maker, &whole, err) < 0)
		return profile != NULL ? error_prefix(err, "profile %s", profile) : -1;
	*is_whole = *is_whole && whole;
	return 0;
}

/* Whole or not at all: the detector may be reading it. */
MUST_USE static int write_file(const char *path, const char *text, struct error *err)
{
	CLEANUP_FREE char *temporary = NULL;
	if (asprintf(&temporary, "%s.%ld.new", path, (long)getpid()) < 0)
		return error_set(err, ERROR_MEMORY, "no memory for a path");
	CLEANUP_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	size_t length = strlen(text);
	if (fd < 0)
		return error_errno(err, "%s", temporary);
	if (write(fd, text, length) == (ssize_t)length && fsync(fd) == 0 && rename(temporary, path) == 0)
		return 0;
	(void)error_errno(err, "%s", path);
	(void)unlink(temporary);
	return -1;
}

MUST_USE static int show(const struct arguments *arguments, json_t *inventory, struct error *err)
{
	CLEANUP_FREE char *text = json_dumps(inventory, JSON_INDENT(2) | JSON_SORT_KEYS);
	CLEANUP_FREE char *line = NULL;
	if (text == NULL || asprintf(&line, "%s\n", text) < 0)
		return error_set(err, ERROR_MEMORY, "no memory for an inventory");
	if (arguments->file != NULL)
		return write_file(arguments->file, line, err);
	(void)fputs(line, stdout);
	return output_finish(stdout, err);
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP_JSON json_t *inventory = NULL;
	bool is_whole = true;
	if (inventory_make_begin(arguments->merge, &inventory, err) < 0)
		return -1;
	for (size_t i = 0; i < arguments->profile_count || i == 0; i++)
		if (add_profile(arguments, arguments->profile_count > 0 ? arguments->profiles[i] : NULL, inventory,
		                &is_whole, err) < 0)
			return -1;
	if (inventory_make_end(inventory, err) < 0 || show(arguments, inventory, err) < 0)
		return -1;
	*ret = is_whole ? STATUS_FINE : STATUS_INCOMPLETE;
	return 0;
}

const struct command command_inventory = {
	.name = "inventory",
	.operands = "",
	.summary = "Build inventory.json, own accounts and networks, from the AWS APIs",
	.details =
		"Asks STS for the account, EC2 for NAT gateways, elastic and public addresses, VPCs and endpoints, and "
		"Organizations for the other accounts, with the credentials and the region of the environment, or of "
		"each "
		"--profile and --region. --merge adds to a hand-written inventory, of which nothing is changed. Exit "
		"status: 4 when something could not be asked.",
	.examples = "  keytrail inventory --file /etc/keytrail/inventory.json\n"
		    "  keytrail inventory --profile prod --profile hub --region eu-west-1 --region us-east-1\n"
		    "  keytrail inventory --merge by-hand.json --file inventory.json\n",
	.options = OPTIONS_MERGE,
	.run = run,
};
