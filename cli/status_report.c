/* SPDX-License-Identifier: Apache-2.0 */

/* Judges what `status` saw. "Not looked at" is never "whole". The daemon's answer comes over a socket that might not be
 * the daemon's, so its texts are shown escaped. */
#include "cli/status_report.h"

#include <stdarg.h>
#include <string.h>

#include "cli/printable.h"
#include "common/text.h"

#define CHECK_STANDS_S 900 /* as for coverage (store/coverage.h) */

/* Says one thing: `known` false means that it could not be looked at. */
static void add_point(json_t *list, const char *id, bool known, const char *format, ...) PRINTF_LIKE(4, 5);

static void add_point(json_t *list, const char *id, bool known, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	json_t *point = json_object();
	json_put_text(point, "id", id);
	json_put_bool(point, "known", known);
	json_put_text(point, "text", text);
	(void)json_array_append_new(list, point);
}

static const char *or_unknown(const char *text)
{
	return text != NULL ? text : "unknown";
}

/* Only what is said to be wrong counts: a daemon of another version may not say everything. */
static bool is_false(const json_t *object, const char *path)
{
	bool value;
	return json_bool_at(object, path, &value) && !value;
}

/* Our own proxy keeps to the form that the witness expects. */
static void judge_queries(const json_t *daemon, json_t *faults)
{
	const json_t *refused = json_at(daemon, "witness.refused"), *count;
	const char *reason;
	json_int_t sum = 0;
	json_object_foreach ((json_t *)(uintptr_t)refused, reason, count)
		sum += json_integer_value(count);
	if (sum > 0)
		add_point(faults, "queries-refused", true,
		          "the witness refused %lld queries: a fault, or somebody else in the proxy's place",
		          (long long)sum);
}

static void judge_answer(const json_t *daemon, json_t *faults)
{
	const char *problem = json_text_at(daemon, "ledger.last_error");
	const json_t *backends = json_at(daemon, "witness.backends");
	if (is_false(daemon, "ledger.writable"))
		add_point(faults, "ledger-not-written", true, "the daemon cannot write its ledger: %s",
		          or_unknown(problem));
	int64_t dropped;
	if (json_int_at(daemon, "ledger.dropped", &dropped) && dropped > 0)
		add_point(faults, "rows-lost", true,
		          "%lld rows could neither be written to the ledger nor to its journal", (long long)dropped);
	bool refused;
	if (json_bool_at(daemon, "reload.refused", &refused) && refused)
		add_point(faults, "reload-refused", true,
		          "the settings were changed and refused, those before are in force: %s",
		          or_unknown(json_text_at(daemon, "reload.reason")));
	if (is_false(daemon, "upstream.reachable"))
		add_point(faults, "upstream-unreachable", true, "the metadata service does not answer the daemon: %s",
		          or_unknown(json_text_at(daemon, "upstream.last_error")));
	const char *ebpf = json_text_at(daemon, "witness.ebpf");
	if (json_is_true(json_at(daemon, "witness.ebpf_required")) && ebpf != NULL && strcmp(ebpf, "on") != 0)
		add_point(faults, "ebpf-off", true, "[witness] ebpf = on, but it is %s", ebpf);
	if (json_is_array(backends) && json_array_size(backends) == 0)
		add_point(faults, "no-attribution", true,
		          "the witness has nothing to look with: no process can be named");
	judge_queries(daemon, faults);
}

static void judge_daemon(const struct status_parts *parts, json_t *faults, json_t *bypasses)
{
	switch (parts->daemon_state) {
	case CONTROL_ANSWERED:
		judge_answer(parts->daemon, faults);
		break;
	case CONTROL_DOWN:
		add_point(bypasses, "daemon-down", true, "keytraild does not run (%s): nothing is recorded",
		          or_unknown(parts->daemon_problem));
		break;
	case CONTROL_FORBIDDEN:
		add_point(bypasses, "daemon-unchecked", false,
		          "the daemon was not asked (%s): run as root or as a member of group keytrail",
		          or_unknown(parts->daemon_problem));
		break;
	case CONTROL_UNCLEAR:
		add_point(faults, "daemon-unclear", true, "the daemon gave no answer that can be read: %s",
		          or_unknown(parts->daemon_problem));
		break;
	}
}

