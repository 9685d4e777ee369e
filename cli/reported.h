/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"

/* Reads the findings in a file (`-`: standard input) and gives what they say, see cli/finding_input.h, and the distinct
 * access keys that they name, in order. A file without a key is ERROR_INPUT; findings without one beside others are
 * complained of. One JSON text or JSON Lines. */
MUST_USE int reported_read(const char *path, json_t **ret_reports, json_t **ret_keys, struct error *err);
