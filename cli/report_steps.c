/* SPDX-License-Identifier: Apache-2.0 */

/* The last section: what `contain` prints, as a page. */
#include "cli/report.h"

static void write_commands(const json_t *commands, struct html *to)
{
	for (size_t i = 0; i < json_array_size(commands); i++)
		html_element(to, "pre tabindex=\"0\" class=\"shell\"", json_string_value(json_array_get(commands, i)));
	html_raw(to, "\n");
}

static void write_collection(const json_t *list, struct html *to)
{
	html_raw(to, "<h3>Collect first</h3>\n<ol>\n");
	for (size_t i = 0; i < json_array_size(list); i++) {
		html_raw(to, "<li>");
		html_value(to, json_at(json_array_get(list, i), "what"));
		html_element(to, "pre tabindex=\"0\" class=\"shell\"",
		             json_text_at(json_array_get(list, i), "command"));
		html_raw(to, "</li>\n");
	}
	html_raw(to, "</ol>\n");
}

static void write_step(const json_t *step, struct html *to)
{
	const json_t *policy = json_at(step, "policy");
	html_raw(to, "<li>\n");
	html_element(to, "h4", json_text_at(step, "title"));
	html_raw(to, "\n<dl class=\"facts\">\n");
	html_term(to, "Of", step, "target");
	html_term(to, "Why", step, "why");
	html_term(to, "Breaks", step, "breaks");
	html_term(to, "Undo", step, "undo");
	html_raw(to, "</dl>\n");
	if (policy != NULL) {
		CLEANUP_FREE char *text = json_dumps(policy, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER);
		html_element(to, "pre tabindex=\"0\"", text);
		html_raw(to, "\n");
	}
	write_commands(json_at(step, "commands"), to);
	html_raw(to, "</li>\n");
}

void report_next_steps(const struct report *report, struct html *to)
{
	const json_t *steps = json_at(report->plan, "steps"), *draft = json_at(report->plan, "report");
	html_raw(to,
	         "<p>Nothing has been called. Each step is for an administrator of the account that it names.</p>\n");
	write_collection(json_at(report->plan, "collect"), to);
	html_raw(to, "<h3>Stop it</h3>\n<ol>\n");
	for (size_t i = 0; i < json_array_size(steps); i++)
		write_step(json_array_get(steps, i), to);
	html_raw(to, "</ol>\n");
	if (draft == NULL)
		return;
	html_raw(to, "<h3>Draft of a report to AWS Trust &amp; Safety</h3>\n<dl class=\"facts\">\n");
	html_term(to, "To", draft, "to");
	html_term(to, "Subject", draft, "subject");
	html_raw(to, "</dl>\n");
	html_element(to, "pre tabindex=\"0\"", json_text_at(draft, "text"));
	html_raw(to, "\n");
}
