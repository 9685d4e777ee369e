/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/un.h>

#include "common/error.h"

/* A listening Unix stream socket that owner and group may open (0660). A stale one of a dead daemon is replaced;
 * one where somebody answers, or anything else that lies there, is not. The caller owns *ret and removes the path in
 * the end. */
#define LOCAL_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)

MUST_USE int local_listen(const char *path, int *ret, struct error *err);
