/* SPDX-License-Identifier: Apache-2.0 */

/* Orders to contain a key, put together. A derived key has several targets, itself and what it came from: ending the
 * one does not end the other. */
#include "cli/containment.h"

#include <string.h>

#include "cli/calls.h"
#include "cli/steps.h"
#include "cli/timeline.h"
#include "common/clock.h"
#include "detector/suspects.h"
#include "detector/verdict.h"

/* What a lineage leads to; each once, however many findings tell of it. */
static bool is_told(json_t *told, const json_t *step)
{
	static const char *const names[] = {"access_key_id", "user", "principal_id"};
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		const char *name = json_text_at(step, names[i]);
		if (name == NULL)
			continue;
		bool is_known = json_object_get(told, name) != NULL;
		json_put_bool(told, name, true);
		return is_known;
	}
	return false;
}

/* The delivered key, and what came of it by any of the findings, the newest first: that is the one in use. What was
 * asked for comes before the rest. */
static json_t *all_steps(const struct subject *subject, const struct target *root, int64_t now_us)
{
	json_t *list = json_array();
	CLEANUP_JSON json_t *told = json_object();
	const json_t *findings = subject->findings;
	bool asks_for_root = strcmp(subject->key, subject->root) == 0;
	if (asks_for_root)
		steps_add(list, root);
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *lineage = json_at(json_array_get(findings, i), "lineage");
		for (size_t j = json_array_size(lineage); j-- > 1;) {
			if (is_told(told, json_array_get(lineage, j)))
				continue;
			const struct target derived = target_derived(json_array_get(lineage, j), now_us);
			steps_add(list, &derived);
		}
	}
	if (!asks_for_root)
		steps_add(list, root);
	return list;
}

/* ---- what to collect before anything is changed */

#define WORDS_MAX 10

/* Our own commands read the ledger that this one was told to read. */
static void collect(json_t *list, const char *ledger, const char *what, const char *const *words)
{
	CLEANUP_JSON json_t *commands = json_array();
	const char *with_ledger[WORDS_MAX + 3] = {NULL};
	size_t count = 0;
	while (count < WORDS_MAX && words[count] != NULL) {
		with_ledger[count] = words[count];
		count++;
	}
	if (ledger != NULL && strcmp(words[0], "keytrail") == 0) {
		with_ledger[count++] = "--ledger";
		with_ledger[count] = ledger;
	}
	steps_add_command(commands, with_ledger);
	(void)json_array_append_new(list,
	                            json_pack("{s:s, s:O?}", "what", what, "command", json_array_get(commands, 0)));
}
#define COLLECT(list, what, ...) collect((list), subject->ledger, (what), (const char *const[]){__VA_ARGS__, NULL})
#define RECEIVERS_MAX 3

/* The likeliest; where nobody stands out, the first ones. */
static void collect_receivers(json_t *list, const struct subject *subject, const json_t *finding)
{
	const json_t *suspects = json_at(finding, "suspects"), *first = suspects_first(finding);
	char pid_text[24];
	int64_t pid;
	for (size_t i = 0; i < json_array_size(suspects) && i < (first != NULL ? 1 : RECEIVERS_MAX); i++) {
		const json_t *suspect = json_array_get(suspects, i);
		if (!json_int_at(suspect, "process.pid", &pid))
			continue;
		(void)snprintf(pid_text, sizeof(pid_text), "%lld", (long long)pid);
		COLLECT(list,
		        first != NULL ? "What else the likeliest receiver was handed, on its machine"
		                      : "What else one of the receivers was handed, on its machine",
		        "keytrail", "processes", pid_text);
	}
}

static json_t *collection(const struct subject *subject, const json_t *finding, const struct target *root)
{
	char attribute[KEY_ID_BYTES + 64], specification[INSTANCE_BYTES + 32];
	const char *region = json_text_at(json_array_get(json_at(finding, "regions"), 0), "region");
	json_t *list = json_array();
	if (subject->key[0] != '\0') {
		COLLECT(list, "All that is known, as one page", "keytrail", "report", subject->key, "--file",
		        "keytrail-report.html");
		COLLECT(list, "The deliveries, for programs", "keytrail", "deliveries", "--key", subject->root, "-o",
		        "jsonl");
	}
	COLLECT(list, "Proof that the ledger is not rewritten later", "keytrail", "ledger", "anchor");
	collect_receivers(list, subject, finding);
	if (root->instance != NULL && target_is_plain(root->instance, "") && root->kind != TARGET_USER) {
		(void)snprintf(specification, sizeof(specification), "InstanceId=%.32s", root->instance);
		COLLECT(list, "The disks, before the machine changes", "aws", "ec2", "create-snapshots",
		        "--instance-specification", specification, "--region",
		        root->region != NULL ? root->region : "REPLACE_WITH_REGION");
	}
	if (subject->key[0] != '\0') {
		(void)snprintf(attribute, sizeof(attribute), "AttributeKey=AccessKeyId,AttributeValue=%s",
		               subject->key);
		COLLECT(list, "What was called with it in this region (90 days, management events)", "aws",
		        "cloudtrail", "lookup-events", "--lookup-attributes", attribute, "--region",
		        region != NULL ? region : "REPLACE_WITH_REGION");
	}
	if (root->role != NULL)
		COLLECT(list, "What the role may do", "aws", "iam", "list-attached-role-policies", "--role-name",
		        root->role);
	return list;
}

