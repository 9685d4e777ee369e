/* SPDX-License-Identifier: Apache-2.0 */

/* Ranking the receivers of a key. A key that everybody on a machine gets was leaked by one of them: what is unusual
 * about a receiver speaks against it (suspects_weigh.c), and whoever got the key only after it had been used elsewhere
 * comes last. Where nobody stands out, that is said, and nobody is named. */
#include "detector/suspects.h"

#include <string.h>

#include "common/array.h"
#include "detector/suspects_parts.h"

#define PROCESSES_MAX 10000 /* held while ranking */

static void ranking_done(struct ranking *ranking)
{
	for (size_t i = 0; i < ranking->count; i++) {
		json_decref(ranking->suspects[i].delivery);
		json_decref(ranking->suspects[i].reasons);
	}
	free(ranking->suspects);
	map_done(&ranking->by_process);
	map_done(&ranking->seen);
}

/* ---- one entry a process */

/* What makes two deliveries go to the same process; without a process, to the same client. Who else held the connection
 * counts as well: nobody is left out because the process named first had the key at another time by itself. */
static char *identity_of(const json_t *delivery)
{
	static const char *const paths[] = {"host.instance_id", "process.pid", "process.started_at", "process.exe"};
	static const char *const client_paths[] = {"host.instance_id", "attribution.grade", "client.address",
	                                           "client.netns"};
	static const char *const holder_paths[] = {"pid", "started_at", "exe"};
	bool has_process = json_at(delivery, "process") != NULL;
	CLEANUP_JSON json_t *identity = json_array();
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		const json_t *value = json_at(delivery, has_process ? paths[i] : client_paths[i]);
		(void)json_array_append_new(identity, value != NULL ? json_deep_copy(value) : json_null());
	}
	const json_t *holders = json_at(delivery, "holders");
	for (size_t i = 0; i < json_array_size(holders) && json_array_size(holders) > 1; i++)
		for (size_t j = 0; j < ARRAY_LENGTH(holder_paths); j++) {
			const json_t *value = json_at(json_array_get(holders, i), holder_paths[j]);
			(void)json_array_append_new(identity, value != NULL ? json_deep_copy(value) : json_null());
		}
	return json_line(identity);
}

/* By how much AWS's clock was ahead of the machine's when it delivered. */
static int64_t offset_of(const struct ranking *ranking, const json_t *delivery, int64_t at_us)
{
	const char *instance = json_text_at(delivery, "host.instance_id");
	size_t count = 0;
	if (ranking->tracked == NULL || instance == NULL)
		return 0;
	const struct placement *places = tracked_placements(ranking->tracked, instance, at_us, &count);
	return count > 0 ? places[count - 1].clock_offset_us : 0;
}

/* A machine's own ledger, and its rows once more in an export or a merged one. Clones of an image have equal row ids.
 */
MUST_USE static int is_repeated(struct ranking *ranking, const json_t *delivery, bool *ret, struct error *err)
{
	const char *id = json_text_at(delivery, "id"), *at = json_text_at(delivery, "delivered_at");
	const char *instance = json_text_at(delivery, "host.instance_id");
	char name[160];
	*ret = false;
	if (!ranking->may_repeat || id == NULL || at == NULL)
		return 0;
	int length = snprintf(name, sizeof(name), "%.40s %.40s %.40s", id, at, instance != NULL ? instance : "");
	if (map_find(&ranking->seen, name, (size_t)length) != MAP_NONE) {
		*ret = true;
		return 0;
	}
	return map_add(&ranking->seen, name, (size_t)length, 1, NULL, err);
}

