/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* Can this be an access key id? 16 to 128 of A-Z a-z 0-9 _, as IAM has it. Pure. */
bool access_key_is_valid(const char *text);

/* The same for a filter: with `*` or `?` in it, it may also be shorter. */
bool access_key_is_valid_pattern(const char *text);

#define ACCESS_KEY_EXPECTED "expected an access key id, 16 to 128 of A-Z a-z 0-9 _, such as ASIA..."
