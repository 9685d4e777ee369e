/* SPDX-License-Identifier: Apache-2.0 */

/* Ranking the receivers of a key. A key that everybody on a machine gets was leaked by one of them: what is unusual
 * about a receiver speaks against it, and whoever got the key only after it had been used elsewhere comes last. The
 * points are a judgement, not a measurement; the reasons are there so that a reader can make their own. */
#include "detector/suspects.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "common/array.h"
#include "common/clock.h"
#include "common/text.h"
#include "detector/map.h"

#define CLOCK_SLACK_US (5 * 60 * CLOCK_SECOND_US) /* the machine's clock and CloudTrail's */
#define PROCESSES_MAX 10000                       /* held while ranking */
#define NEWNESS_MAX 50                            /* executables looked up in the ledger's past */

enum {
	POINTS_BEFORE = 100, /* more than all others together */
	POINTS_NEW = 20,
	POINTS_SHELL = 20,
	POINTS_AGENT = 10,
};

struct suspect {
	json_t *delivery; /* owned: the first one to this process */
	struct ledger *ledger;
	int64_t first_us, last_us;
	int64_t count;
	json_t *reasons; /* owned */
	int64_t points;
};

struct ranking {
	struct suspect *suspects;
	size_t count, capacity;
	struct map by_process;
	struct ledger *ledger; /* being read */
	int64_t first_delivery_us;
};

static void ranking_done(struct ranking *ranking)
{
	for (size_t i = 0; i < ranking->count; i++) {
		json_decref(ranking->suspects[i].delivery);
		json_decref(ranking->suspects[i].reasons);
	}
	free(ranking->suspects);
	map_done(&ranking->by_process);
}

static int64_t time_at(const json_t *object, const char *path)
{
	int64_t time_us = 0;
	const char *text = json_text_at(object, path);
	return text != NULL && clock_parse(text, &time_us) ? time_us : 0;
}

/* ---- one entry a process */

/* What makes two deliveries go to the same process; without a process, to the same client. */
static char *identity_of(const json_t *delivery)
{
	static const char *const paths[] = {"host.instance_id", "process.pid", "process.started_at", "process.exe"};
	static const char *const client_paths[] = {"host.instance_id", "attribution.grade", "client.address",
	                                           "client.netns"};
	bool has_process = json_at(delivery, "process") != NULL;
	CLEANUP_JSON json_t *identity = json_array();
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		const json_t *value = json_at(delivery, has_process ? paths[i] : client_paths[i]);
		(void)json_array_append_new(identity, value != NULL ? json_deep_copy(value) : json_null());
	}
	return json_line(identity);
}

static int take_delivery(void *context, const json_t *delivery, struct error *err)
{
	struct ranking *ranking = context;
	const char *source = json_text_at(delivery, "source");
	int64_t at_us = time_at(delivery, "delivered_at");
	struct map_entry entry;
	if (source != NULL && strcmp(source, "self") == 0)
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
		ranking->suspects[ranking->count++] = (struct suspect){.delivery = json_deep_copy(delivery),
		                                                       .ledger = ranking->ledger,
		                                                       .first_us = at_us,
		                                                       .last_us = at_us};
	}
	struct suspect *suspect = &ranking->suspects[entry.value];
	suspect->count++;
	suspect->last_us = at_us > suspect->last_us ? at_us : suspect->last_us;
	if (at_us < suspect->first_us) {
		json_decref(suspect->delivery);
		suspect->delivery = json_deep_copy(delivery);
		suspect->first_us = at_us;
	}
	return 0;
}

/* ---- reasons */

static void add_reason(struct suspect *suspect, int points, const char *text)
{
	(void)json_array_append_new(suspect->reasons, json_from_bytes(text, strlen(text)));
	suspect->points += points;
}

/* The first product of a user agent, in lower case: `aws-cli` of "[aws-cli/1.18.136 Python/3.8.5 ...]". */
static void product_of(const char *agent, char to[static 40])
{
	size_t length = 0;
	agent += agent[0] == '[';
	while (length < 39 && agent[length] != '\0' && strchr("/ ]", agent[length]) == NULL) {
		to[length] = (char)tolower((unsigned char)agent[length]);
		length++;
	}
	to[length] = '\0';
}

