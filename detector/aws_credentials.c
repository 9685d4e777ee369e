/* SPDX-License-Identifier: Apache-2.0 */

/* THE LADDER of credentials. Each rung either has some, has none, or is broken; a broken one is not passed over, since
 * whoever configured it means it. */
#include "detector/aws_credentials.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"
#include "detector/aws_http.h"
#include "detector/aws_process.h"
#include "detector/aws_profile.h"
#include "detector/aws_role.h"

#define URL_BYTES 2048
#define IMDS_DEFAULT "http://169.254.169.254"
#define CONTAINER_HOST "http://169.254.170.2"
#define PROFILES_MAX 5
#define EXPORT                                                                                                         \
	"put its credentials into the environment, with eval \"$(aws configure export-credentials --profile %s "       \
	"--format env)\""

void aws_credentials_done(struct aws_credentials *credentials)
{
	secret_done(&credentials->secret_key);
	secret_done(&credentials->session_token);
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

int aws_credentials_set(struct aws_credentials *credentials, const char *id, const char *secret, const char *token,
                        struct error *err)
{
	if (!text_copy(credentials->access_key_id, sizeof(credentials->access_key_id), id))
		return error_set(err, ERROR_INPUT, "an access key id of more than %zu bytes",
		                 sizeof(credentials->access_key_id) - 1);
	if (secret_set(&credentials->secret_key, secret, strlen(secret), err) < 0)
		return -1;
	return token != NULL ? secret_set(&credentials->session_token, token, strlen(token), err) : 0;
}

int aws_credentials_parse(const char *json, size_t length, struct aws_credentials *ret, struct error *err)
{
	CLEANUP_JSON json_t *answer = NULL;
	CLEANUP_CREDENTIALS struct aws_credentials credentials = {.source = ret->source};
	if (json_read(json, length, &answer, NULL) < 0)
		return error_set(err, ERROR_INPUT, "no JSON");
	const char *code = json_text_at(answer, "Code"), *id = json_text_at(answer, "AccessKeyId");
	const char *secret = json_text_at(answer, "SecretAccessKey"), *expires = json_text_at(answer, "Expiration");
	const char *token = json_text_at(answer, "Token");
	int64_t version = 1;
	if (json_at(answer, "Version") != NULL && (!json_int_at(answer, "Version", &version) || version != 1))
		return error_set(err, ERROR_INPUT, "expected Version 1");
	if (code != NULL && strcmp(code, "Success") != 0)
		return error_set(err, ERROR_INPUT, "the answer says %.60s", code);
	if (id == NULL || secret == NULL)
		return error_set(err, ERROR_INPUT, "expected AccessKeyId and SecretAccessKey");
	if (expires != NULL && !clock_parse(expires, &credentials.expires_us))
		return error_set(err, ERROR_INPUT, "Expiration: expected a time");
	if (aws_credentials_set(&credentials, id, secret, token != NULL ? token : json_text_at(answer, "SessionToken"),
	                        err) < 0)
		return -1;
	*ret = credentials;
	return 0;
}

/* ---- the rungs: 1 has credentials, 0 has none, -1 is broken */

struct search {
	struct aws_http *http;
	const struct aws_profile *profile;
	const char *region; /* NULL: not said */
	bool is_named;
	unsigned depth; /* of profiles that are the source of others */
};

MUST_USE static int from_environment(const struct search *search, struct aws_credentials *ret, struct error *err)
{
	const char *id = variable("AWS_ACCESS_KEY_ID"), *secret = variable("AWS_SECRET_ACCESS_KEY");
	const char *token = variable("AWS_SESSION_TOKEN");
	if (search->is_named || (id == NULL && secret == NULL))
		return 0;
	if (id == NULL || secret == NULL)
		return error_set(err, ERROR_USAGE, "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set");
	return aws_credentials_set(ret, id, secret, token != NULL ? token : variable("AWS_SECURITY_TOKEN"), err) < 0
	               ? -1
	               : 1;
}

/* One request to an endpoint on this machine or its link. */
MUST_USE static int ask(struct aws_http *http, const char *method, const char *url, const struct buffer *headers,
                        struct aws_http_answer *answer, struct error *err)
{
	const struct aws_http_request request = {.method = method, .url = url, .headers = headers, .is_near = true};
	if (aws_http_send(http, &request, answer, err) < 0)
		return -1;
	if (answer->status != 200)
		return error_set(err, ERROR_INPUT, "status %ld", answer->status);
	return buffer_append(&answer->body, "", 0, err);
}

/* The token is sent in the clear where the scheme is http: so only to where AWS's own tools send it. */
static bool may_ask(const char *url)
{
	static const char *const hosts[] = {"http://127.",          "http://localhost",      "http://[::1]",
	                                    "http://169.254.170.2", "http://169.254.170.23", "http://[fd00:ec2::23]"};
	if (text_starts(url, "https://"))
		return true;
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
		size_t length = strlen(hosts[i]);
		bool is_prefix = hosts[i][length - 1] == '.';
		if (text_starts(url, hosts[i]) &&
		    (is_prefix ? strspn(url + length, "0123456789.") > 0 : strchr(":/", url[length]) != NULL))
			return is_prefix ? strchr(":/", url[length + strspn(url + length, "0123456789.")]) != NULL
			                 : true;
	}
	return false;
}

