/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/error.h"

/* A file that was made or renamed is there after a power cut only once its folder is on the disk, too. */
MUST_USE int folder_sync(const char *path, struct error *err);
/* The folder that `file` is in. */
MUST_USE int folder_sync_of(const char *file, struct error *err);
