/* SPDX-License-Identifier: Apache-2.0 */

/* Judges what `status` saw. "Not looked at" is never "whole". */
#include "cli/status_report.h"

#include <stdarg.h>
#include <string.h>

#include "common/clock.h"
#include "store/coverage.h"

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
	if (!json_int_at(parts->daemon, "redirect.age_s", &age_s) ||
	    age_s > COVERAGE_CHECK_STANDS_US / CLOCK_SECOND_US ||
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
