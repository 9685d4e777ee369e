/* SPDX-License-Identifier: Apache-2.0 */

/* Opening ledgers, inventory, ranges and findings. What was named by the user and cannot be used ends the run before it
 * begins; what has a default may be missing, and a findings.db that may not be written only means that findings are
 * printed and not kept. */
#include "detector/setup.h"

#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

/* The first notice stays: it is the one to act on. */
static void notice(struct detect_summary *summary, const char *format, ...) PRINTF_LIKE(2, 3);
static void notice(struct detect_summary *summary, const char *format, ...)
{
	if (summary->notice[0] != '\0')
		return;
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(summary->notice, sizeof(summary->notice), format, arguments);
	va_end(arguments);
}

static const char *ledger_path(const struct detect_options *options, size_t i)
{
	return options->ledger_count > 0 ? options->ledgers[i] : LEDGER_DEFAULT_PATH;
}

MUST_USE static int open_ledgers(const struct detect_options *options, struct setup *setup, struct error *err)
{
	size_t count = options->ledger_count > 0 ? options->ledger_count : 1;
	if (options->without_ledger)
		return 0;
	setup->ledgers = calloc(count, sizeof(*setup->ledgers));
	if (setup->ledgers == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for %zu ledgers", count);
	for (size_t i = 0; i < count; i++) {
		if (ledger_open(ledger_path(options, i), &setup->ledgers[i], err) < 0)
			return -1;
		setup->ledger_count++;
		if (tracked_load(&setup->tracked, setup->ledgers[i], err) < 0)
			return error_prefix(err, "%s", ledger_path(options, i));
	}
	return 0;
}

MUST_USE static int open_inventory(const struct detect_options *options, struct setup *setup, struct error *err)
{
	const char *path = options->inventory != NULL ? options->inventory : INVENTORY_DEFAULT_PATH;
	struct error problem = {0};
	if (inventory_open(path, &setup->inventory, &problem) == 0)
		return 0;
	if (options->inventory != NULL || problem.code != ERROR_MISSING)
		return error_set(err, problem.code, "%s", problem.text);
	return inventory_open(NULL, &setup->inventory, err);
}

/* Heap text: findings.db in the folder of the first ledger. */
static char *path_beside(const char *ledger)
{
	CLEANUP_FREE char *copy = strdup(ledger);
	char *path = NULL;
	if (copy == NULL || asprintf(&path, "%s/findings.db", dirname(copy)) < 0)
		return NULL;
	return path;
}

MUST_USE static int open_findings(const struct detect_options *options, struct setup *setup,
                                  struct detect_summary *summary, struct error *err)
{
	CLEANUP_FREE char *beside = NULL;
	const char *path = options->findings;
	struct error problem = {0};
	if (path == NULL && !options->without_ledger)
		path = beside = path_beside(ledger_path(options, 0));
	if (path == NULL)
		notice(summary, "without a ledger, findings are only printed, not kept");
	if (path == NULL || path[0] == '\0')
		return findings_open(NULL, false, &setup->findings, err);

	summary->findings_stored = findings_open(path, false, &setup->findings, &problem) == 0;
	if (summary->findings_stored)
		return 0;
	if (options->findings != NULL)
		return error_set(err, problem.code, "%s", problem.text);
	notice(summary, "findings are only printed, not kept: %.180s", problem.text);
	return findings_open(NULL, false, &setup->findings, err);
}

MUST_USE static int open_triage(const struct detect_options *options, struct setup *setup, struct error *err)
{
	setup->triage = (struct triage){.tracked = &setup->tracked, .every_session = options->without_ledger};
	if (tracked_seal(&setup->tracked, &setup->triage.sieve, err) < 0)
		return -1;
	setup->has_odd_key = setup->tracked.keys != NULL && tracked_keys_are_odd(setup->tracked.keys);
	setup->triage.everything = setup->has_odd_key;
	return triage_open(&setup->triage, err);
}

int setup_open(const struct detect_options *options, struct setup *ret, struct detect_summary *summary,
               struct error *err)
{
	*ret = (struct setup){.without_ledger = options->without_ledger, .now_us = clock_now_us()};
	if (open_ledgers(options, ret, err) < 0 || open_inventory(options, ret, err) < 0 ||
	    ranges_open(options->ip_ranges, &ret->ranges, err) < 0 || open_findings(options, ret, summary, err) < 0 ||
	    open_triage(options, ret, err) < 0) {
		setup_close(ret);
		return -1;
	}
	(void)snprintf(summary->ranges_date, sizeof(summary->ranges_date), "%s", ranges_date(ret->ranges));
	if (!options->without_ledger && tracked_keys_count(ret->tracked.keys) == 0)
		notice(summary, "the ledger holds no keys: nothing can be recognised by it");
	return 0;
}

void setup_close(struct setup *setup)
{
	triage_close(&setup->triage);
	tracked_done(&setup->tracked);
	for (size_t i = 0; i < setup->ledger_count; i++)
		ledger_close(setup->ledgers[i]);
	free(setup->ledgers);
	inventory_free(setup->inventory);
	ranges_free(setup->ranges);
	findings_close(setup->findings);
	*setup = (struct setup){0};
}
