/* SPDX-License-Identifier: Apache-2.0 */

/* One connection in, one request out. libmicrohttpd parses: each worker has an instance of its own without threads or
 * sockets, and hands it one connection at a time. It is given only whole requests that screen.c and body.c have found
 * to have one meaning, it never decodes the target, and it never writes an answer: exchange.c does, on the bare socket,
 * so that reasons, header order and "the last byte was taken" are ours to know. */
#include "proxy/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4.h>
#include <microhttpd.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "proxy/body.h"
#include "proxy/reply.h"
#include "proxy/send.h"

#ifndef IP6T_SO_ORIGINAL_DST
#define IP6T_SO_ORIGINAL_DST 80 /* linux/netfilter_ipv6/ip6_tables.h, which clashes with other headers */
#endif

#define REQUEST_TIMEOUT_MS 5000 /* from accept to the whole request; SDKs send it in one packet */
#define PARSE_TIMEOUT_MS 2000
#define REQUEST_BYTES (SCREEN_HEAD_BYTES + BODY_BYTES_MAX)
#define DRAIN_TIMEOUT_MS 500 /* for bytes behind a request, so that closing does not reset the answer away */
#define PARSER_POOL_BYTES 32768

struct listener {
	struct proxy *proxy;
	struct MHD_Daemon *parser;
	int parser_fd; /* epoll descriptor of the parser */
	struct seats *seats;
	struct client client;
	char target[SCREEN_HEAD_BYTES];
	char values[SCREEN_HEAD_BYTES]; /* of headers that are looked at, without the blanks around them */
	size_t values_bytes;
	bool has_extra; /* bytes behind the request */
	bool is_served;
};

/* ---- the parser's callbacks */

/* Keeps the target as it came; libmicrohttpd would decode it. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
	struct listener *listener = context;
	(void)connection;
	(void)snprintf(listener->target, sizeof(listener->target), "%s", target);
	return NULL;
}

static size_t on_unescape(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

/* A header's value without the blanks behind it, which libmicrohttpd keeps (RFC 9112 section 5.1). NULL: no such
 * header. */
static const char *header(struct listener *listener, struct MHD_Connection *connection, const char *name)
{
	const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
	char *copy = listener->values + listener->values_bytes;
	size_t left = sizeof(listener->values) - listener->values_bytes;
	if (value == NULL || !text_copy(copy, left, value))
		return NULL; /* all values of a head fit in */
	listener->values_bytes += strlen(copy) + 1;
	return text_trim(copy);
}

/* Tokens and Authorization, also in the parser's own pool, which is freed as it is. */
static void wipe_secrets(struct listener *listener, struct MHD_Connection *connection)
{
	static const char *const names[] = {"Authorization", "X-aws-ec2-metadata-token"};
	explicit_bzero(listener->values, listener->values_bytes);
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, names[i]);
		if (value != NULL)
			explicit_bzero((char *)(uintptr_t)value, strlen(value));
	}
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *body, size_t *body_bytes, void **state)
{
	struct listener *listener = context;
	(void)url;
	(void)version;
	(void)body;
	if (*state == NULL) {
		*state = listener; /* the head is there; the body follows */
		return MHD_YES;
	}
	if (*body_bytes > 0) {
		*body_bytes = 0; /* dropped: nothing that IMDS serves takes a body */
		return MHD_YES;
	}
	listener->values_bytes = 0;
	const struct request request = {
		.method = method,
		.target = listener->target,
		.host = header(listener, connection, "Host"),
		.token = header(listener, connection, "X-aws-ec2-metadata-token"),
		.ttl = header(listener, connection, "X-aws-ec2-metadata-token-ttl-seconds"),
		.user_agent = header(listener, connection, "User-Agent"),
		.authorization = header(listener, connection, "Authorization"),
		.has_forwarded_for = MHD_lookup_connection_value_n(connection, MHD_HEADER_KIND, "X-Forwarded-For", 15,
	                                                           NULL, NULL) == MHD_YES,
		.has_extra = listener->has_extra,
	};
	listener->is_served = true;
	exchange_run(listener->proxy, &listener->client, &request);
	wipe_secrets(listener, connection);
	return MHD_NO; /* answered already: close */
}

MUST_USE static int parser_start(struct listener *listener, struct error *err)
{
	listener->parser =
		MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, listener,
	                         MHD_OPTION_URI_LOG_CALLBACK, on_target, listener, MHD_OPTION_UNESCAPE_CALLBACK,
	                         on_unescape, listener, MHD_OPTION_CONNECTION_LIMIT, 2U,
	                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)PARSER_POOL_BYTES, MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
		listener->parser != NULL ? MHD_get_daemon_info(listener->parser, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (info == NULL)
		return error_set(err, ERROR_SYSTEM, "libmicrohttpd does not start");
	listener->parser_fd = info->epoll_fd;
	return 0;
}

