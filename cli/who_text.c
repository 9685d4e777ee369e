/* SPDX-License-Identifier: Apache-2.0 */

/* The form of `who` that is read by people. Tables of rows say which fields; all values are escaped on their way. */
#include "cli/who_text.h"

#include "cli/calls.h"
#include "cli/printable.h"
#include "cli/prose.h"
#include "common/clock.h"
#include "detector/verdict.h"
#include "store/model.h"

struct line {
	const char *heading, *path;
	bool is_command;
	bool always; /* shown as "-" where it is not known */
};

/* Beside a time, how long ago that is. */
MUST_USE static int add_ago(const json_t *value, const struct table_look *look, struct buffer *to, struct error *err)
{
	char text[CLOCK_AGO_BYTES];
	int64_t at_us;
	if (!json_is_string(value) || !clock_parse(json_string_value(value), &at_us))
		return 0;
	return buffer_printf(to, err, " (%s)", clock_ago(at_us, look->now_us, text));
}

MUST_USE static int print_value(const json_t *object, const struct line *line, const struct table_look *look,
                                struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	const json_t *value = json_at(object, line->path);
	if (value == NULL && !line->always)
		return 0;
	int result = line->is_command && json_array_size(value) > 0 ? printable_command(&text, value, err)
	                                                            : printable_value(&text, value, err);
	if (result < 0 || add_ago(value, look, &text, err) < 0)
		return -1;
	prose_printable(look, line->heading, text.bytes);
	return 0;
}

MUST_USE static int print_lines(const json_t *object, const struct line *lines, size_t count,
                                const struct table_look *look, struct error *err)
{
	for (size_t i = 0; i < count; i++)
		if (print_value(object, &lines[i], look, err) < 0)
			return -1;
	return 0;
}

static const struct line reported_lines[] = {
	{.heading = "Reported by", .path = "format"},     {.heading = "  type", .path = "type", .always = true},
	{.heading = "  severity", .path = "severity"},    {.heading = "  title", .path = "title"},
	{.heading = "  key", .path = "access_key_id"},    {.heading = "  account", .path = "account_id"},
	{.heading = "  instance", .path = "instance_id"}, {.heading = "  used by", .path = "remote.account_id"},
	{.heading = "  from", .path = "remote.address"},  {.heading = "  first seen", .path = "first_seen"},
	{.heading = "  last seen", .path = "last_seen"},  {.heading = "  times", .path = "count"},
};

static const struct line finding_lines[] = {
	{.heading = "  type", .path = "type", .always = true},
	{.heading = "  id", .path = "id"},
	{.heading = "  used by", .path = "remote.account_id", .always = true},
	{.heading = "  relation", .path = "remote.relation"},
	{.heading = "  from", .path = "remote.address", .always = true},
	{.heading = "  endpoint", .path = "remote.vpc_endpoint_id"},
	{.heading = "  first seen", .path = "first_seen", .always = true},
	{.heading = "  last seen", .path = "last_seen", .always = true},
	{.heading = "  times", .path = "count", .always = true},
	{.heading = "  state", .path = "state"},
	{.heading = "  since", .path = "state_at"},
	{.heading = "  new uses", .path = "new_uses"},
	{.heading = "  suppressed", .path = "suppression.reason"},
};

static const struct line key_lines[] = {
	{.heading = "Key", .path = "access_key_id", .always = true},
	{.heading = "  account", .path = "account_id", .always = true},
	{.heading = "  role", .path = "role", .always = true},
	{.heading = "  expires", .path = "expires_at", .always = true},
	{.heading = "  instance", .path = "instance_id"},
	{.heading = "  of account", .path = "host_account_id"},
	{.heading = "  region", .path = "region"},
	{.heading = "  delivered", .path = "deliveries"},
	{.heading = "  processes", .path = "processes"},
	{.heading = "  first", .path = "first_delivered_at"},
	{.heading = "  last", .path = "last_delivered_at"},
};

static const struct line process_lines[] = {
	{.heading = "  process", .path = "process.pid", .always = true},
	{.heading = "  user", .path = "process.user"},
	{.heading = "  uid", .path = "process.uid"},
	{.heading = "  executable", .path = "process.exe", .always = true},
	{.heading = "  sha256", .path = "process.exe_sha256"},
	{.heading = "  script", .path = "process.script.path"},
	{.heading = "  command", .path = "process.cmdline", .is_command = true, .always = true},
	{.heading = "  started", .path = "process.started_at"},
	{.heading = "  unit", .path = "process.unit"},
	{.heading = "  container", .path = "process.container_id"},
	{.heading = "  pod", .path = "process.pod_uid"},
};

