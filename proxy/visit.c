/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes in until they are a request, and the end of it all: what does not depend on what is asked, or by whom. */
#include "proxy/visit.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define REQUEST_TIMEOUT_MS 5000 /* from accept to the whole request; SDKs send it in one packet */
#define DRAIN_TIMEOUT_MS 500    /* for bytes behind a request, so that closing does not reset the answer away */

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

static enum arrival read_some(struct visit *visit)
{
	size_t room = sizeof(visit->bytes) - visit->length; /* never 0: what is that long is good or bad */
	ssize_t got = recv(visit->client.fd, visit->bytes + visit->length, room, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return ARRIVAL_PART;
	if (got <= 0)
		return ARRIVAL_NONE;
	visit->length += (size_t)got;
	visit->seen = look_at(visit->bytes, visit->length);
	return visit->seen.verdict != SCREEN_MORE ? ARRIVAL_WHOLE : ARRIVAL_PART;
}

enum arrival visit_take(struct visit *visit, int wait_ms)
{
	enum arrival arrival = read_some(visit);
	if (arrival == ARRIVAL_PART && visit->length == 0 && wait_ms > 0 &&
	    wait_readable(visit->client.fd, clock_monotonic_ms() + wait_ms))
		arrival = read_some(visit);
	return arrival;
}

bool visit_read(struct visit *visit)
{
	const int yes = 1;
	int64_t deadline_ms = clock_monotonic_ms() + REQUEST_TIMEOUT_MS;
	enum arrival arrival;
	do {
		/* A client that sends its request piecemeal may wait for the first piece to be acknowledged. */
		if (visit->length > 0)
			(void)setsockopt(visit->client.fd, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof(yes));
		if (!wait_readable(visit->client.fd, deadline_ms))
			return false;
		arrival = read_some(visit);
	} while (arrival == ARRIVAL_PART && clock_monotonic_ms() < deadline_ms);
	return arrival == ARRIVAL_WHOLE;
}

bool visit_is_good(const struct visit *visit)
{
	return visit->seen.verdict == SCREEN_GOOD && !visit->seen.expects_continue;
}

bool visit_is_to_be_drained(const struct visit *visit)
{
	return !visit_is_good(visit) || visit->seen.has_extra;
}

void visit_drain(struct visit *visit)
{
	char bytes[4096];
	int64_t deadline_ms = clock_monotonic_ms() + DRAIN_TIMEOUT_MS;
	int fd = visit->client.fd;
	(void)shutdown(fd, SHUT_WR);
	seat_waits(visit->client.seat, clock_monotonic_ms());
	while (wait_readable(fd, deadline_ms))
		if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return;
}

void visit_count_crowd(struct visit *visit, const char *reason)
{
	counts_add(&visit->proxy->counts,
	           &(struct outcome_facts){.class = CLASS_OTHER, .result = RESULT_REFUSED, .reason = reason});
	if (seats_may_complain(visit->seats, clock_monotonic_ms())) {
		const struct sighting *sighting = &visit->client.sighting;
		char address[ADDRESS_TEXT_BYTES];
		log_line(LOG_LEVEL_WARNING, "crowded", "reason=%s address=%s netns=%llu uid=%lld", reason,
		         endpoint_text(&sighting->client, address), (unsigned long long)sighting->netns,
		         sighting->inode != 0 ? (long long)sighting->uid : -1);
	}
}

void visit_end(struct visit *visit)
{
	struct client *client = &visit->client;
	if (visit->is_begun && !visit->is_served)
		exchange_drop(visit->exchange);
	connection_done(&client->upstream);
	explicit_bzero(visit->bytes, visit->length); /* a token, perhaps */
	if (seats_leave(visit->seats, client->seat) && !visit->is_served)
		visit_count_crowd(visit, "made-room");
	counts_connections(&visit->proxy->counts, -1);
	(void)close(client->fd);
}

struct visit *visit_new(struct proxy *proxy)
{
	struct visit *visit = calloc(1, sizeof(*visit));
	if (visit == NULL || (visit->exchange = exchange_new(proxy)) == NULL) {
		free(visit);
		return NULL;
	}
	visit->proxy = proxy;
	return visit;
}

void visit_free(struct visit *visit)
{
	if (visit != NULL)
		exchange_free(visit->exchange);
	free(visit);
}
