/* SPDX-License-Identifier: Apache-2.0 */

/* Rows as lines. Bodies and processes are canonical JSON, so both ways go by cutting the text into its members and
 * putting others in or taking them out, in the order of their names. What is not canonical (whoever wrote it) is
 * carried as a text within the line, and comes back as it was. */
#include <string.h>

#include "common/clock.h"
#include "store/line.h"
#include "store/members.h"

#define EXTRAS_MAX 8
#define HEX (DIGEST_HEX_BYTES - 1)

static bool is_digest(struct slice value)
{
	if (value.length != HEX + 2 || value.bytes[0] != '"')
		return false;
	for (size_t i = 1; i <= HEX; i++)
		if (strchr("0123456789abcdef", value.bytes[i]) == NULL)
			return false;
	return true;
}

struct making {
	const struct chain_row *row;
	const struct line_place *place;
	line_process *process;
	void *context;
	struct buffer *to;
	struct error *err;
};

MUST_USE static int put(const struct making *making, const char *bytes, size_t length)
{
	return buffer_append(making->to, bytes, length, making->err);
}

/* The process in the place of its digest. 1: it is not there. */
MUST_USE static int put_process(const struct making *making, struct slice value)
{
	if (slice_is(value, "null"))
		return put(making, value.bytes, value.length);
	const char *text = is_digest(value) ? making->process(making->context, value.bytes + 1) : NULL;
	if (text == NULL || strchr(text, '\n') != NULL) /* that would be two lines */
		return 1;
	return put(making, text, strlen(text));
}

MUST_USE static int put_holders(const struct making *making, struct slice value)
{
	const char *at = value.bytes, *end = value.bytes + value.length;
	if (value.length < 2 || *at != '[')
		return 1;
	for (at++; at < end && *at != ']';) {
		const char *behind = member_value_end(at, end);
		if (put(making, at == value.bytes + 1 ? "[" : ",", 1) < 0)
			return -1;
		int result = behind == NULL || behind >= end
		                     ? 1
		                     : put_process(making, (struct slice){at, (size_t)(behind - at)});
		if (result != 0)
			return result;
		at = *behind == ',' ? behind + 1 : behind;
	}
	return value.length == 2 ? put(making, "[]", 2) : put(making, "]", 1);
}

MUST_USE static int put_member(const struct making *making, const struct member *member, bool is_first)
{
	bool is_delivery = strcmp(making->row->kind, "delivery") == 0;
	if (put(making, is_first ? "{\"" : ",\"", 2) < 0 || put(making, member->name.bytes, member->name.length) < 0 ||
	    put(making, "\":", 2) < 0)
		return -1;
	if (is_delivery && slice_is(member->name, "process"))
		return put_process(making, member->value);
	if (is_delivery && slice_is(member->name, "holders"))
		return put_holders(making, member->value);
	return put(making, member->value.bytes, member->value.length);
}

bool line_is_own_name(struct slice name, bool is_delivery)
{
	static const char *const names[] = {"id", "kind", "ledger_id", "link", "seq", "subject"};
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (slice_is(name, names[i]))
			return true;
	return slice_is(name, is_delivery ? "delivered_at" : "at");
}

/* What stands in a line beside the body, in the order of the names; each value is JSON. */
struct extras {
	struct member members[EXTRAS_MAX];
	size_t count;
	char values[EXTRAS_MAX][DIGEST_HEX_BYTES + 8];
};

static void add_extra(struct extras *extras, const char *name, const char *quote, const char *text)
{
	char *value = extras->values[extras->count];
	(void)snprintf(value, sizeof(extras->values[0]), "%s%s%s", quote, text, quote);
	extras->members[extras->count++] = (struct member){slice_of(name), slice_of(value)};
}

static bool is_plain(const char *text, size_t least, size_t most)
{
	size_t length = strlen(text);
	return length >= least && length <= most &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == length;
}

static bool make_extras(const struct chain_row *row, const struct line_place *place, struct extras *ret)
{
	char number[24], hex[DIGEST_HEX_BYTES], at[CLOCK_TEXT_BYTES];
	int64_t back = 0;
	bool is_delivery = strcmp(row->kind, "delivery") == 0;
	if (!is_plain(row->kind, 1, LINE_KIND_BYTES - 1) || !is_plain(row->id, 1, HEX) ||
	    (row->subject != NULL && !is_plain(row->subject, 0, HEX)) ||
	    (place->ledger_id != NULL && !is_plain(place->ledger_id, 0, LINE_LEDGER_BYTES - 1)) ||
	    !clock_parse(clock_format(row->at_us, at), &back) || back != row->at_us)
		return false;
	add_extra(ret, is_delivery ? "delivered_at" : "at", "\"", at);
	add_extra(ret, "id", "\"", row->id);
	add_extra(ret, "kind", "\"", row->kind);
	if (place->ledger_id != NULL)
		add_extra(ret, "ledger_id", "\"", place->ledger_id);
	if (place->link != NULL)
		add_extra(ret, "link", "\"", digest_hex(place->link, DIGEST_BYTES, hex));
	(void)snprintf(number, sizeof(number), "%lld", (long long)row->seq);
	if (row->seq > 0)
		add_extra(ret, "seq", "", number);
	if (row->subject != NULL)
		add_extra(ret, "subject", "\"", row->subject);
	return true;
}

