/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

/* A file that was made or renamed is there after a power cut only once its folder is on the disk, too. */
MUST_USE int folder_sync(const char *path, struct error *err);
/* The folder that `file` is in. */
MUST_USE int folder_sync_of(const char *file, struct error *err);

/* A file with these bytes in the place of what is there, whole or not at all, and on the disk on return. Made by root,
 * it belongs to whom the folder does. */
MUST_USE int folder_put(const char *folder, const char *name, mode_t mode, const void *bytes, size_t length,
                        struct error *err);
