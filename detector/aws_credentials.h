/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/secret.h"

/* Credentials of whoever runs the program, as AWS's own tools find them. They are wiped, and never printed. */
struct aws_credentials {
	char access_key_id[129];
	struct secret secret_key;
	struct secret session_token; /* length 0: none */
	int64_t expires_us;          /* 0: not known */
	const char *source;          /* in words, for messages */
};
void aws_credentials_done(struct aws_credentials *credentials);
#define CLEANUP_CREDENTIALS CLEANUP(aws_credentials_done)

struct aws_http;
struct aws_profile;

/* The first of: the environment (not when a profile was asked for by name), the profile in the shared files (a role to
 * be assumed, by STS in `region`, NULL: us-east-1; keys; a command that prints them), the container's endpoint
 * (AWS_CONTAINER_CREDENTIALS_*), the instance's metadata service (unless AWS_EC2_METADATA_DISABLED is true).
 * ERROR_MISSING when there are none: what was tried. What is there but cannot be used is an error that says why. */
MUST_USE int aws_credentials_find(struct aws_http *http, const struct aws_profile *profile, bool is_named,
                                  const char *region, struct aws_credentials *ret, struct error *err);

/* Takes all four; `token` NULL: none. */
MUST_USE int aws_credentials_set(struct aws_credentials *credentials, const char *id, const char *secret,
                                 const char *token, struct error *err);

/* The instance's region by its metadata service; false: not known. */
bool aws_credentials_region(struct aws_http *http, char *to, size_t size);

/* An answer of a container's endpoint or of the metadata service, or what a command printed (its SessionToken, and then
 * Version must be 1). Pure. */
MUST_USE int aws_credentials_parse(const char *json, size_t length, struct aws_credentials *ret, struct error *err);
