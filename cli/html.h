/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/buffer.h"
#include "common/json.h"

/* HTML in the making. Literals come from us; whatever came from a log, a ledger or a command line goes through
 * html_text or html_value, which let nothing but printable ASCII out, as tables do: other bytes become \xNN, so that no
 * text can be markup, hide, or turn what stands beside it around. Running out of memory is remembered, and said once at
 * the end. Not shared between threads. */
struct html {
	struct buffer text;
	bool has_failed;
};

void html_raw(struct html *html, const char *literal);
void html_printf(struct html *html, const char *format, ...) PRINTF_LIKE(2, 3); /* numbers and literals */
void html_text(struct html *html, const char *text);                            /* NULL: nothing */

/* A string with the NULs in it, a number, yes or no, a list with commas; "not known" for null. */
void html_value(struct html *html, const json_t *value);

/* <TAG>text</TAG>; TAG may have attributes, of ours. */
void html_element(struct html *html, const char *tag, const char *text);

/* A term and what an object has at that path; nothing where it is null, "", or an empty list. */
void html_term(struct html *html, const char *term, const json_t *object, const char *path);

/* A time of ours (RFC 3339) as people read it, with the whole of it for programs; nothing for NULL. */
void html_time(struct html *html, const char *text);

/* An array of arguments as a shell would take it. */
void html_command(struct html *html, const json_t *arguments);

/* -1 with *err if anything was lost. */
MUST_USE int html_check(const struct html *html, struct error *err);

static inline void cleanup_html(struct html *html)
{
	buffer_done(&html->text);
}
#define CLEANUP_HTML CLEANUP(cleanup_html)
