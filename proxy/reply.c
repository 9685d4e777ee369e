/* SPDX-License-Identifier: Apache-2.0 */

/* Heads of answers. Upstream's lines are kept byte for byte; a table says which few are edited and why. */
#include "proxy/reply.h"

#include <string.h>
#include <strings.h>

#include "common/clock.h"

static const char ttl_header[] = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds";

int reply_refusal(struct buffer *to, enum service service, int status, int64_t now_us, struct error *err)
{
	/* Reasons and the Allow list as IMDS sends them (captures of 2019 to 2026). */
	static const struct {
		int status;
		const char *reason, *extra;
	} forms[] = {
		{400, "Bad Request", ""},        {401, "Unauthorized", ""},
		{403, "Forbidden", ""},          {405, "Not Allowed", "Allow: OPTIONS, PUT\r\n"},
		{417, "Expectation Failed", ""}, {503, "Service Unavailable", ""},
	};
	char date[CLOCK_HTTP_BYTES];
	size_t i = 0;
	while (i < ARRAY_LENGTH(forms) - 1 && forms[i].status != status)
		i++;
	/* The agents are Go programs: no Server header, and they are only ever read from. */
	if (service == SERVICE_ECS || service == SERVICE_EKS)
		return buffer_printf(to, err,
		                     "HTTP/1.1 %d %s\r\n%sDate: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		                     forms[i].status, status == 405 ? "Method Not Allowed" : forms[i].reason,
		                     status == 405 ? "Allow: GET, HEAD\r\n" : "", clock_format_http(now_us, date));
	return buffer_printf(
		to, err,
		"HTTP/1.1 %d %s\r\n%sContent-Length: 0\r\nDate: %s\r\nServer: EC2ws\r\nConnection: close\r\n"
		"Content-Type: text/plain\r\n\r\n",
		forms[i].status, forms[i].reason, forms[i].extra, clock_format_http(now_us, date));
}

/* What to put in place of some of upstream's header lines; NULL: leave the line out. */
struct edit {
	const char *name;
	const char *value;
	bool append_if_absent;
	bool done;
};

static struct edit *edit_of(struct edit *edits, size_t count, const char *line, size_t length)
{
	for (size_t i = 0; i < count; i++) {
		size_t name = strlen(edits[i].name);
		if (length > name && line[name] == ':' && strncasecmp(line, edits[i].name, name) == 0)
			return &edits[i];
	}
	return NULL;
}

static bool has_line(const struct buffer *head, const char *name)
{
	struct edit wanted = {.name = name};
	const char *line = head->bytes, *end = head->bytes + head->length, *next;
	for (; line < end && (next = memchr(line, '\n', (size_t)(end - line))) != NULL; line = next + 1)
		if (edit_of(&wanted, 1, line, (size_t)(next - line)) != NULL)
			return true;
	return false;
}

/* Copies a head line by line; an edited line keeps upstream's spelling of the name. */
MUST_USE static int copy_head(struct buffer *to, const struct buffer *head, struct edit *edits, size_t count,
                              struct error *err)
{
	const char *line = head->bytes, *end = head->bytes + head->length;
	while (line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		size_t length = next != NULL ? (size_t)(next + 1 - line) : (size_t)(end - line);
		if (length <= 2)
			break; /* the empty line */
		struct edit *edit = edit_of(edits, count, line, length);
		int result;
		if (edit == NULL) {
			result = buffer_append(to, line, length, err);
		} else {
			result = edit->value == NULL || edit->done
			                 ? 0
			                 : buffer_printf(to, err, "%.*s: %s\r\n", (int)strlen(edit->name), line,
			                                 edit->value);
			edit->done = true;
		}
		if (result < 0)
			return -1;
		line += length;
	}
	for (size_t i = 0; i < count; i++)
		if (!edits[i].done && edits[i].append_if_absent &&
		    buffer_printf(to, err, "%s: %s\r\n", edits[i].name, edits[i].value) < 0)
			return -1;
	return buffer_append(to, "\r\n", 2, err);
}

int reply_token(struct buffer *to, const struct buffer *model_head, const char *token, int64_t ttl_seconds,
                int64_t now_us, struct error *err)
{
	static char current[] = "HTTP/1.1 200 OK\r\n"
				"X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 0\r\nContent-Length: 0\r\nDate: 0\r\n"
				"Server: EC2ws\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n";
	const struct buffer built_in = {.bytes = current, .length = sizeof(current) - 1};
	char date[CLOCK_HTTP_BYTES], ttl[24], length[24];
	(void)snprintf(ttl, sizeof(ttl), "%lld", (long long)ttl_seconds);
	(void)snprintf(length, sizeof(length), "%zu", strlen(token));
	struct edit edits[] = {
		{ttl_header, ttl, true, false},
		{"Content-Length", length, true, false},
		{"Date", clock_format_http(now_us, date), false, false},
		{"Transfer-Encoding", NULL, false, false},
	};
	if (copy_head(to, model_head->length > 0 ? model_head : &built_in, edits, ARRAY_LENGTH(edits), err) < 0)
		return -1;
	return buffer_append(to, token, strlen(token), err);
}

int reply_relay(struct buffer *to, enum service service, const struct buffer *head, const struct buffer *body,
                int64_t ttl_left, struct error *err)
{
	char ttl[24], length[24];
	size_t count = 2;
	(void)snprintf(ttl, sizeof(ttl), "%lld", (long long)ttl_left);
	(void)snprintf(length, sizeof(length), "%zu", body != NULL ? body->length : 0);
	struct edit edits[4] = {
		/* The client's token is ours, so its remaining life is ours to tell. */
		{ttl_header, ttl_left >= 0 ? ttl : NULL, false, false},
		/* Taken apart by the HTTP client; IMDS has never been seen to send it. */
		{"Transfer-Encoding", NULL, false, false},
	};
	/* Content-Length stays upstream's own, which an answer to HEAD needs, unless there was chunking. */
	if (has_line(head, "Transfer-Encoding"))
		edits[count++] = (struct edit){"Content-Length", length, true, false};
	/* The agents keep connections open, as IMDS does not; here each is for one request. */
	if (service != SERVICE_IMDS)
		edits[count++] = (struct edit){"Connection", "close", true, false};
	if (copy_head(to, head, edits, count, err) < 0)
		return -1;
	return body != NULL ? buffer_append(to, body->bytes, body->length, err) : 0;
}
