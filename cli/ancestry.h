/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"

/* The processes that received a key, with their ancestors, as one forest: each node {process, host, suspects[] (numbers
 * in the list, from 1; empty for those that are ancestors only), is_certain (was it, beyond doubt, one of them that
 * received the key), children[]}, eldest at the top. All holders of a connection are there. `suspects` is a finding's
 * list. A process that several descend from stands there once. New reference, NULL without memory. */
json_t *ancestry_make(const json_t *suspects);
