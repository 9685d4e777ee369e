/* SPDX-License-Identifier: Apache-2.0 */

/* The one place that knows how control messages are laid out. */
#include "proxy/witness/pass.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(PASS_MAX * sizeof(int))];
};

ssize_t pass_send(int to, const struct iovec *data, size_t count, const int *fds, size_t fd_count)
{
	union control control = {0};
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)data, .msg_iovlen = count};
	if (fd_count > 0 && fd_count <= PASS_MAX) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(head), fds, fd_count * sizeof(int));
	}
	return sendmsg(to, &message, MSG_NOSIGNAL);
}

ssize_t pass_receive(int from, void *bytes, size_t size, int ret_fds[static PASS_MAX], size_t *ret_count)
{
	union control control = {0};
	struct iovec data = {bytes, size};
	struct msghdr message = {.msg_iov = &data,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = sizeof(control.bytes)};
	*ret_count = 0;
	ssize_t got = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *head = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (head != NULL && head->cmsg_type == SCM_RIGHTS && head->cmsg_len <= CMSG_LEN(PASS_MAX * sizeof(int))) {
		*ret_count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(ret_fds, CMSG_DATA(head), *ret_count * sizeof(int));
	}
	return got;
}
