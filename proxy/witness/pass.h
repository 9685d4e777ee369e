/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/cleanup.h"

/* Messages between processes of one machine, with descriptors that may come along (unix(7), SCM_RIGHTS). */

#define PASS_MAX 8 /* descriptors in one message */

/* Sends one message with so many descriptors (0 to PASS_MAX), which stay the caller's. Bytes sent, or -1 with errno. */
MUST_USE ssize_t pass_send(int to, const struct iovec *data, size_t count, const int *fds, size_t fd_count);

/* Receives one message, waiting as the socket says; *ret_count descriptors came along into `ret_fds`, close-on-exec and
 * the caller's, PASS_MAX at most; the kernel drops what is more. Bytes, as many as there is room for, 0 at the end, or
 * -1 with errno. */
MUST_USE ssize_t pass_receive(int from, void *bytes, size_t size, int ret_fds[static PASS_MAX], size_t *ret_count);
