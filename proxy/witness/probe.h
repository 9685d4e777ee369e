/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/witness/ebpf.h"

/* The self-test of the eBPF backend: a connection of the witness's own to the metadata address, through the redirect
 * and the proxy's listener, must come back as a query whose socket was opened by the witness. Repeated until it does.
 * It cannot leave the machine: without the redirect it ends on the loopback interface. */
struct probe;

/* Starts a thread; it ends when the test has passed. */
MUST_USE int probe_start(struct ebpf *ebpf, struct probe **ret, struct error *err);

/* Whether an accepted connection is the test's own; if so, judges the backend by it. Any thread; probe may be NULL. */
bool probe_recognise(struct probe *probe, const struct sighting *sighting);
