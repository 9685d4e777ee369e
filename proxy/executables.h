/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/writer.h"

/* Rows for digests of executables that came after the deliveries that they belong to (docs/ledger.md, `executable`). A
 * thread of its own, which waits for the witness to have one. */
struct executables;

MUST_USE int executables_start(struct writer *writer, int witness_fd, struct executables **ret, struct error *err);
void executables_stop(struct executables *executables);
