/* SPDX-License-Identifier: Apache-2.0 */

/* Few threads serve many clients: two cores do not work faster for sixty-four threads than for eight, and connections
 * wait in the kernel's queue as well as in a thread. So there are WORKERS_BASE, and one more for each that is stuck
 * with a client or an upstream that takes its time. A worker that waits does so in epoll, where the kernel wakes one of
 * them for a connection, and the same one again while nobody else is needed. */
#include "proxy/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/condition.h"
#include "common/log.h"
#include "proxy/config.h"
#include "proxy/listener.h"

#define WORKERS_BASE 8
#define WATCH_MS 2     /* how often it is looked for stuck ones while all are busy */
#define WATCH_QUIET 50 /* so many looks in a row with somebody idle end the watch */
#define TRIM_MS 1000   /* how often, at most, memory is given back */
#define SHORT_MS 1000  /* how long no more workers are asked for where there were none to be had */
#define LINGER_MS 2000 /* a worker beyond the base that has nothing to do ends after so long */

struct workers {
	struct proxy *proxy;
	struct seats *seats;
	int witness_fd;
	int sockets[SOCKETS_MAX];
	struct endpoint locals[SOCKETS_MAX]; /* where they are bound; family 0: to be asked of each connection */
	int socket_count;
	int wake[2]; /* a pipe: closing its write end wakes whoever waits for connections */
	pthread_attr_t attributes;
	pthread_t watcher;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t ended;
	pthread_cond_t all_busy;
	int count, idle, base, most, limit; /* most: that can be had, at best limit and WORKERS_EXTRA */
	uint64_t taken;                     /* connections so far */
	bool stop, is_watched;
	bool is_short;          /* the machine has refused us a worker */
	int64_t short_until_ms; /* until then the fewer are shared; 0: there is no shortage */
};

static void *run_worker(void *argument);

/* With the mutex held. */
static void add_worker(struct workers *workers)
{
	pthread_t thread;
	if (workers->stop || workers->count >= workers->most)
		return;
	if (pthread_create(&thread, &workers->attributes, run_worker, workers) == 0) {
		workers->count++;
		workers->idle++;
	} else {
		workers->is_short = true;
	}
}

/* ---- one worker */

struct worker {
	struct workers *workers;
	struct listener *listener;
	int epoll_fd;
	bool is_spare; /* there were enough without it when it began to wait */
};

/* Waits for connections on all sockets. Exclusively: of several workers that wait, one is woken. */
MUST_USE static int open_epoll(struct worker *worker, struct error *err)
{
	const struct workers *workers = worker->workers;
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return error_errno(err, "epoll");
	for (int i = 0; i <= workers->socket_count; i++) {
		bool is_wake = i == workers->socket_count;
		int fd = is_wake ? workers->wake[0] : workers->sockets[i];
		struct epoll_event wanted = {.events = is_wake ? EPOLLIN : EPOLLIN | EPOLLEXCLUSIVE,
		                             .data.u32 = (uint32_t)i};
		if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &wanted) < 0)
			return error_errno(err, "epoll");
	}
	return 0;
}

/* Is there nothing to do for this one? Then it is idle no more. */
static bool give_up_waiting(struct worker *worker)
{
	struct workers *workers = worker->workers;
	(void)pthread_mutex_lock(&workers->mutex);
	worker->is_spare = workers->idle > workers->base;
	workers->idle -= worker->is_spare;
	(void)pthread_mutex_unlock(&workers->mutex);
	return worker->is_spare;
}

static void become_busy(struct workers *workers)
{
	(void)pthread_mutex_lock(&workers->mutex);
	workers->taken++;
	workers->idle--;
	if (workers->idle == 0 && workers->count < workers->base)
		add_worker(workers);
	if (workers->idle == 0 && !workers->is_watched)
		(void)pthread_cond_signal(&workers->all_busy);
	(void)pthread_mutex_unlock(&workers->mutex);
}

