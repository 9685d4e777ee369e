/* SPDX-License-Identifier: Apache-2.0 */
/* The exact bytes of both server generations: reasons, header sets, header order, error pages. */
#include "sim/wire.h"

#include <string.h>

enum field {
	FIELD_END,
	FIELD_ACCEPT_RANGES,
	FIELD_ALLOW,
	FIELD_CONNECTION,
	FIELD_DATE,
	FIELD_LENGTH,
	FIELD_LOCATION,
	FIELD_MODIFIED,
	FIELD_SERVER,
	FIELD_TTL,
	FIELD_TYPE,
};

/* Errors come in two header orders: with a page and without. */
enum { LAYOUT_PAGE = SHAPE_COUNT, LAYOUT_COUNT };

#define TAIL_B FIELD_CONNECTION, FIELD_SERVER

static const enum field layouts[VARIANT_COUNT][LAYOUT_COUNT][10] =
	{
		[VARIANT_A] =
			{
				[SHAPE_TOKEN] = {FIELD_TTL, FIELD_LENGTH, FIELD_DATE, FIELD_SERVER, FIELD_CONNECTION,
                                                 FIELD_TYPE},
				[SHAPE_VALUE] = {FIELD_TTL, FIELD_TYPE, FIELD_ACCEPT_RANGES, FIELD_MODIFIED,
                                                 FIELD_LENGTH, FIELD_DATE, FIELD_SERVER, FIELD_CONNECTION},
				[SHAPE_ERROR] = {FIELD_TTL, FIELD_LENGTH, FIELD_DATE, FIELD_SERVER, FIELD_CONNECTION,
                                                 FIELD_TYPE},
				[SHAPE_METHODS] = {FIELD_ALLOW, FIELD_LENGTH, FIELD_DATE, FIELD_SERVER,
                                                   FIELD_CONNECTION, FIELD_TYPE},
				[SHAPE_REDIRECT] = {FIELD_TTL, FIELD_LOCATION, FIELD_LENGTH, FIELD_DATE, FIELD_SERVER,
                                                    FIELD_CONNECTION},
				[LAYOUT_PAGE] = {FIELD_TTL, FIELD_TYPE, FIELD_LENGTH, FIELD_DATE, FIELD_SERVER,
                                                 FIELD_CONNECTION},
			},
		[VARIANT_B] =
			{
				[SHAPE_TOKEN] = {FIELD_LENGTH, FIELD_TYPE, FIELD_DATE, FIELD_TTL, TAIL_B},
				[SHAPE_VALUE] = {FIELD_ACCEPT_RANGES, FIELD_LENGTH, FIELD_TYPE,
                                                 FIELD_DATE, FIELD_MODIFIED, FIELD_TTL, TAIL_B},
				[SHAPE_ERROR] = {FIELD_LENGTH, FIELD_TYPE, FIELD_DATE, FIELD_TTL, TAIL_B},
				[SHAPE_METHODS] = {FIELD_ALLOW, FIELD_LENGTH, FIELD_DATE, TAIL_B},
				[SHAPE_REDIRECT] = {FIELD_LENGTH, FIELD_DATE, FIELD_LOCATION, FIELD_TTL, TAIL_B},
				[LAYOUT_PAGE] = {FIELD_LENGTH, FIELD_TYPE, FIELD_DATE, FIELD_TTL, TAIL_B},
			},
};

static const struct {
	const char *protocol;
	const char *accept_ranges;
	const char *page_indent;
} dialects[VARIANT_COUNT] = {
	[VARIANT_A] = {"HTTP/1.1", "none", "\t\t "},
	[VARIANT_B] = {"HTTP/1.0", "bytes", "\t"},
};

static const struct status {
	int status;
	const char *reason;
	bool page[VARIANT_COUNT]; /* a page as body, else none */
} statuses[] = {
	{200, "OK", {false, false}},
	{301, "Moved Permanently", {false, false}},
	{400, "Bad Request", {false, true}},
	{401, "Unauthorized", {false, true}},
	{403, "Forbidden", {false, false}},
	{404, "Not Found", {true, true}},
	{405, "Method Not Allowed", {false, false}},
	{417, "Expectation Failed", {true, true}},
	{429, "Too Many Requests", {false, true}},
	{500, "Internal Server Error", {false, true}},
	{502, "Bad Gateway", {false, true}},
	{503, "Service Unavailable", {false, true}},
	{504, "Gateway Timeout", {false, true}},
};

