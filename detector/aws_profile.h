/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "common/secret.h"

/* One profile of the shared files that AWS's own tools read: AWS_CONFIG_FILE (~/.aws/config) and
 * AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials, which wins). Secrets in it are wiped by aws_profile_done. */
struct aws_profile {
	char name[128];
	bool exists;
	char access_key_id[129];
	struct secret secret_key, session_token;
	char region[64];
	char endpoint_url[256];
	char process[1024];      /* credential_process: a command that prints them; "" */
	bool is_process_foreign; /* ... which stands in a file of somebody else's, or that anybody may write */
	/* A role to be assumed, by whom: another profile, or a place (credential_source). */
	char role_arn[512], source_profile[128], credential_source[32];
	char external_id[1225], role_session_name[65], duration_seconds[8], mfa_serial[257];
	char unserved[64]; /* a way to get credentials that it asks for and we do not serve, such as sso_session; "" */
};
void aws_profile_done(struct aws_profile *profile);
#define CLEANUP_PROFILE CLEANUP(aws_profile_done)

/* `name` NULL: AWS_PROFILE, else "default". Missing files are as empty ones; a profile that was asked for by name or by
 * AWS_PROFILE and stands in neither is ERROR_MISSING. */
MUST_USE int aws_profile_read(const char *name, struct aws_profile *ret, struct error *err);

/* Takes what one file says of the profile. `is_config`: sections are called "profile NAME". What is not known is passed
 * over, as AWS's tools do. Changes the text. Pure. */
MUST_USE int aws_profile_parse(char *text, bool is_config, struct aws_profile *profile, struct error *err);
