/* SPDX-License-Identifier: Apache-2.0 */

/* One connection in, one request out. A request is read whole, and served only if screen.c and body.c have found that
 * it has one meaning; then nothing is left but to take its head apart (request.c). exchange.c answers on the bare
 * socket, so that reasons, the order of headers and "the last byte was taken" are ours to know. */
#include "proxy/listener.h"

#include <linux/netfilter_ipv4.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/stack.h"
#include "proxy/reply.h"
#include "proxy/send.h"
#include "proxy/sockets.h"
#include "proxy/visit.h"

#ifndef IP6T_SO_ORIGINAL_DST
#define IP6T_SO_ORIGINAL_DST 80 /* linux/netfilter_ipv6/ip6_tables.h, which clashes with other headers */
#endif

#define FIRST_BYTES_MS 2 /* how long the request of a client of ours is waited for before the witness is asked */

struct listener {
	struct proxy *proxy;
	struct line *line;
	struct stock stock;
	struct visit *visit; /* NULL: the last one was parked */
};

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

/* ---- room for all */

static bool is_admitted(struct visit *visit)
{
	const struct client *client = &visit->client;
	const struct seat_holder holder = seat_holder_of(&client->sighting, !client_is_bridged(client));
	CLEANUP_BUFFER struct buffer refusal = {0};
	if (seats_admit(visit->seats, client->seat, &holder, clock_monotonic_ms()))
		return true;
	visit_count_crowd(visit, "too-many-connections");
	if (client->service != SERVICE_NONE &&
	    reply_refusal(&refusal, client->service, 503, clock_now_us(), NULL) == 0) {
		char request[4096]; /* taken out, so that closing does not reset the answer away */
		(void)!recv(client->fd, request, sizeof(request), MSG_DONTWAIT);
		(void)send_until(client->fd, &refusal, 0);
	}
	return false;
}

/* A whole request, or one that is refused. */
static void begin(struct visit *visit)
{
	const struct look *seen = &visit->seen;
	visit->request = (struct request){.malformed = seen->reason, .expects_continue = seen->expects_continue};
	if (visit_is_good(visit))
		request_split(visit->bytes, seen->head_bytes, &visit->request);
	visit->request.has_extra = visit_is_good(visit) && seen->has_extra;
	visit->is_begun = true;
	exchange_begin(visit->exchange, &visit->client, &visit->request);
}

/* Its answer, and then the end; false: it is parked. */
static bool finish(struct visit *visit)
{
	visit->is_served = true;
	if (!exchange_finish(visit->exchange))
		return false;
	if (visit_is_to_be_drained(visit))
		visit_drain(visit);
	return true;
}

/* The end of one that was parked; false: it has to wait for its client. */
static bool resume(struct parked *parked, bool may_wait)
{
	struct visit *visit = (struct visit *)parked;
	bool lingers = visit_is_to_be_drained(visit);
	if ((lingers && !may_wait) || !exchange_resume(visit->exchange, may_wait))
		return false;
	if (lingers)
		visit_drain(visit);
	visit_end(visit);
	visit_free(visit);
	stack_wipe();
	return true;
}

static bool refuse_stranger(struct visit *visit)
{
	visit->request = (struct request){.malformed = "not-redirected"};
	exchange_begin(visit->exchange, &visit->client, &visit->request);
	return exchange_finish(visit->exchange);
}

/* Known from before a request's first byte was sent. */
static bool is_own_request(const struct visit *visit)
{
	const struct client *client = &visit->client;
	const struct sighting *sighting = &client->sighting;
	if (!upstream_is_own_port(visit->proxy->upstream, sighting->client.port) || client_is_bridged(client))
		return false;
	/* From another address, or by the other IP, a client may have the same port. */
	if (sighting->is_found && sighting->inode != 0 && sighting->uid != geteuid())
		return false;
	log_line(LOG_LEVEL_ERROR, "loop", "reason=\"the redirect sends the proxy's own request back to it\"");
	return true;
}

/* Takes the witness's answer; false: there is nobody to serve. */
static bool meet(struct visit *visit)
{
	struct client *client = &visit->client;
	struct error problem = {0};
	if (client_meet(client, &problem) < 0) {
		log_line(LOG_LEVEL_WARNING, "client_lost", "reason=\"%s\"", problem.text);
		return false;
	}
	return !client->sighting.is_probe /* the witness tries its backends */ && is_admitted(visit);
}

