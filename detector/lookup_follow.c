/* SPDX-License-Identifier: Apache-2.0 */

/* The same links and the same closing as in a run of the detector; what is new is that each descendant becomes a
 * question: a key by its id, a user or a console session by its name. */
#include "detector/lookup_follow.h"

#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/json.h"
#include "detector/lesson.h"

/* LookupEvents knows users by name, later records by unique id. */
MUST_USE static int note_user(struct follow *follow, const char *id, const char *record, struct error *err)
{
	CLEANUP_JSON json_t *object = json_loads(record, 0, NULL);
	const char *name = json_text_at(object, "responseElements.user.userName");
	struct map_entry entry;
	if (name == NULL || id[0] == '\0')
		return 0;
	if (array_reserve(&follow->names, sizeof(*follow->names), follow->name_count, &follow->name_capacity, "users",
	                  err) < 0 ||
	    map_add(&follow->users, id, strlen(id), (uint32_t)follow->name_count, &entry, err) < 0 ||
	    map_keep(&follow->texts, &name, err) < 0)
		return -1;
	if (entry.value == follow->name_count)
		follow->names[follow->name_count++] = name;
	return 0;
}

int follow_take(struct follow *follow, const char *record, struct error *err)
{
	CLEANUP(record_text_done) struct record_text text = {0};
	struct event event;
	struct link_room room;
	struct link link;
	size_t length = strlen(record);
	if (!event_read(record, length, &event) || lesson_of(event.name, strlen(event.name)) != LESSON_LINK ||
	    strcmp(event.identity_type, "AWSService") == 0 || event.at_us == 0 ||
	    !record_text_find(record, length, &text) || !link_read(&text, &event, &room, &link))
		return 0;
	if (link.kind == LINK_USER && note_user(follow, link.child, record, err) < 0)
		return -1;
	return lineage_add(&follow->lineage, &link, err);
}

/* ---- one descendant as a question */

struct wanted {
	const char *attribute, *value;
};

static struct wanted wanted_of(const struct follow *follow, const struct derived *derived)
{
	const char *session = strrchr(derived->principal, ':'), *user = strchr(derived->name, '/');
	uint32_t name;
	switch (derived->kind) {
	case LINK_KEY:
		return (struct wanted){"AccessKeyId", derived->name};
	case LINK_USER:
		name = map_find(&follow->users, derived->name, strlen(derived->name));
		return (struct wanted){"Username", name != MAP_NONE ? follow->names[name] : ""};
	case LINK_LOGIN:
		return (struct wanted){"Username", user != NULL ? user + 1 : ""};
	case LINK_CONSOLE:
		return (struct wanted){"Username", session != NULL ? session + 1 : ""};
	case LINK_KIND_COUNT:
	default:
		return (struct wanted){"", ""};
	}
}

static int compare(const void *left, const void *right, void *context)
{
	const struct lineage *lineage = context;
	const struct derived *a = &lineage->derived[*(const size_t *)left];
	const struct derived *b = &lineage->derived[*(const size_t *)right];
	return a->at_us != b->at_us ? (a->at_us > b->at_us ? -1 : 1) : strcmp(a->name, b->name);
}

int follow_open(struct follow *follow, struct error *err)
{
	struct lineage *lineage = &follow->lineage;
	free(follow->order);
	follow->order = NULL;
	follow->count = follow->at = 0;
	if (lineage_close(lineage, err) < 0)
		return -1;
	follow->order = calloc(lineage->count + 1, sizeof(*follow->order));
	if (follow->order == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for derived keys");
	for (; follow->count < lineage->count; follow->count++)
		follow->order[follow->count] = follow->count;
	qsort_r(follow->order, follow->count, sizeof(*follow->order), compare, lineage);
	return 0;
}

/* The ledger's own sessions are asked for anyway. */
static bool is_known(const struct follow *follow, const struct wanted *wanted)
{
	return wanted->value[0] == '\0' ||
	       (strcmp(wanted->attribute, "Username") == 0 &&
	        tracked_instance(follow->lineage.tracked, wanted->value, strlen(wanted->value)) != NULL);
}

int follow_next(struct follow *follow, const char **ret_attribute, const char **ret_value, int64_t *ret_expires_us,
                bool *ret_more, struct error *err)
{
	*ret_more = false;
	while (follow->at < follow->count) {
		const struct derived *derived = &follow->lineage.derived[follow->order[follow->at++]];
		const struct wanted wanted = wanted_of(follow, derived);
		CLEANUP_BUFFER struct buffer name = {0};
		size_t before = follow->taken.count;
		if (is_known(follow, &wanted))
			continue;
		if (buffer_printf(&name, err, "%s %s", wanted.attribute, wanted.value) < 0 ||
		    map_add(&follow->taken, name.bytes, name.length, 0, NULL, err) < 0)
			return -1;
		if (follow->taken.count == before)
			continue;
		*ret_attribute = wanted.attribute;
		*ret_value = wanted.value;
		*ret_expires_us = derived->kind == LINK_KEY ? derived->expires_us : 0;
		*ret_more = true;
		return 0;
	}
	return 0;
}

void follow_done(struct follow *follow)
{
	lineage_done(&follow->lineage);
	map_done(&follow->taken);
	map_done(&follow->users);
	map_done(&follow->texts);
	free(follow->names);
	free(follow->order);
	*follow = (struct follow){0};
}
