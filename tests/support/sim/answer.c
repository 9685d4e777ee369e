/* SPDX-License-Identifier: Apache-2.0 */
/* The service's decisions, in the order in which it seems to take them. Each guard either answers or lets the
 * next one look; what no guard refuses is looked up. */
#include "sim/answer.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { TTL_MAXIMUM = 21600, TTL_DIGITS = 5 };

static const char token_path[] = "/latest/api/token";

struct decision {
	const struct sim *sim;
	const struct request *request;
	int64_t now_ms;
	const char *token; /* that came with the request; NULL: IMDSv1 */
	long ttl_seconds;  /* that are left of it */
	struct answer *answer;
};

struct answer answer_status(int status)
{
	return (struct answer){.shape = SHAPE_ERROR, .status = status};
}

void answer_done(struct answer *answer)
{
	blob_done(&answer->body);
}

const char *request_header(const struct request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (strcasecmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	return NULL;
}

static bool refuse(struct decision *decision, int status)
{
	*decision->answer = answer_status(status);
	return true;
}

static bool answer_methods(struct decision *decision, int status, const char *allow)
{
	*decision->answer = (struct answer){.shape = SHAPE_METHODS, .status = status, .allow = allow};
	return true;
}

static bool is_token_path(const struct target *target)
{
	return strcmp(target->path, token_path) == 0 && !target->slash;
}

static bool guard_disabled(struct decision *decision)
{
	return decision->sim->settings.disabled && refuse(decision, 403);
}

/* The service's web server refuses any Expect, also the harmless one that libcurl sends. */
static bool guard_expect(struct decision *decision)
{
	return request_header(decision->request, "Expect") != NULL && refuse(decision, 417);
}

static bool guard_form(struct decision *decision)
{
	const struct request *request = decision->request;
	return (!request->has_target || request->body_bytes > REQUEST_BODY_LIMIT) && refuse(decision, 400);
}

static bool guard_fault(struct decision *decision)
{
	const struct settings *settings = &decision->sim->settings;
	const struct request *request = decision->request;
	long status = request->method == METHOD_PUT ? settings->put_status : settings->get_status;

	if (status == 0 || strncmp(request->target.path, settings->fault_path, strlen(settings->fault_path)) != 0)
		return false;
	return refuse(decision, (int)status);
}

/* 1 to 21600, digits only; spaces around them belong to the header. */
static long parse_ttl(const char *text)
{
	text += strspn(text, " \t");
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > TTL_DIGITS || text[digits + strspn(text + digits, " \t")] != '\0')
		return 0;

	long ttl = strtol(text, NULL, 10);
	return ttl <= TTL_MAXIMUM ? ttl : 0;
}

static bool issue_token(struct decision *decision)
{
	const struct request *request = decision->request;
	const char *asked = request_header(request, "X-aws-ec2-metadata-token-ttl-seconds");
	long ttl = asked != NULL ? parse_ttl(asked) : 0;
	char *token;

	if (request_header(request, "X-Forwarded-For") != NULL)
		return refuse(decision, 403);
	if (ttl == 0)
		return refuse(decision, 400);
	if ((token = malloc(TOKEN_CHARACTERS + 1)) == NULL)
		return refuse(decision, 500);

	tokens_issue(decision->sim->token_key, decision->now_ms, ttl, token);
	*decision->answer = (struct answer){
		.shape = SHAPE_TOKEN,
		.status = 200,
		.ttl_seconds = ttl,
		.body = {token, TOKEN_CHARACTERS},
	};
	return true;
}

static bool is_version(const char *name, size_t length)
{
	for (size_t i = 0; i < versions_count; i++)
		if (strlen(versions[i]) == length && strncmp(versions[i], name, length) == 0)
			return true;
	return false;
}

static bool guard_put(struct decision *decision)
{
	const struct target *target = &decision->request->target;
	const char *rest = strchr(target->path + 1, '/');

	if (decision->request->method != METHOD_PUT)
		return false;
	if (is_token_path(target))
		return issue_token(decision);
	/* The token path with a slash, or under another version, is refused in its own way. */
	if (rest != NULL && strcmp(rest, "/api/token") == 0 &&
	    is_version(target->path + 1, (size_t)(rest - target->path - 1)))
		return refuse(decision, 403);
	return answer_methods(decision, 405, "OPTIONS, GET, HEAD");
}

