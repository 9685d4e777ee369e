/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"

/* Network namespaces out of the reach of the machine's redirect: those that lead to the metadata service by a device of
 * their own (a network card, macvlan, ipvlan), not through an interface of the machine. ECS's awsvpc mode makes such.
 */

/* The device by which /proc/net/route sends packets to the metadata service over IPv4: the most specific route, of
 * those the one with the smallest metric. Pure. False: it sends them nowhere. */
MUST_USE bool namespaces_route(const char *routes, char *ret_device, size_t size);

/* Does such a device lead past the machine's own interfaces? By its driver, as ethtool(8) has it. Pure. */
bool namespaces_is_own_device(const char *driver);

/* Each as {netns, pid, exe, device, driver}: inode, one process in it, its executable or null. Needs root; namespaces
 * in which nobody lives are passed over, and our own. New reference. */
MUST_USE int namespaces_out_of_reach(json_t **ret, struct error *err);
