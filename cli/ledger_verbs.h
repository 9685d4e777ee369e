/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/arguments.h"

/* What cmd_ledger.c dispatches to, one file each. */
command_run ledger_verify_run, ledger_anchor_run, ledger_export_run, ledger_import_run, ledger_prune_run;
