/* SPDX-License-Identifier: Apache-2.0 */
/* Both agents. Credentials belong to a task's id or to a pod's token: another one gets others. */
#include "sim/agents.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "sim/wire.h"

_Static_assert(AGENTS_HEAD_BYTES <= WIRE_HEAD_BYTES, "the caller's buffer is for both");

const char *const service_names[SERVICE_COUNT] = {
	[SERVICE_IMDS] = "imds", [SERVICE_ECS] = "ecs", [SERVICE_EKS] = "eks"};

static struct answer say(int status, const char *content_type, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static struct answer say(int status, const char *content_type, const char *format, ...)
{
	struct answer answer = {.shape = SHAPE_AGENT, .status = status, .content_type = content_type};
	va_list arguments;

	va_start(arguments, format);
	int bytes = vasprintf(&answer.body.data, format, arguments);
	va_end(arguments);
	if (bytes < 0)
		abort();
	answer.body.bytes = (size_t)bytes;
	return answer;
}

#define JSON "application/json"
#define TEXT "text/plain; charset=utf-8"

/* ---- ECS */

static const struct ecs_error {
	int status;
	const char *code, *message;
} ecs_errors[] = {
	{400, "InvalidIdInRequest", "Credentials not found"},
	{400, "NoIdInRequest", "No Credential ID in the request"},
	{503, "CredentialsUninitialized", "Credentials uninitialized for ID"},
	{500, "InternalServerError", "Internal server error"},
};

static struct answer ecs_error(int status, const char *code)
{
	const struct ecs_error *error = &ecs_errors[COUNT_OF(ecs_errors) - 1];

	for (size_t i = 0; i < COUNT_OF(ecs_errors); i++)
		if (ecs_errors[i].status == status && (code == NULL || strcmp(code, ecs_errors[i].code) == 0))
			error = &ecs_errors[i];
	return say(status, JSON, "{\"code\":\"%s\",\"message\":\"CredentialsV2Request: %s\",\"HTTPErrorCode\":%d}",
	           error->code, error->message, status);
}

static bool is_task(const struct settings *settings, const char *id)
{
	size_t length = strlen(id);

	for (const char *at = settings->tasks; length > 0 && *at != '\0'; at += strspn(at, ",")) {
		size_t word = strcspn(at, ",");
		if (word == length && strncmp(at, id, length) == 0)
			return true;
		at += word;
	}
	return false;
}

/* The id of a request for credentials: behind the path, or the query of version 1. NULL: it asks for something else. */
static const char *task_id(const struct request *request)
{
	static const char second[] = "/v2/credentials";
	const char *path = request->target.path;
	const char *query = strstr(request->raw_target, "?id=");

	if (strcmp(path, "/v1/credentials") == 0)
		return query != NULL ? query + 4 : "";
	if (strncmp(path, second, strlen(second)) != 0)
		return NULL;
	path += strlen(second);
	return *path == '/' ? path + 1 : *path == '\0' ? path : NULL;
}

static struct answer answer_ecs(const struct sim *sim, const struct request *request)
{
	const char *id = task_id(request);
	struct credentials credentials;
	char expiration[32];

	if (strncmp(request->target.path, "/v3/", 4) == 0 || strncmp(request->target.path, "/v4/", 4) == 0)
		return say(200, JSON,
		           "{\"DockerId\":\"1234567890abcdef\",\"Name\":\"web\",\"KnownStatus\":\"RUNNING\"}");
	if (id == NULL)
		return say(404, TEXT, "404 page not found\n");
	if (!is_task(&sim->settings, id))
		return ecs_error(400, *id == '\0' ? "NoIdInRequest" : "InvalidIdInRequest");
	credentials_derive(&credentials, sim->sets.seed, id, sim->settings.account);
	time_iso(expiration, sim->sets.expiration);
	return say(200, JSON,
	           "{\"RoleArn\":\"arn:aws:iam::%s:role/tasks/task-%.8s\",\"AccessKeyId\":\"%s\","
	           "\"SecretAccessKey\":\"%s\",\"Token\":\"%s\",\"Expiration\":\"%s\"}",
	           sim->settings.account, id, credentials.access_key_id, credentials.secret, credentials.token,
	           expiration);
}

/* ---- EKS */

/* Go's http.Error */
#define EKS_ERROR(status, ...) say((status), TEXT, __VA_ARGS__)

static bool is_agent_host(const char *host)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s", host != NULL ? host : "");
	if (name[0] == '[')
		name[strcspn(name, "]")] = '\0';
	else if (strchr(name, ':') == strrchr(name, ':'))
		name[strcspn(name, ":")] = '\0';
	return strcmp(name[0] == '[' ? name + 1 : name, "fd00:ec2::23") == 0 || strcmp(name, "169.254.170.23") == 0;
}

