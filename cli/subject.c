/* SPDX-License-Identifier: Apache-2.0 */

/* From a key or an id to everything that is known of it. */
#include "cli/subject.h"

#include <string.h>

#include "cli/access_key.h"
#include "cli/complain.h"
#include "cli/coverage.h"
#include "cli/place.h"
#include "common/text.h"
#include "store/review.h"

struct search {
	struct subject *subject;
	const char *id; /* the finding that was named, or NULL */
};

/* Does the key stand in the way from a delivered key to the used one? */
static bool descends(const json_t *finding, const char *key)
{
	const json_t *lineage = json_at(finding, "lineage");
	for (size_t i = 0; i < json_array_size(lineage); i++) {
		const char *id = json_text_at(json_array_get(lineage, i), "access_key_id");
		if (id != NULL && strcmp(id, key) == 0)
			return true;
	}
	return false;
}

static int take_finding(void *context, const json_t *finding, struct error *err)
{
	const struct search *search = context;
	const char *id = json_text_at(finding, "id"), *key = json_text_at(finding, "access_key_id");
	const char *wanted = search->subject->key;
	(void)err;
	bool is_named = search->id != NULL && id != NULL && strcmp(id, search->id) == 0;
	bool is_of_key = wanted[0] != '\0' && ((key != NULL && strcmp(key, wanted) == 0) || descends(finding, wanted));
	if (is_named)
		(void)json_array_insert_new(search->subject->findings, 0, json_deep_copy(finding));
	else if (is_of_key)
		(void)json_array_append_new(search->subject->findings, json_deep_copy(finding));
	return 0;
}

/* How little a finding says of what is to be done first: smaller is more. Known and suppressed ones come last; of
 * equally severe ones, those that name a stranger's account come first, since that is whom to report. */
static int64_t little(const json_t *finding)
{
	static const char *const severities[] = {"HIGH", "MEDIUM", "LOW"};
	const char *severity = json_text_at(finding, "severity"), *relation = json_text_at(finding, "remote.relation");
	bool is_suppressed = json_is_true(json_at(finding, "suppressed"));
	bool is_strangers = relation != NULL && strcmp(relation, "unaffiliated") == 0 &&
	                    json_text_at(finding, "remote.account_id") != NULL;
	int place = severity != NULL ? name_index(severities, ARRAY_LENGTH(severities), severity) : -1;
	int64_t rung = 9;
	(void)json_int_at(finding, "rung", &rung);
	return (is_suppressed ? 1000 : 0) + (place >= 0 ? place : 9) * 100 + (is_strangers ? 0 : 10) + rung;
}

/* The finding that all else is told by. */
static void lead(json_t *findings)
{
	size_t first = 0;
	for (size_t i = 1; i < json_array_size(findings); i++)
		if (little(json_array_get(findings, i)) < little(json_array_get(findings, first)))
			first = i;
	if (first == 0)
		return;
	json_t *finding = json_incref(json_array_get(findings, first));
	(void)json_array_remove(findings, first);
	(void)json_array_insert_new(findings, 0, finding);
}

MUST_USE static int name_key(struct findings *findings, const char *id, struct subject *subject, struct error *err)
{
	const struct findings_filter filter = {.id = id};
	struct search search = {.subject = subject, .id = id};
	if (findings_list(findings, &filter, take_finding, &search, err) < 0)
		return -1;
	const char *key = json_text_at(json_array_get(subject->findings, 0), "access_key_id");
	(void)text_copy(subject->key, sizeof(subject->key), key != NULL ? key : "");
	(void)json_array_clear(subject->findings);
	return 0;
}

static int take_use(void *context, const json_t *use, struct error *err)
{
	struct subject *subject = context;
	(void)err;
	(void)json_array_append_new(subject->uses, json_deep_copy(use));
	return 0;
}

MUST_USE static int read_findings(struct findings *findings, const char *id, struct subject *subject, struct error *err)
{
	const struct findings_filter all = {0};
	struct search search = {.subject = subject, .id = id};
	if (id != NULL && name_key(findings, id, subject, err) < 0)
		return -1;
	if (findings_list(findings, &all, take_finding, &search, err) < 0)
		return -1;
	if (id == NULL)
		lead(subject->findings);
	return findings_uses(findings, subject->findings, SUBJECT_ROWS_MAX, take_use, subject, &subject->uses_omitted,
	                     err);
}

