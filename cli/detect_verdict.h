/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/command.h"
#include "detector/detect.h"

/* From a run of the detector to the exit status of `detect`; `fail_on` is an enum severity or FAIL_ON_NONE. Findings
 * count also when some input could not be read. Pure. */
enum status detect_verdict(const struct detect_summary *summary, int fail_on);
