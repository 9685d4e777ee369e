/* SPDX-License-Identifier: Apache-2.0 */

/* The page as a whole: its head, THE TABLE of its sections, its foot. The policy in its head lets nothing be fetched
 * and nothing run, should anything ever get past html.c. */
#include "cli/report.h"

#include <string.h>

#include "cli/containment.h"
#include "common/clock.h"

static const struct section {
	const char *id, *heading;
	report_section *write;
} sections[] = {
	{"other-side", "Whose account the other side is", report_other_side},
	{"time-line", "Time line", report_timeline},
	{"suspects", "Who received the key", report_suspects},
	{"ancestors", "Where these processes came from", report_ancestors},
	{"calls", "What was called", report_calls},
	{"lineage", "What the key came from", report_lineage},
	{"coverage", "What the ledger could see", report_coverage},
	{"unknown", "What is not known", report_unknown},
	{"findings", "Findings and notes", report_findings},
	{"next-steps", "Next steps", report_next_steps},
};

static const char *name_of(const struct report *report)
{
	const char *principal = json_text_at(report->finding, "principal_id");
	return report->subject->key[0] != '\0' ? report->subject->key : principal != NULL ? principal : "a session";
}

static void write_head(const struct report *report, struct html *to)
{
	html_raw(
		to,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<meta name=\"color-scheme\" content=\"light dark\">\n"
		"<meta name=\"referrer\" content=\"no-referrer\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
		"base-uri 'none'; form-action 'none'\">\n<title>");
	html_text(to, name_of(report));
	html_raw(to, " - Keytrail report</title>\n<style>\n");
	html_raw(to, report_style);
	html_raw(to, "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the report</a>\n");
}

/* One sentence, the severity beside it, and the likeliest receiver. */
static void write_verdict(const struct report *report, struct html *to)
{
	const char *severity = json_text_at(report->finding, "severity");
	static const char *const known[] = {"LOW", "MEDIUM", "HIGH"};
	int level = severity != NULL ? name_index(known, (int)ARRAY_LENGTH(known), severity) : -1;
	html_raw(to, "<section class=\"verdict\" aria-labelledby=\"verdict\">\n<h2 id=\"verdict\">Verdict</h2>\n");
	if (level >= 0)
		html_printf(to, "<p><strong class=\"badge badge-%d\">%s</strong> ", level, known[level]);
	else
		html_raw(to, "<p><strong class=\"badge\">No finding</strong> ");
	html_text(to, json_text_at(report->finding, "type"));
	html_raw(to, "</p>\n");
	html_element(to, "p class=\"sentence\"", json_text_at(report->plan, "verdict"));
	html_raw(to, "\n");
	if (json_text_at(report->plan, "suspect") != NULL)
		html_element(to, "p", json_text_at(report->plan, "suspect"));
	html_element(to, "p", json_text_at(report->plan, "other_side.text"));
	if (json_text_at(report->plan, "expired") != NULL)
		html_element(to, "p", json_text_at(report->plan, "expired"));
	html_raw(to, "\n</section>\n");
}

static void write_contents(struct html *to)
{
	html_raw(to, "<nav aria-label=\"Contents\">\n<ol>\n");
	for (size_t i = 0; i < ARRAY_LENGTH(sections); i++)
		html_printf(to, "<li><a href=\"#%s\">%s</a></li>\n", sections[i].id, sections[i].heading);
	html_raw(to, "</ol>\n</nav>\n");
}

static void write_title(const struct report *report, struct html *to)
{
	char now[CLOCK_TEXT_BYTES];
	html_raw(to, "<header>\n<h1><span class=\"what\">Report on key</span> <code>");
	html_text(to, name_of(report));
	html_raw(to, "</code></h1>\n<dl class=\"facts\">\n");
	html_term(to, "Account", report->plan, "account_id");
	html_term(to, "Role", report->plan, "role");
	html_term(to, "Instance", report->plan, "instance_id");
	html_term(to, "Expires", report->plan, "expires_at");
	html_raw(to, "<dt>Written</dt><dd>");
	html_text(to, clock_format(report->now_us, now));
	html_raw(to, "</dd>\n</dl>\n</header>\n");
}

static void write_foot(const struct report *report, struct html *to)
{
	html_raw(to, "<footer>\n<p>Made by keytrail " KEYTRAIL_VERSION " from the ledger <code>");
	html_text(to, report->ledger);
	html_raw(to, "</code> and the findings beside it. Times are UTC. Texts of others are shown byte by byte: what "
	             "is not "
	             "printable ASCII stands as <code>\\xNN</code>. This page fetches nothing and runs nothing.</p>\n"
	             "</footer>\n</body>\n</html>\n");
}

int report_write(const struct report *report, struct html *to, struct error *err)
{
	write_head(report, to);
	write_title(report, to);
	write_contents(to);
	html_raw(to, "<main id=\"main\" tabindex=\"-1\">\n");
	write_verdict(report, to);
	for (size_t i = 0; i < ARRAY_LENGTH(sections); i++) {
		html_printf(to, "<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">%s</h2>\n", sections[i].id,
		            sections[i].id, sections[i].heading);
		sections[i].write(report, to);
		html_raw(to, "</section>\n");
	}
	html_raw(to, "</main>\n");
	write_foot(report, to);
	return html_check(to, err);
}
