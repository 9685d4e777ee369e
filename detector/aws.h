/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"
#include "detector/aws_http.h"
#include "detector/sigv4.h"

/* Access to AWS's services as the operator of this program: credentials, regions, signatures, retries. Only what reads
 * is ever called, but for AssumeRole where the operator's own profile says so. Any thread may use it. */
struct aws;

struct aws_options {
	const char *profile;               /* of AWS's shared files; NULL: AWS_PROFILE, else default */
	const char *region;                /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile's, the instance's */
	const volatile sig_atomic_t *stop; /* NULL: never; waiting ends when it is set */
};

/* Looks for no credentials yet: those are found when the first request needs them. */
MUST_USE int aws_open(const struct aws_options *options, struct aws **ret, struct error *err);
void aws_close(struct aws *aws);

/* ERROR_USAGE where nothing says which. Lives as long as `aws`. */
MUST_USE int aws_region(struct aws *aws, const char **ret, struct error *err);

struct aws_call {
	const char *service;       /* as it is signed: s3, sqs, sts, ec2, cloudtrail, organizations */
	const char *region;        /* NULL: aws_region's; of a bucket it is only where to ask first */
	const char *bucket, *path; /* of S3; path is "/KEY" or "/" */
	const char
		*url; /* asks there instead of at the service's endpoint (a queue's URL says its host); may be NULL */
	const struct sigv4_pair *query;
	size_t query_count;
	const char *target;       /* X-Amz-Target of the JSON protocols; NULL: the query protocol's POST, or a GET */
	const char *content_type; /* NULL: GET */
	const char *body;
	size_t body_length;
	int sink; /* a file for the body; 0: none. It is emptied before each try */
};

/* Signs, sends, tries again where that may help (AWS_MAX_ATTEMPTS, default 5), follows a bucket to its region, and
 * finds new credentials once if these have expired. -1: no 2xx answer came; *ret is then untouched, and the text says
 * what the service said. ERROR_MISSING for 404. */
MUST_USE int aws_send(struct aws *aws, const struct aws_call *call, struct aws_http_answer *ret, struct error *err);

/* The same, with the answer read as a tree. */
MUST_USE int aws_ask(struct aws *aws, const struct aws_call *call, json_t **ret, struct error *err);

/* Waits; false when it was told to stop meanwhile. */
bool aws_wait(const struct aws *aws, int64_t milliseconds);

static inline void cleanup_aws(struct aws **aws)
{
	aws_close(*aws);
}
#define CLEANUP_AWS CLEANUP(cleanup_aws)
