/* SPDX-License-Identifier: Apache-2.0 */

/* Connections in, requests out. libmicrohttpd parses; each worker has an instance of its own without threads or sockets
 * and hands it one connection at a time. It is given only heads that screen.c has found to have one meaning, it never
 * decodes the target, and it never writes an answer: exchange.c does, on the bare socket, so that reasons, header
 * order and "the last byte was taken" are ours to know. */
#include "proxy/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "proxy/screen.h"

#ifndef IP6T_SO_ORIGINAL_DST
#define IP6T_SO_ORIGINAL_DST 80 /* linux/netfilter_ipv6/ip6_tables.h, which clashes with other headers */
#endif

#define HEAD_TIMEOUT_MS 5000 /* from accept to the whole head; SDKs send it in one packet */
#define BODY_TIMEOUT_MS 2000
#define DRAIN_TIMEOUT_MS 500 /* for bytes behind a request, so that closing does not reset the answer away */
#define IDLE_WORKERS_MAX 8   /* more of them end */
#define BACKLOG 4096
#define PARSER_POOL_BYTES 32768

struct listener {
	struct proxy *proxy;
	int witness_fd;
	int sockets[LISTENER_SOCKETS_MAX];
	int count;
	int wake[2]; /* a pipe: closing its write end wakes whoever waits for connections */
	pthread_attr_t attributes;

	pthread_mutex_t turn; /* held by the one worker that waits for a connection */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t ended;
	int64_t workers, idle;
	bool stop;
};

struct worker {
	struct listener *listener;
	struct MHD_Daemon *parser;
	int parser_fd; /* epoll descriptor of the parser */
	struct client client;
	char target[SCREEN_HEAD_BYTES];
	size_t body_bytes;
	bool is_served;
};

/* ---- the parser's callbacks */

/* Keeps the target as it came; libmicrohttpd would decode it. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
	struct worker *worker = context;
	(void)connection;
	(void)snprintf(worker->target, sizeof(worker->target), "%s", target);
	return NULL;
}

static size_t on_unescape(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

#define BODY_BYTES_MAX 65536 /* bodies are read and dropped; nothing that IMDS serves takes one */

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *body, size_t *body_bytes, void **state)
{
	struct worker *worker = context;
	(void)url;
	(void)version;
	(void)body;
	if (*state == NULL) {
		*state = worker; /* the head is there; the body follows */
		return MHD_YES;
	}
	if (*body_bytes > 0) {
		worker->body_bytes += *body_bytes;
		*body_bytes = 0;
		return worker->body_bytes <= BODY_BYTES_MAX ? MHD_YES : MHD_NO;
	}
	const struct request request = {
		.method = method,
		.target = worker->target,
		.host = header(connection, "Host"),
		.token = header(connection, "X-aws-ec2-metadata-token"),
		.ttl = header(connection, "X-aws-ec2-metadata-token-ttl-seconds"),
		.user_agent = header(connection, "User-Agent"),
		.has_forwarded_for = MHD_lookup_connection_value_n(connection, MHD_HEADER_KIND, "X-Forwarded-For", 15,
	                                                           NULL, NULL) == MHD_YES,
	};
	worker->is_served = true;
	exchange_run(worker->listener->proxy, &worker->client, &request);
	return MHD_NO; /* answered already: close */
}