static void judge_ledger(const struct status_parts *parts, json_t *faults)
{
	if (parts->ledger_state == PART_FORBIDDEN)
		add_point(faults, "ledger-unchecked", false, "%s", or_unknown(parts->ledger_problem));
	else if (parts->ledger_state != PART_READ)
		add_point(faults, parts->ledger_state == PART_MISSING ? "ledger-missing" : "ledger-unreadable", true,
		          "%s", or_unknown(parts->ledger_problem));
}

/* `check` begins each line with the family that it is about. */
static bool speaks_of_ipv6_chains(const json_t *lines)
{
	for (size_t i = 0; i < json_array_size(lines); i++) {
		const char *line = json_string_value(json_array_get(lines, i));
		if (line != NULL && strstr(line, "IPv6") != NULL && strstr(line, "missing") != NULL)
			return true;
	}
	return false;
}

/* The daemon passes on what root's last check said: 1 whole, 0 not whole, -1 nothing that still stands. */
static int daemon_says_whole(const struct status_parts *parts)
{
	int64_t age_s;
	bool whole;
	if (!json_int_at(parts->daemon, "redirect.age_s", &age_s) || age_s > CHECK_STANDS_S ||
	    !json_bool_at(parts->daemon, "redirect.whole", &whole))
		return -1;
	return whole;
}

static void judge_redirect(const struct status_parts *parts, json_t *bypasses)
{
	int told = parts->redirect_state == PART_FORBIDDEN ? daemon_says_whole(parts) : -1;
	if (told == 0)
		add_point(bypasses, "redirect-not-whole", true,
		          "the last check found the redirect not whole: `sudo keytrail redirect check` says how");
	if (told >= 0)
		return;
	if (parts->redirect_state == PART_FORBIDDEN) {
		add_point(bypasses, "redirect-unchecked", false, "the redirect was not checked: that needs root");
		return;
	}
	if (parts->redirect_state != PART_READ) {
		add_point(bypasses, "redirect-unchecked", false, "the redirect could not be checked: %s",
		          or_unknown(parts->redirect_problem));
		return;
	}
	if (parts->redirect_status == 0)
		return;
	add_point(bypasses, "redirect-not-whole", true,
	          "the redirect is not whole: requests can reach the metadata service unrecorded; `keytrail redirect "
	          "repair` mends it");
	if (speaks_of_ipv6_chains(parts->redirect_lines))
		add_point(bypasses, "ipv6-not-redirected", true,
		          "rules for the IPv6 address of the metadata service are missing");
}

static void judge_gap(const struct status_parts *parts, json_t *faults, json_t *bypasses)
{
	if (parts->settings_problem != NULL && parts->settings_problem[0] != '\0')
		add_point(faults, "settings-bad", true, "%s", parts->settings_problem);
	if (parts->gap == NULL)
		return;
	const char *on_dead = json_text_at(parts->gap, "on_dead");
	bool is_open = on_dead != NULL && strcmp(on_dead, "open") == 0;
	add_point(is_open ? bypasses : faults, "given-up", true, "the daemon was given up at %s (%s): %s",
	          or_unknown(json_text_at(parts->gap, "began_at")), or_unknown(json_text_at(parts->gap, "reason")),
	          or_unknown(json_text_at(parts->gap, "done")));
}

static json_t *redirect_object(const struct status_parts *parts)
{
	json_t *redirect = json_object();
	bool checked = parts->redirect_state == PART_READ;
	int told = parts->redirect_state == PART_FORBIDDEN ? daemon_says_whole(parts) : -1;
	json_put_bool(redirect, "checked", checked);
	json_put(redirect, "whole",
	         checked     ? json_boolean(parts->redirect_status == 0)
	         : told >= 0 ? json_boolean(told)
	                     : NULL);
	json_put(redirect, "faults", checked ? json_deep_copy(parts->redirect_lines) : json_array());
	return redirect;
}

