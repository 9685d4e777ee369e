/* SPDX-License-Identifier: Apache-2.0 */

/* What we ask of the metadata service, and the token that we ask with. */
#include "proxy/upstream.h"

#include <pthread.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "proxy/cache.h"
#include "proxy/head_line.h"
#include "proxy/joins.h"
#include "proxy/place.h"

#define TOKEN_BYTES 256                 /* EC2's have 56 characters */
#define TOKEN_TTL "21600"               /* the longest that IMDS gives */
#define TOKEN_EARLY_MS (15 * 60 * 1000) /* renewed this long before its end */
#define RENEW_AGAIN_MS 10000            /* when renewing it early has failed */
#define JOIN_KEY_BYTES 1024             /* longer targets hold no credentials */
#define REQUEST_BYTES 16384             /* of a request: a client's target and Authorization are below 8 KB together */

/* THE TABLE of endpoints. */
static const struct endpoint_kind {
	const char *host;
	bool is_imds; /* it knows tokens, and is what `status` speaks of */
} kinds[ENDPOINT_COUNT] = {
	[ENDPOINT_IMDS_IPV4] = {.host = "169.254.169.254", .is_imds = true},
	[ENDPOINT_IMDS_IPV6] = {.host = "[fd00:ec2::254]", .is_imds = true},
	[ENDPOINT_ECS] = {.host = "169.254.170.2"},
	[ENDPOINT_EKS_IPV4] = {.host = "169.254.170.23"},
	[ENDPOINT_EKS_IPV6] = {.host = "[fd00:ec2::23]"},
};

struct upstream {
	struct connection_ports ports;

	struct place *place;
	struct joins *joins;
	struct cache *cache;

	pthread_mutex_t mutex; /* guards what follows; held for moments only */
	char token[TOKEN_BYTES];
	int64_t token_ends_ms, renew_ms; /* renew_ms: from then on a newer one is wanted */
	struct buffer model_head;
	bool is_reachable;
	char reason[160];
};

/* ---- one request */

