/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/error.h"

/* A private copy of a database and its WAL, for one that cannot be opened where it lies: a dead instance's disk,
 * mounted read-only. */
struct snapshot;

/* The folder alone: what is to be at snapshot_path() the caller makes. */
MUST_USE int snapshot_new(struct snapshot **ret, struct error *err);

MUST_USE int snapshot_make(const char *path, struct snapshot **ret, struct error *err);
const char *snapshot_path(const struct snapshot *snapshot);
/* Removes the copy. NULL is fine. */
void snapshot_free(struct snapshot *snapshot);