/* The body's members and the others. 1: the row cannot be written so. */
MUST_USE static int put_members(const struct making *making, const struct member *body, size_t body_count,
                                const struct extras *extras)
{
	bool is_first = true;
	for (size_t i = 0, j = 0; i < body_count || j < extras->count; is_first = false) {
		bool is_body = j == extras->count ||
		               (i < body_count && slice_compare(body[i].name, extras->members[j].name) < 0);
		int result = put_member(making, is_body ? &body[i++] : &extras->members[j++], is_first);
		if (result != 0)
			return result;
	}
	return put(making, "}\n", 2);
}

/* Would a line's reader take what the body says for what the line says? */
static bool has_own_name(const struct member *body, size_t count, bool is_delivery)
{
	for (size_t i = 0; i < count; i++)
		if (line_is_own_name(body[i].name, is_delivery) || slice_is(body[i].name, "raw"))
			return true;
	return false;
}

/* Does the column say what the body does? A line has it once. */
static bool has_same_key(const struct chain_row *row, const struct member *body, size_t count)
{
	struct slice value = {0};
	for (size_t i = 0; i < count; i++)
		if (slice_is(body[i].name, "access_key_id"))
			value = body[i].value;
	if (row->access_key_id == NULL)
		return value.length == 0 || value.bytes[0] != '"';
	return value.length == strlen(row->access_key_id) + 2 && value.bytes[0] == '"' &&
	       memchr(value.bytes, '\\', value.length) == NULL &&
	       memcmp(value.bytes + 1, row->access_key_id, value.length - 2) == 0;
}

/* A row that nobody of us wrote, as texts. */
MUST_USE static int put_raw(const struct making *making)
{
	const struct chain_row *row = making->row;
	char hex[DIGEST_HEX_BYTES];
	CLEANUP_JSON json_t *object = json_object();
	json_put_text(object, "kind", row->kind);
	json_put_text(object, "id", row->id);
	json_put_int(object, "at_us", row->at_us);
	json_put_text(object, "subject", row->subject);
	json_put_text(object, "access_key_id", row->access_key_id);
	json_put_text(object, "raw", row->body);
	json_put_text(object, "ledger_id", making->place->ledger_id);
	if (making->place->link != NULL)
		json_put_text(object, "link", digest_hex(making->place->link, DIGEST_BYTES, hex));
	if (row->seq > 0)
		json_put_int(object, "seq", row->seq);
	CLEANUP_FREE char *text = json_line(object);
	if (text == NULL)
		return error_set(making->err, ERROR_MEMORY, "no memory for a line");
	return put(making, text, strlen(text)) < 0 ? -1 : put(making, "\n", 1);
}

int line_make_raw(const struct chain_row *row, const struct line_place *place, struct buffer *to, struct error *err)
{
	const struct making making = {.row = row, .place = place, .to = to, .err = err};
	return put_raw(&making);
}

int line_make(const struct chain_row *row, const struct line_place *place, line_process *process, void *context,
              struct buffer *to, struct error *err)
{
	const struct making making = {row, place, process, context, to, err};
	struct member body[MEMBERS_MAX];
	struct extras extras = {0};
	size_t before = to->length;
	int count = members_split(slice_of(row->body), body), result = 1;
	if (count >= 0 && has_same_key(row, body, (size_t)count) &&
	    !has_own_name(body, (size_t)count, strcmp(row->kind, "delivery") == 0) &&
	    make_extras(row, place, &extras) && (size_t)count + extras.count <= MEMBERS_MAX)
		result = put_members(&making, body, (size_t)count, &extras);
	if (result <= 0)
		return result;
	to->length = before;
	return put_raw(&making);
}

static const char *packed_process(void *context, const char hex[static DIGEST_HEX_BYTES - 1])
{
	const struct packed *packed = context;
	char text[DIGEST_HEX_BYTES];
	for (size_t i = 0; i < packed->actor_count; i++)
		if (memcmp(digest_hex(packed->actors[i].digest, DIGEST_BYTES, text), hex, HEX) == 0)
			return packed->actors[i].body;
	return NULL;
}

int line_of_packed(const struct packed *packed, int64_t seq, const struct line_place *place, struct buffer *to,
                   struct error *err)
{
	const struct chain_row row = {
		.seq = seq,
		.at_us = packed->at_us,
		.id = packed->id,
		.kind = packed->kind,
		.subject = packed->subject,
		.access_key_id = packed->access_key_id,
		.body = packed->body,
	};
	struct packed *lent = (struct packed *)(uintptr_t)packed;
	return line_make(&row, place, packed_process, lent, to, err);
}