/* Takes a connection that is there, with both its ends; false: there is none any more, or none can be had. */
static bool take(const struct workers *workers, uint32_t which, struct accepted *ret)
{
	struct sockaddr_storage peer, local;
	socklen_t peer_bytes = sizeof(peer), local_bytes = sizeof(local);
	CLEANUP_FD int fd = accept4(workers->sockets[which], (struct sockaddr *)&peer, &peer_bytes, SOCK_CLOEXEC);
	if (fd < 0)
		return false;
	endpoint_from_sockaddr(&peer, &ret->peer);
	ret->local = workers->locals[which];
	if (ret->local.family == 0) {
		if (getsockname(fd, (struct sockaddr *)&local, &local_bytes) < 0)
			return false;
		endpoint_from_sockaddr(&local, &ret->local);
	}
	ret->fd = steal_fd(&fd);
	return true;
}

/* Waits for a connection, and is idle no more then; false: time to end. */
static bool accept_one(struct worker *worker, struct accepted *ret)
{
	struct workers *workers = worker->workers;
	struct epoll_event ready;
	for (;;) {
		int got = epoll_wait(worker->epoll_fd, &ready, 1, worker->is_spare ? LINGER_MS : -1);
		if (got == 0 && give_up_waiting(worker))
			return false;
		if (got == 0 || (got < 0 && errno == EINTR))
			continue;
		bool is_end = got < 0 || ready.data.u32 >= (uint32_t)workers->socket_count;
		if (is_end || take(workers, ready.data.u32, ret)) {
			become_busy(workers);
			return !is_end;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
			log_line(LOG_LEVEL_ERROR, "accept_failed", "reason=\"%s\"", strerror(errno));
			(void)poll(NULL, 0, 50); /* until others have closed theirs */
		}
	}
}

/* Back to waiting; false: time to end. */
static bool become_idle(struct worker *worker)
{
	struct workers *workers = worker->workers;
	(void)pthread_mutex_lock(&workers->mutex);
	bool stay = !workers->stop && workers->count <= workers->most;
	worker->is_spare = workers->idle >= workers->base;
	if (stay)
		workers->idle++;
	(void)pthread_mutex_unlock(&workers->mutex);
	return stay;
}

/* There is one for each worker, but those that are parked have some. Then it is a matter of moments: either one of
 * these is answered, or somebody who is being looked at is turned away. */
static struct seat *take_seat(const struct workers *workers, int fd)
{
	struct seat *seat;
	while ((seat = seats_take(workers->seats, fd, clock_monotonic_ms())) == NULL)
		(void)poll(NULL, 0, 1);
	return seat;
}

static void serve_connections(struct worker *worker)
{
	struct workers *workers = worker->workers;
	struct accepted accepted;
	do {
		if (!accept_one(worker, &accepted))
			return;
		listener_serve(worker->listener, &accepted, workers->seats, take_seat(workers, accepted.fd));
		listener_rest(worker->listener);
	} while (become_idle(worker));
}

static void *run_worker(void *argument)
{
	struct workers *workers = argument;
	struct worker worker = {.workers = workers, .epoll_fd = -1, .is_spare = true};
	struct error problem = {0};
	bool ready = listener_new(workers->proxy, workers->witness_fd, &worker.listener, &problem) == 0 &&
	             open_epoll(&worker, &problem) == 0;
	if (ready)
		serve_connections(&worker);
	else if (seats_may_complain(workers->seats, clock_monotonic_ms()))
		log_line(LOG_LEVEL_ERROR, "worker_failed", "reason=\"%s\"", problem.text);
	listener_free(worker.listener);
	cleanup_descriptor(&worker.epoll_fd);
	(void)pthread_mutex_lock(&workers->mutex);
	workers->count--;
	workers->idle -= !ready;
	workers->is_short |= !ready;
	if (!ready && !workers->is_watched)
		(void)pthread_cond_signal(&workers->all_busy);
	(void)pthread_cond_broadcast(&workers->ended);
	(void)pthread_mutex_unlock(&workers->mutex);
	return NULL;
}