/* ---- all */

MUST_USE static int put_sentences(json_t *plan, const json_t *finding, struct error *err)
{
	CLEANUP_BUFFER struct buffer verdict = {0};
	CLEANUP_BUFFER struct buffer suspect = {0};
	if (finding == NULL) {
		json_put_text(plan, "verdict", "No finding is known on this key.");
		json_put_text(plan, "suspect", NULL);
		return 0;
	}
	if (verdict_sentence(finding, &verdict, err) < 0 || verdict_suspect(finding, &suspect, err) < 0)
		return -1;
	json_put_text(plan, "verdict", verdict.bytes);
	json_put_text(plan, "suspect", suspect.bytes);
	return 0;
}

MUST_USE static int put_findings(json_t *plan, const json_t *findings, struct error *err)
{
	static const char *const copied[] = {"id", "type", "severity", "state"};
	json_t *list = json_array();
	json_put(plan, "findings", list);
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *finding = json_array_get(findings, i);
		CLEANUP_BUFFER struct buffer text = {0};
		json_t *brief = json_object();
		(void)json_array_append_new(list, brief);
		for (size_t j = 0; j < ARRAY_LENGTH(copied); j++)
			json_put_text(brief, copied[j], json_text_at(finding, copied[j]));
		if (verdict_sentence(finding, &text, err) < 0)
			return -1;
		json_put_text(brief, "verdict", text.bytes);
		json_put_text(brief, "suppressed_because", json_text_at(finding, "suppression.reason"));
	}
	return 0;
}

/* A sentence if the delivered key is good for nothing any more. */
static const char *say_expired(const struct subject *subject, int64_t now_us)
{
	const char *expires = json_text_at(subject->delivered, "expires_at");
	int64_t expires_us;
	if (expires == NULL || !clock_parse(expires, &expires_us) || expires_us > now_us)
		return NULL;
	return "It has expired. What came of it may not have: keys made with it, and newer keys of the same machine.";
}

static json_t *nobody(void)
{
	return json_pack("{s:n, s:n, s:n, s:n, s:s, s:s, s:s, s:s}", "account_id", "address", "vpc_endpoint_id",
	                 "network", "relation", "unknown", "certainty", certainty_names[CERTAINTY_NONE], "text",
	                 "Nothing is known of anybody who used it: no finding is stored.", "advice",
	                 "Let `keytrail detect` read CloudTrail first, if there is time; stopping a key does no harm "
	                 "to evidence.");
}

/* Of the key that was asked for: the delivered one, or the last that came of it. */
static enum target_kind kind_of(const struct subject *subject, const json_t *lineage, const struct target *root,
                                int64_t now_us)
{
	size_t count = json_array_size(lineage);
	if (count < 2 || strcmp(subject->key, subject->root) == 0)
		return root->kind;
	return target_derived(json_array_get(lineage, count - 1), now_us).kind;
}

int containment_make(const struct subject *subject, int64_t now_us, json_t **ret, struct error *err)
{
	const json_t *finding = json_array_get(subject->findings, 0);
	CLEANUP_JSON json_t *plan = json_object();
	const struct target root = target_root(subject, finding, now_us);
	const json_t *lineage = json_at(finding, "lineage");
	const char *account = root.account;
	char encoded[ACCOUNT_BYTES] = "";
	if (plan == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a plan");
	key_account(subject->key, encoded);
	json_put_text(plan, "kind", "containment");
	json_put_text(plan, "access_key_id", subject->key[0] != '\0' ? subject->key : NULL);
	CLEANUP_JSON json_t *timeline = timeline_make(subject);
	json_put(plan, "timeline", timeline_brief(timeline));
	json_put(plan, "calls", calls_by_service(subject->findings));
	json_put(plan, "steps", all_steps(subject, &root, now_us));
	json_put(plan, "collect", collection(subject, finding, &root));
	json_put_text(plan, "key_kind", target_kind_names[kind_of(subject, lineage, &root, now_us)]);
	json_put_text(plan, "account_id", account);
	json_put_text(plan, "encoded_account_id", encoded[0] != '\0' ? encoded : NULL);
	json_put_text(plan, "role", root.role);
	json_put_text(plan, "instance_id", root.instance);
	json_put_text(plan, "expires_at", json_text_at(subject->delivered, "expires_at"));
	json_put_text(plan, "expired", say_expired(subject, now_us));
	json_put(plan, "lineage", lineage != NULL ? json_deep_copy(lineage) : json_array());
	json_t *side = finding != NULL ? verdict_other_side(finding) : nobody();
	json_put(plan, "other_side", side);
	json_put(plan, "report", finding != NULL ? containment_draft(subject, side) : NULL);
	if (put_sentences(plan, finding, err) < 0 || put_findings(plan, subject->findings, err) < 0)
		return -1;
	*ret = steal_pointer(&plan);
	return 0;
}
