/* SPDX-License-Identifier: Apache-2.0 */

/* Sections about what: calls, lineage, coverage, and what nobody knows. */
#include "cli/report.h"

#include <string.h>

#include "cli/calls.h"

/* ---- calls */

#define TABLE(label, caption, columns)                                                                                 \
	"<div class=\"scroll\" role=\"group\" tabindex=\"0\" aria-label=\"" label "\">\n<table>\n<caption>" caption    \
	"</caption>\n<thead><tr>" columns "</tr></thead>\n<tbody>\n"
#define COLUMN(name) "<th scope=\"col\">" name "</th>"
#define NUMBER(name) "<th scope=\"col\" class=\"number\">" name "</th>"
#define TABLE_END "</tbody>\n</table>\n</div>\n"

static void write_number(const json_t *object, const char *path, struct html *to)
{
	html_raw(to, "<td class=\"number\">");
	html_value(to, json_at(object, path));
	html_raw(to, "</td>");
}

static void write_service(const json_t *service, struct html *to)
{
	const json_t *calls = json_at(service, "calls");
	html_raw(to, "<tr><th scope=\"row\">");
	html_value(to, json_at(service, "service"));
	html_raw(to, "</th><td>");
	for (size_t i = 0; i < json_array_size(calls); i++) {
		const json_t *call = json_array_get(calls, i);
		int64_t errors = 0;
		html_raw(to, i > 0 ? "<br>" : "");
		html_value(to, json_at(call, "name"));
		html_raw(to, ": ");
		html_value(to, json_at(call, "count"));
		if (json_int_at(call, "errors", &errors) && errors > 0)
			html_printf(to, ", %lld with an error", (long long)errors);
	}
	html_raw(to, "</td>");
	write_number(service, "count", to);
	write_number(service, "errors", to);
	html_raw(to, "</tr>\n");
}

/* Lists of one kind, of the first finding: what was said, and how often. */
static void write_counts(const struct report *report, const char *list, const char *field, const char *head,
                         struct html *to)
{
	const json_t *entries = json_at(report->finding, list);
	if (json_array_size(entries) == 0)
		return;
	html_raw(to, head);
	for (size_t i = 0; i < json_array_size(entries); i++) {
		html_raw(to, "<tr><th scope=\"row\">");
		html_value(to, json_at(json_array_get(entries, i), field));
		html_raw(to, "</th>");
		write_number(json_array_get(entries, i), "count", to);
		html_raw(to, "</tr>\n");
	}
	html_raw(to, TABLE_END);
}

void report_calls(const struct report *report, struct html *to)
{
	CLEANUP_JSON json_t *services = calls_by_service(report->subject->findings);
	if (json_array_size(services) == 0) {
		html_raw(to, "<p>No use is known.</p>\n");
		return;
	}
	html_raw(to, TABLE("Calls by service", "Calls by service",
	                   COLUMN("Service") COLUMN("Calls") NUMBER("Number") NUMBER("Errors")));
	for (size_t i = 0; i < json_array_size(services); i++)
		write_service(json_array_get(services, i), to);
	html_raw(to, TABLE_END);
	write_counts(report, "errors", "code", TABLE("Errors", "Errors", COLUMN("Error") NUMBER("Number")), to);
	write_counts(report, "user_agents", "user_agent",
	             TABLE("User agents", "User agents", COLUMN("User agent") NUMBER("Number")), to);
	write_counts(report, "addresses", "address",
	             TABLE("Addresses", "Source addresses, as the log has them", COLUMN("Address") NUMBER("Number")),
	             to);
	write_counts(report, "endpoints", "vpc_endpoint_id",
	             TABLE("VPC endpoints", "VPC endpoints", COLUMN("Endpoint") NUMBER("Number")), to);
	write_counts(report, "regions", "region", TABLE("Regions", "Regions", COLUMN("Region") NUMBER("Number")), to);
}

/* ---- lineage */

void report_lineage(const struct report *report, struct html *to)
{
	static const struct {
		const char *term, *path;
	} facts[] = {{"Key", "access_key_id"},  {"User", "user"},      {"Principal", "principal_id"},
	             {"Account", "account_id"}, {"Made by", "action"}, {"At", "at"},
	             {"Event", "event_id"}};
	const json_t *lineage = json_at(report->plan, "lineage");
	if (json_array_size(lineage) == 0) {
		html_raw(to, "<p>The key is not known to have been made with another one.</p>\n");
		return;
	}
	html_raw(to, "<p>From the key that was handed out to the one that was used.</p>\n<ol>\n");
	for (size_t i = 0; i < json_array_size(lineage); i++) {
		html_raw(to, "<li><dl class=\"facts\">\n");
		for (size_t j = 0; j < ARRAY_LENGTH(facts); j++)
			html_term(to, facts[j].term, json_array_get(lineage, i), facts[j].path);
		html_raw(to, "</dl></li>\n");
	}
	html_raw(to, "</ol>\n");
}