MUST_USE static int container_header(struct buffer *headers, struct error *err)
{
	CLEANUP_SECRET_BUFFER struct buffer file = {.limit = SECRET_MAX_BYTES};
	const char *token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	const char *path = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	if (path != NULL) {
		if (buffer_read_file(&file, path, err) < 0 || buffer_append(&file, "", 0, err) < 0)
			return -1;
		token = text_trim(file.bytes);
	}
	if (token != NULL && strpbrk(token, "\r\n") != NULL)
		return error_set(err, ERROR_INPUT, "the container's authorization token has a line break");
	return token != NULL ? buffer_printf(headers, err, "Authorization: %s\n", token) : 0;
}

MUST_USE static int from_container(const struct search *search, struct aws_credentials *ret, struct error *err)
{
	CLEANUP_ANSWER struct aws_http_answer answer = {0};
	CLEANUP_SECRET_BUFFER struct buffer headers = {0};
	const char *relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	char url[URL_BYTES];
	if (relative == NULL && full == NULL)
		return 0;
	if (snprintf(url, sizeof(url), "%s%s", relative != NULL ? CONTAINER_HOST : "",
	             relative != NULL ? relative : full) >= URL_BYTES)
		return error_set(err, ERROR_LIMIT, "the container's endpoint is longer than %d bytes", URL_BYTES);
	if ((relative != NULL && relative[0] != '/') || !may_ask(url))
		return error_set(err, ERROR_USAGE,
		                 "AWS_CONTAINER_CREDENTIALS_*: expected a path, an https URL, or one of "
		                 "this machine or of a container agent");
	if (container_header(&headers, err) < 0 || ask(search->http, "GET", url, &headers, &answer, err) < 0 ||
	    aws_credentials_parse(answer.body.bytes, answer.body.length, ret, err) < 0)
		return error_prefix(err, "the container's credentials");
	return 1;
}

/* ---- the instance's metadata service */

static const char *imds_endpoint(void)
{
	const char *disabled = variable("AWS_EC2_METADATA_DISABLED");
	const char *endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	if (disabled != NULL && strcmp(disabled, "true") == 0)
		return NULL;
	return endpoint != NULL ? endpoint : IMDS_DEFAULT;
}

MUST_USE static int imds_url(const char *path, const char *name, char to[static URL_BYTES], struct error *err)
{
	const char *base = imds_endpoint();
	size_t length = strlen(base);
	while (length > 0 && base[length - 1] == '/')
		length--;
	if (snprintf(to, URL_BYTES, "%.*s%s%s", (int)length, base, path, name) >= URL_BYTES)
		return error_set(err, ERROR_LIMIT, "the metadata service's endpoint is too long");
	return 0;
}

MUST_USE static int imds_token(struct aws_http *http, struct buffer *headers, struct error *err)
{
	CLEANUP_ANSWER struct aws_http_answer answer = {0};
	CLEANUP_BUFFER struct buffer ttl = {0};
	char url[URL_BYTES];
	if (imds_url("/latest/api/token", "", url, err) < 0 ||
	    buffer_printf(&ttl, err, "X-aws-ec2-metadata-token-ttl-seconds: 300\nContent-Length: 0\n") < 0 ||
	    ask(http, "PUT", url, &ttl, &answer, err) < 0)
		return -1;
	if (strpbrk(answer.body.bytes, "\r\n") != NULL)
		return error_set(err, ERROR_INPUT, "a token with a line break");
	return buffer_printf(headers, err, "X-aws-ec2-metadata-token: %s\n", answer.body.bytes);
}

