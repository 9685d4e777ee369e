/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail contain: what stops a key, what that breaks, and whom to tell. It calls nothing and changes nothing. */
#include <string.h>

#include "cli/calls.h"
#include "cli/complain.h"
#include "cli/containment.h"
#include "cli/only.h"
#include "cli/prose.h"
#include "common/clock.h"

/* ---- for people */

MUST_USE static int show_head(const json_t *plan, const struct table_look *look, struct error *err)
{
	static const struct {
		const char *what, *path;
	} lines[] = {
		{"Other side", "other_side.text"},
		{"  account", "other_side.account_id"},
		{"  how sure", "other_side.certainty"},
		{"  relation", "other_side.relation"},
		{"  address", "other_side.address"},
		{"  endpoint", "other_side.vpc_endpoint_id"},
		{"  first", "other_side.advice"},
		{"What happened", "verdict"},
		{"", "suspect"},
		{"Key", "access_key_id"},
		{"  kind", "key_kind"},
		{"  account", "account_id"},
		{"  by its id", "encoded_account_id"},
		{"  role", "role"},
		{"  instance", "instance_id"},
		{"  expires", "expires_at"},
		{"  so", "expired"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
		if (prose_at(look, lines[i].what, plan, lines[i].path, err) < 0)
			return -1;
	return 0;
}

/* From the delivered key down to the one that was used. */
MUST_USE static int show_lineage(const json_t *plan, const struct table_look *look, struct error *err)
{
	const json_t *lineage = json_at(plan, "lineage");
	for (size_t i = 0; i < json_array_size(lineage); i++) {
		const json_t *step = json_array_get(lineage, i);
		const char *name = json_text_at(step, "access_key_id"), *user = json_text_at(step, "user");
		const char *action = json_text_at(step, "action"), *account = json_text_at(step, "account_id");
		CLEANUP_BUFFER struct buffer text = {0};
		if (buffer_printf(&text, err, "%s",
		                  name != NULL   ? name
		                  : user != NULL ? user
		                                 : "-") < 0 ||
		    (account != NULL && buffer_printf(&text, err, ", account %s", account) < 0) ||
		    (action != NULL && buffer_printf(&text, err, ", by %s", action) < 0))
			return -1;
		if (prose_text(look, i == 0 ? "Lineage" : "  then", text.bytes, err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int show_use(const json_t *plan, const struct table_look *look, struct error *err)
{
	const json_t *timeline = json_at(plan, "timeline"), *calls = json_at(plan, "calls");
	for (size_t i = 0; i < json_array_size(timeline); i++) {
		const json_t *point = json_array_get(timeline, i);
		CLEANUP_BUFFER struct buffer text = {0};
		int64_t count = 1;
		(void)json_int_at(point, "count", &count);
		if (buffer_printf(&text, err, "%s %s", json_text_at(point, "at"), json_text_at(point, "text")) < 0 ||
		    (count > 1 &&
		     buffer_printf(&text, err, " (%s of %lld)", json_text_at(point, "which"), (long long)count) < 0) ||
		    prose_text(look, i == 0 ? "Time line" : "", text.bytes, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < json_array_size(calls); i++) {
		CLEANUP_BUFFER struct buffer text = {0};
		if (calls_line(json_array_get(calls, i), &text, err) < 0 ||
		    prose_text(look, i == 0 ? "Called" : "", text.bytes, err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int show_collection(const json_t *plan, const struct table_look *look, struct error *err)
{
	const json_t *list = json_at(plan, "collect");
	prose_heading(look, "Collect first");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *what = json_text_at(json_array_get(list, i), "what");
		const char *command = json_text_at(json_array_get(list, i), "command");
		(void)err;
		(void)fprintf(look->stream, "  %s:\n      %s\n", what != NULL ? what : "-",
		              command != NULL ? command : "-");
	}
	return 0;
}

MUST_USE static int show_step(const json_t *step, size_t number, const struct table_look *look, struct error *err)
{
	const json_t *policy = json_at(step, "policy"), *commands = json_at(step, "commands");
	char title[160];
	CLEANUP_FREE char *text =
		policy != NULL ? json_dumps(policy, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER) : NULL;
	(void)snprintf(title, sizeof(title), "%zu. %s", number, json_text_at(step, "title"));
	prose_heading(look, title);
	if (prose_at(look, "  of", step, "target", err) < 0 || prose_at(look, "  why", step, "why", err) < 0 ||
	    prose_at(look, "  breaks", step, "breaks", err) < 0 || prose_at(look, "  undo", step, "undo", err) < 0)
		return -1;
	if (text != NULL)
		(void)fprintf(look->stream, "%s\n", text);
	for (size_t i = 0; i < json_array_size(commands); i++)
		(void)fprintf(look->stream, "      %s\n", json_string_value(json_array_get(commands, i)));
	return 0;
}

MUST_USE static int show_text(const json_t *plan, struct error *err)
{
	const struct table_look look = table_look_at(stdout);
	const json_t *steps = json_at(plan, "steps"), *report = json_at(plan, "report");
	if (show_head(plan, &look, err) < 0 || show_lineage(plan, &look, err) < 0 || show_use(plan, &look, err) < 0 ||
	    show_collection(plan, &look, err) < 0)
		return -1;
	prose_heading(&look, "Then, as an administrator of each one's account. Nothing has been called.");
	for (size_t i = 0; i < json_array_size(steps); i++)
		if (show_step(json_array_get(steps, i), i + 1, &look, err) < 0)
			return -1;
	if (report != NULL) {
		prose_heading(&look, "Draft of a report to AWS Trust & Safety");
		if (prose_at(&look, "  to", report, "to", err) < 0 ||
		    prose_at(&look, "  subject", report, "subject", err) < 0)
			return -1;
		(void)fprintf(look.stream, "\n%s", json_text_at(report, "text"));
	}
	return output_finish(stdout, err);
}

/* ---- all */

/* CSV has a line for each step. */
MUST_USE static int show_rows(const struct arguments *arguments, const json_t *plan, struct error *err)
{
	CLEANUP_OUTPUT struct output *output = NULL;
	const struct output_options options = {.form = arguments->form, .columns = &columns_steps, .stream = stdout};
	const json_t *steps = json_at(plan, "steps");
	if (output_open(&options, &output, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(steps); i++)
		if (output_row(output, json_array_get(steps, i), err) < 0)
			return -1;
	return output_close(steal_pointer(&output), err);
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP_SUBJECT struct subject subject = {0};
	CLEANUP_JSON json_t *plan = NULL;
	int64_t now_us = clock_now_us();
	if (subject_find(arguments, arguments->operands[0], now_us, &subject, err) < 0 ||
	    containment_make(&subject, now_us, &plan, err) < 0)
		return -1;
	if (json_is_null(subject.delivered) && json_array_size(subject.findings) == 0)
		complain("%s: neither the ledger nor a finding knows this key", subject.key);
	*ret = STATUS_FINE;
	if (arguments->form == FORM_TABLE)
		return show_text(plan, err);
	if (arguments->form == FORM_CSV)
		return show_rows(arguments, plan, err);
	return only_show(arguments->form, &columns_steps, plan, err);
}

const struct command command_contain = {
	.name = "contain",
	.operands = "KEY|FINDING",
	.summary = "The IAM policies and commands that stop a key; nothing is called",
	.details = "First whose account the other side is, and how sure that is; then what to collect, the steps with "
		   "what "
		   "each breaks, and the draft of a report to AWS Trust & Safety. A FINDING is an id that `keytrail "
		   "findings` "
		   "lists, or its first 8 digits.",
	.examples = "  keytrail contain ASIAIOSFODNN7EXAMPLE\n"
		    "  keytrail contain 3f2a9b00 -o json | jq -r '.steps[0].commands[]'\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_STORED,
	.minimum = 1,
	.maximum = 1,
	.run = run,
};