/* ---- coverage */

void report_coverage(const struct report *report, struct html *to)
{
	const json_t *coverage = report->subject->coverage, *gaps = json_at(coverage, "gaps");
	if (json_is_null(coverage) || coverage == NULL) {
		html_raw(to, "<p>Nothing: the ledger that was read does not know this key.</p>\n");
		return;
	}
	html_raw(to, "<p>Looked at: ");
	html_time(to, json_text_at(coverage, "from"));
	html_raw(to, " to ");
	html_time(to, json_text_at(coverage, "until"));
	html_raw(to, json_array_size(gaps) == 0
	                     ? ". All that was asked on that machine was seen.</p>\n"
	                     : ". In the gaps below, somebody may have been handed the key without a row.</p>\n");
	if (json_array_size(gaps) == 0)
		return;
	html_raw(to, TABLE("Gaps", "Gaps", COLUMN("From") COLUMN("Until") COLUMN("Reason")));
	for (size_t i = 0; i < json_array_size(gaps); i++) {
		const json_t *gap = json_array_get(gaps, i);
		html_raw(to, "<tr><th scope=\"row\" class=\"whole\">");
		html_time(to, json_text_at(gap, "from"));
		html_raw(to, "</th><td class=\"whole\">");
		html_time(to, json_text_at(gap, "until"));
		html_raw(to, "</td><td>");
		html_text(to, json_text_at(gap, "reason"));
		html_raw(to, "</td></tr>\n");
	}
	html_raw(to, TABLE_END);
}

/* ---- what is not known */

static bool has_no_finding(const struct report *report)
{
	return report->finding == NULL;
}

static bool has_no_account(const struct report *report)
{
	return report->finding != NULL && json_text_at(report->plan, "other_side.account_id") == NULL;
}

static bool is_unsure(const struct report *report)
{
	const char *certainty = json_text_at(report->plan, "other_side.certainty");
	return certainty != NULL && (strcmp(certainty, "weak") == 0 || strcmp(certainty, "strong") == 0);
}

static bool has_no_delivery(const struct report *report)
{
	return json_array_size(report->subject->deliveries) == 0;
}

static bool has_gaps(const struct report *report)
{
	return json_array_size(json_at(report->subject->coverage, "gaps")) > 0;
}

static bool has_doubtful_receivers(const struct report *report)
{
	for (size_t i = 0; i < json_array_size(report->subject->deliveries); i++) {
		const char *grade = json_text_at(json_array_get(report->subject->deliveries, i), "attribution.grade");
		if (grade == NULL || strcmp(grade, grade_names[GRADE_EXACT]) != 0)
			return true;
	}
	return false;
}

static bool has_several_receivers(const struct report *report)
{
	return json_array_size(json_at(report->finding, "suspects")) > 1;
}

static bool has_left_out(const struct report *report)
{
	return report->subject->uses_omitted > 0 || report->subject->deliveries_omitted > 0;
}

static bool always(const struct report *report)
{
	(void)report;
	return true;
}

/* THE TABLE of doubts: what is said when. */
static const struct {
	bool (*holds)(const struct report *report);
	const char *text;
} doubts[] = {
	{has_no_finding,
         "Whether anybody used the key where it should not have been: no finding is stored. That is no proof: "
         "CloudTrail may not have been read, or not all of it."},
	{has_no_account, "Whose account, if any, is behind the calls."},
	{is_unsure,
         "Whether the account on the other side is really that one: it follows from what people wrote down or from "
         "an address, not from AWS's own word."},
	{has_no_delivery, "Who received the key: the ledger that was read has no delivery of it."},
	{has_gaps, "Who else received the key while the ledger could not see, as listed under the gaps."},
	{has_doubtful_receivers, "Which process it was, for deliveries whose attribution is not exact."},
	{has_several_receivers,
         "Which of the receivers leaked it: all of them had the same key, since the metadata service "
         "gives one key to everybody until it rotates."},
	{has_left_out,
         "This page shows the first 2,000 deliveries and uses; the rest is in the ledger and in the findings."},
	{always,
         "What CloudTrail does not record: data events that no trail selects, services without events, and calls that "
         "were signed with the key on its own instance and sent from there."},
	{always, "What was read with the key: a log of calls says which, not what they gave."},
};

void report_unknown(const struct report *report, struct html *to)
{
	html_raw(to, "<ul>\n");
	for (size_t i = 0; i < ARRAY_LENGTH(doubts); i++)
		if (doubts[i].holds(report)) {
			html_element(to, "li", doubts[i].text);
			html_raw(to, "\n");
		}
	html_raw(to, "</ul>\n");
}