/* false if anything is known to be wrong, else null if anything was not looked at. */
static json_t *wholeness(const json_t *faults, const json_t *bypasses)
{
	const json_t *const lists[] = {faults, bypasses};
	bool complete = true;
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
		for (size_t j = 0; j < json_array_size(lists[i]); j++) {
			if (json_is_true(json_object_get(json_array_get(lists[i], j), "known")))
				return json_false();
			complete = false;
		}
	return complete ? json_true() : json_null();
}

int status_report_make(const struct status_parts *parts, json_t **ret, struct error *err)
{
	CLEANUP_JSON json_t *report = json_object();
	json_t *faults = json_array(), *bypasses = json_array();
	if (report == NULL || faults == NULL || bypasses == NULL) {
		json_decref(faults);
		json_decref(bypasses);
		return error_set(err, ERROR_MEMORY, "no memory for the status");
	}
	judge_daemon(parts, faults, bypasses);
	judge_ledger(parts, faults);
	judge_redirect(parts, bypasses);
	judge_gap(parts, faults, bypasses);
	json_put_text(report, "kind", "status");
	json_put(report, "whole", wholeness(faults, bypasses));
	json_put(report, "daemon", json_deep_copy(parts->daemon));
	json_put(report, "ledger", json_deep_copy(parts->ledger));
	json_put(report, "redirect", redirect_object(parts));
	json_put(report, "out_of_reach", json_deep_copy(parts->out_of_reach));
	json_put(report, "gap", json_deep_copy(parts->gap));
	json_put(report, "faults", faults);
	json_put(report, "bypasses", bypasses);
	*ret = steal_pointer(&report);
	return 0;
}

enum status status_report_verdict(const json_t *report)
{
	const json_t *whole = json_object_get(report, "whole");
	if (json_is_true(whole))
		return STATUS_FINE;
	return json_is_false(whole) ? STATUS_FOUND : STATUS_INCOMPLETE;
}

/* ---- for a person */

static const struct {
	const char *heading, *path;
} lines[] = {
	{"daemon", "daemon.version"},
	{"  pid", "daemon.pid"},
	{"  witness", "daemon.witness_pid"},
	{"  since", "daemon.started_at"},
	{"  user", "daemon.user"},
	{"  port", "daemon.port"},
	{"  mode", "daemon.mode"},
	{"  token scope", "daemon.token_scope"},
	{"  hop limit", "daemon.hop_limit"},
	{"  looks with", "daemon.witness.backends"},
	{"  ebpf", "daemon.witness.ebpf"},
	{"  evicted", "daemon.witness.map.evicted"},
	{"  also at connect", "daemon.witness.foreign_connect_programs"},
	{"  rows written", "daemon.ledger.rows_written"},
	{"  in journal", "daemon.ledger.journalled"},
	{"  requests", "daemon.counters.requests"},
	{"  delivered", "daemon.counters.delivered"},
	{"  refused", "daemon.counters.refused"},
	{"  aborted", "daemon.counters.aborted"},
	{"  without token", "daemon.counters.without_token"},
	{"  with more behind", "daemon.counters.with_extra"},
	{"instance", "daemon.instance.instance_id"},
	{"  account", "daemon.instance.account_id"},
	{"  region", "daemon.instance.region"},
	{"ledger", "ledger.path"},
	{"  rows", "ledger.rows"},
	{"  first", "ledger.first_at"},
	{"  last", "ledger.last_at"},
	{"redirect whole", "redirect.whole"},
	{"  checked", "daemon.redirect.checked_at"},
};

