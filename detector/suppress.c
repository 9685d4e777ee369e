/* SPDX-License-Identifier: Apache-2.0 */

/* A suppression hides something: each must say what it hides and why, and a slip in it is an error, not a wider or a
 * narrower one. An address says nothing behind an endpoint, so a prefix never matches there; and of a party with
 * several addresses or endpoints, all must be known. */
#include "detector/suppress.h"

#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "detector/event.h"
#include "detector/rule.h"

#define NARROWEST_V4 (96 + 8)
#define NARROWEST_V6 16

/* ---- reading */

MUST_USE static int read_type(const char *text, struct suppression *to, struct error *err)
{
	if (text != NULL && strcmp(text, "*") == 0)
		return 0;
	for (size_t i = 0; i < RULE_COUNT; i++)
		if (text != NULL && strcmp(rules[i]->type, text) == 0)
			to->type = rules[i]->type;
	if (to->type == NULL)
		return error_set(err, ERROR_INPUT, "type: expected one that `keytrail detect --rules` lists, or \"*\"");
	return 0;
}

MUST_USE static int read_remote(const char *text, struct suppression *to, struct error *err)
{
	to->remote = text;
	if (text != NULL && (event_is_account(text) || text_starts(text, "vpce-")))
		return 0;
	to->is_prefix = true;
	if (text == NULL || !cidr_parse(text, &to->prefix))
		return error_set(
			err, ERROR_INPUT,
			"remote: expected an account, an endpoint, an address or a prefix such as 192.0.2.0/24");
	if (to->prefix.bits < (strchr(text, ':') == NULL ? NARROWEST_V4 : NARROWEST_V6))
		return error_set(err, ERROR_INPUT, "remote: \"%.60s\" is wider than any one party's network", text);
	return 0;
}

MUST_USE static int read_one(const json_t *object, struct suppression *to, struct error *err)
{
	static const char *const members[] = {"type", "remote", "reason", "expires"};
	json_t *changeable = (json_t *)(uintptr_t)object, *value;
	const char *name, *expires = json_text_at(object, "expires");
	json_object_foreach (changeable, name, value)
		if (name_index(members, ARRAY_LENGTH(members), name) < 0)
			return error_set(err, ERROR_INPUT, "%.60s: unknown member", name);
	to->reason = json_text_at(object, "reason");
	if (to->reason == NULL || to->reason[strspn(to->reason, " ")] == '\0')
		return error_set(err, ERROR_INPUT, "reason: expected why this is no theft");
	/* A bare date is its beginning. Times relative to now would never end. */
	if (json_at(object, "expires") != NULL &&
	    (expires == NULL || strchr(expires, '-') == NULL || !clock_parse_when(expires, 0, &to->expires_us)))
		return error_set(err, ERROR_INPUT, "expires: expected a date or a time such as 2027-01-31T00:00:00Z");
	if (read_type(json_text_at(object, "type"), to, err) < 0)
		return -1;
	return read_remote(json_text_at(object, "remote"), to, err);
}

int suppressions_read(const json_t *list, struct suppressions *ret, struct error *err)
{
	struct suppressions suppressions = {0};
	if (list == NULL)
		return 0;
	if (!json_is_array(list))
		return error_set(err, ERROR_INPUT, "suppressions: expected a list");
	suppressions.list = calloc(json_array_size(list) + 1, sizeof(*suppressions.list));
	if (suppressions.list == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for suppressions");
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (read_one(json_array_get(list, i), &suppressions.list[i], err) < 0) {
			suppressions_done(&suppressions);
			return error_prefix(err, "suppressions, entry %zu", i + 1);
		}
		suppressions.count++;
	}
	suppressions.file = json_incref((json_t *)(uintptr_t)list);
	*ret = suppressions;
	return 0;
}

void suppressions_done(struct suppressions *suppressions)
{
	free(suppressions->list);
	json_decref(suppressions->file);
	*suppressions = (struct suppressions){0};
}

/* ---- matching */

static bool is_text_at(const json_t *finding, const char *path, const char *wanted)
{
	const char *text = json_text_at(finding, path);
	return text != NULL && strcmp(text, wanted) == 0;
}

static bool is_address_within(const char *text, const struct suppression *suppression)
{
	struct address address;
	return address_parse(text, &address) && cidr_contains(&suppression->prefix, &address);
}

static bool is_that_endpoint(const char *text, const struct suppression *suppression)
{
	return strcmp(text, suppression->remote) == 0;
}

/* Do all uses of the finding say so? Its lists are cut, and leave out uses that say nothing: so they are counted. */
static bool all_are(const json_t *finding, const char *list, const char *member, const struct suppression *suppression,
                    bool (*is_meant)(const char *text, const struct suppression *suppression))
{
	const json_t *entries = json_at(finding, list);
	int64_t all = 0, known = 0, count = 0;
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const char *text = json_text_at(json_array_get(entries, i), member);
		if (text == NULL || !is_meant(text, suppression) ||
		    !json_int_at(json_array_get(entries, i), "count", &count))
			return false;
		known += count;
	}
	return known > 0 && json_int_at(finding, "count", &all) && known == all;
}

static bool matches(const struct suppression *suppression, const json_t *finding)
{
	if (suppression->type != NULL && !is_text_at(finding, "type", suppression->type))
		return false;
	if (suppression->is_prefix)
		return json_at(finding, "remote.vpc_endpoint_id") == NULL &&
		       all_are(finding, "addresses", "address", suppression, is_address_within);
	return is_text_at(finding, "remote.account_id", suppression->remote) ||
	       all_are(finding, "endpoints", "vpc_endpoint_id", suppression, is_that_endpoint);
}

static json_t *object_of(const struct suppression *suppression)
{
	json_t *object = json_object();
	json_put_text(object, "type", suppression->type != NULL ? suppression->type : "*");
	json_put_text(object, "remote", suppression->remote);
	json_put_text(object, "reason", suppression->reason);
	json_put_time(object, "expires_at", suppression->expires_us);
	return object;
}

/* Of several the first that is in force. */
void suppressions_put(const struct suppressions *suppressions, json_t *finding, int64_t now_us)
{
	const struct suppression *found = NULL;
	for (size_t i = 0; i < suppressions->count && found == NULL; i++) {
		const struct suppression *suppression = &suppressions->list[i];
		bool is_over = suppression->expires_us != 0 && suppression->expires_us <= now_us;
		if (!is_over && matches(suppression, finding))
			found = suppression;
	}
	json_put_bool(finding, "suppressed", found != NULL);
	json_put(finding, "suppression", found != NULL ? object_of(found) : NULL);
}
