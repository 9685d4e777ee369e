/* SPDX-License-Identifier: Apache-2.0 */

/* Requests to the metadata service by libcurl. Secrets come through here, so libcurl's memory is wiped as it is freed,
 * and a handle lives for one request only. */
#include "proxy/upstream.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/secret.h"
#include "common/text.h"

#define TOKEN_BYTES 256                 /* EC2's have 56 characters */
#define TOKEN_TTL "21600"               /* the longest that IMDS gives */
#define TOKEN_EARLY_MS (15 * 60 * 1000) /* renewed this long before its end */
#define HEAD_BYTES 16384

struct upstream {
	pthread_mutex_t place_mutex; /* guards where, and for how long; held for moments only */
	char ipv4[128], ipv6[128];
	int64_t timeout_ms;

	atomic_uchar own_ports[65536]; /* how many requests under way have this local port */

	pthread_mutex_t mutex; /* guards what follows; held while a token is fetched, so that one fetch serves all */
	char token[TOKEN_BYTES];
	int64_t token_ends_ms;
	struct buffer model_head;
	bool is_reachable;
	char reason[160];
};

void upstream_answer_done(struct upstream_answer *answer)
{
	buffer_done(&answer->head);
	buffer_wipe_done(&answer->body);
}

/* ---- one transfer */

struct transfer {
	struct upstream_answer *answer;
	const struct upstream_request *request;
	struct error *err;
	struct upstream *upstream;
	int local_port; /* 0: not connected yet */
};

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	struct buffer *head = &transfer->answer->head;
	size_t length = size * count;
	if (length > 5 && strncmp(bytes, "HTTP/", 5) == 0)
		buffer_clear(head); /* after an interim answer (100) the real one starts anew */
	if (length > 6 && strncasecmp(bytes, "Date: ", 6) == 0) {
		char date[CLOCK_HTTP_BYTES + 8] = "";
		size_t value = length - 6 < sizeof(date) - 1 ? length - 6 : sizeof(date) - 1;
		memcpy(date, bytes + 6, value);
		(void)clock_parse_http(text_trim(date), &transfer->answer->date_us);
	}
	return buffer_append(head, bytes, length, transfer->err) < 0 ? 0 : length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	return buffer_append(&transfer->answer->body, bytes, size * count, transfer->err) < 0 ? 0 : size * count;
}

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *transfer = context;
	(void)purpose;
	int fd = transfer->request->socket(transfer->request->socket_context, address->family, transfer->err);
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_socket_ready(void *context, curl_socket_t fd, curlsocktype purpose)
{
	(void)context;
	(void)fd;
	(void)purpose;
	return CURL_SOCKOPT_OK;
}

/* Called when the connection stands and nothing has been sent. */
static int on_connected(void *context, char *remote, char *local, int remote_port, int local_port)
{
	struct transfer *transfer = context;
	(void)remote;
	(void)local;
	(void)remote_port;
	transfer->local_port = local_port & 0xffff;
	(void)atomic_fetch_add(&transfer->upstream->own_ports[transfer->local_port], 1);
	return CURL_PREREQFUNC_OK;
}

bool upstream_is_own_port(const struct upstream *upstream, uint16_t port)
{
	return atomic_load(&upstream->own_ports[port]) > 0;
}

static void cleanup_easy(CURL **handle)
{
	curl_easy_cleanup(*handle);
}

