/* SPDX-License-Identifier: Apache-2.0 */

/* Sections about who: the other side, the receivers, what these descend from, and what people said of the findings. */
#include "cli/report.h"

#include "cli/ancestry.h"

#define SUSPECTS_SHOWN 50 /* with all their facts; the time line has every delivery */
#define DEEPEST 40        /* of a tree: the ledger keeps eight ancestors of each */

/* ---- the other side */

void report_other_side(const struct report *report, struct html *to)
{
	static const struct {
		const char *term, *path;
	} facts[] = {{"Account", "account_id"}, {"How sure", "certainty"},           {"Relation to you", "relation"},
	             {"Address", "address"},    {"VPC endpoint", "vpc_endpoint_id"}, {"Network", "network"}};
	const json_t *side = json_at(report->plan, "other_side"), *evidence = json_at(report->finding, "evidence");
	int64_t number;
	html_element(to, "p", json_text_at(side, "text"));
	html_element(to, "p", json_text_at(side, "advice"));
	html_raw(to, "\n<dl class=\"facts\">\n");
	for (size_t i = 0; i < ARRAY_LENGTH(facts); i++)
		html_term(to, facts[i].term, side, facts[i].path);
	if (json_int_at(report->finding, "rung", &number))
		html_printf(to, "<dt>Rung of evidence</dt><dd>%d</dd>\n", (int)number);
	if (json_int_at(report->finding, "confidence", &number))
		html_printf(to, "<dt>Confidence</dt><dd>%d of 100</dd>\n", (int)number);
	html_raw(to, "</dl>\n");
	if (json_array_size(evidence) == 0)
		return;
	html_raw(to, "<h3>Evidence</h3>\n<ul>\n");
	for (size_t i = 0; i < json_array_size(evidence); i++) {
		html_raw(to, "<li>");
		html_value(to, json_array_get(evidence, i));
		html_raw(to, "</li>\n");
	}
	html_raw(to, "</ul>\n");
}

/* ---- receivers */

struct fact {
	const char *term, *path;
};

static void write_facts(const struct fact *facts, size_t count, const json_t *object, struct html *to)
{
	html_raw(to, "<dl class=\"facts\">\n");
	for (size_t i = 0; i < count; i++)
		html_term(to, facts[i].term, object, facts[i].path);
	html_raw(to, "</dl>\n");
}

static void write_command(const json_t *process, struct html *to)
{
	const json_t *words = json_at(process, "cmdline");
	if (json_array_size(words) == 0)
		return;
	html_raw(to, "<p class=\"label\">Command line</p>\n<pre>");
	html_command(to, words);
	html_raw(to, "</pre>\n");
}

static void write_process(const json_t *suspect, struct html *to)
{
	static const struct fact facts[] = {
		{"Process", "process.pid"},
		{"Started", "process.started_at"},
		{"User", "process.user"},
		{"User id", "process.uid"},
		{"Executable", "process.exe"},
		{"SHA-256", "process.exe_sha256"},
		{"Script", "process.script.path"},
		{"Unit", "process.unit"},
		{"Container", "process.container_id"},
		{"Pod", "process.pod_uid"},
		{"Client", "client.address"},
		{"User agent", "user_agent"},
		{"Delivered", "delivered_at"},
		{"Last delivered", "last_delivered_at"},
		{"Deliveries", "deliveries"},
		{"Outcome", "outcome"},
		{"Attribution", "attribution.grade"},
		{"Attributed by", "attribution.evidence"},
		{"Instance", "host.instance_id"},
	};
	write_facts(facts, ARRAY_LENGTH(facts), suspect, to);
	write_command(json_at(suspect, "process"), to);
}

/* The others that held the connection: any of them may have received the key. */
static void write_holders(const json_t *suspect, struct html *to)
{
	static const struct fact facts[] = {{"Process", "pid"}, {"Started", "started_at"},    {"User", "user"},
	                                    {"User id", "uid"}, {"Executable", "exe"},        {"SHA-256", "exe_sha256"},
	                                    {"Unit", "unit"},   {"Container", "container_id"}};
	const json_t *holders = json_at(suspect, "holders"), *process = json_at(suspect, "process");
	for (size_t i = 0; i < json_array_size(holders); i++) {
		const json_t *holder = json_array_get(holders, i);
		if (!json_is_object(holder) || json_equal(holder, process))
			continue;
		html_raw(to, "<p class=\"label\">Also held by: it may have been this process</p>\n");
		write_facts(facts, ARRAY_LENGTH(facts), holder, to);
		write_command(holder, to);
	}
}

static void write_reasons(const json_t *suspect, struct html *to)
{
	const json_t *reasons = json_at(suspect, "reasons");
	int64_t score;
	if (json_array_size(reasons) == 0)
		return;
	html_raw(to, "<p class=\"label\">Why it stands here");
	if (json_int_at(suspect, "score", &score))
		html_printf(to, " (%d points)", (int)score);
	html_raw(to, "</p>\n<ul>\n");
	for (size_t i = 0; i < json_array_size(reasons); i++) {
		html_raw(to, "<li>");
		html_value(to, json_array_get(reasons, i));
		html_raw(to, "</li>\n");
	}
	html_raw(to, "</ul>\n");
}

/* Without a finding nobody is under suspicion: the deliveries themselves are shown. */
static const json_t *receivers(const struct report *report)
{
	const json_t *suspects = json_at(report->finding, "suspects");
	return json_array_size(suspects) > 0 ? suspects : report->subject->deliveries;
}

