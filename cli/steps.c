/* SPDX-License-Identifier: Apache-2.0 */

/* What can be done to which kind of target: THE TABLE of steps, with what each breaks. Names that came from logs go
 * into commands quoted. */
#include "cli/steps.h"

#include <string.h>

#include "cli/printable.h"

#define NAME_MISSING "REPLACE_WITH_ROLE_NAME"
#define USER_MISSING "REPLACE_WITH_USER_NAME"

/* ---- policies */

static json_t *policy_of(const char *sid, json_t *condition)
{
	json_t *statement =
		json_pack("{s:s, s:s, s:s, s:s}", "Sid", sid, "Effect", "Deny", "Action", "*", "Resource", "*");
	if (condition != NULL)
		json_put(statement, "Condition", condition);
	return json_pack("{s:s, s:[o]}", "Version", "2012-10-17", "Statement", statement);
}

static json_t *deny_session(const struct target *target)
{
	return policy_of("KeytrailDenySession", json_pack("{s:{s:s}}", "StringEquals", "aws:userId", target->user_id));
}

static json_t *deny_older(const struct target *target)
{
	return policy_of("KeytrailRevokeOlderSessions",
	                 json_pack("{s:{s:s}}", "DateLessThan", "aws:TokenIssueTime", target->now));
}

static json_t *deny_all(const struct target *target)
{
	(void)target;
	return policy_of("KeytrailDenyAll", NULL);
}

/* ---- commands */

void steps_add_command(json_t *commands, const char *const *words)
{
	CLEANUP_JSON json_t *list = json_array();
	CLEANUP_BUFFER struct buffer line = {0};
	for (; *words != NULL; words++)
		(void)json_array_append_new(list, json_from_bytes(*words, strlen(*words)));
	if (printable_command(&line, list, NULL) == 0)
		(void)json_array_append_new(commands, json_string(line.bytes));
}
#define COMMAND(commands, ...) steps_add_command((commands), (const char *const[]){__VA_ARGS__, NULL})

static const char *role_name(const struct target *target)
{
	return target->role != NULL ? target->role : NAME_MISSING;
}

/* What a name or an id has to be replaced with. */
static void look_up_role(const struct target *target, json_t *commands)
{
	char query[300];
	size_t length = target->principal != NULL ? strcspn(target->principal, ":") : 0;
	if (target->role == NULL && target_is_plain(target->principal, ":")) {
		(void)snprintf(query, sizeof(query), "Roles[?RoleId=='%.*s'].RoleName", (int)length, target->principal);
		COMMAND(commands, "aws", "iam", "list-roles", "--query", query, "--output", "text");
	}
	if (strstr(target->user_id, TARGET_ID_MISSING) != NULL)
		COMMAND(commands, "aws", "iam", "get-role", "--role-name", role_name(target), "--query", "Role.RoleId",
		        "--output", "text");
}

static void put_role_policy(const struct target *target, const char *name, const char *policy, json_t *commands)
{
	look_up_role(target, commands);
	COMMAND(commands, "aws", "iam", "put-role-policy", "--role-name", role_name(target), "--policy-name", name,
	        "--policy-document", policy);
}

static void deny_session_commands(const struct target *target, const char *policy, json_t *commands)
{
	put_role_policy(target, "KeytrailDenySession", policy, commands);
}

static void revoke_commands(const struct target *target, const char *policy, json_t *commands)
{
	put_role_policy(target, "KeytrailRevokeOlderSessions", policy, commands);
}

static const char *user_name(const struct target *target)
{
	return target->user != NULL ? target->user : USER_MISSING;
}

static void look_up_user(const struct target *target, json_t *commands)
{
	if (target->user == NULL && target->key != NULL)
		COMMAND(commands, "aws", "iam", "get-access-key-last-used", "--access-key-id", target->key, "--query",
		        "UserName", "--output", "text");
}

static void deactivate_commands(const struct target *target, const char *policy, json_t *commands)
{
	(void)policy;
	look_up_user(target, commands);
	COMMAND(commands, "aws", "iam", "update-access-key", "--user-name", user_name(target), "--access-key-id",
	        target->key != NULL ? target->key : "REPLACE_WITH_KEY", "--status", "Inactive");
}

static void deny_user_commands(const struct target *target, const char *policy, json_t *commands)
{
	look_up_user(target, commands);
	COMMAND(commands, "aws", "iam", "put-user-policy", "--user-name", user_name(target), "--policy-name",
	        "KeytrailDenyAll", "--policy-document", policy);
}

static void delete_login_commands(const struct target *target, const char *policy, json_t *commands)
{
	(void)policy;
	COMMAND(commands, "aws", "iam", "delete-login-profile", "--user-name", user_name(target));
}

static void isolate_commands(const struct target *target, const char *policy, json_t *commands)
{
	(void)policy;
	COMMAND(commands, "aws", "ec2", "modify-instance-attribute", "--instance-id",
	        target->instance != NULL ? target->instance : "REPLACE_WITH_INSTANCE", "--groups",
	        "REPLACE_WITH_A_CLOSED_SECURITY_GROUP", "--region",
	        target->region != NULL ? target->region : "REPLACE_WITH_REGION");
}

static void identity_commands(const struct target *target, const char *policy, json_t *commands)
{
	(void)policy;
	COMMAND(commands, "aws", "ec2", "stop-instances", "--instance-ids",
	        target->instance != NULL ? target->instance : "REPLACE_WITH_INSTANCE", "--region",
	        target->region != NULL ? target->region : "REPLACE_WITH_REGION");
}

