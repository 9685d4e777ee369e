/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>

#include "common/error.h"

/* Programs (eBPF) on control groups that see each packet that a process sends. They run after NAT: one that dropped
 * what went to the metadata service would let the same request go by to the proxy.
 *
 * Prints a line for each program and control group of version 2: what it does, control group, name and tag of the
 * program (the tag is a digest of its instructions), with tabs between. It does one of closes    drops a packet to a
 * metadata address, and lets one to the machine itself pass passes    does not untried   the kernel would not try it
 * Each is tried on two made-up packets that belong to nobody, so `passes` says nothing of a program that looks at who
 * sends. Needs root. Without control groups of version 2, or eBPF, there is nothing to print and no error. */
MUST_USE int programs_print(FILE *to, struct error *err);
