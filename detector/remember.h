/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/learned.h"
#include "store/findings.h"

/* What was learned in earlier runs, kept beside the findings: CloudTrail that is read in portions gives what it would
 * give at once. Uses that wait for more are held.h's, files that may hold such uses earlier.h's. */
MUST_USE int remember_load(struct learned *learned, struct findings *findings, struct error *err);

/* Once learned is closed; stored with findings_commit. */
MUST_USE int remember_save(struct learned *learned, struct findings *findings, struct error *err);
