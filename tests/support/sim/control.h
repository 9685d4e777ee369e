/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/sim.h"

/* A Unix stream socket that takes one line and answers one. A stale socket at PATH is replaced. */
MUST_USE int control_listen(const char *path, int *ret_fd, struct error *err);

/* Takes one connection of FD, does what it says, and answers. */
void control_serve(struct sim *sim, int fd);
