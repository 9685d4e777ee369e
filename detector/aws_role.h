/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/aws_credentials.h"
#include "detector/aws_profile.h"

/* STS AssumeRole: the profile's role, asked for with other credentials. ERROR_SYSTEM where another try may help. */
MUST_USE int aws_role_assume(struct aws_http *http, const struct aws_profile *profile, const char *region,
                             const struct aws_credentials *with, struct aws_credentials *ret, struct error *err);
