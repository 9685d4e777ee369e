/* SPDX-License-Identifier: Apache-2.0 */

/* Threads that take turns at accepting: one waits, and when it has a connection another takes its place. No thread is
 * made for a connection unless all are busy, and a burst's threads end after it. */
#include "proxy/workers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/log.h"
#include "common/text.h"
#include "proxy/listener.h"

#define IDLE_WORKERS_MAX 8 /* more of them end */
#define BACKLOG 4096

struct workers {
	struct proxy *proxy;
	int witness_fd;
	int sockets[WORKERS_SOCKETS_MAX];
	int socket_count;
	int wake[2]; /* a pipe: closing its write end wakes whoever waits for connections */
	pthread_attr_t attributes;

	pthread_mutex_t turn; /* held by the one worker that waits for a connection */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t ended;
	int64_t count, idle;
	bool stop;
};

static void *run_worker(void *argument);

/* With the mutex held. */
static void add_worker(struct workers *workers)
{
	pthread_t thread;
	if (workers->stop || workers->count >= workers->proxy->at_start.max_connections)
		return;
	if (pthread_create(&thread, &workers->attributes, run_worker, workers) == 0) {
		workers->count++;
		workers->idle++;
	}
}

/* Waits for a connection; -1: time to end. With the turn held. */
static int accept_one(struct workers *workers)
{
	struct pollfd ready[WORKERS_SOCKETS_MAX + 1];
	for (int i = 0; i < workers->socket_count; i++)
		ready[i] = (struct pollfd){.fd = workers->sockets[i], .events = POLLIN};
	ready[workers->socket_count] = (struct pollfd){.fd = workers->wake[0], .events = POLLIN};
	for (;;) {
		if (poll(ready, (nfds_t)workers->socket_count + 1, -1) < 0 && errno != EINTR)
			return -1;
		if (ready[workers->socket_count].revents != 0)
			return -1;
		for (int i = 0; i < workers->socket_count; i++) {
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
static int take_connection(struct workers *workers)
{
	(void)pthread_mutex_lock(&workers->turn);
	int fd = accept_one(workers);
	(void)pthread_mutex_lock(&workers->mutex);
	workers->idle--;
	if (fd >= 0 && workers->idle == 0)
		add_worker(workers); /* somebody must wait for the next one */
	(void)pthread_mutex_unlock(&workers->mutex);
	(void)pthread_mutex_unlock(&workers->turn);
	return fd;
}

/* Back to waiting; false: there are enough who wait. */
static bool become_idle(struct workers *workers)
{
	(void)pthread_mutex_lock(&workers->mutex);
	bool stay = !workers->stop && workers->idle < IDLE_WORKERS_MAX;
	if (stay)
		workers->idle++;
	(void)pthread_mutex_unlock(&workers->mutex);
	return stay;
}

static void serve_connections(struct workers *workers, struct listener *listener)
{
	do {
		CLEANUP_FD int fd = take_connection(workers);
		if (fd < 0)
			return;
		listener_serve(listener, fd);
	} while (become_idle(workers));
}

static void *run_worker(void *argument)
{
	struct workers *workers = argument;
	struct error problem = {0};
	struct listener *listener = NULL;
	bool ready = listener_new(workers->proxy, workers->witness_fd, &listener, &problem) == 0;
	if (ready)
		serve_connections(workers, listener);
	else
		log_line(LOG_LEVEL_ERROR, "worker_failed", "reason=\"%s\"", problem.text);
	listener_free(listener);
	(void)pthread_mutex_lock(&workers->mutex);
	workers->count--;
	workers->idle -= !ready;
	(void)pthread_cond_broadcast(&workers->ended);
	(void)pthread_mutex_unlock(&workers->mutex);
	return NULL;
}

/* ---- sockets */

#define INHERITED_FIRST 3 /* SD_LISTEN_FDS_START */

MUST_USE static int check_inherited(int fd, struct error *err)
{
	int listens = 0, type = 0;
	socklen_t size = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return error_errno(err, "inherited descriptor %d", fd);
	if (listens == 0 || type != SOCK_STREAM)
		return error_set(err, ERROR_INPUT, "inherited descriptor %d: expected a listening TCP socket", fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(err, "inherited descriptor %d", fd);
	return 0;
}

int workers_inherit(int sockets[static WORKERS_SOCKETS_MAX], struct error *err)
{
	const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
	uint64_t pid, count = 0;
	bool ours = pid_text != NULL && count_text != NULL && text_to_u64(pid_text, INT32_MAX, &pid) &&
	            (pid_t)pid == getpid() && text_to_u64(count_text, WORKERS_SOCKETS_MAX, &count);
	for (int i = 0; ours && i < (int)count; i++) {
		if (check_inherited(INHERITED_FIRST + i, err) < 0)
			return -1;
		sockets[i] = INHERITED_FIRST + i;
	}
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return ours ? (int)count : 0;
}

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

int workers_bind(int64_t port, int sockets[static WORKERS_SOCKETS_MAX], int *ret_count, struct error *err)
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

int workers_start(struct proxy *proxy, int witness_fd, const int *sockets, int count, struct workers **ret,
                  struct error *err)
{
	struct workers *workers = calloc(1, sizeof(*workers));
	if (workers == NULL || pipe2(workers->wake, O_CLOEXEC) < 0) {
		free(workers);
		return error_errno(err, "workers");
	}
	workers->proxy = proxy;
	workers->witness_fd = witness_fd;
	workers->socket_count = count;
	memcpy(workers->sockets, sockets, (size_t)count * sizeof(*sockets));
	(void)pthread_mutex_init(&workers->turn, NULL);
	(void)pthread_mutex_init(&workers->mutex, NULL);
	(void)pthread_cond_init(&workers->ended, NULL);
	(void)pthread_attr_init(&workers->attributes);
	(void)pthread_attr_setdetachstate(&workers->attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&workers->attributes, 512 << 10);
	(void)pthread_mutex_lock(&workers->mutex);
	add_worker(workers);
	bool started = workers->count > 0;
	(void)pthread_mutex_unlock(&workers->mutex);
	*ret = workers;
	return started ? 0 : error_set(err, ERROR_SYSTEM, "cannot start a worker");
}

bool workers_stop(struct workers *workers)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WORKERS_DRAIN_MS / 1000;
	(void)close(workers->wake[1]);
	(void)pthread_mutex_lock(&workers->mutex);
	workers->stop = true;
	while (workers->count > 0 && pthread_cond_timedwait(&workers->ended, &workers->mutex, &until) != ETIMEDOUT)
		continue;
	bool drained = workers->count == 0;
	(void)pthread_mutex_unlock(&workers->mutex);
	for (int i = 0; i < workers->socket_count; i++)
		(void)close(workers->sockets[i]);
	if (drained) {
		(void)close(workers->wake[0]);
		(void)pthread_attr_destroy(&workers->attributes);
		free(workers);
	}
	return drained;
}
