/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/proxy.h"

/* Reads the settings and the keys of tokens again and puts them in force, whole or not at all: proxy, witness and
 * upstream have all of them or keep what they had. What came of it is logged, told to the service manager, and kept for
 * `status`. `path` as for settings_load. Main thread only. */
void reload_settings(struct proxy *proxy, const char *path, int witness_fd);
