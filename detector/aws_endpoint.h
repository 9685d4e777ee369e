/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/error.h"

/* Where a service is asked. Pure but for the override. */
struct aws_endpoint {
	char base[320];  /* "https://sts.eu-west-1.amazonaws.com", without a slash at its end */
	char host[300];  /* as the Host header has it: without the scheme's own port */
	char region[64]; /* to sign for: that of a service that is asked in one place only */
	char folder[80]; /* "/BUCKET" in path style, else "" */
};

/* `bucket` NULL: none. `given`: a URL instead of AWS's own (then buckets stand in the path); NULL: AWS's. */
MUST_USE int aws_endpoint_of(const char *service, const char *region, const char *bucket, const char *given,
                             struct aws_endpoint *ret, struct error *err);

/* AWS_ENDPOINT_URL_SERVICE, else AWS_ENDPOINT_URL; NULL: neither. AWS_IGNORE_CONFIGURED_ENDPOINT_URLS does what it
 * says. */
const char *aws_endpoint_given(const char *service);
