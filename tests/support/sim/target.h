/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#define TARGET_BYTES 1024

enum method { METHOD_GET, METHOD_HEAD, METHOD_PUT, METHOD_OPTIONS, METHOD_OTHER, METHOD_COUNT };

enum method method_parse(const char *name);

/* A request's target in one spelling: decoded once, without query and authority, `//` and dot segments
 * resolved. PATH begins with '/' and has no slash at its end, unless it is "/". */
struct target {
	char path[TARGET_BYTES];
	bool slash; /* it was spelled with a slash at the end */
};

/* False for what no spelling of a path is: a bad escape, %00, too long. */
bool target_parse(const char *raw, struct target *ret_target);