/* The key that was delivered: the first step of the lineage of the first finding. */
static void name_root(struct subject *subject)
{
	const json_t *lineage = json_at(json_array_get(subject->findings, 0), "lineage");
	const char *root = json_text_at(json_array_get(lineage, 0), "access_key_id");
	(void)text_copy(subject->root, sizeof(subject->root), root != NULL ? root : subject->key);
}

/* ---- the ledger's part */

static int take_key(void *context, const json_t *key, struct error *err)
{
	struct subject *subject = context;
	(void)err;
	json_decref(subject->delivered);
	subject->delivered = json_deep_copy(key);
	return 0;
}

static int take_delivery(void *context, const json_t *delivery, struct error *err)
{
	struct subject *subject = context;
	(void)err;
	if (json_array_size(subject->deliveries) < SUBJECT_ROWS_MAX)
		(void)json_array_append_new(subject->deliveries, json_deep_copy(delivery));
	else
		subject->deliveries_omitted++;
	return 0;
}

MUST_USE static int read_ledger(struct ledger *ledger, int64_t now_us, struct subject *subject, struct error *err)
{
	const struct ledger_filter filter = {
		.access_key_id = subject->root, .credentials_only = true, .oldest_first = true};
	if (ledger == NULL || subject->root[0] == '\0')
		return 0;
	if (ledger_keys(ledger, &filter, take_key, subject, err) < 0 ||
	    ledger_deliveries(ledger, &filter, take_delivery, subject, err) < 0)
		return -1;
	return coverage_of_key(ledger, subject->root, 0, 0, now_us, &subject->coverage, err);
}

/* ---- all */

MUST_USE static int open_both(const struct arguments *arguments, struct ledger **ret_ledger,
                              struct findings **ret_findings, struct error *err)
{
	struct place place;
	struct error problem = {0};
	if (place_find(arguments, &place, err) < 0 || place_open_findings(arguments, &place, ret_findings, err) < 0)
		return -1;
	if (place_open_ledger(&place, ret_ledger, &problem) == 0)
		return 0;
	if (*ret_findings == NULL || problem.code != ERROR_MISSING)
		return error_set(err, problem.code, "%s", problem.text);
	complain("%s", problem.text);
	return 0;
}

MUST_USE static int search(const struct arguments *arguments, const char *text, int64_t now_us, struct subject *subject,
                           struct error *err)
{
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	CLEANUP_FINDINGS struct findings *findings = NULL;
	char id[DIGEST_HEX_BYTES];
	bool is_id = review_is_id(text);
	const char *command = arguments->command->name;
	if (!is_id && !access_key_is_valid(text))
		return error_set(err, ERROR_USAGE, "%s %.140s: no finding's id, and no key: " ACCESS_KEY_EXPECTED,
		                 command, text);
	if (open_both(arguments, &ledger, &findings, err) < 0)
		return -1;
	if (is_id && findings == NULL)
		return error_set(err, ERROR_MISSING, "%s %.64s: no findings are stored here", command, text);
	if (is_id && review_find(findings, text, id, err) < 0)
		return -1;
	if (!is_id)
		(void)text_copy(subject->key, sizeof(subject->key), text);
	if (findings != NULL && read_findings(findings, is_id ? id : NULL, subject, err) < 0)
		return -1;
	name_root(subject);
	return read_ledger(ledger, now_us, subject, err);
}

int subject_find(const struct arguments *arguments, const char *text, int64_t now_us, struct subject *ret,
                 struct error *err)
{
	CLEANUP_SUBJECT struct subject subject = {.findings = json_array(),
	                                          .delivered = json_null(),
	                                          .deliveries = json_array(),
	                                          .uses = json_array(),
	                                          .ledger = arguments->ledger_count > 0 ? arguments->ledgers[0] : NULL};
	if (subject.findings == NULL || subject.deliveries == NULL || subject.uses == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a key");
	if (search(arguments, text, now_us, &subject, err) < 0)
		return -1;
	*ret = subject;
	subject = (struct subject){0};
	return 0;
}

void subject_done(struct subject *subject)
{
	json_decref(subject->findings);
	json_decref(subject->delivered);
	json_decref(subject->deliveries);
	json_decref(subject->uses);
	json_decref(subject->coverage);
	*subject = (struct subject){0};
}
