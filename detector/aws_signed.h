/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/aws.h"

/* One request with one set of credentials, signed and sent once. `given`: where to ask instead of at the service's own
 * endpoint; NULL: there. */
MUST_USE int aws_signed_send(struct aws_http *http, const struct aws_call *call, const char *region, const char *given,
                             const struct aws_credentials *credentials, struct aws_http_answer *answer,
                             struct error *err);
