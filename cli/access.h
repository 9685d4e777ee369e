/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <signal.h>

#include "cli/arguments.h"
#include "detector/aws.h"

/* Access to AWS as the command line and the environment have it, where an operand needs it; else *ret stays NULL.
 * `stop`: ends waiting when it is set; may be NULL. */
MUST_USE int access_open(const struct arguments *arguments, const volatile sig_atomic_t *stop, struct aws **ret,
                         struct error *err);