static void cleanup_list(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static void set_options(CURL *handle, struct upstream *upstream, struct transfer *transfer)
{
	const struct upstream_request *request = transfer->request;
	char url[160];
	(void)pthread_mutex_lock(&upstream->place_mutex);
	(void)snprintf(url, sizeof(url), "http://%s/", request->ipv6 ? upstream->ipv6 : upstream->ipv4);
	long timeout_ms = (long)upstream->timeout_ms;
	(void)pthread_mutex_unlock(&upstream->place_mutex);
	curl_easy_setopt(handle, CURLOPT_URL, url);
	curl_easy_setopt(handle, CURLOPT_REQUEST_TARGET, request->target);
	curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(handle, CURLOPT_NOBODY, strcmp(request->method, "HEAD") == 0 ? 1L : 0L);
	curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(handle, CURLOPT_PROXY, "");
	curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(handle, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(handle, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(handle, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, transfer);
	curl_easy_setopt(handle, CURLOPT_SOCKOPTFUNCTION, on_socket_ready);
	curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(handle, CURLOPT_PREREQDATA, transfer);
}

/* Sends one request with up to one header of ours. */
MUST_USE static int transfer_run(struct upstream *upstream, const struct upstream_request *request, const char *header,
                                 struct upstream_answer *ret, struct error *err)
{
	CLEANUP(cleanup_easy) CURL *handle = curl_easy_init();
	CLEANUP(cleanup_list) struct curl_slist *headers = NULL;
	struct error problem = {0};
	struct transfer transfer = {.answer = ret, .request = request, .err = &problem, .upstream = upstream};
	long status = 0;

	upstream_answer_done(ret);
	ret->head.limit = HEAD_BYTES;
	ret->body.limit = UPSTREAM_BODY_BYTES;
	ret->date_us = 0;
	headers = curl_slist_append(headers, request->ipv6 ? "Host: [fd00:ec2::254]" : "Host: 169.254.169.254");
	if (headers != NULL && header != NULL)
		headers = curl_slist_append(headers, header);
	if (handle == NULL || headers == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a request");
	set_options(handle, upstream, &transfer);
	curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);

	CURLcode code = curl_easy_perform(handle);
	if (transfer.local_port != 0)
		(void)atomic_fetch_sub(&upstream->own_ports[transfer.local_port], 1);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK) {
		ret->status = (int)status;
		return 0;
	}
	if (problem.code != ERROR_NONE)
		return error_set(err, problem.code, "upstream: %s", problem.text);
	return error_set(err, code == CURLE_OPERATION_TIMEDOUT ? ERROR_TIMEOUT : ERROR_SYSTEM, "upstream: %s",
	                 curl_easy_strerror(code));
}

/* ---- the shared token */

static void note_result(struct upstream *upstream, bool good, const struct error *problem)
{
	upstream->is_reachable = good;
	(void)text_copy(upstream->reason, sizeof(upstream->reason), good ? "" : problem->text);
}

/* Fetches a token. With the mutex held. A refusal is left in *ret and its status is not 200. */
MUST_USE static int fetch_token(struct upstream *upstream, const struct upstream_request *how,
                                struct upstream_answer *ret, struct error *err)
{
	struct upstream_request put = *how;
	put.method = "PUT";
	put.target = "/latest/api/token";
	/* No body, and no Content-Length either, as the user guide's own curl line does. */
	int result = transfer_run(upstream, &put, "X-aws-ec2-metadata-token-ttl-seconds: " TOKEN_TTL, ret, err);
	note_result(upstream, result == 0, err);
	if (result < 0 || ret->status != 200)
		return result;
	if (ret->body.length == 0 || ret->body.length >= TOKEN_BYTES || strpbrk(ret->body.bytes, "\r\n") != NULL)
		return error_set(err, ERROR_INPUT, "upstream: a token of %zu bytes", ret->body.length);
	memcpy(upstream->token, ret->body.bytes, ret->body.length + 1);
	upstream->token_ends_ms = clock_monotonic_ms() + (int64_t)strtol(TOKEN_TTL, NULL, 10) * 1000;
	buffer_clear(&upstream->model_head);
	return buffer_append(&upstream->model_head, ret->head.bytes, ret->head.length, err);
}

/* Puts the header with a good token into `to`, fetching one if need be. `refused`: the token that upstream has just
 * said 401 to, if any. *ret_has false: upstream refused, its answer is in *answer. */
MUST_USE static int token_header(struct upstream *upstream, const struct upstream_request *how, const char *refused,
                                 char to[static TOKEN_BYTES + 32], struct upstream_answer *answer, bool *ret_has,
                                 struct error *err)
{
	int result = 0;
	*ret_has = true;
	(void)pthread_mutex_lock(&upstream->mutex);
	bool is_refused = refused[0] != '\0' && strstr(refused, upstream->token) != NULL;
	if (upstream->token[0] == '\0' || is_refused ||
	    clock_monotonic_ms() > upstream->token_ends_ms - TOKEN_EARLY_MS) {
		result = fetch_token(upstream, how, answer, err);
		*ret_has = result == 0 && answer->status == 200;
	}
	if (*ret_has)
		(void)snprintf(to, TOKEN_BYTES + 32, "X-aws-ec2-metadata-token: %s", upstream->token);
	(void)pthread_mutex_unlock(&upstream->mutex);
	return result;
}

int upstream_fetch(struct upstream *upstream, const struct upstream_request *request, struct upstream_answer *ret,
                   struct error *err)
{
	char header[TOKEN_BYTES + 32] = "";
	int result = 0;
	for (int attempt = 0; attempt < 2; attempt++) {
		bool has_token = false;
		if (!request->without_token &&
		    token_header(upstream, request, header, header, ret, &has_token, err) < 0)
			return -1;
		if (!request->without_token && !has_token)
			return 0; /* upstream's refusal is the answer */
		result = transfer_run(upstream, request, has_token ? header : NULL, ret, err);
		if (result < 0 || ret->status != 401 || !has_token)
			break; /* a 401 to our token: it ended early, get a new one, once */
	}
	explicit_bzero(header, sizeof(header));
	(void)pthread_mutex_lock(&upstream->mutex);
	note_result(upstream, result == 0, err);
	(void)pthread_mutex_unlock(&upstream->mutex);
	return result;
}

int upstream_model(struct upstream *upstream, const struct upstream_request *how, struct buffer *ret_head,
                   int *ret_status, struct error *err)
{
	CLEANUP_ANSWER struct upstream_answer answer = {0};
	char header[TOKEN_BYTES + 32] = "";
	bool has_token;
	if (token_header(upstream, how, "", header, &answer, &has_token, err) < 0)
		return -1;
	explicit_bzero(header, sizeof(header));
	*ret_status = has_token ? 200 : answer.status;
	(void)pthread_mutex_lock(&upstream->mutex);
	int result =
		has_token ? buffer_append(ret_head, upstream->model_head.bytes, upstream->model_head.length, err) : 0;
	(void)pthread_mutex_unlock(&upstream->mutex);
	return result;
}

bool upstream_is_reachable(struct upstream *upstream, char *reason, size_t size)
{
	(void)pthread_mutex_lock(&upstream->mutex);
	bool is_reachable = upstream->is_reachable;
	(void)text_copy(reason, size, upstream->reason);
	(void)pthread_mutex_unlock(&upstream->mutex);
	return is_reachable;
}

/* Gives whether it is another place. */
static bool take_options(struct upstream *upstream, const struct upstream_options *options)
{
	(void)pthread_mutex_lock(&upstream->place_mutex);
	bool is_other = strcmp(upstream->ipv4, options->ipv4) != 0 || strcmp(upstream->ipv6, options->ipv6) != 0;
	(void)text_copy(upstream->ipv4, sizeof(upstream->ipv4), options->ipv4);
	(void)text_copy(upstream->ipv6, sizeof(upstream->ipv6), options->ipv6);
	upstream->timeout_ms = options->timeout_ms;
	(void)pthread_mutex_unlock(&upstream->place_mutex);
	return is_other;
}

void upstream_change(struct upstream *upstream, const struct upstream_options *options)
{
	if (!take_options(upstream, options))
		return;
	/* A token of the place before is worth nothing here, nor shall it be shown there. */
	(void)pthread_mutex_lock(&upstream->mutex);
	explicit_bzero(upstream->token, sizeof(upstream->token));
	(void)pthread_mutex_unlock(&upstream->mutex);
}

int upstream_open(const struct upstream_options *options, struct upstream **ret, struct error *err)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));
	if (upstream == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for upstream");
	if (curl_global_init_mem(CURL_GLOBAL_NOTHING, secret_malloc, secret_free, secret_realloc, secret_strdup,
	                         secret_calloc) != CURLE_OK) {
		free(upstream);
		return error_set(err, ERROR_SYSTEM, "libcurl does not start");
	}
	(void)pthread_mutex_init(&upstream->place_mutex, NULL);
	(void)take_options(upstream, options);
	(void)pthread_mutex_init(&upstream->mutex, NULL);
	(void)text_copy(upstream->reason, sizeof(upstream->reason), "not asked yet");
	*ret = upstream;
	return 0;
}

void upstream_close(struct upstream *upstream)
{
	if (upstream == NULL)
		return;
	buffer_done(&upstream->model_head);
	(void)pthread_mutex_destroy(&upstream->mutex);
	(void)pthread_mutex_destroy(&upstream->place_mutex);
	explicit_bzero(upstream->token, sizeof(upstream->token));
	free(upstream);
	curl_global_cleanup();
}
