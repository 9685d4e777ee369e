/* SPDX-License-Identifier: Apache-2.0 */

/* Reading issues of credentials. The caller's account and the target's each get a record of a call across accounts: one
 * names the parent's key, and the other may be the only one to name the child's, so a link may be half of one. */
#include "detector/links.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/text.h"
#include "detector/triage.h"

const char *const link_kind_names[LINK_KIND_COUNT] = {
	[LINK_KEY] = "key", [LINK_USER] = "user", [LINK_LOGIN] = "login", [LINK_CONSOLE] = "console"};

struct raw {
	char key[KEY_ID_BYTES], created_key[KEY_ID_BYTES], plain_key[KEY_ID_BYTES];
	char expiration[40], token_expiration[40];
	char role_principal[EVENT_LONG_BYTES], federated_principal[EVENT_LONG_BYTES];
	char user_id[KEY_ID_BYTES], user_name[ROLE_BYTES], asked_user[ROLE_BYTES], session[EVENT_TEXT_BYTES];
	char answer[40];
};

#define TEXT(json, field) FIELD(json, FIELD_TEXT, struct raw, field)

static const struct field credentials[] = {
	TEXT("accessKeyId", key),
	TEXT("expiration", expiration),
};
static const struct field access_key[] = {TEXT("accessKeyId", created_key)};
static const struct field role_user[] = {TEXT("assumedRoleId", role_principal), TEXT("assumeRoleId", role_principal)};
static const struct field federated_user[] = {TEXT("federatedUserId", federated_principal)};
static const struct field user[] = {TEXT("userId", user_id), TEXT("userName", user_name)};
static const struct field response[] = {
	FIELDS("credentials", credentials),
	FIELDS("accessKey", access_key),
	FIELDS("assumedRoleUser", role_user),
	FIELDS("federatedUser", federated_user),
	FIELDS("user", user),
	TEXT("accessKeyId", plain_key),
	TEXT("tokenExpirationDate", token_expiration),
	TEXT("GetSigninToken", answer),
};
static const struct field request[] = {
	TEXT("userName", asked_user),
	TEXT("roleSessionName", session),
};
static const struct field fields[] = {
	FIELDS("requestParameters", request),
	FIELDS("responseElements", response),
};

/* ---- who */

static void user_of(const char *account, const char *name, char to[static USER_BYTES])
{
	to[0] = '\0';
	if (account[0] != '\0' && name[0] != '\0')
		(void)snprintf(to, USER_BYTES, "%s/%s", account, name);
}

struct caller caller_of(const struct event *event, char room[static USER_BYTES])
{
	user_of(event->account_id, strcmp(event->identity_type, "IAMUser") == 0 ? event->user_name : "", room);
	return (struct caller){
		.at_us = event->at_us,
		.key = event->access_key_id,
		.principal = event->principal_id,
		.instance = event->session_instance,
		.account = event->account_id,
		.user = room,
		.is_console = event->is_console,
	};
}

/* ---- when */

bool link_parse_time(const char *text, int64_t *ret_us)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char month[4] = "", half[3] = "";
	int day, year, hour, minute, second, used = 0;
	if (clock_parse(text, ret_us))
		return true;
	if (sscanf(text, "%3[A-Za-z] %2d, %4d%*[, ]%2d:%2d:%2d%n", month, &day, &year, &hour, &minute, &second,
	           &used) != 6 ||
	    used == 0)
		return false;
	/* The space before AM is a narrow one (U+202F) since Java 20. */
	const char *rest = text + used + strspn(text + used, " \xe2\x80\xaf");
	const char *found = strstr(months, month);
	if (strlen(month) != 3 || found == NULL || (found - months) % 3 != 0 || !text_copy(half, sizeof(half), rest) ||
	    (strcmp(half, "AM") != 0 && strcmp(half, "PM") != 0) || hour < 1 || hour > 12)
		return false;
	struct tm when = {
		.tm_year = year - 1900,
		.tm_mon = (int)(found - months) / 3,
		.tm_mday = day,
		.tm_hour = hour % 12 + (half[0] == 'P' ? 12 : 0),
		.tm_min = minute,
		.tm_sec = second,
	};
	*ret_us = (int64_t)timegm(&when) * CLOCK_SECOND_US;
	return true;
}

/* ---- what */

static const char *first_of(const char *first, const char *second)
{
	return first[0] != '\0' ? first : second;
}

