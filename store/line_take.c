/* SPDX-License-Identifier: Apache-2.0 */

/* Lines as rows. They may come from a machine that somebody else had root on: each field is held to its type, and body
 * and processes have to be JSON, or every query over them would fail. */
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "store/line.h"
#include "store/members.h"

#define HEX (DIGEST_HEX_BYTES - 1)
#define DEPTH_MAX 200 /* ours are six; SQLite's functions read 2,000 and no more, jansson 2,048 */
#define AT_MOST_US (INT64_C(253402300800) * CLOCK_SECOND_US) /* the end of the year 9999 */

struct taking {
	struct line *line;
	struct member members[MEMBERS_MAX];
	size_t count;
	struct buffer body;
	struct error *err;
};

static int wrong(const struct taking *taking, const char *name, const char *expected)
{
	return error_set(taking->err, ERROR_INPUT, "%s: wrong type, expected %s", name, expected);
}

static const struct slice *find(const struct taking *taking, const char *name)
{
	for (size_t i = 0; i < taking->count; i++)
		if (slice_is(taking->members[i].name, name))
			return slice_is(taking->members[i].value, "null") ? NULL : &taking->members[i].value;
	return NULL;
}

/* Printable ASCII without escapes: nobody looks at these texts again before they are stored and shown. */
static bool is_plain_text(struct slice value)
{
	if (value.length < 2 || value.bytes[0] != '"')
		return false;
	for (size_t i = 1; i + 1 < value.length; i++)
		if (value.bytes[i] < ' ' || value.bytes[i] > '~' || value.bytes[i] == '\\')
			return false;
	return true;
}

/* A plain text of at most `size` - 1 bytes. 1: it is there, 0: it is not, or -1. */
MUST_USE static int take_text(const struct taking *taking, const char *name, char *to, size_t size,
                              const char *expected)
{
	const struct slice *value = find(taking, name);
	if (value == NULL)
		return 0;
	if (!is_plain_text(*value) || value->length - 2 >= size)
		return wrong(taking, name, expected);
	memcpy(to, value->bytes + 1, value->length - 2);
	to[value->length - 2] = '\0';
	return 1;
}

MUST_USE static int take_place(struct taking *taking)
{
	struct line *line = taking->line;
	char number[24], link[DIGEST_HEX_BYTES];
	const struct slice *seq = find(taking, "seq");
	uint64_t value;
	if (take_text(taking, "ledger_id", line->ledger_id, sizeof(line->ledger_id), "up to 32 characters") < 0)
		return -1;
	if (seq != NULL) {
		(void)snprintf(number, sizeof(number), "%.*s", (int)(seq->length < 23 ? seq->length : 23), seq->bytes);
		if (seq->length > 19 || !text_to_u64(number, INT64_MAX - 1, &value) || value == 0)
			return wrong(taking, "seq", "a number from 1");
		line->seq = (int64_t)value;
	}
	int has_link = take_text(taking, "link", link, sizeof(link), "64 hexadecimal digits");
	if (has_link < 0 || (has_link == 1 && !digest_from_hex(link, line->link)))
		return wrong(taking, "link", "64 hexadecimal digits");
	line->has_link = has_link == 1;
	return 0;
}

MUST_USE static int take_head(struct taking *taking)
{
	struct packed *packed = &taking->line->packed;
	char kind[LINE_KIND_BYTES], id[DIGEST_HEX_BYTES], subject[DIGEST_HEX_BYTES], at[64];
	int has_kind = take_text(taking, "kind", kind, sizeof(kind), "a short text");
	int has_id = take_text(taking, "id", id, sizeof(id), "a short text");
	if (has_kind < 0 || has_id < 0)
		return -1;
	if (has_kind == 0 || has_id == 0 || id[0] == '\0' || kind[0] == '\0')
		return wrong(taking, has_kind == 0 ? "kind" : "id", "a text");
	const char *time = strcmp(kind, "delivery") == 0 ? "delivered_at" : "at";
	int has_at = take_text(taking, time, at, sizeof(at), "a time");
	int has_subject = take_text(taking, "subject", subject, sizeof(subject), "a short text");
	if (has_at < 0 || has_subject < 0)
		return -1;
	if (has_at == 0 || !clock_parse(at, &packed->at_us))
		return wrong(taking, time, "a time");
	packed->kind = strdup(kind);
	packed->id = strdup(id);
	packed->subject = has_subject == 1 ? strdup(subject) : NULL;
	return packed->kind != NULL && packed->id != NULL && (has_subject == 0 || packed->subject != NULL)
	               ? 0
	               : error_set(taking->err, ERROR_MEMORY, "no memory for a line");
}