static bool guard_method(struct decision *decision)
{
	enum method method = decision->request->method;
	bool on_token = is_token_path(&decision->request->target);
	bool is_get = method == METHOD_GET || method == METHOD_HEAD;

	if (is_get && !on_token)
		return false;
	return answer_methods(decision, method == METHOD_OPTIONS ? 200 : 405,
	                      on_token ? "OPTIONS, PUT" : "OPTIONS, GET, HEAD");
}

static bool guard_token(struct decision *decision)
{
	const struct sim *sim = decision->sim;

	if (decision->token == NULL)
		return sim->settings.tokens == TOKENS_REQUIRED && refuse(decision, 401);
	if (request_header(decision->request, "X-Forwarded-For") != NULL)
		return refuse(decision, 403);

	decision->ttl_seconds = tokens_remaining(sim->token_key, decision->now_ms, decision->token);
	return decision->ttl_seconds == 0 && refuse(decision, 401);
}

static struct blob copy_blob(const void *data, size_t bytes)
{
	struct blob copy = {.data = malloc(bytes + 1), .bytes = bytes};

	if (copy.data == NULL)
		abort();
	if (bytes > 0)
		(void)memcpy(copy.data, data, bytes);
	copy.data[bytes] = '\0';
	return copy;
}

static void answer_versions(struct decision *decision)
{
	char list[1024];
	size_t length = 0;

	for (size_t i = 0; i < versions_count; i++)
		length +=
			(size_t)snprintf(list + length, sizeof(list) - length, "%s%s", i > 0 ? "\n" : "", versions[i]);
	*decision->answer = (struct answer){
		.shape = SHAPE_VALUE,
		.status = 200,
		.content_type = "text/plain",
		.modified = decision->sim->started,
		.body = copy_blob(list, length),
	};
}

static bool redirects(const struct settings *settings)
{
	if (settings->redirect == REDIRECT_AUTO)
		return settings->variant == VARIANT_B;
	return settings->redirect == REDIRECT_ON;
}

static void answer_node(struct decision *decision, const struct node *node)
{
	const struct sim *sim = decision->sim;
	const struct target *target = &decision->request->target;
	struct answer *answer = decision->answer;
	enum delivery delivery = node->split && decision->token != NULL ? DELIVERY_V2 : DELIVERY_V1;

	if (node->directory && !target->slash && redirects(&sim->settings)) {
		*answer = (struct answer){.shape = SHAPE_REDIRECT, .status = 301};
		(void)snprintf(answer->location, sizeof(answer->location), "http://169.254.169.254%s/", target->path);
		return;
	}
	*answer = (struct answer){
		.shape = SHAPE_VALUE,
		.status = 200,
		.content_type = node->binary ? "application/octet-stream" : "text/plain",
		.modified = node->rotates ? sim->sets.last_updated : sim->started,
		.body = copy_blob(node->body[delivery].data, node->body[delivery].bytes),
	};
	(void)strcpy(answer->access_key_id, node->access_key_id[delivery]);
}

static void look_up(struct decision *decision)
{
	const char *version = decision->request->target.path + 1;
	size_t length = strcspn(version, "/");
	const struct node *node = NULL;

	if (*version == '\0') {
		answer_versions(decision);
	} else {
		if (is_version(version, length))
			node = tree_find(&decision->sim->tree, version + length + (version[length] == '/' ? 1 : 0));
		if (node != NULL)
			answer_node(decision, node);
		else
			*decision->answer = answer_status(404);
	}
	decision->answer->ttl_seconds = decision->ttl_seconds;
}

void answer_request(const struct sim *sim, const struct request *request, int64_t now_ms, struct answer *ret_answer)
{
	static bool (*const guards[])(struct decision *) = {
		guard_disabled, guard_expect, guard_form, guard_fault, guard_put, guard_method, guard_token,
	};
	struct decision decision = {
		.sim = sim,
		.request = request,
		.now_ms = now_ms,
		.token = request_header(request, "X-aws-ec2-metadata-token"),
		.answer = ret_answer,
	};

	for (size_t i = 0; i < COUNT_OF(guards); i++)
		if (guards[i](&decision))
			return;
	look_up(&decision);
}