/* ---- one connection */

static bool wait_readable(int fd, int64_t deadline_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	for (;;) {
		int64_t left = deadline_ms - clock_monotonic_ms();
		int got = left > 0 ? poll(&ready, 1, (int)left) : 0;
		if (got >= 0 || errno != EINTR)
			return got > 0;
	}
}

/* Bytes that lie in a socket, looked at as a request. */
struct look {
	enum screen_verdict verdict;
	const char *reason;
	bool expects_continue;
	bool has_extra;
};

static struct look look_at(const char *bytes, size_t length)
{
	struct screen head = screen_head(bytes, length);
	if (head.verdict != SCREEN_GOOD || head.expects_continue)
		return (struct look){head.verdict, head.reason, head.expects_continue, false};
	struct body body = body_screen(&head, bytes + head.head_bytes, length - head.head_bytes);
	return (struct look){body.verdict, body.reason, false, body.has_extra};
}

/* Waits until the whole request lies in the socket, without taking it out, so that the parser never has to wait nor to
 * judge. False: nothing to serve came in time. */
static bool peek_into(int fd, char bytes[static REQUEST_BYTES], struct look *ret)
{
	int64_t deadline_ms = clock_monotonic_ms() + REQUEST_TIMEOUT_MS;
	int seen = 0, once = 1;
	while (wait_readable(fd, deadline_ms)) {
		ssize_t got = recv(fd, bytes, REQUEST_BYTES, MSG_PEEK | MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= seen)
			return false; /* closed before its request was complete, or a mere probe */
		*ret = look_at(bytes, (size_t)got);
		if (ret->verdict != SCREEN_MORE) {
			if (seen > 0)
				(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &once, sizeof(once));
			return true;
		}
		/* poll(2) shall report the socket again only when there is more than this. */
		seen = (int)got;
		int more = seen + 1;
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &more, sizeof(more));
	}
	return false;
}

/* It may hold a token or an Authorization. */
static bool peek_request(int fd, struct look *ret)
{
	char bytes[REQUEST_BYTES];
	bool is_there = peek_into(fd, bytes, ret);
	explicit_bzero(bytes, sizeof(bytes));
	return is_there;
}

