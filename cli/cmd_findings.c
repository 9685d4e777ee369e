/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail findings: what the detector has found so far, and what people say of it. */
#include <inttypes.h>
#include <pwd.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/complain.h"
#include "cli/place.h"
#include "common/clock.h"
#include "common/text.h"
#include "store/review.h"

#define NAME_BYTES 64

/* THE TABLE of what can be said of findings. */
static const struct verb {
	const char *name;
	bool sets_state, needs_note;
	enum review_state state;
} verbs[] = {
	{.name = "ack", .sets_state = true, .state = REVIEW_ACKNOWLEDGED},
	{.name = "close", .sets_state = true, .state = REVIEW_CLOSED},
	{.name = "reopen", .sets_state = true, .state = REVIEW_NEW},
	{.name = "note", .needs_note = true},
};

/* No findings where there is a ledger: nothing was found yet. No ledger either: probably a wrong path. */
MUST_USE static int explain_absence(const struct place *place, struct error *err)
{
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	if (place_open_ledger(place, &ledger, err) < 0)
		return -1;
	complain("%s: none stored yet; `keytrail detect SOURCE...` looks for some", place->findings);
	return 0;
}

/* ---- listing */

struct shown {
	struct output *output;
	size_t gone_on; /* closed, with uses that came later */
};

static int show(void *context, const json_t *finding, struct error *err)
{
	struct shown *shown = context;
	const char *state = json_text_at(finding, "state");
	int64_t new_uses = 0;
	bool is_closed = state != NULL && strcmp(state, review_state_names[REVIEW_CLOSED]) == 0;
	if (is_closed && json_int_at(finding, "new_uses", &new_uses) && new_uses > 0)
		shown->gone_on++;
	return output_row(shown->output, finding, err);
}

MUST_USE static int list(const struct arguments *arguments, struct findings *findings,
                         const struct findings_filter *filters, size_t count, struct error *err)
{
	CLEANUP_OUTPUT struct output *output = NULL;
	struct output_options options = {.form = arguments->form, .columns = &columns_findings, .stream = stdout};
	if (output_open(&options, &output, err) < 0)
		return -1;
	struct shown shown = {.output = output};
	for (size_t i = 0; i < count && findings != NULL; i++)
		if (findings_list(findings, &filters[i], show, &shown, err) < 0)
			return -1;
	if (output_close(steal_pointer(&output), err) < 0)
		return -1;
	if (shown.gone_on > 0)
		complain("%zu closed finding%s new uses since; `keytrail findings reopen ID` makes it new again",
		         shown.gone_on, shown.gone_on == 1 ? " has" : "s have");
	return 0;
}

/* ---- saying */

static const struct verb *verb_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* Who says so: with sudo, who that was. */
static void name_caller(char to[static NAME_BYTES])
{
	char room[4096];
	struct passwd entry, *user = NULL;
	const char *sudo = getenv("SUDO_USER");
	if (getuid() == 0 && sudo != NULL && sudo[0] != '\0')
		(void)text_copy(to, NAME_BYTES, sudo);
	else if (getpwuid_r(getuid(), &entry, room, sizeof(room), &user) == 0 && user != NULL)
		(void)text_copy(to, NAME_BYTES, user->pw_name);
	else
		(void)snprintf(to, NAME_BYTES, "uid %u", (unsigned)getuid());
}

MUST_USE static int check_verb(const struct arguments *arguments, const struct verb *verb, struct error *err)
{
	const char *name = arguments->operands[0];
	if (verb == NULL)
		return error_set(
			err, ERROR_USAGE,
			"findings %.80s: unknown, expected ack, close, reopen or note; `keytrail report %.16s` "
			"makes a page on one finding",
			name, review_is_id(name) ? name : "ID");
	if (arguments->operand_count < 2)
		return error_set(err, ERROR_USAGE,
		                 "findings %s: something is missing, expected `keytrail findings %s ID...`", name,
		                 name);
	if (verb->needs_note && arguments->note == NULL)
		return error_set(err, ERROR_USAGE, "findings note: something is missing, expected --note TEXT");
	for (int i = 1; i < arguments->operand_count; i++)
		if (!review_is_id(arguments->operands[i]))
			return error_set(
				err, ERROR_USAGE,
				"findings %s %.80s: no id, expected at least the first %d of its 64 hexadecimal digits",
				name, arguments->operands[i], REVIEW_ID_PREFIX);
	return 0;
}

