/* SPDX-License-Identifier: Apache-2.0 */

/* The time line as a picture: four lanes over one axis, drawn by pixels, so that a thousand deliveries of one minute
 * are one mark; and as a table, which says the same in words. */
#include "cli/report.h"

#include <string.h>

#include "common/clock.h"

#define WIDTH 800
#define LEFT 100 /* of the lanes; their names stand before it */
#define RIGHT 780
#define LANE 36 /* height of one */
#define TOP 14
#define LABELS 4
#define ROWS_SHOWN 300
#define ROWS_OPEN 24 /* longer tables wait to be asked for */

enum lane { LANE_KEY, LANE_DELIVERIES, LANE_USES, LANE_GAPS, LANE_COUNT };
static const struct {
	const char *name, *class;
} lanes[LANE_COUNT] = {[LANE_KEY] = {"Key is good", "bar"},
                       [LANE_DELIVERIES] = {"Deliveries", "delivery"},
                       [LANE_USES] = {"Uses", "use"},
                       [LANE_GAPS] = {"Not covered", "gap"}};

struct scale {
	int64_t from_us, until_us;
};

static bool time_at(const json_t *object, const char *path, int64_t *ret)
{
	const char *text = json_text_at(object, path);
	return text != NULL && clock_parse(text, ret);
}

static int pixel_of(const struct scale *scale, int64_t at_us)
{
	double part = (double)(at_us - scale->from_us) / (double)(scale->until_us - scale->from_us);
	part = part < 0 ? 0 : part > 1 ? 1 : part;
	return LEFT + (int)(part * (RIGHT - LEFT));
}

/* From the first point to the last one, and a little more on both sides. */
static bool measure(const json_t *timeline, struct scale *ret)
{
	size_t count = json_array_size(timeline);
	struct scale scale;
	if (count == 0 || !time_at(json_array_get(timeline, 0), "at", &scale.from_us) ||
	    !time_at(json_array_get(timeline, count - 1), "at", &scale.until_us))
		return false;
	int64_t room = (scale.until_us - scale.from_us) / 50 + CLOCK_SECOND_US;
	*ret = (struct scale){scale.from_us - room, scale.until_us + room};
	return true;
}

/* ---- drawing */

static int top_of(enum lane lane)
{
	return TOP + (int)lane * LANE;
}

static void draw_lanes(struct html *to)
{
	for (int lane = 0; lane < LANE_COUNT; lane++) {
		int middle = top_of((enum lane)lane) + LANE / 2;
		html_printf(to, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LEFT - 10, middle + 4,
		            lanes[lane].name);
		html_printf(to, "<line class=\"lane\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", LEFT, middle, RIGHT,
		            middle);
	}
}

static void draw_axis(const struct scale *scale, struct html *to)
{
	int bottom = top_of(LANE_COUNT);
	for (int i = 0; i <= LABELS; i++) {
		int64_t at_us = scale->from_us + (scale->until_us - scale->from_us) / LABELS * i;
		char text[CLOCK_TEXT_BYTES];
		int x = LEFT + (RIGHT - LEFT) * i / LABELS;
		const char *anchor = i == 0 ? "start" : i == LABELS ? "end" : "middle";
		(void)clock_format(at_us, text);
		html_printf(to, "<line class=\"grid\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", x, TOP, x, bottom);
		html_printf(to,
		            "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%.10s</text>\n"
		            "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%.8s</text>\n",
		            x, bottom + 16, anchor, text, x, bottom + 32, anchor, text + strlen("2026-01-01T"));
	}
}

/* One mark a pixel, however many points there are. */
static void draw_points(const json_t *timeline, const char *kind, enum lane lane, const struct scale *scale,
                        struct html *to)
{
	bool is_marked[WIDTH + 1] = {false};
	for (size_t i = 0; i < json_array_size(timeline); i++) {
		const json_t *point = json_array_get(timeline, i);
		const char *is = json_text_at(point, "kind");
		int64_t at_us;
		if (is == NULL || strcmp(is, kind) != 0 || !time_at(point, "at", &at_us))
			continue;
		int x = pixel_of(scale, at_us);
		if (!is_marked[x])
			html_printf(to, "<line class=\"%s\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n",
			            lanes[lane].class, x, top_of(lane) + 5, x, top_of(lane) + LANE - 5);
		is_marked[x] = true;
	}
}

static void draw_bar(enum lane lane, int64_t from_us, int64_t until_us, const struct scale *scale, struct html *to)
{
	int from = pixel_of(scale, from_us), until = pixel_of(scale, until_us);
	html_printf(to, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", lanes[lane].class, from,
	            top_of(lane) + 10, until - from > 2 ? until - from : 2, LANE - 20);
}