/* ---- one that watches, while all workers are busy */

/* With the mutex held: replaces each worker that is stuck, and as many again, so that a crowd of slow clients is met by
 * doubling. */
static void replace_stuck(struct workers *workers)
{
	int wanted = workers->base + 2 * seats_stuck(workers->seats, clock_monotonic_ms());
	int last = -1;
	while (workers->idle < workers->base && workers->count < wanted && workers->count != last) {
		last = workers->count;
		add_worker(workers);
	}
}

/* With the mutex held. Where neither we nor the witness get more threads, some of those that are there must be free to
 * look at newcomers: else whoever came first would keep all. */
static void take_fewer(struct workers *workers)
{
	int64_t now_ms = clock_monotonic_ms();
	int limit = workers->count > WORKERS_EXTRA ? workers->count - WORKERS_EXTRA : 1;
	workers->is_short = false;
	workers->most = workers->count > 0 ? workers->count : 1;
	workers->short_until_ms = now_ms + SHORT_MS;
	seats_limit(workers->seats, limit, now_ms);
	log_line(LOG_LEVEL_WARNING, "few_threads", "effect=\"%d connections at once\"", limit);
}

/* With the mutex held, when all is quiet again, or it is time to see whether there are threads again. */
static void take_all_again(struct workers *workers)
{
	workers->short_until_ms = 0;
	workers->most = workers->limit + WORKERS_EXTRA;
	seats_limit(workers->seats, workers->limit, clock_monotonic_ms());
}

static void *run_watcher(void *argument)
{
	struct workers *workers = argument;
	int quiet = 0;
	bool is_scattered = false;
	int64_t trimmed_ms = 0;
	(void)pthread_mutex_lock(&workers->mutex);
	while (!workers->stop) {
		if (quiet == WATCH_QUIET && is_scattered && clock_monotonic_ms() - trimmed_ms >= TRIM_MS) {
			(void)pthread_mutex_unlock(&workers->mutex);
			(void)malloc_trim(0);
			(void)pthread_mutex_lock(&workers->mutex);
			trimmed_ms = clock_monotonic_ms();
			is_scattered = false;
			quiet = 0;
		}
		if (quiet == WATCH_QUIET && !is_scattered) {
			take_all_again(workers);
			workers->is_watched = false;
			(void)pthread_cond_wait(&workers->all_busy, &workers->mutex);
			workers->is_watched = true;
		}
		struct timespec until = condition_after(WATCH_MS);
		(void)pthread_cond_timedwait(&workers->all_busy, &workers->mutex, &until);
		quiet = workers->idle > 0 ? quiet + 1 : 0;
		if (workers->short_until_ms != 0 && clock_monotonic_ms() >= workers->short_until_ms)
			take_all_again(workers);
		if (workers->is_short && workers->idle == 0)
			take_fewer(workers);
		workers->is_short = false;          /* while one is idle, there are enough */
		is_scattered |= workers->idle == 0; /* a crowd's memory lies scattered among what stays */
		if (workers->idle == 0)
			replace_stuck(workers);
		quiet = quiet > WATCH_QUIET ? WATCH_QUIET : quiet;
	}
	(void)pthread_mutex_unlock(&workers->mutex);
	return NULL;
}

/* ---- all of them */

static void workers_free(struct workers *workers)
{
	for (int i = 0; i < 2; i++)
		cleanup_descriptor(&workers->wake[i]);
	parking_free(workers->proxy->parking);
	seats_free(workers->seats);
	(void)pthread_attr_destroy(&workers->attributes);
	free(workers);
}