/* All ids are looked up before the first is touched. */
MUST_USE static int say(const struct arguments *arguments, struct findings *findings, const struct verb *verb,
                        struct error *err)
{
	size_t count = (size_t)arguments->operand_count - 1;
	CLEANUP_FREE char(*ids)[DIGEST_HEX_BYTES] = calloc(count, sizeof(*ids));
	CLEANUP_FREE struct findings_filter *filters = calloc(count, sizeof(*filters));
	char name[NAME_BYTES];
	if (ids == NULL || filters == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for ids");
	name_caller(name);
	for (size_t i = 0; i < count; i++)
		if (review_find(findings, arguments->operands[i + 1], ids[i], err) < 0)
			return -1;
	for (size_t i = 0; i < count; i++) {
		const struct review review = {.id = ids[i],
		                              .sets_state = verb->sets_state,
		                              .state = verb->state,
		                              .note = arguments->note,
		                              .by = name,
		                              .at_us = clock_now_us()};
		filters[i].id = ids[i];
		if (review_set(findings, &review, err) < 0)
			return -1;
	}
	return list(arguments, findings, filters, count, err);
}

MUST_USE static int open_to_write(const struct arguments *arguments, const struct place *place, struct findings **ret,
                                  struct error *err)
{
	/* Reading first: what is missing, or no findings of ours, is refused, and nothing is made. */
	CLEANUP_FINDINGS struct findings *there = NULL;
	if (place_open_findings(arguments, place, &there, err) < 0)
		return -1;
	if (there == NULL)
		return error_set(err, ERROR_MISSING, "findings %s: none are stored there yet", place->findings);
	if (findings_open(place->findings, false, ret, err) < 0)
		return error_prefix(err, "findings");
	return 0;
}

/* ---- all */

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	struct place place;
	CLEANUP_FINDINGS struct findings *findings = NULL;
	*ret = STATUS_FINE;
	if (arguments->operand_count > 0) {
		const struct verb *verb = verb_of(arguments->operands[0]);
		if (check_verb(arguments, verb, err) < 0 || place_find(arguments, &place, err) < 0 ||
		    open_to_write(arguments, &place, &findings, err) < 0)
			return -1;
		return say(arguments, findings, verb, err);
	}
	if (arguments->note != NULL)
		return error_set(err, ERROR_USAGE,
		                 "--note: of which finding? expected ack, close, reopen or note, and an ID");
	if (place_find(arguments, &place, err) < 0 || place_open_findings(arguments, &place, &findings, err) < 0)
		return -1;
	if (findings == NULL && explain_absence(&place, err) < 0)
		return -1;
	return list(arguments, findings, &arguments->found, 1, err);
}

const struct command command_findings = {
	.name = "findings",
	.operands = "[ack|close|reopen|note ID...]",
	.summary = "What `detect` has found so far, the most severe first; what you say of it",
	.details =
		"--since and --until look at the time a finding was last seen. ack, close and reopen set the state of "
		"findings, note leaves it; each may have a --note, and shows what it changed. An ID may be shortened "
		"to its first 8 digits. A later run of `detect` keeps state and notes; new_uses counts what came "
		"since.",
	.examples = "  keytrail findings --severity HIGH --state new\n"
		    "  keytrail findings --account 210987654321 -o json\n"
		    "  keytrail findings close 3f2a9b00 --note 'our own scanner, ticket 4711'\n",
	.options = OPTIONS_OUTPUT | OPTIONS_FORMS | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_FINDINGS |
                   OPTIONS_STORED | OPTIONS_REVIEW,
	.maximum = -1,
	.run = run,
};