static void weigh_agent(struct suspect *suspect, const json_t *agents)
{
	const char *fetched = json_text_at(suspect->delivery, "user_agent");
	char with[40], used[40], first[40] = "", text[160];
	product_of(fetched != NULL ? fetched : "", with);
	for (size_t i = 0; i < json_array_size(agents); i++) {
		const char *agent = json_text_at(json_array_get(agents, i), "user_agent");
		product_of(agent != NULL ? agent : "", used);
		if (strcmp(with, used) == 0) {
			(void)snprintf(text, sizeof(text), "fetched and used with %s", with);
			add_reason(suspect, 0, text);
			return;
		}
		if (i == 0)
			(void)text_copy(first, sizeof(first), used);
	}
	if (first[0] == '\0')
		return;
	(void)snprintf(text, sizeof(text), "fetched with %s, used with %s", with[0] != '\0' ? with : "no user agent",
	               first);
	add_reason(suspect, POINTS_AGENT, text);
}

static bool is_named(const char *const *names, size_t count, const char *path)
{
	for (size_t i = 0; i < count && path != NULL; i++)
		if (strcmp(names[i], text_base(path)) == 0)
			return true;
	return false;
}

static void weigh_shell(struct suspect *suspect)
{
	static const char *const shells[] = {"sh",  "bash", "dash", "zsh", "fish",
	                                     "ksh", "mksh", "tcsh", "csh", "busybox"};
	static const char *const logins[] = {"sshd", "login", "su", "sudo", "ssm-session-worker", "screen", "tmux"};
	const json_t *ancestors = json_at(suspect->delivery, "process.ancestors");
	if (is_named(shells, ARRAY_LENGTH(shells), json_text_at(suspect->delivery, "process.exe"))) {
		add_reason(suspect, POINTS_SHELL, "the process is a shell");
		return;
	}
	bool has_shell = false;
	for (size_t i = 0; i < json_array_size(ancestors); i++) {
		const char *exe = json_text_at(json_array_get(ancestors, i), "exe");
		has_shell = has_shell || is_named(shells, ARRAY_LENGTH(shells), exe);
		if (has_shell && is_named(logins, ARRAY_LENGTH(logins), exe)) {
			add_reason(suspect, POINTS_SHELL, "started from an interactive shell");
			return;
		}
	}
}

static void weigh_grade(struct suspect *suspect)
{
	char text[80];
	const char *name = json_text_at(suspect->delivery, "attribution.grade");
	int grade = name_index(grade_names, GRADE_COUNT, name != NULL ? name : "none");
	(void)snprintf(text, sizeof(text), "attribution: %s", grade >= 0 ? grade_names[grade] : "unknown");
	add_reason(suspect, grade > 0 ? grade : 0, text);
}

struct past {
	bool has_any;
};

/* One is enough: ends the query. */
static int note_any(void *context, const json_t *delivery, struct error *err)
{
	struct past *past = context;
	(void)delivery;
	past->has_any = true;
	return error_set(err, ERROR_NONE, "enough");
}

/* Did the ledger record a delivery to this executable (NULL: to anybody) of that machine (NULL: the ledger's) before
 * that time? */
static bool has_past(struct ledger *ledger, const char *instance_id, const char *exe, int64_t before_us)
{
	struct past past = {0};
	struct error ignored = {0};
	const struct ledger_filter filter = {.exe = exe,
	                                     .instance_id = instance_id,
	                                     .until_us = before_us,
	                                     .credentials_only = true,
	                                     .oldest_first = true};
	(void)ledger_deliveries(ledger, &filter, note_any, &past, &ignored);
	return past.has_any;
}