/* A process becomes its digest in the body, and is kept once. */
MUST_USE static int take_process(struct taking *taking, struct slice value)
{
	struct packed *packed = &taking->line->packed;
	char text[DIGEST_HEX_BYTES + 2];
	uint8_t digest[DIGEST_BYTES];
	size_t i = 0;
	if (slice_is(value, "null"))
		return buffer_append(&taking->body, "null", 4, taking->err);
	if (value.bytes[0] != '{')
		return wrong(taking, "process", "an object or null");
	if (digest_of(value.bytes, value.length, digest, taking->err) < 0)
		return -1;
	while (i < packed->actor_count && memcmp(packed->actors[i].digest, digest, DIGEST_BYTES) != 0)
		i++;
	if (i == ENTRY_ACTORS_MAX)
		return error_set(taking->err, ERROR_INPUT, "holders: more than %d processes", ENTRY_ACTORS_MAX);
	if (i == packed->actor_count) {
		packed->actors[i].body = strndup(value.bytes, value.length);
		if (packed->actors[i].body == NULL)
			return error_set(taking->err, ERROR_MEMORY, "no memory for a process");
		memcpy(packed->actors[i].digest, digest, DIGEST_BYTES);
		packed->actor_count++;
	}
	text[0] = '"';
	(void)digest_hex(digest, DIGEST_BYTES, text + 1);
	text[HEX + 1] = '"';
	return buffer_append(&taking->body, text, HEX + 2, taking->err);
}

MUST_USE static int take_holders(struct taking *taking, struct slice value)
{
	const char *at = value.bytes, *end = value.bytes + value.length;
	if (*at != '[')
		return wrong(taking, "holders", "a list");
	if (buffer_append(&taking->body, "[", 1, taking->err) < 0)
		return -1;
	for (at++; at < end && *at != ']';) {
		const char *behind = member_value_end(at, end);
		if (behind == NULL || behind == at || behind >= end)
			return wrong(taking, "holders", "a list");
		if ((at > value.bytes + 1 && buffer_append(&taking->body, ",", 1, taking->err) < 0) ||
		    take_process(taking, (struct slice){at, (size_t)(behind - at)}) < 0)
			return -1;
		at = *behind == ',' ? behind + 1 : behind;
	}
	return buffer_append(&taking->body, "]", 1, taking->err);
}

MUST_USE static int take_member(struct taking *taking, const struct member *member, bool is_delivery)
{
	struct packed *packed = &taking->line->packed;
	if (buffer_append(&taking->body, taking->body.length == 0 ? "{\"" : ",\"", 2, taking->err) < 0 ||
	    buffer_append(&taking->body, member->name.bytes, member->name.length, taking->err) < 0 ||
	    buffer_append(&taking->body, "\":", 2, taking->err) < 0)
		return -1;
	if (is_delivery && slice_is(member->name, "process")) {
		packed->has_process = member->value.bytes[0] == '{';
		return take_process(taking, member->value);
	}
	if (is_delivery && slice_is(member->name, "holders"))
		return take_holders(taking, member->value);
	return buffer_append(&taking->body, member->value.bytes, member->value.length, taking->err);
}

/* The process is actors[0] (store/entry.h), though holders come before it in the order of names. */
static void process_first(struct packed *packed, const char *body_process)
{
	uint8_t digest[DIGEST_BYTES];
	if (body_process == NULL || !digest_from_hex(body_process, digest))
		return;
	for (size_t i = 1; i < packed->actor_count; i++)
		if (memcmp(packed->actors[i].digest, digest, DIGEST_BYTES) == 0) {
			struct packed_actor first = packed->actors[i];
			packed->actors[i] = packed->actors[0];
			packed->actors[0] = first;
		}
}

