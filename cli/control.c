/* SPDX-License-Identifier: Apache-2.0 */

/* The daemon's control socket, as its client: connect, read one JSON object to the end. What answers need not be the
 * daemon, so the answer is bounded in size and time. */
#include "cli/control.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/buffer.h"
#include "common/clock.h"

#define ANSWER_MAX_BYTES (1 << 20)

MUST_USE static enum control_answer connect_to(const char *runtime, int fd, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", runtime);
	if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
		(void)error_set(err, ERROR_LIMIT, "[daemon] runtime = %.80s: too long for a socket", runtime);
		return CONTROL_UNCLEAR;
	}
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return CONTROL_ANSWERED;
	int number = errno;
	(void)error_errno(err, "%s", address.sun_path);
	if (number == ENOENT || number == ECONNREFUSED || number == ENOTDIR)
		return CONTROL_DOWN;
	return number == EACCES || number == EPERM ? CONTROL_FORBIDDEN : CONTROL_UNCLEAR;
}

MUST_USE static int read_answer(int fd, struct buffer *answer, struct error *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + CONTROL_TIMEOUT_MS;
	for (;;) {
		char piece[4096];
		int64_t left_ms = deadline_ms - clock_monotonic_ms();
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) == 0)
			return error_set(err, ERROR_TIMEOUT, "no answer within %d s", CONTROL_TIMEOUT_MS / 1000);
		ssize_t got = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
		if (got == 0)
			return 0;
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return error_errno(err, "reading the answer");
		if (got > 0 && buffer_append(answer, piece, (size_t)got, err) < 0)
			return -1;
	}
}

enum control_answer control_ask(const char *runtime, json_t **ret, struct error *err)
{
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CLEANUP_BUFFER struct buffer answer = {.limit = ANSWER_MAX_BYTES};
	CLEANUP_JSON json_t *object = NULL;
	if (fd < 0) {
		(void)error_errno(err, "making a socket");
		return CONTROL_UNCLEAR;
	}
	enum control_answer connected = connect_to(runtime, fd, err);
	if (connected != CONTROL_ANSWERED)
		return connected;
	if (read_answer(fd, &answer, err) < 0)
		return CONTROL_UNCLEAR;
	if (json_read(answer.bytes != NULL ? answer.bytes : "", answer.length, &object, err) < 0)
		return CONTROL_UNCLEAR;
	if (!json_is_object(object)) {
		(void)error_set(err, ERROR_INPUT, "expected one JSON object");
		return CONTROL_UNCLEAR;
	}
	*ret = steal_pointer(&object);
	return CONTROL_ANSWERED;
}
