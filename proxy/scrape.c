/* SPDX-License-Identifier: Apache-2.0 */

/* One fixed request, answered by hand. Heads pass the same screen as those of clients, so that what is left of them is
 * a method and a target; nothing of a request ever reaches an answer, and it is not logged. */
#include "proxy/scrape.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "proxy/local.h"
#include "proxy/metrics.h"
#include "proxy/screen.h"
#include "proxy/send.h"

#define DEADLINE_MS 2000 /* from accept to the last byte of the answer */
#define BACKLOG 16
#define UNIX_PREFIX "unix:"

struct scrape {
	struct proxy *proxy;
	struct line *line; /* of the thread */
	const char *path;  /* of the Unix socket; NULL: it is TCP's */
	int fd;
	atomic_bool is_ending;
	pthread_t thread;
};

/* ---- the answer */

MUST_USE static int answer_head(struct buffer *to, const char *status, const char *headers, size_t body_bytes)
{
	char date[CLOCK_HTTP_BYTES];
	return buffer_printf(to, NULL, "HTTP/1.1 %s\r\nDate: %s\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n",
	                     status, clock_format_http(clock_now_us(), date), headers, body_bytes);
}

MUST_USE static int answer_metrics(struct scrape *scrape, struct buffer *to)
{
	struct proxy *proxy = scrape->proxy;
	char reason[160];
	CLEANUP_BUFFER struct buffer text = {0};
	CLEANUP_JSON json_t *ledger = writer_status(proxy->writer);
	CLEANUP_JSON json_t *redirect = heartbeat_redirect(proxy->heartbeat);
	CLEANUP_JSON json_t *witness = NULL;
	(void)line_status(scrape->line, &witness, NULL);
	const struct metrics_facts facts = {
		.counts = &proxy->counts,
		.ledger = ledger,
		.witness = witness,
		.redirect = redirect,
		.is_upstream_reachable = upstream_is_reachable(proxy->upstream, reason, sizeof(reason)),
		.upstream_cached = upstream_kept_answers(proxy->upstream),
		.connections_limit = proxy->at_start.max_connections,
		.started_us = proxy->started_us,
	};
	if (metrics_text(&facts, &text, NULL) < 0 ||
	    answer_head(to, "200 OK", "Content-Type: " METRICS_CONTENT_TYPE "\r\n", text.length) < 0)
		return -1;
	return buffer_append(to, text.bytes, text.length, NULL);
}

/* `head` has passed the screen: METHOD SP TARGET SP HTTP/1.x CRLF. */
MUST_USE static int answer_to(struct scrape *scrape, const char *head, struct buffer *to)
{
	static const char path[] = "/metrics";
	size_t method_bytes = strcspn(head, " ");
	const char *target = head + method_bytes + 1;
	size_t path_bytes = strcspn(target, " ?");
	if (path_bytes != strlen(path) || strncmp(target, path, path_bytes) != 0)
		return answer_head(to, "404 Not Found", "", 0);
	if (method_bytes != strlen("GET") || strncmp(head, "GET", method_bytes) != 0)
		return answer_head(to, "405 Method Not Allowed", "Allow: GET\r\n", 0);
	return answer_metrics(scrape, to);
}

/* ---- one connection */

/* Reads until the head is whole or bad; SCREEN_MORE: the client was too slow, or left. Ends `head` with a NUL. */
static enum screen_verdict read_head(int fd, int64_t deadline_ms, char head[static SCREEN_HEAD_BYTES + 1])
{
	struct screen screen = {.verdict = SCREEN_MORE};
	size_t length = 0;
	while (screen.verdict == SCREEN_MORE) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int64_t left = deadline_ms - clock_monotonic_ms();
		if (left <= 0 || poll(&ready, 1, (int)left) == 0)
			break;
		ssize_t got = recv(fd, head + length, SCREEN_HEAD_BYTES - length, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			break;
		length += (size_t)got;
		screen = screen_head(head, length);
	}
	head[length] = '\0';
	return screen.verdict;
}

