/* SPDX-License-Identifier: Apache-2.0 */

/* From what ledger and findings say of a key to whose permissions have to end. */
#include "cli/target.h"

#include <string.h>

#include "common/text.h"

#define IDENTITY_ROLE "aws:ec2-instance"

const char *const target_kind_names[TARGET_KIND_COUNT] = {[TARGET_SESSION] = "session",
                                                          [TARGET_USER] = "user",
                                                          [TARGET_IDENTITY] = "identity",
                                                          [TARGET_LOGIN] = "login",
                                                          [TARGET_UNKNOWN] = "unknown"};

bool target_is_plain(const char *text, const char *more)
{
	char allowed[128];
	(void)snprintf(allowed, sizeof(allowed), "%s%s",
	               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-", more);
	return text != NULL && text[0] != '\0' && strspn(text, allowed) == strlen(text);
}

/* `AROA...:session` as logs have it; else the session's name is the instance's, and the role's id has to be filled in.
 * Nothing else gets into a policy: `${` would be a variable there. */
static void name_session(struct target *target)
{
	if (target_is_plain(target->principal, ":") && strlen(target->principal) < sizeof(target->user_id) - 1)
		(void)text_copy(target->user_id, sizeof(target->user_id), target->principal);
	else
		(void)snprintf(target->user_id, sizeof(target->user_id), TARGET_ID_MISSING ":%s",
		               target_is_plain(target->instance, "") ? target->instance : "REPLACE_WITH_SESSION_NAME");
	if (target->principal != NULL && strstr(target->principal, ":" IDENTITY_ROLE ":") != NULL)
		target->kind = TARGET_IDENTITY;
	if (target->role != NULL && strcmp(target->role, IDENTITY_ROLE) == 0)
		target->kind = TARGET_IDENTITY;
}

static enum target_kind kind_of(const char *key, bool has_session)
{
	return key != NULL && text_starts(key, "AKIA") ? TARGET_USER : has_session ? TARGET_SESSION : TARGET_UNKNOWN;
}

static void complete(struct target *target, int64_t now_us)
{
	name_session(target);
	(void)clock_format(now_us, target->now);
	memcpy(target->now + strlen("2026-01-01T00:00:00"), "Z", 2);
}

struct target target_root(const struct subject *subject, const json_t *finding, int64_t now_us)
{
	const json_t *first = json_array_get(json_at(finding, "lineage"), 0);
	const json_t *host = json_at(json_array_get(json_at(finding, "suspects"), 0), "host");
	const char *principal =
		first != NULL ? json_text_at(first, "principal_id") : json_text_at(finding, "principal_id");
	const char *role = json_text_at(subject->delivered, "role"),
		   *region = json_text_at(subject->delivered, "region");
	const char *account = json_text_at(subject->delivered, "host_account_id");
	const char *instance = json_text_at(subject->delivered, "instance_id");
	struct target target = {.key = subject->root[0] != '\0' ? subject->root : NULL,
	                        .account = account != NULL ? account : json_text_at(finding, "owner.account_id"),
	                        .role = role != NULL ? role : json_text_at(finding, "owner.role"),
	                        .instance = instance != NULL ? instance : json_text_at(finding, "owner.instance_id"),
	                        .region = region != NULL ? region : json_text_at(host, "region"),
	                        .principal = principal};
	const char *source = json_text_at(subject->delivered, "source");
	bool is_task = source != NULL &&
	               (strcmp(source, source_names[SOURCE_ECS]) == 0 || strcmp(source, source_names[SOURCE_EKS]) == 0);
	if (is_task)
		target.instance = NULL; /* its session has a name of its own, and the host serves others too */
	target.kind = kind_of(target.key, target.role != NULL || target.principal != NULL || target.instance != NULL);
	if (source != NULL && strcmp(source, source_names[SOURCE_IDENTITY]) == 0)
		target.kind = TARGET_IDENTITY;
	complete(&target, now_us);
	return target;
}

struct target target_derived(const json_t *step, int64_t now_us)
{
	const char *user = json_text_at(step, "user"), *slash = user != NULL ? strrchr(user, '/') : NULL;
	struct target target = {.key = json_text_at(step, "access_key_id"),
	                        .account = json_text_at(step, "account_id"),
	                        .principal = json_text_at(step, "principal_id"),
	                        .user = slash != NULL ? slash + 1 : user, /* ACCOUNT/NAME */
	                        .is_derived = true};
	target.kind = target.key == NULL && target.user != NULL ? TARGET_LOGIN
	                                                        : kind_of(target.key, target.principal != NULL);
	complete(&target, now_us);
	return target;
}