/* Of many machines: which one it was. */
static const struct line machine_lines[] = {
	{.heading = "  instance", .path = "host.instance_id", .always = true},
	{.heading = "  ledger", .path = "ledger_id", .always = true},
};

static const struct line delivery_lines[] = {
	{.heading = "  client", .path = "client.address"},
	{.heading = "  user agent", .path = "user_agent"},
	{.heading = "  path", .path = "path"},
	{.heading = "  outcome", .path = "outcome", .always = true},
	{.heading = "  reason", .path = "reason"},
};

/* How sure that is, and what was seen: a sentence a line. */
MUST_USE static int print_grade(const json_t *delivery, const struct table_look *look, struct error *err)
{
	static const struct line grade = {.heading = "  grade", .path = "attribution.grade", .always = true};
	const json_t *evidence = json_at(delivery, "attribution.evidence");
	if (print_lines(delivery, &grade, 1, look, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(evidence); i++)
		if (prose_text(look, i == 0 ? "  evidence" : "", json_string_value(json_array_get(evidence, i)), err) <
		    0)
			return -1;
	return 0;
}

int who_text_reported(const json_t *report, const struct table_look *look, struct error *err)
{
	if (print_lines(report, reported_lines, ARRAY_LENGTH(reported_lines), look, err) < 0)
		return -1;
	(void)fputc('\n', look->stream);
	return 0;
}

int who_text_key(const json_t *key, const struct table_look *look, struct error *err)
{
	return print_lines(key, key_lines, ARRAY_LENGTH(key_lines), look, err);
}

/* From the key that was delivered to the one that was used, in a line. */
MUST_USE static int print_lineage(const json_t *finding, const struct table_look *look, struct error *err)
{
	const json_t *lineage = json_at(finding, "lineage");
	CLEANUP_BUFFER struct buffer text = {0};
	for (size_t i = 0; i < json_array_size(lineage); i++) {
		const json_t *step = json_array_get(lineage, i);
		const char *key = json_text_at(step, "access_key_id"), *user = json_text_at(step, "user");
		const char *principal = json_text_at(step, "principal_id"), *action = json_text_at(step, "action");
		const char *name = key != NULL ? key : user != NULL ? user : principal != NULL ? principal : "-";
		if (action != NULL && buffer_printf(&text, err, ", by %s ", action) < 0)
			return -1;
		if (buffer_printf(&text, err, "%s", name) < 0)
			return -1;
	}
	return prose_text(look, "  lineage", text.bytes, err);
}

/* Whose account the other side is, what was called, and why it is a finding. */
MUST_USE static int print_reasons(const json_t *finding, const struct table_look *look, struct error *err)
{
	CLEANUP_JSON json_t *side = verdict_other_side(finding);
	CLEANUP_JSON json_t *findings = json_pack("[O]", finding);
	CLEANUP_JSON json_t *services = calls_by_service(findings);
	const json_t *evidence = json_at(finding, "evidence");
	if (print_lineage(finding, look, err) < 0 || prose_at(look, "  other side", side, "text", err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(services); i++) {
		CLEANUP_BUFFER struct buffer text = {0};
		if (calls_line(json_array_get(services, i), &text, err) < 0 ||
		    prose_text(look, "  called", text.bytes, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < json_array_size(evidence); i++)
		if (prose_text(look, "  because", json_string_value(json_array_get(evidence, i)), err) < 0)
			return -1;
	return 0;
}

int who_text_finding(const json_t *finding, const struct table_look *look, struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	if (printable_value(&text, json_at(finding, "severity"), err) < 0)
		return -1;
	(void)fprintf(look->stream, "\n%s%-13s %s%s\n", look->colours ? "\033[1m" : "", "Finding", text.bytes,
	              look->colours ? "\033[0m" : "");
	if (print_lines(finding, finding_lines, ARRAY_LENGTH(finding_lines), look, err) < 0)
		return -1;
	return print_reasons(finding, look, err);
}

/* The others that held the socket: one line each, the process itself is in the tree. */
MUST_USE static int print_holders(const json_t *delivery, const struct table_look *look, struct error *err)
{
	static const struct line lines[] = {
		{.heading = "  also held by", .path = "pid", .always = true},
		{.heading = "    executable", .path = "exe", .always = true},
		{.heading = "    command", .path = "cmdline", .is_command = true},
	};
	const json_t *holders = json_at(delivery, "holders"), *process = json_at(delivery, "process");
	for (size_t i = 0; i < json_array_size(holders); i++) {
		const json_t *holder = json_array_get(holders, i);
		if (json_is_object(holder) && !json_equal(holder, process) &&
		    print_lines(holder, lines, ARRAY_LENGTH(lines), look, err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int print_heading(const json_t *delivery, const struct table_look *look, struct error *err)
{
	static const char *const headings[OUTCOME_COUNT] = {
		[OUTCOME_RECORDED] = "Recorded",
		[OUTCOME_DELIVERED] = "Delivered",
		[OUTCOME_REFUSED] = "Refused",
		[OUTCOME_ABORTED] = "Aborted",
	};
	const char *at = json_text_at(delivery, "delivered_at"), *outcome = json_text_at(delivery, "outcome");
	int index = outcome != NULL ? name_index(outcome_names, OUTCOME_COUNT, outcome) : -1;
	CLEANUP_BUFFER struct buffer text = {0};
	if (printable_text(&text, at != NULL ? at : "at an unknown time", err) < 0 ||
	    add_ago(json_at(delivery, "delivered_at"), look, &text, err) < 0)
		return -1;
	(void)fprintf(look->stream, "\n%s%-13s %s%s\n", look->colours ? "\033[1m" : "",
	              index >= 0 ? headings[index] : "Recorded", text.bytes, look->colours ? "\033[0m" : "");
	return 0;
}

MUST_USE static int print_node(const json_t *process, size_t depth, const struct table_look *look, struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	const json_t *user = json_at(process, "user"), *command = json_at(process, "cmdline");
	if (printable_value(&text, json_at(process, "pid"), err) < 0 || buffer_append(&text, " ", 1, err) < 0 ||
	    printable_value(&text, user != NULL ? user : json_at(process, "uid"), err) < 0 ||
	    buffer_append(&text, "  ", 2, err) < 0 || printable_value(&text, json_at(process, "exe"), err) < 0)
		return -1;
	if (json_array_size(command) > 0 &&
	    (buffer_append(&text, "  ", 2, err) < 0 || printable_command(&text, command, err) < 0))
		return -1;
	prose_branch(look, depth, text.bytes);
	return 0;
}

/* A process below its ancestors, eldest first; the ledger lists the parent first. */
MUST_USE static int print_tree(const json_t *process, const struct table_look *look, struct error *err)
{
	const json_t *ancestors = json_at(process, "ancestors");
	size_t count = json_array_size(ancestors);
	for (size_t i = 0; i < count; i++)
		if (print_node(json_array_get(ancestors, count - 1 - i), i, look, err) < 0)
			return -1;
	return print_node(process, count, look, err);
}

int who_text_delivery(const json_t *delivery, const json_t *previous, const struct table_look *look, struct error *err)
{
	const json_t *process = json_at(delivery, "process");
	bool is_same = process != NULL && previous != NULL && json_equal(process, previous);
	int64_t pid = 0;
	(void)json_int_at(process, "pid", &pid);
	if (print_heading(delivery, look, err) < 0)
		return -1;
	if (json_text_at(delivery, "ledger_id") != NULL &&
	    print_lines(delivery, machine_lines, ARRAY_LENGTH(machine_lines), look, err) < 0)
		return -1;
	if (is_same)
		(void)fprintf(look->stream, "  process     %lld, the same as above\n", (long long)pid);
	else if (print_lines(delivery, process_lines, ARRAY_LENGTH(process_lines), look, err) < 0)
		return -1;
	if (print_grade(delivery, look, err) < 0 ||
	    print_lines(delivery, delivery_lines, ARRAY_LENGTH(delivery_lines), look, err) < 0 ||
	    print_holders(delivery, look, err) < 0)
		return -1;
	if (process == NULL || is_same)
		return 0;
	(void)fputc('\n', look->stream);
	return print_tree(process, look, err);
}