/* Whatever stands in its strings. */
static bool is_too_deep(const char *json)
{
	int depth = 0;
	bool in_string = false;
	for (; *json != '\0' && depth <= DEPTH_MAX; json++) {
		if (*json == '\\' && json[1] != '\0')
			json++;
		else if (*json == '"')
			in_string = !in_string;
		else if (!in_string)
			depth += (*json == '{' || *json == '[') - (*json == '}' || *json == ']');
	}
	return depth > DEPTH_MAX;
}

/* Has an object a name with an escape? Ours have none, and not all readers of a row would see the same name. */
static bool has_odd_name(const char *json)
{
	bool in_string = false, is_odd = false;
	for (; *json != '\0'; json++) {
		if (*json == '\\' && json[1] != '\0') {
			is_odd = true;
			json++;
		} else if (*json == '"') {
			in_string = !in_string;
			is_odd = is_odd && !in_string;
		} else if (!in_string && strchr(" \t\r\n", *json) == NULL) {
			if (*json == ':' && is_odd)
				return true;
			is_odd = false;
		}
	}
	return false;
}

/* Body and processes have to be JSON, also to SQLite, or every query over them would fail. */
MUST_USE static int take_tree(struct taking *taking)
{
	struct line *line = taking->line;
	const char *body = line->packed.body;
	bool deep = is_too_deep(body), odd = has_odd_name(body);
	for (size_t i = 0; i < line->packed.actor_count; i++) {
		deep = deep || is_too_deep(line->packed.actors[i].body);
		odd = odd || has_odd_name(line->packed.actors[i].body);
	}
	if (deep)
		return error_set(taking->err, ERROR_INPUT, "expected at most %d lists and objects in each other",
		                 DEPTH_MAX);
	if (odd)
		return error_set(taking->err, ERROR_INPUT, "expected names without escapes");
	if (json_read(body, strlen(body), &line->tree, taking->err) < 0)
		return error_prefix(taking->err, "not JSON");
	if (!json_is_object(line->tree))
		return wrong(taking, "raw", "the text of an object");
	for (size_t i = 0; i < line->packed.actor_count; i++) {
		CLEANUP_JSON json_t *process = NULL;
		const char *text = line->packed.actors[i].body;
		if (json_read(text, strlen(text), &process, taking->err) < 0)
			return error_prefix(taking->err, "not JSON: a process");
	}
	return 0;
}

MUST_USE static int take_row(struct taking *taking)
{
	struct packed *packed = &taking->line->packed;
	if (take_head(taking) < 0)
		return -1;
	bool is_delivery = strcmp(packed->kind, "delivery") == 0;
	for (size_t i = 0; i < taking->count; i++)
		if (!line_is_own_name(taking->members[i].name, is_delivery) &&
		    take_member(taking, &taking->members[i], is_delivery) < 0)
			return -1;
	if (buffer_append(&taking->body, taking->body.length == 0 ? "{}" : "}", taking->body.length == 0 ? 2 : 1,
	                  taking->err) < 0)
		return -1;
	packed->body = steal_pointer(&taking->body.bytes);
	taking->body = (struct buffer){0};
	if (take_tree(taking) < 0)
		return -1;
	const char *key = json_text_at(taking->line->tree, "access_key_id");
	packed->access_key_id = key != NULL ? strdup(key) : NULL;
	if (packed->has_process)
		process_first(packed, json_text_at(taking->line->tree, "process"));
	return key == NULL || packed->access_key_id != NULL
	               ? 0
	               : error_set(taking->err, ERROR_MEMORY, "no memory for a line");
}

/* A row as texts: its processes, if it has any, are not with it. */
MUST_USE static int take_raw(struct taking *taking, const json_t *object)
{
	struct packed *packed = &taking->line->packed;
	const char *texts[] = {json_text_at(object, "kind"), json_text_at(object, "id"), json_text_at(object, "raw"),
	                       json_text_at(object, "subject"), json_text_at(object, "access_key_id")};
	char **to[] = {&packed->kind, &packed->id, &packed->body, &packed->subject, &packed->access_key_id};
	if (texts[0] == NULL || texts[1] == NULL || texts[2] == NULL || !json_int_at(object, "at_us", &packed->at_us))
		return wrong(taking, "raw", "texts kind, id and raw, and a number at_us");
	if (strcmp(texts[0], "export") == 0 || strcmp(texts[0], "export-end") == 0)
		return wrong(taking, "kind", "that of a row");
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		*to[i] = texts[i] != NULL ? strdup(texts[i]) : NULL;
		if (texts[i] != NULL && *to[i] == NULL)
			return error_set(taking->err, ERROR_MEMORY, "no memory for a line");
	}
	return take_tree(taking);
}

