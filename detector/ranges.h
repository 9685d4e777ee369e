/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "common/cidr.h"

/* AWS's published address ranges: whose service is an address in? Read-only once made; safe from any thread. */
struct ranges;

/* `path` NULL: the copy that is built in; else a file as AWS publishes it (ip-ranges.json). */
MUST_USE int ranges_open(const char *path, struct ranges **ret, struct error *err);
void ranges_free(struct ranges *ranges);

/* createDate of the ranges, as written there. */
const char *ranges_date(const struct ranges *ranges);

struct range {
	const char *region, *service; /* lent */
	const char *runner;           /* of customers' own code, as people call it: EC2, perhaps among others, or
	                                 CodeBuild; NULL: nobody's code calls from there */
};

/* By the longest prefix that holds the address; false: none of AWS's. */
MUST_USE bool ranges_find(const struct ranges *ranges, const struct address *address, struct range *ret);
