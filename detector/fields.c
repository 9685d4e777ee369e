/* SPDX-License-Identifier: Apache-2.0 */

/* The walk over a record by a table. AWS adds fields weekly: what is in no table costs the time to step over it. */
#include "detector/fields.h"

#include <string.h>

#include "detector/walk.h"

/* ---- the record within what carries it */

/* A member that only a record itself has: nearly always it is the first one. */
static bool is_of_record(const struct walk_name *name)
{
	static const char *const names[] = {"awsRegion", "userIdentity", "userAgent", "requestParameters",
	                                    "additionalEventData"};
	if (name->length > 5 && memcmp(name->text, "event", 5) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (walk_name_is(name, names[i]))
			return true;
	return false;
}

bool record_text_find(const char *bytes, size_t length, struct record_text *ret)
{
	struct walk walk = {bytes, bytes + length};
	struct walk_name name;
	*ret = (struct record_text){bytes, length, NULL};
	if (!walk_enter(&walk, '{'))
		return false;
	for (bool first = true;; first = false) {
		enum walk_step step = walk_next(&walk, first, &name);
		if (step != WALK_MEMBER)
			return step == WALK_END;
		if (is_of_record(&name))
			return true;
		char c = walk_peek(&walk);
		const char *value = walk.at;
		if (c == '"' && walk_name_is(&name, "CloudTrailEvent")) {
			char *inner = malloc(length + 1);
			if (inner == NULL || !walk_text(&walk, inner, length + 1, NULL)) {
				free(inner);
				return false;
			}
			*ret = (struct record_text){inner, strlen(inner), inner};
			return true;
		}
		if (!walk_skip(&walk))
			return false;
		if (c == '{' && walk_name_is(&name, "detail")) {
			*ret = (struct record_text){value, (size_t)(walk.at - value), NULL};
			return true;
		}
	}
}

void record_text_done(struct record_text *text)
{
	free(text->owned);
	*text = (struct record_text){0};
}

/* ---- fields */

static const struct field *field_of(const struct field *fields, size_t count, const struct walk_name *name)
{
	for (size_t i = 0; i < count; i++)
		if (fields[i].name_length == name->length && memcmp(fields[i].name, name->text, name->length) == 0)
			return &fields[i];
	return NULL;
}

static bool read_text(struct walk *walk, const struct field *field, char *to)
{
	bool fits;
	if (!walk_text(walk, to, field->size, &fits))
		return false;
	if (!fits && field->type == FIELD_TEXT)
		*to = '\0';
	return true;
}

static bool read_flag(struct walk *walk, bool *to)
{
	char text[8] = "";
	if (walk_peek(walk) == '"') {
		if (!walk_text(walk, text, sizeof(text), NULL))
			return false;
		*to = strcmp(text, "true") == 0;
		return true;
	}
	*to = walk_peek(walk) == 't';
	return walk_skip(walk);
}

static bool read_object(struct walk *walk, const struct field *fields, size_t count, char *to);

static bool read_value(struct walk *walk, const struct field *field, char *to)
{
	char c = walk_peek(walk);
	if (field == NULL)
		return walk_skip(walk);
	if (field->type == FIELD_OBJECT && c == '{')
		return read_object(walk, field->children, field->child_count, to);
	if (field->type == FIELD_FLAG)
		return read_flag(walk, (bool *)(void *)(to + field->offset));
	if (field->type != FIELD_OBJECT && c == '"')
		return read_text(walk, field, to + field->offset);
	return walk_skip(walk);
}

/* As deep as the tables are. */
static bool read_object(struct walk *walk, const struct field *fields, size_t count, char *to)
{
	struct walk_name name;
	if (!walk_enter(walk, '{'))
		return false;
	for (bool first = true;; first = false) {
		enum walk_step step = walk_next(walk, first, &name);
		if (step != WALK_MEMBER)
			return step == WALK_END;
		if (!read_value(walk, field_of(fields, count, &name), to))
			return false;
	}
}

bool fields_read(const struct record_text *text, const struct field *fields, size_t count, void *to)
{
	struct walk walk = {text->bytes, text->bytes + text->length};
	return read_object(&walk, fields, count, to);
}
