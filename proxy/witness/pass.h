/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/cleanup.h"

/* Messages between processes of one machine, with a descriptor that may come along (unix(7), SCM_RIGHTS). */

/* Sends one message; `fd` -1: without a descriptor. Bytes sent, or -1 with errno. */
MUST_USE ssize_t pass_send(int to, const struct iovec *data, size_t count, int fd);

/* Receives one message; *ret_fd: the descriptor that came along, close-on-exec and the caller's, or -1. Bytes, 0 at
 * the end, or -1 with errno. */
MUST_USE ssize_t pass_receive(int from, void *bytes, size_t size, int *ret_fd);
