/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that meets libmicrohttpd. The library accepts, reads and parses; the answer is written here, on
 * the bare socket, since it can set neither reason phrases nor the order of headers. Returning MHD_NO then makes
 * it close the connection: one request each, as the service does. A thread a connection, so that stalls may
 * simply wait. */
#include "sim/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "sim/agents.h"
#include "sim/answer.h"
#include "sim/wire.h"

enum {
	IDLE_SECONDS = 10, /* for a client that connects and says nothing */
	SEND_TIMEOUT_MS = 10000,
	SILENCE_MS = 60000, /* how long a connection is held that gets no answer */
	STACK_BYTES = 512 * 1024,
};

struct exchange {
	char *raw_target;
	size_t body_bytes;
	bool seen;
};

/* How one answer leaves, taken from the settings while the lock was held. */
struct manner {
	enum variant variant;
	enum body_fault fault;
	long hop_limit;
	long date_offset;
};

static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	(void)context;
	(void)connection;
	if (exchange == NULL || (exchange->raw_target = strdup(target)) == NULL)
		abort();
	return exchange;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *request;

	(void)context;
	(void)connection;
	(void)code;
	if (exchange != NULL)
		free(exchange->raw_target);
	free(exchange);
	*request = NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
	const struct http_service *service = context;

	(void)connection;
	(void)socket_context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		record_connection(&service->sim->record);
}

/* Targets are decoded in target.c, once. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

static enum MHD_Result add_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct request *request = context;

	(void)kind;
	if (request->header_count == REQUEST_HEADERS)
		return MHD_NO;
	request->headers[request->header_count++] = (struct header){.name = name, .value = value != NULL ? value : ""};
	return MHD_YES;
}

/* Waits until something happens on FD (-1: nothing can) or the simulator stops. */
static void wait_on(const struct sim *sim, int fd, long milliseconds)
{
	struct pollfd polled[] = {
		{.fd = sim->stop_fd, .events = POLLIN},
		{.fd = fd, .events = POLLRDHUP},
	};

	if (milliseconds > 0)
		(void)poll(polled, COUNT_OF(polled), (int)milliseconds);
}

static bool send_all(int fd, const char *data, size_t bytes, int flags)
{
	struct pollfd writable = {.fd = fd, .events = POLLOUT};

	while (bytes > 0) {
		ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL | flags);

		if (sent >= 0) {
			data += sent;
			bytes -= (size_t)sent;
		} else if (errno != EAGAIN || poll(&writable, 1, SEND_TIMEOUT_MS) <= 0) {
			return false;
		}
	}
	return true;
}

/* From here on every packet of the connection carries the limit, its FIN too: a client further away sees
 * nothing at all, as on EC2. */
static void limit_hops(int fd, int family, long limit)
{
	int hops = (int)limit;

	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
	else
		(void)setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
}

/* Reads what the client still had to say: closing over unread bytes would reset the connection, and the reset
 * may overtake the answer. */
static void finish(int fd)
{
	char discarded[4096];

	(void)shutdown(fd, SHUT_WR);
	while (recv(fd, discarded, sizeof(discarded), MSG_DONTWAIT) > 0)
		;
}

static void send_answer(const struct sim *sim, int fd, const struct request *request, const struct answer *answer,
                        const struct manner *manner)
{
	char head[WIRE_HEAD_BYTES];
	size_t claimed = answer->body.bytes;
	size_t sent = request->method == METHOD_HEAD ? 0 : answer->body.bytes;
	enum body_fault fault = sent > 0 ? manner->fault : FAULT_NONE;

	if (fault == FAULT_SHORT)
		claimed /= 2;
	if (fault == FAULT_LONG)
		claimed *= 2;
	if (fault == FAULT_CUT || fault == FAULT_RESET || fault == FAULT_STALL)
		sent /= 2;

	size_t bytes = answer->shape == SHAPE_AGENT
	                       ? agents_head(head, request, answer, time(NULL) + manner->date_offset, claimed)
	                       : wire_head(head, answer, manner->variant, time(NULL) + manner->date_offset, claimed);
	if (!send_all(fd, head, bytes, sent > 0 ? MSG_MORE : 0) || !send_all(fd, answer->body.data, sent, 0))
		return;

	if (fault == FAULT_STALL)
		wait_on(sim, fd, SILENCE_MS);
	if (fault == FAULT_RESET) {
		/* To "connect" to nowhere is how Linux aborts a connection, sending the reset at once. */
		const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
		(void)connect(fd, &nowhere, sizeof(nowhere));
		return;
	}
	finish(fd);
}

