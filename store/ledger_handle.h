/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>

#include "store/ledger.h"

/* What is behind a ledger's handle, for other files of this layer. Borrowed. */
sqlite3 *ledger_database(struct ledger *ledger);
const char *ledger_path(const struct ledger *ledger);
