/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "proxy/proxy.h"

/* The daemon's answer to `keytrail status`: a Unix stream socket `control.sock` in [daemon] runtime. Whoever connects
 * reads one JSON object (keytraild(8), STATUS) until end of file. Nothing is read from the client. */
struct control;

MUST_USE int control_start(struct proxy *proxy, int witness_fd, pid_t witness_pid, struct control **ret,
                           struct error *err);
void control_stop(struct control *control);