/* Gives the connection to the parser, which owns its own copy of the descriptor, until the request was served. */
static void parse(struct listener *listener)
{
	struct sockaddr_storage address = {.ss_family = AF_INET};
	int64_t deadline_ms = clock_monotonic_ms() + PARSE_TIMEOUT_MS;
	int copy = fcntl(listener->client.fd, F_DUPFD_CLOEXEC, 0);
	listener->is_served = false;
	if (copy < 0 || MHD_add_connection(listener->parser, copy, (struct sockaddr *)&address,
	                                   sizeof(struct sockaddr_in)) != MHD_YES) {
		log_line(LOG_LEVEL_ERROR, "parser_failed", "reason=\"%s\"", strerror(errno));
		return;
	}
	const union MHD_DaemonInfo *left;
	do {
		(void)MHD_run(listener->parser);
		left = MHD_get_daemon_info(listener->parser, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
		if (left == NULL || left->num_connections == 0)
			return;
		if (listener->is_served || !wait_readable(listener->parser_fd, deadline_ms))
			(void)shutdown(listener->client.fd, SHUT_RD); /* the parser sees the end and lets go */
	} while (clock_monotonic_ms() < deadline_ms + PARSE_TIMEOUT_MS);
}

/* Whom the client meant to reach, before the redirect. */
static enum service service_of(const struct client *client)
{
	struct sockaddr_storage original;
	socklen_t length = sizeof(original);
	struct endpoint destination;
	int level = client->local.family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
	int option = client->local.family == AF_INET6 ? IP6T_SO_ORIGINAL_DST : SO_ORIGINAL_DST;
	if (getsockopt(client->fd, level, option, &original, &length) < 0)
		return SERVICE_NONE;
	endpoint_from_sockaddr(&original, &destination);
	return endpoint_service(&destination);
}

MUST_USE static int look(struct client *client, struct error *err)
{
	struct sockaddr_storage peer, local;
	socklen_t peer_bytes = sizeof(peer), local_bytes = sizeof(local);
	if (getpeername(client->fd, (struct sockaddr *)&peer, &peer_bytes) < 0 ||
	    getsockname(client->fd, (struct sockaddr *)&local, &local_bytes) < 0)
		return error_errno(err, "connection");
	endpoint_from_sockaddr(&peer, &client->peer);
	endpoint_from_sockaddr(&local, &client->local);
	client->service = service_of(client);
	return line_look(client->line, &client->peer, &client->local, &client->sighting, &client->upstream_fd, err);
}

static void drain(const struct client *client)
{
	char bytes[4096];
	int64_t deadline_ms = clock_monotonic_ms() + DRAIN_TIMEOUT_MS;
	int fd = client->fd;
	(void)shutdown(fd, SHUT_WR);
	seat_waits(client->seat, clock_monotonic_ms());
	while (wait_readable(fd, deadline_ms))
		if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return;
}

/* ---- room for all */

/* Of connections that were not served to make room, or no longer. They sent no request that could be recorded; they are
 * counted, and a line a second at most says so. */
static void count_crowd(struct listener *listener, const char *reason)
{
	counts_add(&listener->proxy->counts,
	           &(struct outcome_facts){.class = CLASS_OTHER, .result = RESULT_REFUSED, .reason = reason});
	if (seats_may_complain(listener->seats, clock_monotonic_ms())) {
		const struct sighting *sighting = &listener->client.sighting;
		char address[ADDRESS_TEXT_BYTES];
		log_line(LOG_LEVEL_WARNING, "crowded", "reason=%s address=%s netns=%llu uid=%lld", reason,
		         endpoint_text(&sighting->client, address), (unsigned long long)sighting->netns,
		         sighting->inode != 0 ? (long long)sighting->uid : -1);
	}
}

static bool is_admitted(struct listener *listener)
{
	const struct client *client = &listener->client;
	const struct seat_holder holder = seat_holder_of(&client->sighting, endpoint_is_loopback(&client->local));
	CLEANUP_BUFFER struct buffer refusal = {0};
	if (seats_admit(listener->seats, client->seat, &holder, clock_monotonic_ms()))
		return true;
	count_crowd(listener, "too-many-connections");
	if (client->service != SERVICE_NONE &&
	    reply_refusal(&refusal, client->service, 503, clock_now_us(), NULL) == 0) {
		char request[4096]; /* taken out, so that closing does not reset the answer away */
		(void)!recv(client->fd, request, sizeof(request), MSG_DONTWAIT);
		(void)send_until(client->fd, &refusal, 0);
	}
	return false;
}

static void serve(struct listener *listener)
{
	struct client *client = &listener->client;
	struct error problem = {0};
	struct look seen = {0};
	if (look(client, &problem) < 0) {
		log_line(LOG_LEVEL_WARNING, "client_lost", "reason=\"%s\"", problem.text);
		return;
	}
	if (client->sighting.is_probe)
		return; /* the witness tries its backends */
	if (!is_admitted(listener))
		return;
	if (client->service == SERVICE_NONE) {
		const struct request nothing = {.malformed = "not-redirected"};
		exchange_run(listener->proxy, client, &nothing);
		return;
	}
	seat_waits(client->seat, clock_monotonic_ms());
	bool is_there = peek_request(client->fd, &seen);
	seat_works(client->seat);
	if (!is_there)
		return;
	listener->has_extra = seen.has_extra;
	if (upstream_is_own_port(listener->proxy->upstream, client->sighting.client.port) &&
	    endpoint_is_loopback(&client->local)) {
		log_line(LOG_LEVEL_ERROR, "loop", "reason=\"the redirect sends the proxy's own request back to it\"");
		return;
	}
	if (seen.verdict == SCREEN_BAD || seen.expects_continue) {
		const struct request refused = {.malformed = seen.reason, .expects_continue = seen.expects_continue};
		exchange_run(listener->proxy, client, &refused);
		drain(client);
		return;
	}
	parse(listener);
	explicit_bzero(listener->values, listener->values_bytes);
	if (seen.has_extra)
		drain(client);
}

int listener_new(struct proxy *proxy, int witness_fd, struct listener **ret, struct error *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	if (listener == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a listener");
	listener->proxy = proxy;
	if (parser_start(listener, err) < 0 || line_open(witness_fd, &listener->client.line, err) < 0) {
		listener_free(listener);
		return -1;
	}
	*ret = listener;
	return 0;
}

void listener_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	if (listener->parser != NULL)
		MHD_stop_daemon(listener->parser);
	line_close(listener->client.line);
	free(listener);
}

void listener_serve(struct listener *listener, int fd, struct seats *seats, struct seat *seat)
{
	struct client *client = &listener->client;
	*client = (struct client){.fd = fd, .seat = seat, .line = client->line, .upstream_fd = -1};
	listener->seats = seats;
	listener->is_served = false;
	counts_connections(&listener->proxy->counts, 1);
	seat_works(seat);
	serve(listener);
	if (seats_leave(seats, seat) && !listener->is_served)
		count_crowd(listener, "made-room");
	counts_connections(&listener->proxy->counts, -1);
	cleanup_descriptor(&client->upstream_fd);
	client->upstream_fd = -1;
}