static struct status status_of(int status)
{
	for (size_t i = 0; i < COUNT_OF(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i];
	return (struct status){.status = status, .reason = "Unknown"};
}

static const char *reason_of(int status, enum variant variant)
{
	return status == 405 && variant == VARIANT_A ? "Not Allowed" : status_of(status).reason;
}

static bool has_page(const struct answer *answer, enum variant variant)
{
	return answer->shape == SHAPE_ERROR && status_of(answer->status).page[variant];
}

void wire_fill_body(struct answer *answer, enum variant variant)
{
	char page[512];
	const char *reason = reason_of(answer->status, variant);

	if (!has_page(answer, variant))
		return;

	int bytes = snprintf(page, sizeof(page),
	                     "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n"
	                     "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\"\n"
	                     "%s\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n"
	                     "<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n"
	                     " <head>\n  <title>%d - %s</title>\n </head>\n"
	                     " <body>\n  <h1>%d - %s</h1>\n </body>\n</html>\n",
	                     dialects[variant].page_indent, answer->status, reason, answer->status, reason);
	blob_done(&answer->body);
	answer->body = (struct blob){.data = strdup(page), .bytes = (size_t)bytes};
	if (answer->body.data == NULL)
		abort();
}

static int write_field(char *ret, size_t room, enum field field, const struct answer *answer, enum variant variant,
                       time_t now, size_t length)
{
	char date[32];

	switch (field) {
	case FIELD_END:
		break;
	case FIELD_ACCEPT_RANGES:
		return snprintf(ret, room, "Accept-Ranges: %s\r\n", dialects[variant].accept_ranges);
	case FIELD_ALLOW:
		return snprintf(ret, room, "Allow: %s\r\n", answer->allow);
	case FIELD_CONNECTION:
		return snprintf(ret, room, "Connection: close\r\n");
	case FIELD_DATE:
		time_http(date, now);
		return snprintf(ret, room, "Date: %s\r\n", date);
	case FIELD_LENGTH:
		return snprintf(ret, room, "Content-Length: %zu\r\n", length);
	case FIELD_LOCATION:
		return snprintf(ret, room, "Location: %s\r\n", answer->location);
	case FIELD_MODIFIED:
		time_http(date, answer->modified);
		return snprintf(ret, room, "Last-Modified: %s\r\n", date);
	case FIELD_SERVER:
		return snprintf(ret, room, "Server: EC2ws\r\n");
	case FIELD_TTL:
		if (answer->ttl_seconds == 0)
			break;
		return snprintf(ret, room, "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: %ld\r\n", answer->ttl_seconds);
	case FIELD_TYPE:
		return snprintf(ret, room, "Content-Type: %s\r\n",
		                has_page(answer, variant)      ? "text/html"
		                : answer->content_type != NULL ? answer->content_type
		                                               : "text/plain");
	}
	return 0;
}

size_t wire_head(char ret[static WIRE_HEAD_BYTES], const struct answer *answer, enum variant variant, time_t now,
                 size_t length)
{
	int layout = has_page(answer, variant) ? LAYOUT_PAGE : (int)answer->shape;
	int at = snprintf(ret, WIRE_HEAD_BYTES, "%s %d %s\r\n", dialects[variant].protocol, answer->status,
	                  reason_of(answer->status, variant));

	/* The longest head is a redirect's, whose Location is bounded by the target: all fit. */
	for (const enum field *field = layouts[variant][layout]; *field != FIELD_END; field++)
		at += write_field(ret + at, WIRE_HEAD_BYTES - (size_t)at, *field, answer, variant, now, length);
	at += snprintf(ret + at, WIRE_HEAD_BYTES - (size_t)at, "\r\n");
	return (size_t)at;
}