/* The witness looks while what is left to do is done. A client that has not sent its request yet is waited for in its
 * seat only. False: it is parked. */
static bool serve_known(struct visit *visit, enum arrival arrival)
{
	struct client *client = &visit->client;
	struct error problem = {0};
	if (client_ask(client, &problem) < 0) {
		log_line(LOG_LEVEL_WARNING, "client_lost", "reason=\"%s\"", problem.text);
		return true;
	}
	if (arrival == ARRIVAL_WHOLE)
		exchange_foresee(visit->exchange);
	if (!meet(visit) || arrival == ARRIVAL_NONE)
		return true;
	if (client->service == SERVICE_NONE)
		return refuse_stranger(visit);
	seat_waits(client->seat, clock_monotonic_ms());
	bool is_there = arrival == ARRIVAL_WHOLE || visit_read(visit);
	seat_works(client->seat);
	if (!is_there || is_own_request(visit))
		return true;
	if (arrival != ARRIVAL_WHOLE)
		begin(visit);
	return finish(visit);
}

/* Need the witness not be asked? An own request that comes back is met, and found out. So is who comes when the line
 * has lost an answer: with that client it gets a new one. */
static bool is_for_anybody(struct visit *visit)
{
	return visit->is_begun && exchange_is_for_anybody(visit->exchange) && line_is_whole(visit->client.line) &&
	       !upstream_is_own_port(visit->proxy->upstream, visit->client.peer.port) &&
	       seats_admit_unknown(visit->seats, visit->client.seat);
}

static bool serve(struct visit *visit)
{
	struct client *client = &visit->client;
	enum arrival arrival = ARRIVAL_PART;
	client->service = service_of(client);
	if (client->service != SERVICE_NONE)
		arrival = visit_take(visit, client->is_here ? FIRST_BYTES_MS : 0);
	if (arrival == ARRIVAL_WHOLE)
		begin(visit);
	return is_for_anybody(visit) ? finish(visit) : serve_known(visit, arrival);
}

/* ---- one after the other */

int listener_new(struct proxy *proxy, int witness_fd, struct listener **ret, struct error *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	if (listener == NULL || (listener->visit = visit_new(proxy)) == NULL) {
		free(listener);
		return error_set(err, ERROR_MEMORY, "no memory for a listener");
	}
	listener->proxy = proxy;
	CLEANUP_JSON json_t *heard = NULL;
	/* A witness without room for another thread closes the line; clients must not be the ones to find out. */
	if (line_open(witness_fd, &listener->line, err) < 0 || line_status(listener->line, &heard, err) < 0) {
		listener_free(listener);
		return -1;
	}
	listener->stock.line = listener->line;
	*ret = listener;
	return 0;
}

void listener_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	stock_done(&listener->stock);
	visit_free(listener->visit);
	line_close(listener->line);
	free(listener);
}

static void come(struct listener *listener, const struct accepted *accepted, struct seats *seats, struct seat *seat)
{
	struct visit *visit = listener->visit;
	visit->parked = (struct parked){.fd = accepted->fd, .resume = resume};
	visit->client = (struct client){.fd = accepted->fd,
	                                .seat = seat,
	                                .peer = accepted->peer,
	                                .local = accepted->local,
	                                .is_here = sockets_came_over_loopback(accepted->fd, &accepted->local),
	                                .line = listener->line,
	                                .stock = &listener->stock,
	                                .parked = &visit->parked};
	client_init(&visit->client);
	visit->seats = seats;
	visit->length = 0;
	visit->seen = (struct look){0};
	visit->is_begun = visit->is_served = false;
	counts_connections(&visit->proxy->counts, 1);
	seat_works(seat);
}

void listener_serve(struct listener *listener, const struct accepted *accepted, struct seats *seats, struct seat *seat)
{
	if (listener->visit == NULL && (listener->visit = visit_new(listener->proxy)) == NULL) {
		log_line(LOG_LEVEL_ERROR, "client_lost", "reason=\"no memory for a connection\"");
		(void)seats_leave(seats, seat);
		(void)close(accepted->fd);
		return;
	}
	come(listener, accepted, seats, seat);
	if (serve(listener->visit))
		visit_end(listener->visit);
	else
		listener->visit = NULL;
	stack_wipe(); /* tokens and credentials went through frames that are gone */
}

void listener_rest(struct listener *listener)
{
	stock_refill(&listener->stock);
}
