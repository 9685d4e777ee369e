/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/witness/line.h"

/* Whose socket is it? Exact sock_diag queries (never dumps): in our own network namespace, or in all others by entering
 * each in turn (needs CAP_SYS_ADMIN). A handle belongs to one thread. */
struct sockdiag;

MUST_USE int sockdiag_open(struct sockdiag **ret, struct error *err);
void sockdiag_close(struct sockdiag *sockdiag);

/* Fills uid, inode, cookie, cgroup_id, netns, is_found, is_local, is_ambiguous of a sighting whose client and
 * destination are known. A socket that is nowhere leaves is_found false. `elsewhere`: also look in other namespaces. */
MUST_USE int sockdiag_find(struct sockdiag *sockdiag, bool elsewhere, struct sighting *sighting, struct error *err);

/* The same in the one namespace that a process lives in, which must have that cookie (SO_NETNS_COOKIE). 1: found there,
 * 0: not there, -1: it could not be looked for there. */
MUST_USE int sockdiag_find_beside(struct sockdiag *sockdiag, uint32_t pid, uint64_t netns_cookie,
                                  struct sighting *sighting);

/* Looks for exactly the same socket again, where it was found before: 1: the same (cookie and inode), 0: gone or
 * another one, -1: error. `pid`: a process that may lead to its namespace, 0: not known. */
MUST_USE int sockdiag_again(struct sockdiag *sockdiag, const struct sighting *sighting, uint32_t pid,
                            struct error *err);
