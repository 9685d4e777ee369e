/* SPDX-License-Identifier: Apache-2.0 */

/* Points in time, gathered from ledger and findings and put in order. Times are of one form, so their order is that of
 * their bytes. */
#include "cli/timeline.h"

#include <inttypes.h>
#include <string.h>

#include "common/buffer.h"
#include "store/model.h"

/* At one moment: a key is issued before it is delivered, delivered before it is used. */
static const char *const kinds[] = {"issued", "delivered", "derived", "used", "expires"};

static void add(json_t *list, const char *at, const char *kind, const struct buffer *text, const json_t *row)
{
	json_t *point = json_object();
	if (at == NULL) {
		json_decref(point);
		return;
	}
	json_put_text(point, "at", at);
	json_put_text(point, "kind", kind);
	json_put_text(point, "text", text->bytes);
	json_put(point, "row", row != NULL ? json_deep_copy(row) : NULL);
	(void)json_array_append_new(list, point);
}

/* A line made of pieces; those that are NULL are left out. */
static void say(json_t *list, const char *at, const char *kind, const json_t *row, const char *const *pieces)
{
	CLEANUP_BUFFER struct buffer text = {0};
	for (; pieces[0] != NULL; pieces += 2)
		if (pieces[1] != NULL && buffer_printf(&text, NULL, "%s%s", pieces[0], pieces[1]) < 0)
			return;
	add(list, at, kind, &text, row);
}
#define SAY(list, at, kind, row, ...) say((list), (at), (kind), (row), (const char *const[]){__VA_ARGS__, NULL})

static void add_deliveries(json_t *list, const struct subject *subject)
{
	for (size_t i = 0; i < json_array_size(subject->deliveries); i++) {
		const json_t *row = json_array_get(subject->deliveries, i);
		const char *exe = json_text_at(row, "process.exe"), *outcome = json_text_at(row, "outcome");
		size_t holders = json_array_size(json_at(row, "holders"));
		bool is_delivered = outcome == NULL || strcmp(outcome, outcome_names[OUTCOME_DELIVERED]) == 0;
		char pid_text[24] = "", others[64] = "";
		int64_t pid;
		if (holders > 1)
			(void)snprintf(others, sizeof(others), "%zu other(s) that held the connection", holders - 1);
		if (json_int_at(row, "process.pid", &pid))
			(void)snprintf(pid_text, sizeof(pid_text), "%" PRId64, pid);
		SAY(list, json_text_at(row, "delivered_at"), "delivered", row,
		    is_delivered ? "handed to " : "asked for by ", exe != NULL ? exe : "a process that is not known",
		    ", process ", pid_text[0] != '\0' ? pid_text : NULL, ", or ", others[0] != '\0' ? others : NULL,
		    ", ", outcome);
	}
}

static void add_uses(json_t *list, const struct subject *subject)
{
	for (size_t i = 0; i < json_array_size(subject->uses); i++) {
		const json_t *row = json_array_get(subject->uses, i);
		SAY(list, json_text_at(row, "at"), "used", row, "", json_text_at(row, "service"), " ",
		    json_text_at(row, "name"), " from ", json_text_at(row, "address"), ", error ",
		    json_text_at(row, "error_code"));
	}
}

/* Each descendant once, though every finding of it tells its whole lineage. */
static void add_lineages(json_t *list, const struct subject *subject)
{
	CLEANUP_JSON json_t *seen = json_object();
	for (size_t i = 0; i < json_array_size(subject->findings); i++) {
		const json_t *lineage = json_at(json_array_get(subject->findings, i), "lineage");
		for (size_t j = 1; j < json_array_size(lineage); j++) {
			const json_t *step = json_array_get(lineage, j);
			const char *key = json_text_at(step, "access_key_id"), *user = json_text_at(step, "user");
			const char *name = key != NULL ? key : user != NULL ? user : json_text_at(step, "principal_id");
			if (name == NULL || json_object_get(seen, name) != NULL)
				continue;
			json_put_bool(seen, name, true);
			SAY(list, json_text_at(step, "at"), "derived", step, "", json_text_at(step, "action"), " made ",
			    name);
		}
	}
}

static size_t rank_of(const json_t *point)
{
	const char *kind = json_text_at(point, "kind");
	size_t rank = 0;
	while (rank < ARRAY_LENGTH(kinds) && kind != NULL && strcmp(kinds[rank], kind) != 0)
		rank++;
	return rank;
}

static int compare(const void *first, const void *second)
{
	const json_t *const *one = first, *const *other = second;
	int order = strcmp(json_text_at(*one, "at"), json_text_at(*other, "at"));
	if (order != 0)
		return order;
	return rank_of(*one) < rank_of(*other) ? -1 : rank_of(*one) > rank_of(*other);
}

json_t *timeline_make(const struct subject *subject)
{
	CLEANUP_JSON json_t *list = json_array();
	SAY(list, json_text_at(subject->delivered, "updated_at"), "issued", NULL, "the key was issued", "");
	add_deliveries(list, subject);
	add_lineages(list, subject);
	add_uses(list, subject);
	SAY(list, json_text_at(subject->delivered, "expires_at"), "expires", NULL, "the key expires", "");

	size_t count = json_array_size(list);
	CLEANUP_FREE json_t **points = calloc(count + 1, sizeof(*points));
	json_t *ordered = json_array();
	if (points == NULL)
		return ordered;
	for (size_t i = 0; i < count; i++)
		points[i] = json_array_get(list, i);
	qsort(points, count, sizeof(*points), compare);
	for (size_t i = 0; i < count; i++)
		(void)json_array_append(ordered, points[i]);
	return ordered;
}

json_t *timeline_brief(const json_t *timeline)
{
	struct {
		size_t first, last, count;
	} spans[ARRAY_LENGTH(kinds) + 1] = {0};
	json_t *brief = json_array();
	for (size_t i = 0; i < json_array_size(timeline); i++) {
		size_t rank = rank_of(json_array_get(timeline, i));
		if (spans[rank].count++ == 0)
			spans[rank].first = i;
		spans[rank].last = i;
	}
	for (size_t i = 0; i < json_array_size(timeline); i++) {
		const json_t *point = json_array_get(timeline, i);
		size_t rank = rank_of(point);
		if (i == spans[rank].first || i == spans[rank].last)
			(void)json_array_append_new(
				brief, json_pack("{s:O, s:O, s:O, s:I, s:s}", "at", json_object_get(point, "at"),
			                         "kind", json_object_get(point, "kind"), "text",
			                         json_object_get(point, "text"), "count", (json_int_t)spans[rank].count,
			                         "which", i == spans[rank].first ? "first" : "last"));
	}
	return brief;
}