/* Nobody there: not on an instance. Somebody who refuses is another matter. */
MUST_USE static int from_instance(const struct search *search, struct aws_credentials *ret, struct error *err)
{
	static const char list_path[] = "/latest/meta-data/iam/security-credentials/";
	CLEANUP_ANSWER struct aws_http_answer list = {0}, answer = {0};
	CLEANUP_SECRET_BUFFER struct buffer headers = {0};
	struct error problem = {0};
	char url[URL_BYTES];
	if (imds_endpoint() == NULL)
		return 0;
	if (imds_token(search->http, &headers, &problem) < 0)
		return problem.code == ERROR_SYSTEM || problem.code == ERROR_TIMEOUT
		               ? 0
		               : error_set(err, problem.code, "the metadata service: token: %s", problem.text);
	if (imds_url(list_path, "", url, err) < 0)
		return -1;
	if (ask(search->http, "GET", url, &headers, &list, err) < 0)
		return list.status == 404 ? 0 : error_prefix(err, "the metadata service: role");
	list.body.bytes[strcspn(list.body.bytes, "\r\n")] = '\0';
	if (strspn(list.body.bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+=,.@_-") !=
	            strlen(list.body.bytes) ||
	    list.body.bytes[0] == '\0')
		return error_set(err, ERROR_INPUT, "the metadata service: role: expected a name");
	if (imds_url(list_path, list.body.bytes, url, err) < 0 ||
	    ask(search->http, "GET", url, &headers, &answer, err) < 0 ||
	    aws_credentials_parse(answer.body.bytes, answer.body.length, ret, err) < 0)
		return error_prefix(err, "the metadata service: credentials");
	return 1;
}

/* ---- the profile */

MUST_USE static int from_profile(const struct search *search, struct aws_credentials *ret, struct error *err);

static const struct place {
	const char *name;
	int (*find)(const struct search *search, struct aws_credentials *ret, struct error *err);
} places[] = {
	{"Environment", from_environment},
	{"EcsContainer", from_container},
	{"Ec2InstanceMetadata", from_instance},
};

MUST_USE static int from_place(const struct search *search, struct aws_credentials *ret, struct error *err)
{
	const struct aws_profile *profile = search->profile;
	const struct search unnamed = {.http = search->http, .profile = profile};
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
		if (strcmp(profile->credential_source, places[i].name) == 0)
			return places[i].find(&unnamed, ret, err);
	return error_set(err, ERROR_USAGE,
	                 "profile %s: credential_source: expected Environment, EcsContainer or Ec2InstanceMetadata",
	                 profile->name);
}

MUST_USE static int from_keys(const struct aws_profile *profile, struct aws_credentials *ret, struct error *err)
{
	if (profile->secret_key.length == 0)
		return error_set(err, ERROR_INPUT, "profile %s: aws_secret_access_key is missing", profile->name);
	(void)text_copy(ret->access_key_id, sizeof(ret->access_key_id), profile->access_key_id);
	ret->secret_key = profile->secret_key;
	ret->session_token = profile->session_token;
	return 1;
}

/* Whose credentials ask for the role: another profile's, or this one's own keys where it names itself. */
MUST_USE static int from_source(const struct search *search, struct aws_credentials *ret, struct error *err)
{
	const struct aws_profile *profile = search->profile;
	CLEANUP_PROFILE struct aws_profile source = {0};
	if (strcmp(profile->source_profile, profile->name) == 0)
		return profile->access_key_id[0] != '\0' ? from_keys(profile, ret, err) : 0;
	if (search->depth == PROFILES_MAX)
		return error_set(err, ERROR_USAGE,
		                 "profile %s: more than %d profiles that are each other's source_profile",
		                 profile->name, PROFILES_MAX);
	if (aws_profile_read(profile->source_profile, &source, err) < 0)
		return error_prefix(err, "source_profile of profile %s", profile->name);
	const struct search deeper = {.http = search->http,
	                              .profile = &source,
	                              .region = search->region,
	                              .is_named = true,
	                              .depth = search->depth + 1};
	return from_profile(&deeper, ret, err);
}

MUST_USE static int from_role(const struct search *search, struct aws_credentials *ret, struct error *err)
{
	const struct aws_profile *profile = search->profile;
	CLEANUP_CREDENTIALS struct aws_credentials with = {0};
	bool has_source = profile->source_profile[0] != '\0';
	if (has_source == (profile->credential_source[0] != '\0'))
		return error_set(err, ERROR_USAGE,
		                 "profile %s: role_arn: expected either source_profile or credential_source",
		                 profile->name);
	if (profile->mfa_serial[0] != '\0')
		return error_set(err, ERROR_USAGE, "profile %s needs a code of its MFA device (mfa_serial): " EXPORT,
		                 profile->name, profile->name);
	int result = has_source ? from_source(search, &with, err) : from_place(search, &with, err);
	if (result == 0)
		return error_set(err, ERROR_MISSING, "profile %s: no credentials in its %s %s", profile->name,
		                 has_source ? "source_profile" : "credential_source",
		                 has_source ? profile->source_profile : profile->credential_source);
	if (result < 0)
		return -1;
	const char *region = search->region;
	if (region == NULL && profile->region[0] != '\0')
		region = profile->region;
	if (aws_role_assume(search->http, profile, region, &with, ret, err) < 0)
		return error_prefix(err, "profile %s", profile->name);
	return 1;
}

MUST_USE static int from_process(const struct search *search, struct aws_credentials *ret, struct error *err)
{
	CLEANUP_SECRET_BUFFER struct buffer printed = {0};
	if (search->profile->is_process_foreign)
		return error_set(
			err, ERROR_USAGE,
			"profile %s: credential_process stands in a file of somebody else's, or that anybody may "
			"write: it is not run",
			search->profile->name);
	if (aws_process_run(search->profile->process, search->http, &printed, err) < 0 ||
	    aws_credentials_parse(printed.bytes, printed.length, ret, err) < 0)
		return error_prefix(err, "profile %s: credential_process", search->profile->name);
	return 1;
}

/* A role goes before keys, which may be there to ask for it; a command behind them, as in AWS's own tools. */
MUST_USE static int from_profile(const struct search *search, struct aws_credentials *ret, struct error *err)
{
	const struct aws_profile *profile = search->profile;
	if (profile->role_arn[0] != '\0' && profile->unserved[0] == '\0')
		return from_role(search, ret, err);
	if (profile->access_key_id[0] != '\0')
		return from_keys(profile, ret, err);
	if (text_starts(profile->unserved, "sso_"))
		return error_set(
			err, ERROR_USAGE,
			"profile %s signs in with a browser (%s), which is not served: run `aws sso login --profile "
			"%s`, then " EXPORT,
			profile->name, profile->unserved, profile->name, profile->name);
	if (profile->unserved[0] != '\0')
		return error_set(err, ERROR_USAGE, "profile %s has %s, which is not served: " EXPORT, profile->name,
		                 profile->unserved, profile->name);
	return profile->process[0] != '\0' ? from_process(search, ret, err) : 0;
}

bool aws_credentials_region(struct aws_http *http, char *to, size_t size)
{
	CLEANUP_ANSWER struct aws_http_answer answer = {0};
	CLEANUP_SECRET_BUFFER struct buffer headers = {0};
	char url[URL_BYTES];
	return imds_endpoint() != NULL && imds_token(http, &headers, NULL) == 0 &&
	       imds_url("/latest/meta-data/placement/region", "", url, NULL) == 0 &&
	       ask(http, "GET", url, &headers, &answer, NULL) == 0 && answer.body.length > 0 &&
	       text_copy(to, size, answer.body.bytes);
}

/* ---- the ladder */

static const struct rung {
	int (*find)(const struct search *search, struct aws_credentials *ret, struct error *err);
	const char *source;
} rungs[] = {
	{from_environment, "the environment"},
	{from_profile, "AWS's shared files"},
	{from_container, "the container's endpoint"},
	{from_instance, "the instance's metadata service"},
};

int aws_credentials_find(struct aws_http *http, const struct aws_profile *profile, bool is_named, const char *region,
                         struct aws_credentials *ret, struct error *err)
{
	const struct search search = {.http = http, .profile = profile, .region = region, .is_named = is_named};
	for (size_t i = 0; i < ARRAY_LENGTH(rungs); i++) {
		CLEANUP_CREDENTIALS struct aws_credentials found = {.source = rungs[i].source};
		int result = rungs[i].find(&search, &found, err);
		if (result < 0)
			return -1;
		if (result > 0) {
			*ret = found;
			return 0;
		}
	}
	return error_set(err, ERROR_MISSING,
	                 "no AWS credentials: neither in the environment, nor in profile %s, nor from a "
	                 "container's endpoint or the metadata service",
	                 profile->name);
}
