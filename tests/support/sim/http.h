/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/socket.h>

#include "sim/answer.h"
#include "sim/sim.h"
#include "sim/util.h"

/* Connections, and so threads, of the whole program. */
#define HTTP_CONNECTIONS 512

struct MHD_Daemon;

/* "127.0.0.1:1338", "[fd00:ec2::254]:80"; port 0 takes any. Returns a listening socket and its real address
 * in the same spelling. */
MUST_USE int http_listen(const char *text, int *ret_fd, char ret_address[static 64], struct error *err);

/* What one listener serves. Lives as long as its daemon. */
struct http_service {
	struct sim *sim;
	enum service service;
};

/* Serves it on FD, which is closed when stopped. Threads may number SHARE. */
MUST_USE int http_start(struct http_service *service, int fd, unsigned int share, struct MHD_Daemon **ret_daemon,
                        struct error *err);
void http_stop(struct MHD_Daemon *daemon);