static int take_delivery(void *context, const json_t *delivery, struct error *err)
{
	struct ranking *ranking = context;
	const char *source = json_text_at(delivery, "source");
	int64_t at_us = suspects_time(delivery, "delivered_at");
	struct map_entry entry;
	bool is_known = false;
	if (source != NULL && strcmp(source, "self") == 0)
		return 0;
	if (is_repeated(ranking, delivery, &is_known, err) < 0)
		return -1;
	if (is_known)
		return 0;
	if (ranking->first_delivery_us == 0 || at_us < ranking->first_delivery_us)
		ranking->first_delivery_us = at_us;
	CLEANUP_FREE char *identity = identity_of(delivery);
	if (identity == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for suspects");
	if (map_find(&ranking->by_process, identity, strlen(identity)) == MAP_NONE && ranking->count == PROCESSES_MAX)
		return 0;
	if (map_add(&ranking->by_process, identity, strlen(identity), (uint32_t)ranking->count, &entry, err) < 0)
		return -1;
	if (entry.value == ranking->count) {
		if (array_reserve(&ranking->suspects, sizeof(*ranking->suspects), ranking->count, &ranking->capacity,
		                  "suspects", err) < 0)
			return -1;
		ranking->suspects[ranking->count++] =
			(struct suspect){.delivery = json_deep_copy(delivery),
		                         .ledger = ranking->ledger,
		                         .first_us = at_us,
		                         .last_us = at_us,
		                         .offset_us = offset_of(ranking, delivery, at_us)};
	}
	struct suspect *suspect = &ranking->suspects[entry.value];
	const char *outcome = json_text_at(delivery, "outcome");
	suspect->count++;
	suspect->was_delivered = suspect->was_delivered || outcome == NULL || strcmp(outcome, "delivered") == 0;
	suspect->last_us = at_us > suspect->last_us ? at_us : suspect->last_us;
	int64_t offset_us = offset_of(ranking, delivery, at_us);
	if (at_us + offset_us < suspect->first_us + suspect->offset_us) {
		json_decref(suspect->delivery);
		suspect->delivery = json_deep_copy(delivery);
		suspect->first_us = at_us;
		suspect->offset_us = offset_us;
	}
	return 0;
}

/* Of equal points the one nearer to the first use; then as the ledger has them. */
static int compare(const void *left, const void *right)
{
	const struct suspect *a = left, *b = right;
	if (a->points != b->points)
		return a->points > b->points ? -1 : 1;
	int64_t a_us = a->first_us + a->offset_us, b_us = b->first_us + b->offset_us;
	if (a_us != b_us)
		return (a_us > b_us) == a->is_before ? -1 : 1;
	int64_t a_pid = 0, b_pid = 0;
	(void)json_int_at(a->delivery, "process.pid", &a_pid);
	(void)json_int_at(b->delivery, "process.pid", &b_pid);
	return (a_pid > b_pid) - (a_pid < b_pid);
}

/* ---- into the finding */

static const char *const notes[SUSPECTS_NOTE_COUNT] = {
	[SUSPECTS_ONLY] = "the only process on record that received the key before its first use",
	[SUSPECTS_ONLY_UNSURE] =
		"the only delivery on record before the first use; which process received it is not certain",
	[SUSPECTS_ALIKE] = "every process that received the key before its first use: nothing sets one apart",
	[SUSPECTS_SOME_ALIKE] = "the first ones rank alike: nothing sets one of them apart",
	[SUSPECTS_NOBODY] = "nobody is on record as having received the key before its first use",
};

enum suspects_note suspects_note_of(const json_t *finding)
{
	const char *note = json_text_at(finding, "suspects_note");
	for (int i = SUSPECTS_ONLY; i < SUSPECTS_NOTE_COUNT && note != NULL; i++)
		if (strcmp(notes[i], note) == 0)
			return (enum suspects_note)i;
	return SUSPECTS_STAND_OUT;
}

static bool is_certain(const json_t *suspect)
{
	return json_at(suspect, "process") != NULL && json_array_size(json_at(suspect, "holders")) <= 1 &&
	       !suspects_is_relay(suspect);
}

const json_t *suspects_first(const json_t *finding)
{
	const json_t *first = json_array_get(json_at(finding, "suspects"), 0);
	enum suspects_note note = suspects_note_of(finding);
	return (note == SUSPECTS_STAND_OUT || note == SUSPECTS_ONLY) && is_certain(first) ? first : NULL;
}

/* What the ranking is worth. How sure an attribution is says nothing against a process. */
static enum suspects_note judge_ranking(const struct ranking *ranking)
{
	const struct suspect *first = &ranking->suspects[0];
	size_t likely = 0, alike = 0;
	for (size_t i = 0; i < ranking->count; i++) {
		const struct suspect *suspect = &ranking->suspects[i];
		likely += suspect->is_before;
		alike += suspect->is_before &&
		         suspect->points - suspect->grade_points == first->points - first->grade_points;
	}
	if (likely == 0)
		return SUSPECTS_NOBODY;
	if (likely == 1)
		return is_certain(first->delivery) ? SUSPECTS_ONLY : SUSPECTS_ONLY_UNSURE;
	return alike == likely ? SUSPECTS_ALIKE : alike > 1 ? SUSPECTS_SOME_ALIKE : SUSPECTS_STAND_OUT;
}

static json_t *object_of(const struct suspect *suspect, size_t rank)
{
	static const char *const fields[] = {"delivered_at", "outcome", "path",   "user_agent", "attribution",
	                                     "process",      "holders", "client", "host"};
	json_t *object = json_object();
	json_put_int(object, "rank", (json_int_t)rank);
	json_put_int(object, "score", suspect->points);
	json_put(object, "reasons", json_incref(suspect->reasons));
	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
		json_put(object, fields[i], json_incref(json_object_get(suspect->delivery, fields[i])));
	json_put_time(object, "last_delivered_at", suspect->last_us);
	json_put_int(object, "deliveries", suspect->count);
	if (json_is_null(json_object_get(object, "holders")))
		json_put(object, "holders", json_array());
	return object;
}

int suspects_put(json_t *finding, struct ledger *const *ledgers, size_t count, const struct tracked *tracked,
                 struct error *err)
{
	CLEANUP(ranking_done) struct ranking ranking = {.tracked = tracked, .may_repeat = count > 1};
	const json_t *root = json_array_get(json_at(finding, "lineage"), 0);
	const char *key = json_text_at(root != NULL ? root : finding, "access_key_id");
	const struct ledger_filter filter = {.access_key_id = key, .credentials_only = true, .oldest_first = true};
	json_t *list = json_array();
	json_put(finding, "suspects", list);
	json_put_int(finding, "suspects_omitted", 0);
	json_put_text(finding, "suspects_note", NULL);
	for (size_t i = 0; i < count && key != NULL; i++) {
		ranking.ledger = ledgers[i];
		if (ledger_deliveries(ledgers[i], &filter, take_delivery, &ranking, err) < 0)
			return -1;
	}
	if (ranking.count == 0)
		return 0;
	suspects_weigh(&ranking, finding);
	qsort(ranking.suspects, ranking.count, sizeof(ranking.suspects[0]), compare);
	for (size_t i = 0; i < ranking.count && i < SUSPECTS_MAX; i++)
		(void)json_array_append_new(list, object_of(&ranking.suspects[i], i + 1));
	json_put_text(finding, "suspects_note", notes[judge_ranking(&ranking)]);
	if (ranking.count > SUSPECTS_MAX)
		json_put_int(finding, "suspects_omitted", (json_int_t)(ranking.count - SUSPECTS_MAX));
	return 0;
}