/* From issue, else from the first delivery, to expiry. */
static void draw_life(const struct report *report, const struct scale *scale, struct html *to)
{
	const json_t *key = report->subject->delivered;
	int64_t from_us, until_us;
	if ((time_at(key, "updated_at", &from_us) || time_at(key, "first_delivered_at", &from_us)) &&
	    time_at(key, "expires_at", &until_us))
		draw_bar(LANE_KEY, from_us, until_us, scale, to);
}

static void draw_gaps(const struct report *report, const struct scale *scale, struct html *to)
{
	const json_t *gaps = json_at(report->subject->coverage, "gaps");
	for (size_t i = 0; i < json_array_size(gaps); i++) {
		int64_t from_us, until_us;
		if (time_at(json_array_get(gaps, i), "from", &from_us) &&
		    time_at(json_array_get(gaps, i), "until", &until_us))
			draw_bar(LANE_GAPS, from_us, until_us, scale, to);
	}
}

/* What a picture is for, in a sentence: its description for those who do not see it. */
static void describe(const struct report *report, struct html *to)
{
	CLEANUP_JSON json_t *brief = timeline_brief(report->timeline);
	for (size_t i = 0; i < json_array_size(brief); i++) {
		const json_t *point = json_array_get(brief, i);
		html_text(to, json_text_at(point, "at"));
		html_raw(to, ": ");
		html_value(to, json_at(point, "text"));
		html_raw(to, ". ");
	}
	html_raw(to, "The table below has each point in time.");
}

static void draw(const struct report *report, const struct scale *scale, struct html *to)
{
	html_printf(to,
	            "<div class=\"scroll\" role=\"group\" tabindex=\"0\" aria-label=\"Picture of the time line\">\n"
	            "<svg role=\"img\" aria-labelledby=\"picture-title picture-text\" viewBox=\"0 0 %d %d\">\n"
	            "<title id=\"picture-title\">Issue, deliveries, uses and expiry of the key</title>\n"
	            "<desc id=\"picture-text\">",
	            WIDTH, top_of(LANE_COUNT) + 40);
	describe(report, to);
	html_raw(to, "</desc>\n");
	draw_axis(scale, to);
	draw_lanes(to);
	draw_life(report, scale, to);
	draw_gaps(report, scale, to);
	draw_points(report->timeline, "delivered", LANE_DELIVERIES, scale, to);
	draw_points(report->timeline, "derived", LANE_DELIVERIES, scale, to);
	draw_points(report->timeline, "used", LANE_USES, scale, to);
	html_raw(to, "</svg>\n</div>\n");
}

/* ---- in words */

static void write_table(const json_t *timeline, struct html *to)
{
	size_t count = json_array_size(timeline);
	html_printf(to, "<details%s>\n<summary>Each point in time, %zu in all</summary>\n",
	            count <= ROWS_OPEN ? " open" : "", count);
	html_raw(to,
	         "<div class=\"scroll\" role=\"group\" tabindex=\"0\" aria-label=\"Table of the time line\">\n<table>\n"
	         "<thead><tr><th scope=\"col\">Time (UTC)</th><th scope=\"col\">What</th><th scope=\"col\">Details</th>"
	         "</tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < count && i < ROWS_SHOWN; i++) {
		const json_t *point = json_array_get(timeline, i);
		html_raw(to, "<tr><th scope=\"row\" class=\"whole\">");
		html_time(to, json_text_at(point, "at"));
		html_raw(to, "</th><td class=\"whole\">");
		html_text(to, json_text_at(point, "kind"));
		html_raw(to, "</td><td>");
		html_value(to, json_at(point, "text"));
		html_raw(to, "</td></tr>\n");
	}
	html_raw(to, "</tbody>\n</table>\n</div>\n");
	if (count > ROWS_SHOWN)
		html_printf(to, "<p>And %zu more.</p>\n", count - ROWS_SHOWN);
	html_raw(to, "</details>\n");
}

void report_timeline(const struct report *report, struct html *to)
{
	struct scale scale;
	if (!measure(report->timeline, &scale)) {
		html_raw(to, "<p>No point in time is known.</p>\n");
		return;
	}
	html_raw(to, "<figure>\n");
	draw(report, &scale, to);
	html_raw(to, "<figcaption>Deliveries are what this ledger recorded, uses what CloudTrail holds against the "
	             "key; uses "
	             "from where the key belongs are not drawn.</figcaption>\n</figure>\n");
	write_table(report->timeline, to);
}