static int base64_value(char c)
{
	const char *found = c != '\0' ? strchr(base64_url, c) : NULL;
	return found != NULL ? (int)(found - base64_url) : -1;
}

/* Writes the second of a JWT's three parts as text; false: it is no JWT. */
static bool claims_of(const char *jwt, char *ret, size_t size)
{
	const char *first = strchr(jwt, '.');
	const char *second = first != NULL ? strchr(first + 1, '.') : NULL;
	unsigned int bits = 0;
	size_t length = 0;

	if (second == NULL || strchr(second + 1, '.') != NULL)
		return false;
	int have = 0;
	for (const char *at = first + 1; at < second; at++) {
		int value = base64_value(*at);
		if (value < 0 || length + 1 == size)
			return false;
		bits = bits << 6 | (unsigned int)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			ret[length++] = (char)(bits >> have & 255);
		}
	}
	ret[length] = '\0';
	return length > 1 && ret[0] == '{' && ret[length - 1] == '}';
}

static struct answer answer_eks(const struct sim *sim, const struct request *request)
{
	const char *token = request_header(request, "Authorization");
	const char *host = request_header(request, "Host");
	struct credentials credentials;
	char claims[CREDENTIALS_LABEL_BYTES], expiration[32];

	if (strcmp(request->target.path, "/v1/credentials") != 0)
		return EKS_ERROR(404, "404 page not found\n");
	if (!is_agent_host(host))
		return EKS_ERROR(403,
		                 "Access Denied. Called agent through invalid address, please use either "
		                 "[169.254.170.23 fd00:ec2::23] address not %s\n",
		                 host != NULL ? host : "");
	if (token == NULL || *token == '\0')
		return EKS_ERROR(400, "Service account token cannot be empty\n");
	if (!claims_of(token, claims, sizeof(claims)))
		return EKS_ERROR(400, "Service account token cannot be parsed: token is malformed\n");
	const char *expires = strstr(claims, "\"exp\":");
	if (expires != NULL && strtoll(expires + 6, NULL, 10) <= (long long)time(NULL))
		return EKS_ERROR(400, "Service account token failed basic claim validations: token is expired\n");
	credentials_derive(&credentials, sim->sets.seed, claims, sim->settings.account);
	time_iso(expiration, sim->sets.expiration);
	return say(200, JSON,
	           "{\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"%s\",\"Token\":\"%s\",\"AccountId\":\"%s\","
	           "\"Expiration\":\"%.19s.123456789Z\"}",
	           credentials.access_key_id, credentials.secret, credentials.token, sim->settings.account, expiration);
}

void agents_answer(const struct sim *sim, const struct request *request, struct answer *ret_answer)
{
	long status = sim->settings.get_status;
	bool is_ecs = request->service == SERVICE_ECS;

	if (!request->has_target)
		*ret_answer = say(400, TEXT, "400 Bad Request");
	else if (status == 429)
		*ret_answer = agents_throttled();
	else if (status != 0)
		*ret_answer =
			is_ecs ? ecs_error((int)status, NULL)
			       : EKS_ERROR((int)status, "[1f2e3d4c]: (ServiceUnavailable): try again, fault: server\n");
	else
		*ret_answer = is_ecs ? answer_ecs(sim, request) : answer_eks(sim, request);
	if (ret_answer->status == 200)
		credentials_find_key(ret_answer->body.data, ret_answer->access_key_id);
}

struct answer agents_throttled(void)
{
	return say(429, TEXT, "Too Many Requests\n");
}

/* ---- the head */

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {{200, "OK"},
	               {400, "Bad Request"},
	               {403, "Forbidden"},
	               {404, "Not Found"},
	               {429, "Too Many Requests"},
	               {500, "Internal Server Error"},
	               {503, "Service Unavailable"}};

	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

size_t agents_head(char ret[static AGENTS_HEAD_BYTES], const struct request *request, const struct answer *answer,
                   time_t now, size_t length)
{
	char date[32];
	bool is_ecs = request->service == SERVICE_ECS;

	time_http(date, now);
	/* No `Connection: close`: Go keeps connections open unless it is asked not to. */
	return (size_t)snprintf(ret, AGENTS_HEAD_BYTES,
	                        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n%s%sDate: %s\r\nContent-Length: %zu\r\n\r\n",
	                        answer->status, reason_of(answer->status), answer->content_type,
	                        !is_ecs && answer->status != 200 ? "X-Content-Type-Options: nosniff\r\n" : "",
	                        is_ecs ? "X-Rate-Limit-Duration: 1\r\nX-Rate-Limit-Limit: 40.00\r\n"
	                                 "X-Rate-Limit-Request-Forwarded-For: \r\n"
	                                 "X-Rate-Limit-Request-Remote-Addr: 127.0.0.1:40000\r\n"
	                               : "",
	                        date, length);
}
