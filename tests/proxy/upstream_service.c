/* SPDX-License-Identifier: Apache-2.0 */

/* A thread a connection; all of them are over when service_stop returns, so that counts are final and nobody touches a
 * service that is gone. */
#include "tests/proxy/upstream_service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "common/text.h"

struct visit {
	struct service *service;
	int fd;
};

void say(int fd, const char *text)
{
	(void)!write(fd, text, strlen(text));
}

/* Reads one head, notes it and answers. */
static void serve_request(struct service *service, int fd)
{
	char request[sizeof(service->requests[0])] = "";
	size_t length = 0;
	ssize_t got;
	while (strstr(request, "\r\n\r\n") == NULL &&
	       (got = read(fd, request + length, sizeof(request) - 1 - length)) > 0) {
		length += (size_t)got;
		request[length] = '\0';
	}
	if (length == 0) /* begun, and not needed */
		return;
	(void)pthread_mutex_lock(&service->mutex);
	(void)text_copy(service->requests[service->count++ % REQUESTS_MAX], sizeof(request), request);
	service->puts += is_put(request);
	(void)pthread_mutex_unlock(&service->mutex);
	service->answer(service, fd, request);
}

static void *serve_one(void *argument)
{
	CLEANUP_FREE struct visit *visit = argument;
	struct service *service = visit->service;
	serve_request(service, visit->fd);
	(void)close(visit->fd);
	(void)pthread_mutex_lock(&service->mutex);
	service->visits--;
	(void)pthread_cond_signal(&service->visit_ended);
	(void)pthread_mutex_unlock(&service->mutex);
	return NULL;
}

/* False: nobody waits to be let in. */
static bool let_in(struct service *service)
{
	pthread_t thread;
	int fd = accept(service->listener, NULL, NULL);
	if (fd < 0)
		return false;
	struct visit *visit = malloc(sizeof(*visit));
	if (visit == NULL)
		abort();
	*visit = (struct visit){service, fd};
	(void)pthread_mutex_lock(&service->mutex);
	service->connections++;
	service->visits++;
	(void)pthread_mutex_unlock(&service->mutex);
	if (pthread_create(&thread, NULL, serve_one, visit) != 0)
		abort();
	(void)pthread_detach(thread);
	return true;
}

static void *serve(void *argument)
{
	struct service *service = argument;
	struct pollfd ready[] = {{.fd = service->listener, .events = POLLIN},
	                         {.fd = service->stop[0], .events = POLLIN}};
	while (poll(ready, 2, -1) > 0 && ready[1].revents == 0)
		(void)let_in(service);
	while (let_in(service)) /* who came before the end is counted, however late this thread is */
		continue;
	return NULL;
}

void service_start(struct service *service, answer_function *answer)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	*service = (struct service){.answer = answer, .listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)};
	(void)pthread_mutex_init(&service->mutex, NULL);
	(void)pthread_cond_init(&service->visit_ended, NULL);
	if (bind(service->listener, (struct sockaddr *)&address, size) < 0 || listen(service->listener, 64) < 0 ||
	    getsockname(service->listener, (struct sockaddr *)&address, &size) < 0 || pipe(service->stop) < 0 ||
	    pthread_create(&service->thread, NULL, serve, service) != 0)
		fail_msg("no service on loopback");
	(void)snprintf(service->address, sizeof(service->address), "127.0.0.1:%u", ntohs(address.sin_port));
}

void service_stop(struct service *service)
{
	(void)close(service->stop[1]);
	(void)pthread_join(service->thread, NULL);
	(void)close(service->stop[0]);
	(void)close(service->listener);
	(void)pthread_mutex_lock(&service->mutex);
	while (service->visits > 0)
		(void)pthread_cond_wait(&service->visit_ended, &service->mutex);
	(void)pthread_mutex_unlock(&service->mutex);
	(void)pthread_cond_destroy(&service->visit_ended);
	(void)pthread_mutex_destroy(&service->mutex);
}

/* ---- answers */

bool is_put(const char *request)
{
	return strncmp(request, "PUT /latest/api/token ", 22) == 0;
}

void give_token(struct service *service, int fd)
{
	char answer[256];
	(void)pthread_mutex_lock(&service->mutex);
	int number = service->puts % 10;
	(void)pthread_mutex_unlock(&service->mutex);
	(void)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nX-Model: %d\r\nContent-Length: 6\r\n\r\ntoken%d",
	               number, number);
	say(fd, answer);
}

void fine(struct service *service, int fd, const char *request)
{
	if (is_put(request))
		give_token(service, fd);
	else
		say(fd, "HTTP/1.1 200 OK\r\nDate: Thu, 27 Jun 2024 05:09:27 GMT\r\nContent-Length: 3\r\n\r\nabc");
}

void refuses_tokens(struct service *service, int fd, const char *request)
{
	(void)service;
	(void)request;
	say(fd, "HTTP/1.1 403 Forbidden\r\n" LENGTH_0);
}

void throttles(struct service *service, int fd, const char *request)
{
	if (is_put(request))
		give_token(service, fd);
	else
		say(fd, "HTTP/1.1 503 Service Unavailable\r\n" LENGTH_0);
}

void wait_until_closed(int fd)
{
	char byte;
	(void)!read(fd, &byte, 1);
}

void silent(struct service *service, int fd, const char *request)
{
	(void)service;
	(void)request;
	wait_until_closed(fd);
}

/* ---- asking */

int begin_to_connect(void *context, const struct sockaddr_storage *address, struct error *err)
{
	CLEANUP_FD int fd =
		context != NULL ? -1 : socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, ERROR_SYSTEM, "no socket");
	if (connect(fd, (const struct sockaddr *)address, connection_address_bytes(address)) < 0 &&
	    errno != EINPROGRESS)
		return error_errno(err, "connect");
	return steal_fd(&fd);
}

struct upstream_options options_for(const char *address, int64_t cache_ms)
{
	return (struct upstream_options){.addresses = {[ENDPOINT_IMDS_IPV4] = address,
	                                               [ENDPOINT_IMDS_IPV6] = "[::1]:1",
	                                               [ENDPOINT_ECS] = address,
	                                               [ENDPOINT_EKS_IPV4] = address,
	                                               [ENDPOINT_EKS_IPV6] = "[::1]:1"},
	                                 .timeout_ms = TIMEOUT_MS,
	                                 .cache_ms = cache_ms};
}

struct upstream *open_upstream(const char *address, int64_t timeout_ms)
{
	struct upstream *upstream;
	struct upstream_options options = options_for(address, 0);
	options.timeout_ms = timeout_ms;
	assert_int_equal(upstream_open(&options, &upstream, NULL), 0);
	return upstream;
}
