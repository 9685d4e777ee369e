/* SPDX-License-Identifier: Apache-2.0 */

/* Lines about the evidence, beside those about findings. */
#include "cli/evidence.h"

#include <inttypes.h>
#include <unistd.h>

#include "cli/complain.h"
#include "common/clock.h"

static void on_complaint(void *context, const char *line)
{
	(void)context;
	complain("%s", line);
}

int evidence_verify(const struct inputs *inputs, const char *public_keys, struct digests_summary *ret,
                    struct error *err)
{
	const struct digests_options options = {.sources = inputs->options.sources,
	                                        .source_count = inputs->options.source_count,
	                                        .from = inputs->options.from,
	                                        .public_keys = public_keys,
	                                        .complain = on_complaint};
	return digests_verify(&options, ret, err);
}

void evidence_print_digests(const struct digests_summary *summary)
{
	char from[CLOCK_TEXT_BYTES] = "", until[CLOCK_TEXT_BYTES] = "";
	complain("digests: %" PRIu64 " digests hold, %" PRIu64 " do not, %" PRIu64
	         " without a known signature, %" PRIu64 " gaps",
	         summary->digests, summary->digests_bad, summary->unsigned_, summary->gaps);
	if (summary->until_us != 0)
		(void)clock_format(summary->from_us, from);
	if (summary->until_us != 0)
		(void)clock_format(summary->until_us, until);
	complain("digests: %" PRIu64 " log files as they were delivered, %" PRIu64 " changed, %" PRIu64
	         " missing, %" PRIu64 " in no digest, %" PRIu64 " newer than the last digest; %s%s%s%s%s",
	         summary->logs, summary->logs_changed, summary->logs_missing, summary->logs_unlisted,
	         summary->logs_newer, summary->is_complete ? "complete" : "INCOMPLETE", from[0] != '\0' ? " from " : "",
	         from, until[0] != '\0' ? " to " : "", until);
}

/* ---- LookupEvents */

/* Asked for their keys one after the other, so all stay open. */
struct known {
	struct tracked tracked;
	struct ledger **ledgers;
	size_t count;
};

static void known_done(struct known *known)
{
	tracked_done(&known->tracked);
	for (size_t i = 0; i < known->count; i++)
		ledger_close(known->ledgers[i]);
	free(known->ledgers);
}

MUST_USE static int load(const struct inputs *inputs, struct known *known, struct error *err)
{
	known->ledgers = calloc(inputs->options.ledger_count + 1, sizeof(struct ledger *));
	if (known->ledgers == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for ledgers");
	for (; known->count < inputs->options.ledger_count; known->count++) {
		const char *path = inputs->options.ledgers[known->count];
		struct ledger **ledger = &known->ledgers[known->count];
		if (ledger_open(path, ledger, err) < 0 || tracked_load(&known->tracked, *ledger, err) < 0) {
			ledger_close(*ledger);
			return error_prefix(err, "%s", path);
		}
	}
	return tracked_seal(&known->tracked, NULL, err);
}

MUST_USE static int add_source(struct inputs *inputs, struct error *err)
{
	size_t count = inputs->options.source_count;
	inputs->sources = calloc(count + 1, sizeof(*inputs->sources));
	if (inputs->sources == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for sources");
	for (size_t i = 0; i < count; i++)
		inputs->sources[i] = inputs->options.sources[i];
	(void)snprintf(inputs->lookup_path, sizeof(inputs->lookup_path), "/proc/self/fd/%d", inputs->lookup_fd);
	inputs->sources[count] = inputs->lookup_path;
	inputs->options.sources = inputs->sources;
	inputs->options.source_count = count + 1;
	return 0;
}

/* Two questions a second at most, in each region: who waits wants to see that something happens. */
static void on_question(void *context, uint64_t asked, uint64_t known)
{
	(void)context;
	(void)fprintf(stderr, "\rLookupEvents: %" PRIu64 " of %" PRIu64 " questions asked\033[K", asked, known);
	if (asked == known)
		(void)fprintf(stderr, "\r\033[K");
}

int evidence_lookup(struct inputs *inputs, struct error *err)
{
	CLEANUP(known_done) struct known known = {0};
	const struct lookup_options options = {.aws = inputs->aws,
	                                       .filter = &inputs->options.from.filter,
	                                       .complain = on_complaint,
	                                       .progress = isatty(STDERR_FILENO) ? on_question : NULL};
	if (inputs->options.without_ledger)
		return error_set(err, ERROR_USAGE, "LookupEvents are found by key: expected a ledger that knows some");
	if (load(inputs, &known, err) < 0)
		return -1;
	struct error problem = {0};
	if (lookup_spool(&options, &known.tracked, &inputs->lookup_fd, &inputs->lookup, &problem) < 0)
		/* Lines have said why; what else there is can still be read. */
		return inputs->options.source_count > 0 ? 0 : error_set(err, problem.code, "%s", problem.text);
	return add_source(inputs, err);
}

static const char *plural(uint64_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

void evidence_print_lookup(const struct lookup_counts *counts)
{
	complain("LookupEvents: %" PRIu64 " %s and %" PRIu64 " %s in %" PRIu64
	         " %s: management events of 90 days, no data events",
	         counts->keys, plural(counts->keys, "key", "keys"), counts->sessions,
	         plural(counts->sessions, "session", "sessions"), counts->regions,
	         plural(counts->regions, "region", "regions"));
	if (counts->derived > 0)
		complain("LookupEvents: %" PRIu64 " %s made of those, asked for in turn", counts->derived,
		         plural(counts->derived, "key, user or session was", "keys, users and sessions were"));
	if (counts->derived_left > 0)
		complain("LookupEvents: %" PRIu64 " derived %s NOT asked for: more than %d questions; a trail answers "
		         "faster",
		         counts->derived_left, plural(counts->derived_left, "one was", "ones were"),
		         LOOKUP_DERIVED_MAX);
	if (counts->too_old > 0)
		complain("LookupEvents: %" PRIu64 " %s ended before what LookupEvents remembers", counts->too_old,
		         plural(counts->too_old, "key", "keys"));
}
