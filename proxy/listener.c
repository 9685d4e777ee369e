/* SPDX-License-Identifier: Apache-2.0 */

/* One connection in, one request out. A request is read whole, and served only if screen.c and body.c have found that
 * it has one meaning; then nothing is left but to take its head apart (request.c). exchange.c answers on the bare
 * socket, so that reasons, the order of headers and "the last byte was taken" are ours to know. */
#include "proxy/listener.h"

#include <errno.h>
#include <linux/netfilter_ipv4.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/stack.h"
#include "proxy/body.h"
#include "proxy/reply.h"
#include "proxy/send.h"

#ifndef IP6T_SO_ORIGINAL_DST
#define IP6T_SO_ORIGINAL_DST 80 /* linux/netfilter_ipv6/ip6_tables.h, which clashes with other headers */
#endif

#define REQUEST_TIMEOUT_MS 5000 /* from accept to the whole request; SDKs send it in one packet */
#define REQUEST_BYTES (SCREEN_HEAD_BYTES + BODY_BYTES_MAX)
#define DRAIN_TIMEOUT_MS 500 /* for bytes behind a request, so that closing does not reset the answer away */

struct listener {
	struct proxy *proxy;
	struct seats *seats;
	struct client client;
	char bytes[REQUEST_BYTES]; /* of the request, and a little of what may follow it */
	bool is_served;
};

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

/* Bytes looked at as a request. */
struct look {
	enum screen_verdict verdict;
	const char *reason;
	bool expects_continue;
	size_t head_bytes;
	bool has_extra;
};

static struct look look_at(const char *bytes, size_t length)
{
	struct screen head = screen_head(bytes, length);
	if (head.verdict != SCREEN_GOOD || head.expects_continue)
		return (struct look){head.verdict, head.reason, head.expects_continue, 0, false};
	struct body body = body_screen(&head, bytes + head.head_bytes, length - head.head_bytes);
	return (struct look){body.verdict, body.reason, false, head.head_bytes, body.has_extra};
}

/* Reads until the whole request is there. False: nothing to serve came in time. */
static bool read_request(struct listener *listener, size_t *ret_length, struct look *ret)
{
	int64_t deadline_ms = clock_monotonic_ms() + REQUEST_TIMEOUT_MS;
	int fd = listener->client.fd;
	*ret_length = 0;
	for (;;) {
		size_t room = sizeof(listener->bytes) - *ret_length; /* never 0: what is that long is good or bad */
		ssize_t got = recv(fd, listener->bytes + *ret_length, room, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (!wait_readable(fd, deadline_ms))
				return false;
			continue;
		}
		if (got <= 0)
			return false; /* closed before its request was complete, or a mere probe */
		*ret_length += (size_t)got;
		*ret = look_at(listener->bytes, *ret_length);
		if (ret->verdict != SCREEN_MORE)
			return true;
		if (clock_monotonic_ms() >= deadline_ms)
			return false;
	}
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

/* A whole request, or one that is refused: its answer, and then the end. */
static void serve_request(struct listener *listener, const struct look *seen)
{
	struct client *client = &listener->client;
	struct request request = {.malformed = seen->reason, .expects_continue = seen->expects_continue};
	bool is_good = seen->verdict == SCREEN_GOOD && !seen->expects_continue;
	if (is_good)
		request_split(listener->bytes, seen->head_bytes, &request);
	request.has_extra = is_good && seen->has_extra;
	listener->is_served = true;
	exchange_run(listener->proxy, client, &request);
	if (!is_good || seen->has_extra)
		drain(client);
}

/* Known from before a request's first byte was sent. */
static bool is_own_request(const struct listener *listener)
{
	const struct client *client = &listener->client;
	if (!upstream_is_own_port(listener->proxy->upstream, client->sighting.client.port) ||
	    !endpoint_is_loopback(&client->local))
		return false;
	log_line(LOG_LEVEL_ERROR, "loop", "reason=\"the redirect sends the proxy's own request back to it\"");
	return true;
}

static void serve(struct listener *listener)
{
	struct client *client = &listener->client;
	struct error problem = {0};
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
	size_t length;
	struct look seen = {0};
	seat_waits(client->seat, clock_monotonic_ms());
	bool is_there = read_request(listener, &length, &seen);
	seat_works(client->seat);
	if (is_there && !is_own_request(listener))
		serve_request(listener, &seen);
	explicit_bzero(listener->bytes, length); /* a token, perhaps */
}

int listener_new(struct proxy *proxy, int witness_fd, struct listener **ret, struct error *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	if (listener == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a listener");
	listener->proxy = proxy;
	if (line_open(witness_fd, &listener->client.line, err) < 0) {
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
	stack_wipe(); /* tokens and credentials went through frames that are gone */
	if (seats_leave(seats, seat) && !listener->is_served)
		count_crowd(listener, "made-room");
	counts_connections(&listener->proxy->counts, -1);
	cleanup_descriptor(&client->upstream_fd);
	client->upstream_fd = -1;
}
