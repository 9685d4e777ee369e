/* SPDX-License-Identifier: Apache-2.0 */

/* What speaks against a receiver of a key, and what makes its name less than certain. The points are a judgement, not a
 * measurement; the reasons are there so that a reader can make their own. */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "detector/suspects_parts.h"

#define OF_CLOCK "the machine's clock was "
#define NEWNESS_MAX 50 /* executables looked up in the ledger's past */

enum {
	POINTS_BEFORE = 100, /* more than all others together */
	POINTS_NEW = 20,
	POINTS_SHELL = 20,
	POINTS_AGENT = 10,
};

int64_t suspects_time(const json_t *object, const char *path)
{
	int64_t time_us = 0;
	const char *text = json_text_at(object, path);
	return text != NULL && clock_parse(text, &time_us) ? time_us : 0;
}

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

/* Of one that held the connection. */
static bool weigh_shell_of(struct suspect *suspect, const json_t *process)
{
	static const char *const shells[] = {"sh",  "bash", "dash", "zsh", "fish",
	                                     "ksh", "mksh", "tcsh", "csh", "busybox"};
	static const char *const logins[] = {"sshd", "login", "su", "sudo", "ssm-session-worker", "screen", "tmux"};
	const json_t *ancestors = json_at(process, "ancestors");
	if (is_named(shells, ARRAY_LENGTH(shells), json_text_at(process, "exe"))) {
		add_reason(suspect, POINTS_SHELL, "the process is a shell");
		return true;
	}
	bool has_shell = false;
	for (size_t i = 0; i < json_array_size(ancestors); i++) {
		const char *exe = json_text_at(json_array_get(ancestors, i), "exe");
		has_shell = has_shell || is_named(shells, ARRAY_LENGTH(shells), exe);
		if (has_shell && is_named(logins, ARRAY_LENGTH(logins), exe)) {
			add_reason(suspect, POINTS_SHELL, "started from an interactive shell");
			return true;
		}
	}
	return false;
}

static void weigh_shell(struct suspect *suspect)
{
	const json_t *holders = json_at(suspect->delivery, "holders");
	bool is_weighed = weigh_shell_of(suspect, json_at(suspect->delivery, "process"));
	for (size_t i = 0; i < json_array_size(holders) && !is_weighed; i++)
		is_weighed = weigh_shell_of(suspect, json_array_get(holders, i));
}

static void weigh_grade(struct suspect *suspect)
{
	char text[80];
	const char *name = json_text_at(suspect->delivery, "attribution.grade");
	int grade = name_index(grade_names, GRADE_COUNT, name != NULL ? name : "none");
	(void)snprintf(text, sizeof(text), "attribution: %s", grade >= 0 ? grade_names[grade] : "unknown");
	suspect->grade_points = grade > 0 ? grade : 0;
	add_reason(suspect, (int)suspect->grade_points, text);
}

bool suspects_is_relay(const json_t *delivery)
{
	const char *grade = json_text_at(delivery, "attribution.grade");
	return grade != NULL && strcmp(grade, grade_names[GRADE_RELAY]) == 0;
}

/* What makes the process that is named less than certain to be the one that has the key. */
static void weigh_doubts(struct suspect *suspect)
{
	size_t holders = json_array_size(json_at(suspect->delivery, "holders"));
	char text[120];
	if (!suspect->was_delivered)
		add_reason(suspect, 0, "not known to have received all of the answer");
	if (holders > 1) {
		(void)snprintf(text, sizeof(text), "one of %zu processes that held the connection", holders);
		add_reason(suspect, 0, text);
	}
	if (suspects_is_relay(suspect->delivery))
		add_reason(suspect, 0, "passes connections on: somebody behind it may have received the key");
	if (suspect->offset_us > SUSPECTS_SLACK_US || suspect->offset_us < -SUSPECTS_SLACK_US) {
		(void)snprintf(text, sizeof(text), OF_CLOCK "%lld s %s: reckoned by AWS's",
		               (long long)(llabs(suspect->offset_us) / CLOCK_SECOND_US),
		               suspect->offset_us > 0 ? "slow" : "fast");
		add_reason(suspect, 0, text);
	}
}

bool suspects_tells_of_clock(const char *reason)
{
	return reason != NULL && text_starts(reason, OF_CLOCK);
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

/* What is known of executables so far, and how many were looked up. */
struct newness {
	struct map known;
	size_t looked;
};

/* New: nothing before this key went to that executable, on a machine whose ledger knows of earlier keys. */
static bool is_new(const struct ranking *ranking, const struct suspect *suspect, const json_t *process,
                   struct newness *newness)
{
	const char *exe = json_text_at(process, "exe");
	bool is_merged = ledger_is_merged(suspect->ledger);
	const char *instance = is_merged ? json_text_at(suspect->delivery, "host.instance_id") : NULL;
	char name[PATH_MAX + INSTANCE_BYTES];
	if (exe == NULL || strpbrk(exe, "*?") != NULL)
		return false;
	(void)snprintf(name, sizeof(name), "%s %s", instance != NULL ? instance : "", exe);
	uint32_t found = map_find(&newness->known, name, strlen(name));
	if (found == MAP_NONE) {
		if (newness->looked++ >= NEWNESS_MAX)
			return false;
		found = has_past(suspect->ledger, instance, NULL, ranking->first_delivery_us) &&
		        !has_past(suspect->ledger, instance, exe, ranking->first_delivery_us);
		(void)!map_add(&newness->known, name, strlen(name), found, NULL, NULL);
	}
	return found == 1;
}

static void weigh_newness(struct ranking *ranking)
{
	struct newness newness = {0};
	for (size_t i = 0; i < ranking->count; i++) {
		struct suspect *suspect = &ranking->suspects[i];
		const json_t *holders = json_at(suspect->delivery, "holders");
		bool has_new = is_new(ranking, suspect, json_at(suspect->delivery, "process"), &newness);
		for (size_t h = 0; h < json_array_size(holders) && !has_new; h++)
			has_new = is_new(ranking, suspect, json_array_get(holders, h), &newness);
		if (has_new)
			add_reason(suspect, POINTS_NEW, "new executable: it had never received credentials before");
	}
	map_done(&newness.known);
}

void suspects_weigh(struct ranking *ranking, const json_t *finding)
{
	const json_t *derivation = json_array_get(json_at(finding, "lineage"), 1);
	int64_t first_use_us = suspects_time(finding, "first_seen");
	int64_t derived_us = suspects_time(derivation, "at");
	/* What was used later was made of the key by then. */
	if (derived_us != 0 && derived_us < first_use_us)
		first_use_us = derived_us;
	for (size_t i = 0; i < ranking->count; i++) {
		struct suspect *suspect = &ranking->suspects[i];
		suspect->reasons = json_array();
		suspect->is_before = suspect->first_us + suspect->offset_us <= first_use_us + SUSPECTS_SLACK_US;
		if (suspect->is_before)
			add_reason(suspect, POINTS_BEFORE, SUSPECTS_BEFORE);
		else
			add_reason(suspect, 0, "recorded after first use");
	}
	weigh_newness(ranking);
	for (size_t i = 0; i < ranking->count; i++) {
		weigh_shell(&ranking->suspects[i]);
		weigh_agent(&ranking->suspects[i], json_at(finding, "user_agents"));
		weigh_grade(&ranking->suspects[i]);
		weigh_doubts(&ranking->suspects[i]);
	}
}
