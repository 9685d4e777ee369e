/* SPDX-License-Identifier: Apache-2.0 */

/* The one place that knows how control messages are laid out. */
#include "proxy/witness/pass.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

ssize_t pass_send(int to, const struct iovec *data, size_t count, int fd)
{
	union control control = {0};
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)data, .msg_iovlen = count};
	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &fd, sizeof(int));
	}
	return sendmsg(to, &message, MSG_NOSIGNAL);
}

ssize_t pass_receive(int from, void *bytes, size_t size, int *ret_fd)
{
	union control control = {0};
	struct iovec data = {bytes, size};
	struct msghdr message = {.msg_iov = &data,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = sizeof(control.bytes)};
	*ret_fd = -1;
	ssize_t got = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *head = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (head != NULL && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(head), sizeof(int));
	return got;
}
