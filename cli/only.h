/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/output.h"

/* The whole output is this one object: in JSON without a list around it, else a table or CSV of one row. */
MUST_USE int only_show(enum form form, const struct columns *columns, const json_t *object, struct error *err);
