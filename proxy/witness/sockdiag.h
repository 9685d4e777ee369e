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

/* Looks for exactly the same socket again, where it was found before: 1: the same (cookie and inode), 0: gone or
 * another one, -1: error. */
MUST_USE int sockdiag_again(struct sockdiag *sockdiag, const struct sighting *sighting, struct error *err);