static void find_out_commands(const struct target *target, const char *policy, json_t *commands)
{
	char attribute[KEY_ID_BYTES + 64];
	const char *key = target->key != NULL ? target->key : "REPLACE_WITH_KEY";
	(void)policy;
	COMMAND(commands, "aws", "sts", "get-access-key-info", "--access-key-id", key);
	(void)snprintf(attribute, sizeof(attribute), "AttributeKey=AccessKeyId,AttributeValue=%s", key);
	COMMAND(commands, "aws", "cloudtrail", "lookup-events", "--lookup-attributes", attribute);
}

/* ---- THE TABLE of steps */

#define KIND(kind) (1U << (kind))
static const struct step {
	const char *id;
	unsigned kinds;
	bool needs_instance;
	const char *title, *why, *breaks, *undo;
	json_t *(*policy)(const struct target *target);
	void (*commands)(const struct target *target, const char *policy, json_t *commands);
} steps[] = {
	{.id = "find-principal",
         .kinds = KIND(TARGET_UNKNOWN),
         .title = "Find out whose key it is",
         .why = "Neither ledger nor findings know the key: its account can say which role or user it is of.",
         .breaks = "Nothing.",
         .undo = "",
         .commands = find_out_commands},
	{.id = "deny-session",
         .kinds = KIND(TARGET_SESSION),
         .title = "Deny everything to this one session",
         .why = "Ends this session's keys, those that it has and those that it will get, and touches no other session "
                "of "
                "the role.",
         .breaks =
                 "Everything on that machine that uses the role, until the policy is taken away: new keys of the same "
                 "machine have the same user id.",
         .undo = "aws iam delete-role-policy with the same role and policy name",
         .policy = deny_session,
         .commands = deny_session_commands},
	{.id = "revoke-older-sessions",
         .kinds = KIND(TARGET_SESSION),
         .title = "Revoke all sessions of the role that were issued until now",
         .why = "For when other keys of the role may have leaked too, or when it is not known which session it was.",
         .breaks = "Everything that uses the role, everywhere, until it gets new keys. Instances get new ones before "
                   "the old "
                   "ones expire, not at once; stopping and starting one brings them sooner.",
         .undo = "aws iam delete-role-policy with the same role and policy name, once the last old session has expired",
         .policy = deny_older,
         .commands = revoke_commands},
	{.id = "isolate-instance",
         .kinds = KIND(TARGET_SESSION) | KIND(TARGET_IDENTITY),
         .needs_instance = true,
         .title = "Isolate the instance",
         .why = "Whoever took the key from it may still be there, and take the next one. This does not end keys that "
                "were "
                "taken already: the steps above do.",
         .breaks = "All that the instance serves, and your own way in over the network. Connections that are open may "
                   "go on.",
         .undo = "aws ec2 modify-instance-attribute with the security groups that it had: note them first",
         .commands = isolate_commands},
	{.id = "stop-instance",
         .kinds = KIND(TARGET_IDENTITY),
         .title = "Stop the instance",
         .why = "The instance identity role is EC2's own: no policy can be attached to it, and its keys end when they "
                "expire. It may do little; a service control policy can deny it the rest.",
         .breaks = "All that the instance serves; its memory is lost as evidence.",
         .undo = "aws ec2 start-instances",
         .commands = identity_commands},
	{.id = "deactivate-key",
         .kinds = KIND(TARGET_USER),
         .title = "Deactivate the user's key",
         .why = "The key does not expire by itself.",
         .breaks =
                 "Everything that uses this key. Sessions that were made with it go on until they expire: see the next "
                 "step.",
         .undo = "aws iam update-access-key with --status Active; delete it once nobody needs it as evidence",
         .commands = deactivate_commands},
	{.id = "deny-user",
         .kinds = KIND(TARGET_USER) | KIND(TARGET_LOGIN),
         .title = "Deny everything to the user",
         .why = "Ends its other keys, its console sessions, and sessions that were made with its keys.",
         .breaks = "All that the user does.",
         .undo = "aws iam delete-user-policy with the same user and policy name",
         .policy = deny_all,
         .commands = deny_user_commands},
	{.id = "delete-login",
         .kinds = KIND(TARGET_LOGIN),
         .title = "Take the user's password away",
         .why = "It was made, or set anew, with the key.",
         .breaks = "Signing in to the console as this user.",
         .undo = "aws iam create-login-profile with a new password",
         .commands = delete_login_commands},
};

static json_t *target_text(const struct target *target)
{
	const char *name = target->key != NULL ? target->key : target->user != NULL ? target->user : "the session";
	return json_sprintf("%s%s%s, account %s", name, target->is_derived ? " (derived)" : "",
	                    target->kind == TARGET_IDENTITY ? " (instance identity role)" : "",
	                    target->account != NULL ? target->account : "not known");
}

void steps_add(json_t *list, const struct target *target)
{
	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
		const struct step *step = &steps[i];
		if ((step->kinds & KIND(target->kind)) == 0 || (step->needs_instance && target->instance == NULL))
			continue;
		json_t *object = json_object(), *commands = json_array();
		json_t *policy = step->policy != NULL ? step->policy(target) : NULL;
		CLEANUP_FREE char *text = policy != NULL ? json_dumps(policy, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
		step->commands(target, text != NULL ? text : "", commands);
		json_put_text(object, "id", step->id);
		json_put(object, "target", target_text(target));
		json_put_text(object, "title", step->title);
		json_put_text(object, "why", step->why);
		json_put_text(object, "breaks", step->breaks);
		json_put_text(object, "undo", step->undo);
		json_put(object, "policy", policy);
		json_put(object, "commands", commands);
		(void)json_array_append_new(list, object);
	}
}
