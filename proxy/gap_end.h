/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/writer.h"

/* At start: the gap that was noted when the daemon was given up, if there is one, becomes a row of kind `gap` (its
 * object and ended_at), and its file is removed once the row is durable. What goes wrong is logged: it must not keep
 * the daemon from serving. */
void gap_end(const char *ledger_path, struct writer *writer);