/* New: nothing before this key went to that executable, on a machine whose ledger knows of earlier keys. */
static void weigh_newness(struct ranking *ranking)
{
	struct map known = {0};
	for (size_t i = 0, looked = 0; i < ranking->count && looked < NEWNESS_MAX; i++) {
		struct suspect *suspect = &ranking->suspects[i];
		const char *exe = json_text_at(suspect->delivery, "process.exe");
		bool is_merged = ledger_is_merged(suspect->ledger);
		const char *instance = is_merged ? json_text_at(suspect->delivery, "host.instance_id") : NULL;
		char name[PATH_MAX + INSTANCE_BYTES];
		if (exe == NULL || strpbrk(exe, "*?") != NULL)
			continue;
		(void)snprintf(name, sizeof(name), "%s %s", instance != NULL ? instance : "", exe);
		uint32_t is_new = map_find(&known, name, strlen(name));
		if (is_new == MAP_NONE) {
			is_new = has_past(suspect->ledger, instance, NULL, ranking->first_delivery_us) &&
			         !has_past(suspect->ledger, instance, exe, ranking->first_delivery_us);
			looked++;
			if (map_add(&known, name, strlen(name), is_new, NULL, NULL) < 0)
				break;
		}
		if (is_new == 1)
			add_reason(suspect, POINTS_NEW, "new executable: it had never received credentials before");
	}
	map_done(&known);
}

static void weigh(struct ranking *ranking, const json_t *finding)
{
	const json_t *derivation = json_array_get(json_at(finding, "lineage"), 1);
	int64_t first_use_us = time_at(finding, "first_seen");
	int64_t derived_us = time_at(derivation, "at");
	/* What was used later was made of the key by then. */
	if (derived_us != 0 && derived_us < first_use_us)
		first_use_us = derived_us;
	for (size_t i = 0; i < ranking->count; i++) {
		struct suspect *suspect = &ranking->suspects[i];
		suspect->reasons = json_array();
		if (suspect->first_us <= first_use_us + CLOCK_SLACK_US)
			add_reason(suspect, POINTS_BEFORE, "received the key before its first use");
		else
			add_reason(suspect, 0, "recorded after first use");
	}
	weigh_newness(ranking);
	for (size_t i = 0; i < ranking->count; i++) {
		weigh_shell(&ranking->suspects[i]);
		weigh_agent(&ranking->suspects[i], json_at(finding, "user_agents"));
		weigh_grade(&ranking->suspects[i]);
	}
}

/* Of equal points the one nearer to the first use; then as the ledger has them. */
static int compare(const void *left, const void *right)
{
	const struct suspect *a = left, *b = right;
	if (a->points != b->points)
		return a->points > b->points ? -1 : 1;
	if (a->first_us != b->first_us) {
		bool is_before = a->points >= POINTS_BEFORE;
		return (a->first_us > b->first_us) == is_before ? -1 : 1;
	}
	int64_t a_pid = 0, b_pid = 0;
	(void)json_int_at(a->delivery, "process.pid", &a_pid);
	(void)json_int_at(b->delivery, "process.pid", &b_pid);
	return (a_pid > b_pid) - (a_pid < b_pid);
}

/* ---- into the finding */

/* What the ranking is worth. NULL: the first stands out by itself. */
static const char *note_of(const struct ranking *ranking)
{
	const struct suspect *first = &ranking->suspects[0];
	size_t likely = 0, equal = 0;
	for (size_t i = 0; i < ranking->count; i++) {
		likely += ranking->suspects[i].points >= POINTS_BEFORE;
		equal += ranking->suspects[i].points == first->points;
	}
	if (likely == 0)
		return "nobody is on record as having received the key before its first use";
	if (likely == 1)
		return "the only process on record that received the key before its first use";
	if (equal == likely)
		return "every process that received the key before its first use: nothing sets one apart";
	return NULL;
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

int suspects_put(json_t *finding, struct ledger *const *ledgers, size_t count, struct error *err)
{
	CLEANUP(ranking_done) struct ranking ranking = {0};
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
	weigh(&ranking, finding);
	qsort(ranking.suspects, ranking.count, sizeof(ranking.suspects[0]), compare);
	for (size_t i = 0; i < ranking.count && i < SUSPECTS_MAX; i++)
		(void)json_array_append_new(list, object_of(&ranking.suspects[i], i + 1));
	json_put_text(finding, "suspects_note", note_of(&ranking));
	if (ranking.count > SUSPECTS_MAX)
		json_put_int(finding, "suspects_omitted", (json_int_t)(ranking.count - SUSPECTS_MAX));
	return 0;
}