/* A header's value, or a target, as one line must have it. Heads are screened before; this is the last door. */
static bool is_line(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

/* `token_line`: a header line of ours with its CRLF, or "". */
MUST_USE static int build(const struct upstream_request *request, const char *token_line, char to[static REQUEST_BYTES],
                          size_t *ret_length, struct error *err)
{
	const char *host = request->host != NULL ? request->host : kinds[request->endpoint].host;
	const char *authorization = request->authorization != NULL ? request->authorization : "";
	if (!is_line(request->target) || !is_line(host) || !is_line(authorization))
		return error_set(err, ERROR_INPUT, "upstream: a control byte in a request");
	int length = snprintf(to, REQUEST_BYTES, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n%s%s%s%s\r\n",
	                      request->method, request->target, host, token_line,
	                      request->authorization != NULL ? "Authorization: " : "", authorization,
	                      request->authorization != NULL ? "\r\n" : "");
	if (length >= REQUEST_BYTES)
		return error_set(err, ERROR_LIMIT, "upstream: a request of %d bytes", length);
	*ret_length = (size_t)length;
	return 0;
}

MUST_USE static int begin(struct upstream *upstream, const struct upstream_request *request,
                          const struct sockaddr_storage *address, struct connection *connection, struct error *err)
{
	return connection_begin(connection, address, &upstream->ports, request->connect, request->connect_context, err);
}

/* Sends one request and takes its answer. */
MUST_USE static int ask(struct upstream *upstream, const struct upstream_request *request, const char *token_line,
                        int64_t deadline_ms, struct response *ret, struct error *err)
{
	char bytes[REQUEST_BYTES];
	struct sockaddr_storage address = place_address(upstream->place, request->endpoint);
	CLEANUP_CONNECTION struct connection own = CONNECTION_NONE;
	struct connection *connection = request->connection != NULL ? request->connection : &own;
	struct transfer transfer = {
		.request = bytes,
		.is_head = strcmp(request->method, "HEAD") == 0,
		.deadline_ms = deadline_ms,
		.on_wait = request->on_wait,
		.wait_context = request->wait_context,
	};
	if (build(request, token_line, bytes, &transfer.request_bytes, err) < 0)
		return -1;
	int result = 0;
	if (!connection_is_fresh(connection, &address, clock_monotonic_ms()))
		result = begin(upstream, request, &address, connection, err);
	transfer.fd = connection->fd;
	connection->is_used = true;
	if (result == 0)
		result = transfer_run(&transfer, ret, err);
	explicit_bzero(bytes, transfer.request_bytes);
	return result < 0 ? error_prefix(err, "upstream") : 0;
}

bool upstream_is_own_port(const struct upstream *upstream, uint16_t port)
{
	return atomic_load(&upstream->ports.in_use[port]) > 0;
}

/* ---- the shared token */

static void note_result(struct upstream *upstream, bool good, const struct error *problem)
{
	(void)pthread_mutex_lock(&upstream->mutex);
	upstream->is_reachable = good;
	(void)text_copy(upstream->reason, sizeof(upstream->reason), good || problem == NULL ? "" : problem->text);
	(void)pthread_mutex_unlock(&upstream->mutex);
}

struct token_fetch {
	struct upstream *upstream;
	const struct upstream_request *how;
	int64_t deadline_ms;
};

/* How long a token lives, by the answer that brought it. */
static int64_t ttl_of(const struct buffer *head)
{
	struct head_line value;
	size_t seconds;
	return head_line_find(head->bytes, head->length, "x-aws-ec2-metadata-token-ttl-seconds", &value) &&
	                       head_line_number(value, &seconds)
	               ? (int64_t)seconds
	               : strtol(TOKEN_TTL, NULL, 10);
}

MUST_USE static int keep_token(struct upstream *upstream, const struct response *answer, struct error *err)
{
	const struct buffer *token = &answer->body;
	if (token->length == 0 || token->length >= TOKEN_BYTES || !is_line(token->bytes))
		return error_set(err, ERROR_INPUT, "upstream: a token of %zu bytes", token->length);
	(void)pthread_mutex_lock(&upstream->mutex);
	memcpy(upstream->token, token->bytes, token->length + 1);
	int64_t ttl_ms = ttl_of(&answer->head) * 1000, early_ms = ttl_ms / 2;
	upstream->token_ends_ms = clock_monotonic_ms() + ttl_ms;
	upstream->renew_ms = upstream->token_ends_ms - (early_ms < TOKEN_EARLY_MS ? early_ms : TOKEN_EARLY_MS);
	buffer_clear(&upstream->model_head);
	int result = buffer_append(&upstream->model_head, answer->head.bytes, answer->head.length, err);
	(void)pthread_mutex_unlock(&upstream->mutex);
	return result;
}

/* Fetches a token and keeps it. A refusal is left in *ret and its status is not 200. */
MUST_USE static int fetch_token(void *context, struct response *ret, struct error *err)
{
	const struct token_fetch *fetch = context;
	struct upstream_request put = *fetch->how;
	put.method = "PUT";
	put.target = "/latest/api/token";
	/* No body, and no Content-Length either, as the user guide's own curl line does. */
	int result = ask(fetch->upstream, &put, "X-aws-ec2-metadata-token-ttl-seconds: " TOKEN_TTL "\r\n",
	                 fetch->deadline_ms, ret, err);
	if (result == 0 && ret->status == 200)
		result = keep_token(fetch->upstream, ret, err);
	note_result(fetch->upstream, result == 0, err);
	return result;
}

#define TOKEN_LINE_BYTES (TOKEN_BYTES + 32)

/* What the token that we hold is worth. */
enum worth { TOKEN_FINE, TOKEN_OLD, TOKEN_NONE };

/* Writes the line with our token. `refused`: the line that upstream has just said 401 to, or "". */
static enum worth write_line(struct upstream *upstream, const char *refused, char line[static TOKEN_LINE_BYTES])
{
	enum worth worth = TOKEN_FINE;
	(void)pthread_mutex_lock(&upstream->mutex);
	int64_t now_ms = clock_monotonic_ms();
	bool is_refused = refused[0] != '\0' && strstr(refused, upstream->token) != NULL;
	if (upstream->token[0] == '\0' || is_refused || now_ms >= upstream->token_ends_ms)
		worth = TOKEN_NONE;
	else if (now_ms > upstream->renew_ms)
		worth = TOKEN_OLD;
	if (worth != TOKEN_NONE)
		(void)snprintf(line, TOKEN_LINE_BYTES, "X-aws-ec2-metadata-token: %s\r\n", upstream->token);
	(void)pthread_mutex_unlock(&upstream->mutex);
	return worth;
}

/* Puts the line with a good token into `line`, fetching one if need be, once for all who need one at the moment. `line`
 * holds the one that upstream has just said 401 to, or "". *ret_has false: upstream refused, its answer is in *answer.
 * A token that is old but good will do when there is no other. */
MUST_USE static int token_line(struct upstream *upstream, const struct upstream_request *how, int64_t deadline_ms,
                               char line[static TOKEN_LINE_BYTES], struct response *answer, bool *ret_has,
                               struct error *err)
{
	struct token_fetch fetch = {upstream, how, deadline_ms};
	char refused[TOKEN_LINE_BYTES];
	(void)text_copy(refused, sizeof(refused), line);
	enum worth worth = write_line(upstream, refused, line);
	*ret_has = worth != TOKEN_NONE;
	int result = 0;
	if (worth != TOKEN_FINE && how->on_wait != NULL)
		how->on_wait(how->wait_context); /* another may be fetching it */
	if (worth != TOKEN_FINE) {
		result = joins_run(upstream->joins, "token", deadline_ms, fetch_token, &fetch, answer, err);
		bool is_new = result == 0 && answer->status == 200;
		/* Fresh is fresh, also if a service gives out the one that it has just refused. */
		*ret_has = is_new ? write_line(upstream, "", line) != TOKEN_NONE : worth == TOKEN_OLD;
		if (!is_new && worth == TOKEN_OLD) {
			(void)pthread_mutex_lock(&upstream->mutex);
			upstream->renew_ms = clock_monotonic_ms() + RENEW_AGAIN_MS;
			(void)pthread_mutex_unlock(&upstream->mutex);
			result = 0;
		}
	}
	explicit_bzero(refused, sizeof(refused));
	/* What is no refusal may hold a token, which is nobody's but ours: it ended at once, or was forgotten
	 * meanwhile. */
	if (result == 0 && !*ret_has && answer->status < 400) {
		response_done(answer);
		return error_set(err, ERROR_INPUT, "upstream: no token that is good");
	}
	return result;
}

struct document_fetch {
	struct upstream *upstream;
	const struct upstream_request *request;
	int64_t deadline_ms;
};

/* With our token; once more with a fresh one if upstream says 401. */
MUST_USE static int fetch_document(void *context, struct response *ret, struct error *err)
{
	const struct document_fetch *fetch = context;
	const struct upstream_request *request = fetch->request;
	bool wants_token = kinds[request->endpoint].is_imds && !request->without_token;
	char line[TOKEN_LINE_BYTES] = "";
	int result = 0;
	for (int attempt = 0; attempt < 2; attempt++) {
		bool has_token = false;
		if (wants_token)
			result = token_line(fetch->upstream, request, fetch->deadline_ms, line, ret, &has_token, err);
		if (result < 0 || (wants_token && !has_token))
			break; /* upstream's refusal is the answer */
		result = ask(fetch->upstream, request, line, fetch->deadline_ms, ret, err);
		if (result < 0 || ret->status != 401 || !has_token)
			break;
	}
	explicit_bzero(line, sizeof(line));
	return result;
}

/* Under what an answer is kept; false: under nothing. */
static bool cache_key(const struct upstream_request *request, char key[static CACHE_KEY_BYTES])
{
	return request->may_keep && kinds[request->endpoint].is_imds && !request->without_token &&
	       request->host == NULL && strcmp(request->method, "GET") == 0 && cache_knows(request->target) &&
	       snprintf(key, CACHE_KEY_BYTES, "%d %s", (int)request->endpoint, request->target) < CACHE_KEY_BYTES;
}

/* Joined are those that are the same in all that upstream sees. */
MUST_USE static int fetch_joined(struct document_fetch *fetch, struct response *ret, struct error *err)
{
	const struct upstream_request *request = fetch->request;
	char key[JOIN_KEY_BYTES];
	int length = snprintf(key, sizeof(key), "%d %d %s %s", (int)request->endpoint, request->without_token,
	                      request->method, request->target);
	bool fits = length > 0 && length < JOIN_KEY_BYTES;
	if (!request->may_join || !fits || request->authorization != NULL || request->host != NULL)
		return fetch_document(fetch, ret, err);
	return joins_run(fetch->upstream->joins, key, fetch->deadline_ms, fetch_document, fetch, ret, err);
}

void upstream_foresee(struct upstream *upstream, const struct upstream_request *request)
{
	const struct sockaddr_storage address = place_address(upstream->place, request->endpoint);
	struct error ignored;
	char key[CACHE_KEY_BYTES];
	if (request->may_join || (cache_key(request, key) && place_keeps(upstream->place)) ||
	    begin(upstream, request, &address, request->connection, &ignored) < 0)
		connection_done(request->connection);
}

int upstream_fetch(struct upstream *upstream, const struct upstream_request *request, struct response *ret,
                   struct error *err)
{
	struct document_fetch fetch = {upstream, request, place_deadline_ms(upstream->place)};
	char key[CACHE_KEY_BYTES];
	int64_t asked_ms = clock_monotonic_ms();
	bool keeps = cache_key(request, key);
	if (keeps && cache_get(upstream->cache, key, asked_ms, ret))
		return 0;
	int result = fetch_joined(&fetch, ret, err);
	if (result == 0 && keeps)
		cache_put(upstream->cache, key, asked_ms, clock_monotonic_ms(), ret);
	if (!kinds[request->endpoint].is_imds)
		return result;
	note_result(upstream, result == 0, err);
	if (result == 0 && ret->status == 403) { /* switched off: the next client who wants a token shall be told so */
		(void)pthread_mutex_lock(&upstream->mutex);
		explicit_bzero(upstream->token, sizeof(upstream->token));
		(void)pthread_mutex_unlock(&upstream->mutex);
		cache_forget(upstream->cache, clock_monotonic_ms());
	}
	return result;
}

int upstream_model(struct upstream *upstream, const struct upstream_request *how, struct buffer *ret_head,
                   int *ret_status, struct error *err)
{
	CLEANUP_RESPONSE struct response answer = {0};
	char line[TOKEN_LINE_BYTES] = "";
	bool has_token;
	int result = token_line(upstream, how, place_deadline_ms(upstream->place), line, &answer, &has_token, err);
	explicit_bzero(line, sizeof(line));
	if (result < 0)
		return -1;
	*ret_status = has_token ? 200 : answer.status;
	(void)pthread_mutex_lock(&upstream->mutex);
	result = has_token ? buffer_append(ret_head, upstream->model_head.bytes, upstream->model_head.length, err) : 0;
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

uint64_t upstream_kept_answers(const struct upstream *upstream)
{
	return cache_hits(upstream->cache);
}

/* ---- opening and closing */

int upstream_change(struct upstream *upstream, const struct upstream_options *options, struct error *err)
{
	bool is_other;
	if (place_change(upstream->place, options, &is_other, err) < 0)
		return -1;
	cache_keep_for(upstream->cache, options->cache_ms, clock_monotonic_ms());
	if (!is_other)
		return 0;
	/* A token of the place before is worth nothing here, nor shall it be shown there. */
	(void)pthread_mutex_lock(&upstream->mutex);
	explicit_bzero(upstream->token, sizeof(upstream->token));
	(void)pthread_mutex_unlock(&upstream->mutex);
	return 0;
}

int upstream_open(const struct upstream_options *options, struct upstream **ret, struct error *err)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));
	if (upstream == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for upstream");
	(void)pthread_mutex_init(&upstream->mutex, NULL);
	if (joins_new(&upstream->joins, err) < 0 || cache_new(&upstream->cache, err) < 0 ||
	    place_new(options, &upstream->place, err) < 0) {
		upstream_close(upstream);
		return -1;
	}
	cache_keep_for(upstream->cache, options->cache_ms, clock_monotonic_ms() - 1);
	(void)text_copy(upstream->reason, sizeof(upstream->reason), "not asked yet");
	*ret = upstream;
	return 0;
}

void upstream_close(struct upstream *upstream)
{
	if (upstream == NULL)
		return;
	joins_free(upstream->joins);
	cache_free(upstream->cache);
	buffer_done(&upstream->model_head);
	(void)pthread_mutex_destroy(&upstream->mutex);
	place_free(upstream->place);
	explicit_bzero(upstream->token, sizeof(upstream->token));
	free(upstream);
}
