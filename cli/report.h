/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/html.h"
#include "cli/subject.h"
#include "cli/timeline.h"

/* One page on one key, for people: whole in itself, without a script, a picture or a style from elsewhere. */
struct report {
	const struct subject *subject;
	const json_t *finding;  /* the first one, or NULL */
	const json_t *plan;     /* cli/containment.h */
	const json_t *timeline; /* cli/timeline.h */
	const char *ledger;     /* path, as the reader knows it */
	int64_t now_us;
};

/* The whole page. ERROR_MEMORY. */
MUST_USE int report_write(const struct report *report, struct html *to, struct error *err);

/* Its sections, each behind its heading: THE TABLE in report.c says in which order. */
typedef void report_section(const struct report *report, struct html *to);
report_section report_other_side, report_suspects, report_ancestors, report_findings; /* report_people.c */
report_section report_timeline;                                                       /* report_timeline.c */
report_section report_calls, report_lineage, report_coverage, report_unknown;         /* report_facts.c */
report_section report_next_steps;                                                     /* report_steps.c */

/* The style of the page; no `</` may stand in it. */
extern const char report_style[];
