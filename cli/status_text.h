/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/table.h"

/* The object of status_report_make() for people: the verdict, what is wrong, then what there is, a fact a line. -1 with
 * *err when there is no memory. */
MUST_USE int status_text(const json_t *report, const struct table_look *look, struct error *err);
