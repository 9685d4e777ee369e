/* SPDX-License-Identifier: Apache-2.0 */

/* libcurl, and nobody else meets it. Its memory is wiped when it is freed, since session tokens stand in headers. */
#include "detector/aws_http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "common/secret.h"
#include "common/text.h"

#define IDLE_MAX 8 /* handles kept for the next request */
#define HEADER_BYTES ((size_t)64 << 10)
#define CONNECT_MS 10000L
#define STALL_SECONDS 30L /* without a byte */
#define NEAR_MS 2000L

struct aws_http {
	const volatile sig_atomic_t *stop;
	pthread_mutex_t lock;
	CURL *idle[IDLE_MAX];
	size_t idle_count;
};

/* What one transfer needs in its callbacks. */
struct transfer {
	const struct aws_http *http;
	const struct aws_http_request *request;
	struct aws_http_answer *answer;
	CURL *curl;
	struct error problem; /* of the sink, or of a bound: not libcurl's to describe */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode initialised = CURLE_FAILED_INIT;

static void initialise(void)
{
	initialised = curl_global_init_mem(CURL_GLOBAL_DEFAULT, secret_malloc, secret_free, secret_realloc,
	                                   secret_strdup, secret_calloc);
}

int aws_http_new(const volatile sig_atomic_t *stop, struct aws_http **ret, struct error *err)
{
	(void)pthread_once(&once, initialise);
	if (initialised != CURLE_OK)
		return error_set(err, ERROR_SYSTEM, "libcurl: %s", curl_easy_strerror(initialised));
	struct aws_http *http = calloc(1, sizeof(*http));
	if (http == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for HTTP");
	http->stop = stop;
	(void)pthread_mutex_init(&http->lock, NULL);
	*ret = http;
	return 0;
}

void aws_http_free(struct aws_http *http)
{
	if (http == NULL)
		return;
	for (size_t i = 0; i < http->idle_count; i++)
		curl_easy_cleanup(http->idle[i]);
	(void)pthread_mutex_destroy(&http->lock);
	free(http);
}

bool aws_http_is_stopped(const struct aws_http *http)
{
	return http->stop != NULL && *http->stop != 0;
}

void aws_http_answer_done(struct aws_http_answer *answer)
{
	buffer_done(&answer->headers);
	buffer_wipe_done(&answer->body); /* it may hold credentials */
}

/* ---- handles */

static CURL *borrow(struct aws_http *http)
{
	CURL *curl = NULL;
	(void)pthread_mutex_lock(&http->lock);
	if (http->idle_count > 0)
		curl = http->idle[--http->idle_count];
	(void)pthread_mutex_unlock(&http->lock);
	return curl != NULL ? curl : curl_easy_init();
}

static void give_back(struct aws_http *http, CURL *curl)
{
	curl_easy_reset(curl);
	(void)pthread_mutex_lock(&http->lock);
	bool is_kept = http->idle_count < IDLE_MAX;
	if (is_kept)
		http->idle[http->idle_count++] = curl;
	(void)pthread_mutex_unlock(&http->lock);
	if (!is_kept)
		curl_easy_cleanup(curl);
}

/* ---- callbacks */

static size_t sink_bytes(struct transfer *transfer, const char *bytes, size_t length)
{
	size_t done = 0;
	while (done < length) {
		ssize_t put = write(transfer->request->sink, bytes + done, length - done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			(void)error_errno(&transfer->problem, "temporary file");
			return 0;
		}
		done += (size_t)put;
	}
	transfer->answer->sunk += length;
	return length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	long status = 0;
	(void)curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
	if (transfer->request->has_sink && status / 100 == 2)
		return sink_bytes(transfer, bytes, size * count);
	return buffer_append(&transfer->answer->body, bytes, size * count, &transfer->problem) < 0 ? 0 : size * count;
}

/* A new status line begins a new head: that of an interim answer is forgotten. */
static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	if (size * count > 5 && memcmp(bytes, "HTTP/", 5) == 0)
		buffer_clear(&transfer->answer->headers);
	return buffer_append(&transfer->answer->headers, bytes, size * count, &transfer->problem) < 0 ? 0
	                                                                                              : size * count;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
	(void)down_total;
	(void)down;
	(void)up_total;
	(void)up;
	return aws_http_is_stopped(((const struct transfer *)context)->http);
}

/* ---- sending */

static void free_list(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

MUST_USE static int make_list(const struct buffer *lines, struct curl_slist **ret, struct error *err)
{
	CLEANUP_SECRET_BUFFER struct buffer copy = {0};
	/* No "Expect: 100-continue", and nothing that was not signed or asked for. */
	static const char *const none[] = {"Expect:", "Content-Type:", "Accept:"};
	if (lines != NULL && buffer_append(&copy, lines->bytes, lines->length, err) < 0)
		return -1;
	for (char *line = copy.bytes, *end; line != NULL && *line != '\0'; line = end + 1) {
		if ((end = strchr(line, '\n')) == NULL)
			break;
		*end = '\0';
		struct curl_slist *longer = curl_slist_append(*ret, line);
		if (longer == NULL)
			return error_set(err, ERROR_MEMORY, "no memory for headers");
		*ret = longer;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(none); i++) {
		bool is_given = false;
		for (const struct curl_slist *header = *ret; header != NULL; header = header->next)
			is_given = is_given || strncasecmp(header->data, none[i], strlen(none[i])) == 0;
		struct curl_slist *longer = is_given ? *ret : curl_slist_append(*ret, none[i]);
		if (longer == NULL)
			return error_set(err, ERROR_MEMORY, "no memory for headers");
		*ret = longer;
	}
	return 0;
}

static void set_patience(CURL *curl, const struct aws_http_request *request)
{
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, request->is_near ? NEAR_MS : CONNECT_MS);
	if (request->is_near) {
		(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, NEAR_MS);
		(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	}
	(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
}

static void set_request(CURL *curl, const struct aws_http_request *request)
{
	const char *bundle = getenv("AWS_CA_BUNDLE");
	(void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	(void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "keytrail/" KEYTRAIL_VERSION);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	if (bundle != NULL && bundle[0] != '\0')
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, bundle);
	if (request->body != NULL) {
		(void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
	}
}

static int describe(const struct transfer *transfer, CURLcode code, struct error *err)
{
	if (transfer->problem.code != ERROR_NONE)
		return error_set(err, transfer->problem.code, "%s", transfer->problem.text);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return error_set(err, ERROR_TIMEOUT, "stopped");
	/* Of the URL only what is no secret: a queue's or a container's path may be one. */
	return error_set(err, code == CURLE_OPERATION_TIMEDOUT ? ERROR_TIMEOUT : ERROR_SYSTEM, "%s",
	                 curl_easy_strerror(code));
}

int aws_http_send(struct aws_http *http, const struct aws_http_request *request, struct aws_http_answer *ret,
                  struct error *err)
{
	CLEANUP(free_list) struct curl_slist *list = NULL;
	CLEANUP_ANSWER struct aws_http_answer answer = {.headers.limit = HEADER_BYTES, .body.limit = AWS_BODY_BYTES};
	if (make_list(request->headers, &list, err) < 0)
		return -1;
	CURL *curl = borrow(http);
	if (curl == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for HTTP");
	struct transfer transfer = {.http = http, .request = request, .answer = &answer, .curl = curl};
	set_request(curl, request);
	set_patience(curl, request);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	CURLcode code = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
	give_back(http, curl);
	if (code != CURLE_OK)
		return describe(&transfer, code, err);
	*ret = answer;
	answer = (struct aws_http_answer){0};
	return 0;
}

char *aws_http_header(const struct aws_http_answer *answer, const char *name, char *to, size_t size)
{
	size_t wanted = strlen(name);
	to[0] = '\0';
	for (const char *line = answer->headers.bytes; line != NULL && *line != '\0';) {
		size_t length = strcspn(line, "\r\n");
		if (length > wanted && strncasecmp(line, name, wanted) == 0 && line[wanted] == ':') {
			const char *value = line + wanted + 1;
			size_t rest = length - wanted - 1;
			while (rest > 0 && (*value == ' ' || *value == '\t')) {
				value++;
				rest--;
			}
			(void)snprintf(to, size, "%.*s", (int)(rest < size ? rest : size - 1), value);
			(void)text_trim(to);
			break;
		}
		line += length + strspn(line + length, "\r\n");
	}
	return to;
}