void report_suspects(const struct report *report, struct html *to)
{
	const json_t *list = receivers(report);
	size_t count = json_array_size(list);
	int64_t omitted = 0;
	(void)json_int_at(report->finding, "suspects_omitted", &omitted);
	if (count == 0) {
		html_raw(to, "<p>No delivery of this key is in the ledger that was read.</p>\n");
		return;
	}
	html_raw(to, report->finding != NULL
	                     ? "<p>The likeliest first. The points are a judgement; the reasons are there to "
	                       "make your own.</p>\n"
	                     : "<p>Each delivery, the first one first.</p>\n");
	if (json_text_at(report->finding, "suspects_note") != NULL) {
		html_raw(to, "<p>Of the ranking: ");
		html_text(to, json_text_at(report->finding, "suspects_note"));
		html_raw(to, ".</p>\n");
	}
	html_raw(to, "<ol class=\"cards\">\n");
	for (size_t i = 0; i < count && i < SUSPECTS_SHOWN; i++) {
		const json_t *suspect = json_array_get(list, i);
		const json_t *exe = json_at(suspect, "process.exe");
		html_raw(to, "<li>\n<h3><code>");
		if (exe != NULL)
			html_value(to, exe);
		else
			html_raw(to, "a process that is not known");
		html_raw(to, "</code></h3>\n");
		write_reasons(suspect, to);
		write_process(suspect, to);
		write_holders(suspect, to);
		html_raw(to, "</li>\n");
	}
	html_raw(to, "</ol>\n");
	omitted += count > SUSPECTS_SHOWN ? (int64_t)(count - SUSPECTS_SHOWN) : 0;
	if (omitted > 0)
		html_printf(to, "<p>And %lld more.</p>\n", (long long)omitted);
}

/* ---- ancestors */

static void write_node(const json_t *node, int depth, struct html *to)
{
	const json_t *process = json_at(node, "process"), *suspects = json_at(node, "suspects");
	const json_t *children = json_at(node, "children"), *exe = json_at(process, "exe");
	html_raw(to, "<li>");
	if (json_array_size(suspects) > 0)
		html_raw(to, "<strong>");
	html_raw(to, "<code>");
	html_value(to, exe != NULL ? exe : json_at(process, "comm"));
	html_raw(to, "</code>");
	if (json_array_size(suspects) > 0)
		html_raw(to, "</strong>");
	html_raw(to, " process ");
	html_value(to, json_at(process, "pid"));
	if (json_at(process, "user") != NULL) {
		html_raw(to, ", user ");
		html_value(to, json_at(process, "user"));
	}
	if (json_array_size(suspects) > 0) {
		html_raw(to, " <span class=\"mark\">");
		html_raw(to, json_is_true(json_at(node, "is_certain")) ? "received" : "may have received");
		html_raw(to, " the key, number ");
		html_value(to, suspects);
		html_raw(to, " above</span>");
	}
	if (json_array_size(json_at(process, "cmdline")) > 0) {
		html_raw(to, "<br><code class=\"command\">");
		html_command(to, json_at(process, "cmdline"));
		html_raw(to, "</code>");
	}
	if (json_array_size(children) > 0 && depth < DEEPEST) {
		html_raw(to, "\n<ul>\n");
		for (size_t i = 0; i < json_array_size(children); i++)
			write_node(json_array_get(children, i), depth + 1, to);
		html_raw(to, "</ul>\n");
	}
	html_raw(to, "</li>\n");
}

void report_ancestors(const struct report *report, struct html *to)
{
	CLEANUP_JSON json_t *forest = ancestry_make(receivers(report));
	if (json_array_size(forest) == 0) {
		html_raw(to, "<p>No process is known.</p>\n");
		return;
	}
	html_raw(to, "<p>Parents above their children; those that received the key, or may have, are marked.</p>\n<ul "
	             "class=\"tree\">\n");
	for (size_t i = 0; i < json_array_size(forest); i++)
		write_node(json_array_get(forest, i), 0, to);
	html_raw(to, "</ul>\n");
}

/* ---- findings and what people say of them */

static void write_notes(const json_t *notes, struct html *to)
{
	if (json_array_size(notes) == 0)
		return;
	html_raw(to, "<ul>\n");
	for (size_t i = 0; i < json_array_size(notes); i++) {
		const json_t *note = json_array_get(notes, i);
		html_raw(to, "<li>");
		html_time(to, json_text_at(note, "at"));
		html_raw(to, ", ");
		html_text(to, json_text_at(note, "by"));
		html_raw(to, ": ");
		html_value(to, json_at(note, "text"));
		html_raw(to, "</li>\n");
	}
	html_raw(to, "</ul>\n");
}

void report_findings(const struct report *report, struct html *to)
{
	const json_t *all = report->subject->findings, *briefs = json_at(report->plan, "findings");
	if (json_array_size(all) == 0) {
		html_raw(to, "<p>None is stored on this key. <code>keytrail detect</code> looks for some in "
		             "CloudTrail.</p>\n");
		return;
	}
	html_raw(to, "<ul class=\"plain\">\n");
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *finding = json_array_get(all, i);
		html_raw(to, "<li>\n");
		html_element(to, "p", json_text_at(json_array_get(briefs, i), "verdict"));
		html_raw(to, "\n<dl class=\"facts\">\n");
		html_term(to, "Type", finding, "type");
		html_term(to, "Severity", finding, "severity");
		html_term(to, "State", finding, "state");
		html_term(to, "Since", finding, "state_at");
		html_term(to, "New uses since", finding, "new_uses");
		html_term(to, "Suppressed", finding, "suppression.reason");
		html_term(to, "Id", finding, "id");
		html_raw(to, "</dl>\n");
		write_notes(json_at(finding, "notes"), to);
		html_raw(to, "</li>\n");
	}
	html_raw(to, "</ul>\n");
}