static void print_points(const json_t *points, const char *heading, FILE *to, struct buffer *text)
{
	for (size_t i = 0; i < json_array_size(points); i++) {
		const json_t *point = json_array_get(points, i);
		struct error ignored;
		buffer_clear(text);
		/* Without memory the line is shorter, the verdict stands. */
		(void)printable_value(text, json_at(point, "text"), &ignored);
		bool known = json_is_true(json_object_get(point, "known"));
		(void)fprintf(to, "%-8s %s\n", known ? heading : "unknown", text->bytes != NULL ? text->bytes : "");
	}
}

static void print_verdict(const json_t *report, FILE *to, bool colours)
{
	static const struct {
		const char *colour, *text;
	} verdicts[] = {
		[STATUS_FINE] = {"\033[32m", "whole: every request is redirected and recorded"},
		[STATUS_FOUND] = {"\033[31m", "NOT WHOLE"},
		[STATUS_INCOMPLETE] = {"\033[33m", "nothing is known to be wrong, but not all could be looked at"},
	};
	enum status verdict = status_report_verdict(report);
	(void)fprintf(to, "%s%s%s\n", colours ? verdicts[verdict].colour : "", verdicts[verdict].text,
	              colours ? "\033[0m" : "");
}

/* What the ledger did not see of late; the time since its newest heartbeat is not news. */
MUST_USE static int print_gaps(const json_t *report, FILE *to, struct error *err)
{
	const json_t *gaps = json_at(report, "ledger.coverage.gaps");
	for (size_t i = 0; i < json_array_size(gaps); i++) {
		const json_t *gap = json_array_get(gaps, i);
		const char *reason = json_text_at(gap, "reason");
		CLEANUP_BUFFER struct buffer from = {0};
		CLEANUP_BUFFER struct buffer until = {0};
		if (reason == NULL || strcmp(reason, "not-yet-known") == 0)
			continue;
		if (printable_value(&from, json_at(gap, "from"), err) < 0 ||
		    printable_value(&until, json_at(gap, "until"), err) < 0)
			return -1;
		(void)fprintf(to, "%-15s %s to %s, %s\n", "  not covered", from.bytes, until.bytes, reason);
	}
	return 0;
}

/* Their own words are escaped; numbers and drivers are ours and the kernel's. */
static void print_out_of_reach(const json_t *report, FILE *to)
{
	const json_t *list = json_at(report, "out_of_reach");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		int64_t netns = 0, pid = 0;
		char device[64], exe[512];
		const char *device_text = or_unknown(json_text_at(one, "device")),
			   *exe_text = or_unknown(json_text_at(one, "exe"));
		(void)json_int_at(one, "netns", &netns);
		(void)json_int_at(one, "pid", &pid);
		(void)fprintf(to, "%-15s network namespace %lld (pid %lld, %s) leads out by %s, %s\n", "Out of reach",
		              (long long)netns, (long long)pid,
		              text_escape(exe, sizeof(exe), exe_text, strlen(exe_text)),
		              text_escape(device, sizeof(device), device_text, strlen(device_text)),
		              or_unknown(json_text_at(one, "driver")));
	}
}

int status_report_print(const json_t *report, FILE *to, bool colours, struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	print_verdict(report, to, colours);
	print_points(json_at(report, "faults"), "FAULT", to, &text);
	print_points(json_at(report, "bypasses"), "BYPASS", to, &text);
	const json_t *faults = json_at(report, "redirect.faults");
	for (size_t i = 0; i < json_array_size(faults); i++) {
		buffer_clear(&text);
		if (printable_value(&text, json_array_get(faults, i), err) < 0)
			return -1;
		(void)fprintf(to, "redirect %s\n", text.bytes);
	}
	(void)fputc('\n', to);
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		const json_t *value = json_at(report, lines[i].path);
		if (value == NULL)
			continue;
		buffer_clear(&text);
		if (printable_value(&text, value, err) < 0)
			return -1;
		(void)fprintf(to, "%-15s %s\n", lines[i].heading, text.bytes);
	}
	print_out_of_reach(report, to);
	return print_gaps(report, to, err);
}