static void take_child(const struct event *event, const struct raw *raw, struct link_room *room, struct link *link)
{
	const char *user_name = first_of(raw->user_name, raw->asked_user);
	if (strcmp(event->name, "CreateUser") == 0) {
		link->kind = LINK_USER;
		(void)text_copy(room->child, sizeof(room->child), raw->user_id);
	} else if (strcmp(event->name, "CreateLoginProfile") == 0 || strcmp(event->name, "UpdateLoginProfile") == 0) {
		link->kind = LINK_LOGIN;
		user_of(first_of(event->recipient_account, event->account_id), user_name, room->child);
	} else if (strcmp(event->name, "GetSigninToken") == 0) {
		link->kind = LINK_CONSOLE;
		(void)text_copy(room->principal, sizeof(room->principal), event->principal_id);
		link->child = room->principal;
		return;
	} else {
		link->kind = LINK_KEY;
		(void)text_copy(room->key, sizeof(room->key),
		                first_of(raw->key, first_of(raw->created_key, raw->plain_key)));
		(void)text_copy(room->principal, sizeof(room->principal),
		                first_of(raw->role_principal, raw->federated_principal));
		link->child = room->key;
		link->child_principal = room->principal;
		return;
	}
	link->child = room->child;
}

bool link_read(const struct record_text *text, const struct event *event, struct link_room *room, struct link *ret)
{
	struct raw raw = {0};
	const char *dot = strchr(event->service, '.');
	if (event->error_code[0] != '\0' || !fields_read(text, fields, ARRAY_LENGTH(fields), &raw))
		return false;
	*room = (struct link_room){0};
	struct link link = {
		.parent = caller_of(event, room->user),
		.event_id = event->id,
		.shared_id = event->shared_id,
		.action = room->action,
		.child = "",
		.child_principal = "",
		.child_account = event->recipient_account,
	};
	(void)snprintf(room->action, sizeof(room->action), "%.*s:%.50s",
	               dot != NULL && dot - event->service < 25 ? (int)(dot - event->service) : 0, event->service,
	               event->name);
	if (!link_parse_time(first_of(raw.expiration, raw.token_expiration), &link.expires_us))
		link.expires_us = 0;
	take_child(event, &raw, room, &link);
	bool may_be_half = link.shared_id[0] != '\0' && link.parent.key[0] != '\0';
	*ret = link;
	return link.child[0] != '\0' || may_be_half;
}

bool link_read_issue(const struct record_text *text, const struct event *event, struct link_room *room,
                     const char **ret_key, const char **ret_instance)
{
	struct raw raw = {0};
	if (strcmp(event->name, "AssumeRole") != 0 || strcmp(event->identity_type, "AWSService") != 0 ||
	    strcmp(event->source_text, "ec2.amazonaws.com") != 0 || event->error_code[0] != '\0' ||
	    !fields_read(text, fields, ARRAY_LENGTH(fields), &raw))
		return false;
	(void)text_copy(room->key, sizeof(room->key), raw.key);
	(void)text_copy(room->session, sizeof(room->session), raw.session);
	*ret_key = room->key;
	*ret_instance = room->session;
	size_t length = strlen(room->session);
	return room->key[0] != '\0' && triage_instance_id(room->session, room->session + length) == length;
}

/* ---- rows */

struct head {
	int64_t at_us, expires_us;
	uint32_t kind;
	uint32_t is_console;
};

#define TEXT_COUNT 11

/* The texts of a link, in the order of its row. */
static void texts_of(struct link *link, const char **texts[static TEXT_COUNT])
{
	const char **const all[TEXT_COUNT] = {
		&link->parent.key,  &link->parent.principal, &link->parent.instance, &link->parent.account,
		&link->parent.user, &link->event_id,         &link->shared_id,       &link->action,
		&link->child,       &link->child_principal,  &link->child_account,
	};
	memcpy(texts, all, sizeof(all));
}

int link_pack(const struct link *link, struct buffer *to, struct error *err)
{
	struct link copy = *link;
	const char **texts[TEXT_COUNT];
	const struct head head = {link->parent.at_us, link->expires_us, (uint32_t)link->kind,
	                          link->parent.is_console ? 1 : 0};
	texts_of(&copy, texts);
	buffer_clear(to);
	if (buffer_append(to, &head, sizeof(head), err) < 0)
		return -1;
	for (size_t i = 0; i < TEXT_COUNT; i++)
		if (buffer_append(to, *texts[i], strlen(*texts[i]) + 1, err) < 0)
			return -1;
	return 0;
}

bool link_unpack(const char *row, size_t length, struct link *ret)
{
	struct head head;
	const char **texts[TEXT_COUNT], *end = row + length;
	*ret = (struct link){0};
	if (length < sizeof(head))
		return false;
	memcpy(&head, row, sizeof(head));
	texts_of(ret, texts);
	const char *at = row + sizeof(head);
	for (size_t i = 0; i < TEXT_COUNT; i++) {
		const char *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
		if (nul == NULL)
			return false;
		*texts[i] = at;
		at = nul + 1;
	}
	ret->kind = (enum link_kind)head.kind;
	ret->expires_us = head.expires_us;
	ret->parent.at_us = head.at_us;
	ret->parent.is_console = head.is_console != 0;
	return head.kind < LINK_KIND_COUNT;
}