MUST_USE static int parser_start(struct worker *worker, struct error *err)
{
	worker->parser =
		MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, worker,
	                         MHD_OPTION_URI_LOG_CALLBACK, on_target, worker, MHD_OPTION_UNESCAPE_CALLBACK,
	                         on_unescape, worker, MHD_OPTION_CONNECTION_LIMIT, 2U,
	                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)PARSER_POOL_BYTES, MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
		worker->parser != NULL ? MHD_get_daemon_info(worker->parser, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (info == NULL)
		return error_set(err, ERROR_SYSTEM, "libmicrohttpd does not start");
	worker->parser_fd = info->epoll_fd;
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

/* Waits until the whole head lies in the socket, without taking it out. False: nothing to serve came in time. */
static bool peek_head(int fd, struct screen *ret)
{
	char bytes[SCREEN_HEAD_BYTES];
	int64_t deadline_ms = clock_monotonic_ms() + HEAD_TIMEOUT_MS;
	int seen = 0, once = 1;
	while (wait_readable(fd, deadline_ms)) {
		ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= seen)
			return false; /* closed before its head was complete, or a mere probe */
		*ret = screen_head(bytes, (size_t)got);
		if (ret->verdict != SCREEN_MORE) {
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

/* Gives the connection to the parser, which owns its own copy of the descriptor, until the request was served. */
static void parse(struct worker *worker)
{
	struct sockaddr_storage address = {.ss_family = AF_INET};
	int64_t deadline_ms = clock_monotonic_ms() + BODY_TIMEOUT_MS;
	int copy = fcntl(worker->client.fd, F_DUPFD_CLOEXEC, 0);
	worker->is_served = false;
	worker->body_bytes = 0;
	if (copy < 0 || MHD_add_connection(worker->parser, copy, (struct sockaddr *)&address,
	                                   sizeof(struct sockaddr_in)) != MHD_YES) {
		log_line(LOG_LEVEL_ERROR, "parser_failed", "reason=\"%s\"", strerror(errno));
		return;
	}
	const union MHD_DaemonInfo *left;
	do {
		(void)MHD_run(worker->parser);
		left = MHD_get_daemon_info(worker->parser, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
		if (left == NULL || left->num_connections == 0)
			return;
		if (worker->is_served || !wait_readable(worker->parser_fd, deadline_ms))
			(void)shutdown(worker->client.fd, SHUT_RD); /* the parser sees the end and lets go */
	} while (clock_monotonic_ms() < deadline_ms + BODY_TIMEOUT_MS);
}

/* Where the client meant to go, before the redirect. */
static bool is_redirected(const struct client *client)
{
	struct sockaddr_storage original;
	socklen_t length = sizeof(original);
	struct endpoint destination;
	int level = client->local.family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
	int option = client->local.family == AF_INET6 ? IP6T_SO_ORIGINAL_DST : SO_ORIGINAL_DST;
	if (getsockopt(client->fd, level, option, &original, &length) < 0)
		return false;
	endpoint_from_sockaddr(&original, &destination);
	return endpoint_is_imds(&destination);
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
	client->is_redirected = is_redirected(client);
	return line_look(client->line, &client->peer, &client->local, &client->sighting, &client->upstream_fd, err);
}

static void drain(int fd)
{
	char bytes[4096];
	int64_t deadline_ms = clock_monotonic_ms() + DRAIN_TIMEOUT_MS;
	(void)shutdown(fd, SHUT_WR);
	while (wait_readable(fd, deadline_ms))
		if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return;
}

static void serve(struct worker *worker)
{
	struct client *client = &worker->client;
	struct error problem = {0};
	struct screen screen = {0};
	if (look(client, &problem) < 0) {
		log_line(LOG_LEVEL_WARNING, "client_lost", "reason=\"%s\"", problem.text);
		return;
	}
	if (!client->is_redirected) {
		const struct request nothing = {.malformed = "not-redirected"};
		exchange_run(worker->listener->proxy, client, &nothing);
		return;
	}
	if (!peek_head(client->fd, &screen))
		return;
	if (upstream_is_own_port(worker->listener->proxy->upstream, client->peer.port) &&
	    endpoint_is_loopback(&client->local)) {
		log_line(LOG_LEVEL_ERROR, "loop", "reason=\"the redirect sends the proxy's own request back to it\"");
		return;
	}
	if (screen.verdict == SCREEN_BAD || screen.expects_continue) {
		const struct request refused = {.malformed = screen.reason,
		                                .expects_continue = screen.expects_continue};
		exchange_run(worker->listener->proxy, client, &refused);
		drain(client->fd);
		return;
	}
	parse(worker);
	if (screen.has_extra)
		drain(client->fd);
}

/* ---- workers */

static void *run_worker(void *argument);

/* With the mutex held. */
static void add_worker(struct listener *listener)
{
	pthread_t thread;
	if (listener->stop || listener->workers >= listener->proxy->settings.max_connections)
		return;
	if (pthread_create(&thread, &listener->attributes, run_worker, listener) == 0) {
		listener->workers++;
		listener->idle++;
	}
}

/* Waits for a connection; -1: time to end. With the turn held. */
static int accept_one(struct listener *listener)
{
	struct pollfd ready[LISTENER_SOCKETS_MAX + 1];
	for (int i = 0; i < listener->count; i++)
		ready[i] = (struct pollfd){.fd = listener->sockets[i], .events = POLLIN};
	ready[listener->count] = (struct pollfd){.fd = listener->wake[0], .events = POLLIN};
	for (;;) {
		if (poll(ready, (nfds_t)listener->count + 1, -1) < 0 && errno != EINTR)
			return -1;
		if (ready[listener->count].revents != 0)
			return -1;
		for (int i = 0; i < listener->count; i++) {
			int fd = ready[i].revents != 0 ? accept4(ready[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
			if (fd >= 0)
				return fd;
			if (ready[i].revents != 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
				log_line(LOG_LEVEL_ERROR, "accept_failed", "reason=\"%s\"", strerror(errno));
				(void)poll(NULL, 0, 50); /* until others have closed theirs */
			}
		}
	}
}

/* Takes a connection when it is this worker's turn; -1: this worker is to end. */
static int take_connection(struct listener *listener)
{
	(void)pthread_mutex_lock(&listener->turn);
	int fd = accept_one(listener);
	(void)pthread_mutex_lock(&listener->mutex);
	listener->idle--;
	if (fd >= 0 && listener->idle == 0)
		add_worker(listener); /* somebody must wait for the next one */
	(void)pthread_mutex_unlock(&listener->mutex);
	(void)pthread_mutex_unlock(&listener->turn);
	return fd;
}

/* Back to waiting; false: there are enough who wait. */
static bool become_idle(struct listener *listener)
{
	(void)pthread_mutex_lock(&listener->mutex);
	bool stay = !listener->stop && listener->idle < IDLE_WORKERS_MAX;
	if (stay)
		listener->idle++;
	(void)pthread_mutex_unlock(&listener->mutex);
	return stay;
}

static void serve_connections(struct worker *worker)
{
	struct listener *listener = worker->listener;
	do {
		CLEANUP_FD int fd = take_connection(listener);
		if (fd < 0)
			return;
		struct client *client = &worker->client;
		*client = (struct client){.fd = fd, .line = client->line, .upstream_fd = -1};
		serve(worker);
		cleanup_descriptor(&client->upstream_fd);
		client->upstream_fd = -1;
	} while (become_idle(listener));
}

static void *run_worker(void *argument)
{
	struct listener *listener = argument;
	struct error problem = {0};
	struct worker *worker = calloc(1, sizeof(*worker));
	bool ready = worker != NULL;
	if (ready) {
		worker->listener = listener;
		ready = parser_start(worker, &problem) == 0 &&
		        line_open(listener->witness_fd, &worker->client.line, &problem) == 0;
	}
	if (ready) {
		serve_connections(worker);
	} else {
		log_line(LOG_LEVEL_ERROR, "worker_failed", "reason=\"%s\"", problem.text);
		(void)pthread_mutex_lock(&listener->mutex);
		listener->idle--;
		(void)pthread_mutex_unlock(&listener->mutex);
	}
	if (worker != NULL) {
		if (worker->parser != NULL)
			MHD_stop_daemon(worker->parser);
		line_close(worker->client.line);
	}
	free(worker);
	(void)pthread_mutex_lock(&listener->mutex);
	listener->workers--;
	(void)pthread_cond_broadcast(&listener->ended);
	(void)pthread_mutex_unlock(&listener->mutex);
	return NULL;
}

/* ---- sockets */

MUST_USE static int bind_one(int family, const char *address, int64_t port, int *ret, struct error *err)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool ipv4 = family == AF_INET;
	int one = 1;
	(void)inet_pton(family, address, ipv4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr);
	CLEANUP_FD int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, "%s", address);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* The containers' address comes with the redirect, which may start later than we do. */
	(void)setsockopt(fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_FREEBIND : IPV6_FREEBIND, &one, sizeof(one));
	if (!ipv4)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, ipv4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, ipv4 ? sizeof(v4) : sizeof(v6)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return error_errno(err, "cannot listen on %s port %lld", address, (long long)port);
	*ret = steal_fd(&fd);
	return 0;
}

int listener_bind(int64_t port, int sockets[static LISTENER_SOCKETS_MAX], int *ret_count, struct error *err)
{
	static const struct {
		int family;
		const char *address;
	} addresses[] = {
		{AF_INET, "127.0.0.1"},
		{AF_INET, LISTEN_CONTAINER_IPV4},
		{AF_INET6, "::1"},
		{AF_INET6, LISTEN_CONTAINER_IPV6},
	};
	int count = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++) {
		if (bind_one(addresses[i].family, addresses[i].address, port, &sockets[count], err) == 0) {
			count++;
			continue;
		}
		if (addresses[i].family == AF_INET || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)) {
			while (count > 0)
				(void)close(sockets[--count]);
			return -1;
		}
		log_line(LOG_LEVEL_NOTICE, "no_ipv6", "address=%s", addresses[i].address);
	}
	*ret_count = count;
	return 0;
}

int listener_start(struct proxy *proxy, int witness_fd, const int *sockets, int count, struct listener **ret,
                   struct error *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	if (listener == NULL || pipe2(listener->wake, O_CLOEXEC) < 0) {
		free(listener);
		return error_errno(err, "listener");
	}
	listener->proxy = proxy;
	listener->witness_fd = witness_fd;
	listener->count = count;
	memcpy(listener->sockets, sockets, (size_t)count * sizeof(*sockets));
	(void)pthread_mutex_init(&listener->turn, NULL);
	(void)pthread_mutex_init(&listener->mutex, NULL);
	(void)pthread_cond_init(&listener->ended, NULL);
	(void)pthread_attr_init(&listener->attributes);
	(void)pthread_attr_setdetachstate(&listener->attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&listener->attributes, 512 << 10);
	(void)pthread_mutex_lock(&listener->mutex);
	add_worker(listener);
	bool started = listener->workers > 0;
	(void)pthread_mutex_unlock(&listener->mutex);
	*ret = listener;
	return started ? 0 : error_set(err, ERROR_SYSTEM, "cannot start a worker");
}

bool listener_stop(struct listener *listener)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LISTENER_DRAIN_MS / 1000;
	(void)close(listener->wake[1]);
	(void)pthread_mutex_lock(&listener->mutex);
	listener->stop = true;
	while (listener->workers > 0 && pthread_cond_timedwait(&listener->ended, &listener->mutex, &until) != ETIMEDOUT)
		continue;
	bool drained = listener->workers == 0;
	(void)pthread_mutex_unlock(&listener->mutex);
	for (int i = 0; i < listener->count; i++)
		(void)close(listener->sockets[i]);
	if (drained) {
		(void)close(listener->wake[0]);
		(void)pthread_attr_destroy(&listener->attributes);
		free(listener);
	}
	return drained;
}