static bool is_faulty(const struct settings *settings, const struct request *request)
{
	return strncmp(request->target.path, settings->fault_path, strlen(settings->fault_path)) == 0;
}

/* Waits first, so that the answer shows the state at the time at which it leaves. Returns false for silence. */
static bool delay(struct sim *sim, const struct request *request, struct answer *ret_answer)
{
	(void)pthread_rwlock_rdlock(&sim->lock);
	long stall = request->method == METHOD_PUT ? sim->settings.stall_put_ms : sim->settings.stall_get_ms;
	if (!is_faulty(&sim->settings, request))
		stall = 0;
	long limit = sim->settings.throttle;
	bool silent = sim->settings.throttle_mode == THROTTLE_SILENCE;
	(void)pthread_rwlock_unlock(&sim->lock);

	if (!sim_admit(sim, limit)) {
		*ret_answer = request->service == SERVICE_IMDS ? answer_status(503) : agents_throttled();
		return !silent;
	}
	wait_on(sim, -1, stall);
	return true;
}

static struct manner decide(struct sim *sim, const struct request *request, struct answer *answer)
{
	(void)pthread_rwlock_rdlock(&sim->lock);
	const struct settings *settings = &sim->settings;
	struct manner manner = {
		.variant = (enum variant)settings->variant,
		.fault = is_faulty(settings, request) ? (enum body_fault)settings->body_fault : FAULT_NONE,
		.hop_limit = request->method == METHOD_PUT ? settings->hop_limit : 0,
		.date_offset = settings->date_offset,
	};
	if (answer->status == 0 && request->service != SERVICE_IMDS)
		agents_answer(sim, request, answer);
	else if (answer->status == 0)
		answer_request(sim, request, monotonic_ms(), answer);
	(void)pthread_rwlock_unlock(&sim->lock);

	wire_fill_body(answer, manner.variant);
	return manner;
}

static void serve(struct sim *sim, struct MHD_Connection *connection, const struct request *request)
{
	CLEANUP_ANSWER struct answer answer = {0};
	int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	const struct sockaddr *peer =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;

	if (!delay(sim, request, &answer)) {
		record_request(&sim->record, peer, request, NULL);
		wait_on(sim, fd, SILENCE_MS);
		return;
	}
	struct manner manner = decide(sim, request, &answer);
	if (manner.hop_limit > 0)
		limit_hops(fd, peer->sa_family, manner.hop_limit);

	/* Recorded before it is sent, so that whoever has the answer finds the record. */
	record_request(&sim->record, peer, request, &answer);
	send_answer(sim, fd, request, &answer, &manner);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_bytes, void **request_context)
{
	struct exchange *exchange = *request_context;
	const struct http_service *service = context;
	struct request request = {
		.service = service->service,
		.method = method_parse(method),
		.method_name = method,
		.raw_target = exchange->raw_target,
		.version = version,
	};

	(void)url;
	(void)data;
	(void)MHD_get_connection_values(connection, MHD_HEADER_KIND, add_header, &request);
	bool has_body = request_header(&request, "Content-Length") != NULL ||
	                request_header(&request, "Transfer-Encoding") != NULL;
	bool is_first = !exchange->seen;

	exchange->seen = true;
	exchange->body_bytes += *data_bytes;
	/* Whoever expects "100 Continue" is refused before the body; others must get rid of theirs first. */
	if (is_first && has_body && request_header(&request, "Expect") == NULL)
		return MHD_YES;
	if (*data_bytes > 0 && exchange->body_bytes <= REQUEST_BODY_LIMIT) {
		*data_bytes = 0;
		return MHD_YES;
	}

	request.body_bytes = exchange->body_bytes;
	request.has_target = target_parse(exchange->raw_target, &request.target);
	serve(service->sim, connection, &request);
	return MHD_NO;
}

int http_start(struct http_service *service, int fd, unsigned int share, struct MHD_Daemon **ret_daemon,
               struct error *err)
{
	struct MHD_Daemon *daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL, NULL,
		on_request, service, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, share,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)IDLE_SECONDS, MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, service, MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES,
		MHD_OPTION_END);

	if (daemon == NULL)
		return error_set(err, "libmicrohttpd does not start: %s", strerror(errno));
	*ret_daemon = daemon;
	return 0;
}

void http_stop(struct MHD_Daemon *daemon)
{
	if (daemon != NULL)
		MHD_stop_daemon(daemon);
}
