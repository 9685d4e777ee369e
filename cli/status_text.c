/* SPDX-License-Identifier: Apache-2.0 */

/* What `status` says to people. The daemon's answer comes over a socket that might not be the daemon's: its texts are
 * shown escaped, as all sentences are (cli/prose.h). */
#include "cli/status_text.h"

#include <string.h>

#include "cli/coverage.h"
#include "cli/prose.h"
#include "cli/status_report.h"
#include "common/buffer.h"

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
	{"  written", "daemon.ledger.rows_written"},
	{"  in journal", "daemon.ledger.journalled"},
	{"  requests", "daemon.counters.requests"},
	{"  delivered", "daemon.counters.delivered"},
	{"  refused", "daemon.counters.refused"},
	{"  aborted", "daemon.counters.aborted"},
	{"  no token", "daemon.counters.without_token"},
	{"  bytes extra", "daemon.counters.with_extra"},
	{"instance", "daemon.instance.instance_id"},
	{"  account", "daemon.instance.account_id"},
	{"  region", "daemon.instance.region"},
	{"redirect", "redirect.whole"},
	{"  last timer", "daemon.redirect.checked_at"},
	{"ledger", "ledger.path"},
	{"  rows", "ledger.rows"},
	{"  first", "ledger.first_at"},
	{"  last", "ledger.last_at"},
};

MUST_USE static int print_points(const json_t *points, const char *heading, const struct table_look *look,
                                 struct error *err)
{
	for (size_t i = 0; i < json_array_size(points); i++) {
		const json_t *point = json_array_get(points, i);
		bool known = json_is_true(json_object_get(point, "known"));
		if (prose_at(look, known ? heading : "unknown", point, "text", err) < 0)
			return -1;
	}
	return 0;
}

static void print_verdict(const json_t *report, const struct table_look *look)
{
	static const struct {
		const char *colour, *text;
	} verdicts[] = {
		[STATUS_FINE] = {"\033[32m", "whole: every request is redirected and recorded"},
		[STATUS_FOUND] = {"\033[31m", "NOT WHOLE"},
		[STATUS_INCOMPLETE] = {"\033[33m", "nothing is known to be wrong, but not all could be looked at"},
	};
	enum status verdict = status_report_verdict(report);
	(void)fprintf(look->stream, "%s%s%s\n", look->colours ? verdicts[verdict].colour : "", verdicts[verdict].text,
	              look->colours ? "\033[0m" : "");
}

/* What the ledger did not see of late; the time since its newest heartbeat is not news. */
MUST_USE static int print_gaps(const json_t *report, const struct table_look *look, struct error *err)
{
	const json_t *gaps = json_at(report, "ledger.coverage.gaps");
	for (size_t i = 0; i < json_array_size(gaps); i++) {
		const json_t *gap = json_array_get(gaps, i);
		const char *reason = json_text_at(gap, "reason");
		if (reason != NULL && strcmp(reason, "not-yet-known") != 0 &&
		    coverage_gap_text(gap, "  not covered", look, err) < 0)
			return -1;
	}
	return 0;
}

static const char *text_or_unknown(const json_t *object, const char *path)
{
	const char *text = json_text_at(object, path);
	return text != NULL ? text : "unknown";
}

MUST_USE static int print_out_of_reach(const json_t *report, const struct table_look *look, struct error *err)
{
	const json_t *list = json_at(report, "out_of_reach");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		CLEANUP_BUFFER struct buffer text = {0};
		int64_t netns = 0, pid = 0;
		(void)json_int_at(one, "netns", &netns);
		(void)json_int_at(one, "pid", &pid);
		if (buffer_printf(&text, err,
		                  "network namespace %lld (pid %lld, %s) leads out by %s, %s: what runs there is not "
		                  "redirected",
		                  (long long)netns, (long long)pid, text_or_unknown(one, "exe"),
		                  text_or_unknown(one, "device"), text_or_unknown(one, "driver")) < 0 ||
		    prose_text(look, "Out of reach", text.bytes, err) < 0)
			return -1;
	}
	return 0;
}

static size_t times_in(const json_t *list, const json_t *name, size_t until)
{
	size_t times = 0;
	for (size_t i = 0; i < until; i++)
		times += (size_t)json_equal(json_array_get(list, i), name);
	return times;
}

/* "note_connect4 (id 7)" of a list of them, without the id: what many containers have is said once. */
static json_t *without_ids(const json_t *programs)
{
	json_t *names = json_array();
	for (size_t i = 0; i < json_array_size(programs); i++) {
		const char *text = json_string_value(json_array_get(programs, i));
		if (text == NULL)
			continue;
		const char *end = strstr(text, " (id ");
		(void)json_array_append_new(names,
		                            json_stringn(text, end != NULL ? (size_t)(end - text) : strlen(text)));
	}
	return names;
}

/* Programs of others where ours learns who connects: they may send a connection elsewhere. */
MUST_USE static int print_programs(const json_t *report, const struct table_look *look, struct error *err)
{
	CLEANUP_JSON json_t *names = without_ids(json_at(report, "daemon.witness.foreign_connect_programs"));
	CLEANUP_BUFFER struct buffer text = {0};
	for (size_t i = 0; i < json_array_size(names); i++) {
		const json_t *name = json_array_get(names, i);
		size_t times = times_in(names, name, json_array_size(names));
		if (times_in(names, name, i) > 0)
			continue;
		if (buffer_printf(&text, err, "%s%s", text.length > 0 ? ", " : "", json_string_value(name)) < 0 ||
		    (times > 1 && buffer_printf(&text, err, " (%zu times)", times) < 0))
			return -1;
	}
	return text.length == 0 ? 0 : prose_text(look, "  others' bpf", text.bytes, err);
}

int status_text(const json_t *report, const struct table_look *look, struct error *err)
{
	print_verdict(report, look);
	if (print_points(json_at(report, "faults"), "FAULT", look, err) < 0 ||
	    print_points(json_at(report, "bypasses"), "BYPASS", look, err) < 0)
		return -1;
	const json_t *faults = json_at(report, "redirect.faults");
	for (size_t i = 0; i < json_array_size(faults); i++)
		if (prose_text(look, i == 0 ? "redirect" : "", json_string_value(json_array_get(faults, i)), err) < 0)
			return -1;
	(void)fputc('\n', look->stream);
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		bool whole;
		const json_t *value = json_at(report, lines[i].path);
		if (value == NULL)
			continue;
		int result = strcmp(lines[i].path, "redirect.whole") == 0 && json_bool_at(report, lines[i].path, &whole)
		                     ? prose_text(look, lines[i].heading, whole ? "whole" : "not whole", err)
		                     : prose_at(look, lines[i].heading, report, lines[i].path, err);
		if (result < 0 ||
		    (strcmp(lines[i].path, "daemon.witness.ebpf") == 0 && print_programs(report, look, err) < 0))
			return -1;
	}
	return print_gaps(report, look, err) < 0 ? -1 : print_out_of_reach(report, look, err);
}