static void serve(struct scrape *scrape, int fd)
{
	char head[SCREEN_HEAD_BYTES + 1], rest[4096];
	CLEANUP_BUFFER struct buffer answer = {0};
	int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	enum screen_verdict verdict = read_head(fd, deadline_ms, head);
	if (verdict == SCREEN_MORE)
		return;
	int made = verdict == SCREEN_BAD ? answer_head(&answer, "400 Bad Request", "", 0)
	                                 : answer_to(scrape, head, &answer);
	if (made == 0)
		(void)send_until(fd, &answer, deadline_ms);
	/* What lies unread would turn the end of the connection into a reset, and the answer with it. */
	while (clock_monotonic_ms() < deadline_ms && recv(fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		continue;
}

static void *run(void *argument)
{
	struct scrape *scrape = argument;
	for (;;) {
		CLEANUP_FD int fd = accept4(scrape->fd, NULL, NULL, SOCK_CLOEXEC);
		if (atomic_load(&scrape->is_ending))
			return NULL; /* whoever still waits, on a Unix socket, is not waited for */
		if (fd >= 0)
			serve(scrape, fd);
		else if (errno != EINTR && errno != ECONNABORTED)
			(void)poll(NULL, 0, 50); /* no descriptors, no memory: until there are some */
	}
}

/* ---- the socket */

/* `place` is 127.A.B.C:PORT or [::1]:PORT, as store/settings.c let it pass. */
MUST_USE static int listen_tcp(const char *place, int *ret, struct error *err)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	char address[INET_ADDRSTRLEN] = "";
	const char *colon = strrchr(place, ':');
	bool is_v6 = place[0] == '[';
	uint64_t port = 0;
	int one = 1;
	if (colon == NULL || !text_to_u64(colon + 1, UINT16_MAX, &port) ||
	    (!is_v6 && snprintf(address, sizeof(address), "%.*s", (int)(colon - place), place) < 0) ||
	    (!is_v6 && inet_pton(AF_INET, address, &v4.sin_addr) != 1))
		return error_set(err, ERROR_INPUT, "expected ADDRESS:PORT");
	v4.sin_port = v6.sin6_port = htons((uint16_t)port);
	CLEANUP_FD int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, "cannot listen");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, is_v6 ? sizeof(v6) : sizeof(v4)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return error_errno(err, "cannot listen");
	*ret = steal_fd(&fd);
	return 0;
}

int scrape_start(struct proxy *proxy, int witness_fd, struct scrape **ret, struct error *err)
{
	const char *place = proxy->at_start.metrics_listen;
	struct error problem = {0};
	*ret = NULL;
	if (place[0] == '\0')
		return 0;
	struct scrape *scrape = calloc(1, sizeof(*scrape));
	if (scrape == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for metrics");
	scrape->proxy = proxy;
	scrape->fd = -1;
	scrape->path = text_starts(place, UNIX_PREFIX) ? place + strlen(UNIX_PREFIX) : NULL;
	int result = line_open(witness_fd, &scrape->line, &problem);
	if (result == 0)
		result = scrape->path != NULL ? local_listen(scrape->path, &scrape->fd, &problem)
		                              : listen_tcp(place, &scrape->fd, &problem);
	if (result == 0 && pthread_create(&scrape->thread, NULL, run, scrape) != 0)
		result = error_set(&problem, ERROR_SYSTEM, "cannot start a thread");
	if (result < 0) {
		cleanup_descriptor(&scrape->fd);
		line_close(scrape->line);
		free(scrape);
		return error_set(err, problem.code, "[metrics] listen = %s: %s", place, problem.text);
	}
	*ret = scrape;
	return 0;
}

void scrape_stop(struct scrape *scrape)
{
	if (scrape == NULL)
		return;
	atomic_store(&scrape->is_ending, true);
	(void)shutdown(scrape->fd, SHUT_RDWR);
	(void)pthread_join(scrape->thread, NULL);
	(void)close(scrape->fd);
	if (scrape->path != NULL)
		(void)unlink(scrape->path);
	line_close(scrape->line);
	free(scrape);
}