/* Where each socket is bound, if that is one address: then all its connections have it. */
static void note_locals(struct workers *workers)
{
	static const uint8_t any[sizeof(workers->locals[0].address)];
	for (int i = 0; i < workers->socket_count; i++) {
		struct sockaddr_storage local;
		socklen_t bytes = sizeof(local);
		struct endpoint *at = &workers->locals[i];
		if (getsockname(workers->sockets[i], (struct sockaddr *)&local, &bytes) == 0)
			endpoint_from_sockaddr(&local, at);
		if (memcmp(at->address, any, sizeof(any)) == 0)
			at->family = 0;
	}
}

static void init_locks(struct workers *workers)
{
	(void)pthread_mutex_init(&workers->mutex, NULL);
	condition_init(&workers->ended);
	condition_init(&workers->all_busy);
	(void)pthread_attr_init(&workers->attributes);
	(void)pthread_attr_setdetachstate(&workers->attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&workers->attributes, 512 << 10);
}

int workers_start(struct proxy *proxy, int witness_fd, const int *sockets, int count, struct workers **ret,
                  struct error *err)
{
	int limit;
	if (config_connections(&proxy->at_start, WORKERS_EXTRA, &limit, err) < 0)
		return -1;
	struct workers *workers = calloc(1, sizeof(*workers));
	if (workers == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for workers");
	*workers = (struct workers){.proxy = proxy,
	                            .witness_fd = witness_fd,
	                            .socket_count = count,
	                            .wake = {-1, -1},
	                            .base = limit < WORKERS_BASE ? limit : WORKERS_BASE,
	                            .most = limit + WORKERS_EXTRA,
	                            .limit = limit};
	memcpy(workers->sockets, sockets, (size_t)count * sizeof(*sockets));
	note_locals(workers);
	init_locks(workers);
	int result = seats_new(limit, WORKERS_EXTRA, &workers->seats, err);
	if (result == 0)
		result = parking_open(proxy->writer, WRITER_PATIENCE_MS, &proxy->parking, err);
	if (result == 0 && pipe2(workers->wake, O_CLOEXEC) < 0)
		result = error_errno(err, "workers");
	if (result == 0 && pthread_create(&workers->watcher, NULL, run_watcher, workers) != 0)
		result = error_set(err, ERROR_SYSTEM, "cannot start the workers' watcher");
	if (result < 0) {
		workers_free(workers);
		return -1;
	}
	(void)pthread_mutex_lock(&workers->mutex);
	add_worker(workers);
	bool started = workers->count > 0;
	(void)pthread_mutex_unlock(&workers->mutex);
	*ret = workers;
	return started ? 0 : error_set(err, ERROR_SYSTEM, "cannot start a worker");
}

bool workers_are_alive(struct workers *workers, uint64_t *seen)
{
	(void)pthread_mutex_lock(&workers->mutex);
	bool alive = workers->idle > 0 || workers->taken != *seen;
	*seen = workers->taken;
	(void)pthread_mutex_unlock(&workers->mutex);
	return alive && parking_is_alive(workers->proxy->parking);
}

bool workers_stop(struct workers *workers)
{
	int64_t until_ms = clock_monotonic_ms() + WORKERS_DRAIN_MS;
	struct timespec until = condition_until(until_ms);
	(void)close(workers->wake[1]);
	workers->wake[1] = -1;
	(void)pthread_mutex_lock(&workers->mutex);
	workers->stop = true;
	(void)pthread_cond_broadcast(&workers->all_busy);
	while (workers->count > 0 && pthread_cond_timedwait(&workers->ended, &workers->mutex, &until) != ETIMEDOUT)
		continue;
	bool drained = workers->count == 0;
	(void)pthread_mutex_unlock(&workers->mutex);
	(void)pthread_join(workers->watcher, NULL);
	drained = parking_stop(workers->proxy->parking, until_ms) && drained;
	for (int i = 0; i < workers->socket_count; i++)
		(void)close(workers->sockets[i]);
	if (drained)
		workers_free(workers);
	return drained;
}
