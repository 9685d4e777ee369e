/* SPDX-License-Identifier: Apache-2.0 */

/* The one call that hands out credentials: whoever configured the profile has asked for it. */
#include "detector/aws_role.h"

#include <string.h>

#include "common/clock.h"
#include "detector/aws_answer.h"
#include "detector/aws_endpoint.h"
#include "detector/aws_signed.h"
#include "detector/aws_verdict.h"

#define SESSION_NAME "keytrail"
#define DEFAULT_REGION "us-east-1" /* STS is there whatever else is */

MUST_USE static int put_pair(struct buffer *to, const char *name, const char *value, struct error *err)
{
	if (value[0] == '\0')
		return 0;
	return buffer_printf(to, err, "&%s=", name) < 0 ? -1 : sigv4_encode(to, value, false, err);
}

MUST_USE static int write_body(const struct aws_profile *profile, struct buffer *to, struct error *err)
{
	const char *name = profile->role_session_name[0] != '\0' ? profile->role_session_name : SESSION_NAME;
	const struct sigv4_pair pairs[] = {{"RoleArn", profile->role_arn},
	                                   {"RoleSessionName", name},
	                                   {"ExternalId", profile->external_id},
	                                   {"DurationSeconds", profile->duration_seconds}};
	if (buffer_printf(to, err, "Action=AssumeRole&Version=2011-06-15") < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++)
		if (put_pair(to, pairs[i].name, pairs[i].value, err) < 0)
			return -1;
	return 0;
}

MUST_USE static int refuse(const struct aws_http_answer *answer, struct error *err)
{
	struct aws_fault fault;
	aws_answer_fault(answer->body.bytes, answer->body.length, &fault);
	bool may_pass = aws_verdict_of(answer->status, &fault) == AWS_RETRY;
	return error_set(err, may_pass ? ERROR_SYSTEM : ERROR_INPUT, "status %ld%s%s%s%s", answer->status,
	                 fault.code[0] != '\0' ? ", " : "", fault.code, fault.message[0] != '\0' ? ": " : "",
	                 fault.message);
}

MUST_USE static int take(const struct aws_http_answer *answer, struct aws_credentials *ret, struct error *err)
{
	CLEANUP_JSON json_t *tree = NULL;
	if (aws_answer_read(answer->body.bytes, answer->body.length, &tree, err) < 0)
		return -1;
	const json_t *made = json_at(tree, "AssumeRoleResult.Credentials");
	const char *id = json_text_at(made, "AccessKeyId"), *secret = json_text_at(made, "SecretAccessKey");
	const char *token = json_text_at(made, "SessionToken"), *expires = json_text_at(made, "Expiration");
	if (id == NULL || secret == NULL || token == NULL || expires == NULL || !clock_parse(expires, &ret->expires_us))
		return error_set(err, ERROR_INPUT,
		                 "expected AccessKeyId, SecretAccessKey, SessionToken and Expiration");
	return aws_credentials_set(ret, id, secret, token, err);
}

int aws_role_assume(struct aws_http *http, const struct aws_profile *profile, const char *region,
                    const struct aws_credentials *with, struct aws_credentials *ret, struct error *err)
{
	CLEANUP_BUFFER struct buffer body = {0};
	CLEANUP_ANSWER struct aws_http_answer answer = {0};
	const char *given = aws_endpoint_given("sts");
	if (write_body(profile, &body, err) < 0)
		return -1;
	if (given == NULL && profile->endpoint_url[0] != '\0')
		given = profile->endpoint_url;
	const struct aws_call call = {.service = "sts",
	                              .content_type = "application/x-www-form-urlencoded; charset=utf-8",
	                              .body = body.bytes,
	                              .body_length = body.length};
	if (aws_signed_send(http, &call, region != NULL ? region : DEFAULT_REGION, given, with, &answer, err) < 0 ||
	    (answer.status / 100 == 2 ? take(&answer, ret, err) : refuse(&answer, err)) < 0)
		return error_prefix(err, "AssumeRole %s", profile->role_arn);
	return 0;
}