MUST_USE static int take_object(struct taking *taking, struct slice text, int depth);

/* Not as we write it: by way of a tree. */
MUST_USE static int take_any(struct taking *taking, struct slice text, int depth)
{
	CLEANUP_JSON json_t *object = NULL;
	if (json_read(text.bytes, text.length, &object, taking->err) < 0)
		return error_prefix(taking->err, "not JSON");
	if (!json_is_object(object))
		return error_set(taking->err, ERROR_INPUT, "not JSON: expected an object");
	const char *message = json_text_at(object, "MESSAGE");
	if (message != NULL && json_at(object, "kind") == NULL && depth < 2)
		return take_object(taking, slice_of(message), depth + 1);
	CLEANUP_FREE char *line = json_line(object);
	if (line == NULL)
		return error_set(taking->err, ERROR_MEMORY, "no memory for a line");
	if (members_split(slice_of(line), taking->members) < 0 || depth >= 2)
		return error_set(taking->err, ERROR_INPUT, "not JSON: not an object of ours");
	return take_object(taking, slice_of(line), 2);
}

int take_object(struct taking *taking, struct slice text, int depth)
{
	int count = members_split(text, taking->members);
	taking->count = count > 0 ? (size_t)count : 0;
	const struct slice *kind = count >= 0 ? find(taking, "kind") : NULL;
	if (kind == NULL)
		return depth < 2 ? take_any(taking, text, depth) : wrong(taking, "kind", "a text");
	bool is_head = slice_is(*kind, "\"export\""), is_end = slice_is(*kind, "\"export-end\"");
	bool is_raw = find(taking, "raw") != NULL;
	if (is_head || is_end)
		taking->line->what = is_head ? LINE_HEAD : LINE_END;
	if (take_place(taking) < 0)
		return -1;
	if (!is_head && !is_end && !is_raw)
		return take_row(taking);
	CLEANUP_JSON json_t *object = NULL;
	if (json_read(text.bytes, text.length, &object, taking->err) < 0)
		return error_prefix(taking->err, "not JSON");
	if (is_raw && !is_head && !is_end)
		return take_raw(taking, object);
	taking->line->tree = steal_pointer(&object);
	return 0;
}

int line_take(const char *text, size_t length, struct line *ret, struct error *err)
{
	struct line line = {0};
	struct taking taking = {.line = &line, .err = err};
	while (length > 0 && strchr("\r\n \t", text[length - 1]) != NULL)
		length--;
	int result = memchr(text, '\0', length) != NULL ? error_set(err, ERROR_INPUT, "not JSON: a byte of value zero")
	                                                : take_object(&taking, (struct slice){text, length}, 0);
	buffer_done(&taking.body);
	if (result < 0)
		line_done(&line);
	else
		*ret = line;
	return result;
}

int line_check(const struct line *line, struct error *err)
{
	const struct packed *packed = &line->packed;
	const json_t *holders = json_at(line->tree, "holders");
	size_t named = json_at(line->tree, "process") != NULL ? 1 : 0;
	if (line->what != LINE_ROW)
		return 0;
	if (packed->at_us < -AT_MOST_US || packed->at_us > AT_MOST_US)
		return error_set(err, ERROR_INPUT, "at_us: expected a time before the year 10000");
	if (strcmp(packed->kind, "delivery") != 0 || packed->actor_count > 0)
		return 0;
	named += holders == NULL || (json_is_array(holders) && json_array_size(holders) == 0) ? 0 : 1;
	return named == 0 ? 0 : error_set(err, ERROR_INPUT, "it names processes that are not with it");
}

void line_done(struct line *line)
{
	packed_done(&line->packed);
	json_decref(line->tree);
	*line = (struct line){0};
}
