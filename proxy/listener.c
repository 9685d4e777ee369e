/* SPDX-License-Identifier: Apache-2.0 */

/* One connection in, one request out. A request is read whole, and served only if screen.c and body.c have found that
 * it has one meaning; then nothing is left but to take its head apart (request.c). exchange.c answers on the bare
 * socket, so that reasons, the order of headers and "the last byte was taken" are ours to know. */
#include "proxy/listener.h"

#include <errno.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* Bytes looked at as a request. */
struct look {
	enum screen_verdict verdict;
	const char *reason;
	bool expects_continue;
	size_t head_bytes;
	bool has_extra;
};

struct listener {
	struct proxy *proxy;
	struct seats *seats;
	struct exchange *exchange;
	struct client client;
	struct stock stock;

	char bytes[REQUEST_BYTES]; /* of the request, and a little of what may follow it */
	size_t length;
	struct look seen; /* in them */
	struct request request;
	bool is_begun, is_served;
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

static struct look look_at(const char *bytes, size_t length)
{
	struct screen head = screen_head(bytes, length);
	if (head.verdict != SCREEN_GOOD || head.expects_continue)
		return (struct look){head.verdict, head.reason, head.expects_continue, 0, false};
	struct body body = body_screen(&head, bytes + head.head_bytes, length - head.head_bytes);
	return (struct look){body.verdict, body.reason, false, head.head_bytes, body.has_extra};
}

/* What became of the wait for a request. */
enum arrival { ARRIVAL_WHOLE, ARRIVAL_PART, ARRIVAL_NONE };

/* Takes what is there. ARRIVAL_NONE: the client has closed before its request was complete, or it was a mere probe. */
static enum arrival read_some(struct listener *listener)
{
	size_t room = sizeof(listener->bytes) - listener->length; /* never 0: what is that long is good or bad */
	ssize_t got = recv(listener->client.fd, listener->bytes + listener->length, room, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return ARRIVAL_PART;
	if (got <= 0)
		return ARRIVAL_NONE;
	listener->length += (size_t)got;
	listener->seen = look_at(listener->bytes, listener->length);
	return listener->seen.verdict != SCREEN_MORE ? ARRIVAL_WHOLE : ARRIVAL_PART;
}

/* Waits until the whole request is there; false: nothing to serve came in time. */
static bool read_request(struct listener *listener)
{
	const int yes = 1;
	int64_t deadline_ms = clock_monotonic_ms() + REQUEST_TIMEOUT_MS;
	enum arrival arrival;
	do {
		/* A client that sends its request piecemeal may wait for the first piece to be acknowledged. */
		if (listener->length > 0)
			(void)setsockopt(listener->client.fd, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof(yes));
		if (!wait_readable(listener->client.fd, deadline_ms))
			return false;
		arrival = read_some(listener);
	} while (arrival == ARRIVAL_PART && clock_monotonic_ms() < deadline_ms);
	return arrival == ARRIVAL_WHOLE;
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
	const struct seat_holder holder = seat_holder_of(&client->sighting, !client_is_bridged(client));
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

static bool is_good(const struct listener *listener)
{
	return listener->seen.verdict == SCREEN_GOOD && !listener->seen.expects_continue;
}

/* A whole request, or one that is refused. */
static void begin(struct listener *listener)
{
	const struct look *seen = &listener->seen;
	listener->request = (struct request){.malformed = seen->reason, .expects_continue = seen->expects_continue};
	if (is_good(listener))
		request_split(listener->bytes, seen->head_bytes, &listener->request);
	listener->request.has_extra = is_good(listener) && seen->has_extra;
	listener->is_begun = true;
	exchange_begin(listener->exchange, &listener->client, &listener->request);
}

/* Its answer, and then the end. */
static void finish(struct listener *listener)
{
	listener->is_served = true;
	exchange_finish(listener->exchange);
	if (!is_good(listener) || listener->seen.has_extra)
		drain(&listener->client);
}

static void refuse_stranger(struct listener *listener)
{
	listener->request = (struct request){.malformed = "not-redirected"};
	exchange_begin(listener->exchange, &listener->client, &listener->request);
	exchange_finish(listener->exchange);
}

/* Known from before a request's first byte was sent. */
static bool is_own_request(const struct listener *listener)
{
	const struct client *client = &listener->client;
	const struct sighting *sighting = &client->sighting;
	if (!upstream_is_own_port(listener->proxy->upstream, sighting->client.port) || client_is_bridged(client))
		return false;
	/* From another address, or by the other IP, a client may have the same port. */
	if (sighting->is_found && sighting->inode != 0 && sighting->uid != geteuid())
		return false;
	log_line(LOG_LEVEL_ERROR, "loop", "reason=\"the redirect sends the proxy's own request back to it\"");
	return true;
}

/* Takes the witness's answer; false: there is nobody to serve. */
static bool meet(struct listener *listener)
{
	struct client *client = &listener->client;
	struct error problem = {0};
	if (client_meet(client, &problem) < 0) {
		log_line(LOG_LEVEL_WARNING, "client_lost", "reason=\"%s\"", problem.text);
		return false;
	}
	return !client->sighting.is_probe /* the witness tries its backends */ && is_admitted(listener);
}

/* The witness looks while what is left to do is done. A client that has not sent its request yet is waited for in its
 * seat only. */
static void serve_known(struct listener *listener, enum arrival arrival)
{
	struct client *client = &listener->client;
	struct error problem = {0};
	if (client_ask(client, &problem) < 0) {
		log_line(LOG_LEVEL_WARNING, "client_lost", "reason=\"%s\"", problem.text);
		return;
	}
	if (arrival == ARRIVAL_WHOLE)
		exchange_foresee(listener->exchange);
	if (!meet(listener) || arrival == ARRIVAL_NONE)
		return;
	if (client->service == SERVICE_NONE) {
		refuse_stranger(listener);
		return;
	}
	seat_waits(client->seat, clock_monotonic_ms());
	bool is_there = arrival == ARRIVAL_WHOLE || read_request(listener);
	seat_works(client->seat);
	if (!is_there || is_own_request(listener))
		return;
	if (arrival != ARRIVAL_WHOLE)
		begin(listener);
	finish(listener);
}

/* Need the witness not be asked? An own request that comes back is met, and found out. */
static bool is_for_anybody(struct listener *listener)
{
	return listener->is_begun && exchange_is_for_anybody(listener->exchange) &&
	       !upstream_is_own_port(listener->proxy->upstream, listener->client.peer.port) &&
	       seats_admit_unknown(listener->seats, listener->client.seat);
}

static void serve(struct listener *listener)
{
	struct client *client = &listener->client;
	enum arrival arrival = ARRIVAL_PART;
	client->service = service_of(client);
	if (client->service != SERVICE_NONE)
		arrival = read_some(listener);
	if (arrival == ARRIVAL_WHOLE)
		begin(listener);
	if (is_for_anybody(listener))
		finish(listener);
	else
		serve_known(listener, arrival);
}

int listener_new(struct proxy *proxy, int witness_fd, struct listener **ret, struct error *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	if (listener == NULL || (listener->exchange = exchange_new(proxy)) == NULL) {
		free(listener);
		return error_set(err, ERROR_MEMORY, "no memory for a listener");
	}
	listener->proxy = proxy;
	listener->client.upstream = CONNECTION_NONE;
	CLEANUP_JSON json_t *heard = NULL;
	/* A witness without room for another thread closes the line; clients must not be the ones to find out. */
	if (line_open(witness_fd, &listener->client.line, err) < 0 ||
	    line_status(listener->client.line, &heard, err) < 0) {
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
	stock_done(&listener->stock);
	exchange_free(listener->exchange);
	line_close(listener->client.line);
	free(listener);
}

/* Of the connection that was served. */
static void clear(struct listener *listener)
{
	if (listener->is_begun && !listener->is_served)
		exchange_drop(listener->exchange);
	connection_done(&listener->client.upstream);
	explicit_bzero(listener->bytes, listener->length); /* a token, perhaps */
}

void listener_serve(struct listener *listener, const struct accepted *accepted, struct seats *seats, struct seat *seat)
{
	struct line *line = listener->client.line;
	listener->client = (struct client){.fd = accepted->fd,
	                                   .seat = seat,
	                                   .peer = accepted->peer,
	                                   .local = accepted->local,
	                                   .line = line,
	                                   .stock = &listener->stock};
	client_init(&listener->client);
	listener->stock.line = line;
	listener->seats = seats;
	listener->length = 0;
	listener->seen = (struct look){0};
	listener->is_begun = listener->is_served = false;
	counts_connections(&listener->proxy->counts, 1);
	seat_works(seat);
	serve(listener);
	clear(listener);
	stack_wipe(); /* tokens and credentials went through frames that are gone */
	if (seats_leave(seats, seat) && !listener->is_served)
		count_crowd(listener, "made-room");
	counts_connections(&listener->proxy->counts, -1);
}

void listener_rest(struct listener *listener)
{
	stock_refill(&listener->stock);
}
