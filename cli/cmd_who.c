/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail who: who has this key. Deliveries first, then what the detector found of it. */
#include <string.h>

#include "cli/access_key.h"
#include "cli/columns.h"
#include "cli/complain.h"
#include "cli/coverage.h"
#include "cli/place.h"
#include "cli/reported.h"
#include "cli/table.h"
#include "cli/who_text.h"
#include "common/buffer.h"
#include "common/clock.h"

struct who {
	const struct arguments *arguments;
	struct ledger *ledger;
	struct findings *findings; /* NULL: none were ever stored */
	const json_t *keys;        /* texts */
	const json_t *reports;     /* what foreign findings say; empty without --finding */
	struct table_look look;
	struct output *output; /* where the present list goes, but for deliveries in a table */
	size_t shown;          /* deliveries of the present key */
	bool has_heading;      /* of the present key */
	json_t *previous;      /* the process of the delivery shown before */
};

static int show_delivery(void *context, const json_t *object, struct error *err)
{
	struct who *who = context;
	who->shown++;
	if (who->arguments->form != FORM_TABLE)
		return output_row(who->output, object, err);
	if (who_text_delivery(object, who->previous, &who->look, err) < 0)
		return -1;
	json_decref(who->previous);
	who->previous = json_incref(json_object_get(object, "process"));
	return 0;
}

static int show_key(void *context, const json_t *object, struct error *err)
{
	struct who *who = context;
	who->has_heading = true;
	return who_text_key(object, &who->look, err);
}

/* A key that was never handed out is not among the ledger's keys, and has a heading all the same. */
MUST_USE static int show_heading(struct who *who, const char *key, struct error *err)
{
	struct ledger_filter filter = {.access_key_id = key};
	CLEANUP_JSON json_t *bare = json_pack("{s:s}", "access_key_id", key);
	who->has_heading = false;
	if (ledger_keys(who->ledger, &filter, show_key, who, err) < 0)
		return -1;
	return who->has_heading ? 0 : who_text_key(bare, &who->look, err);
}

/* What "nothing" is worth: the ledger may be younger than the key. */
MUST_USE static int say_nothing(const struct who *who, const char *key, struct error *err)
{
	CLEANUP_JSON json_t *summary = NULL;
	if (who->arguments->rows.since_us != 0 || who->arguments->rows.until_us != 0) {
		complain("%s: nothing was delivered under this key in that time by this ledger", key);
		return 0;
	}
	if (ledger_summary(who->ledger, &summary, err) < 0)
		return -1;
	const char *first = json_text_at(summary, "first_at"), *last = json_text_at(summary, "last_at");
	if (first == NULL || last == NULL)
		complain("%s: nothing was delivered under this key by this ledger, which is empty", key);
	else
		complain("%s: nothing was delivered under this key by this ledger, which has rows from %.40s to %.40s; "
		         "`--since TIME` says what of that time it did not see",
		         key, first, last);
	return 0;
}

MUST_USE static int show_deliveries(struct who *who, const char *key, struct error *err)
{
	const struct ledger_filter *rows = &who->arguments->rows;
	struct ledger_filter filter = {.access_key_id = key, .since_us = rows->since_us, .until_us = rows->until_us};
	who->shown = 0;
	if (ledger_deliveries(who->ledger, &filter, show_delivery, who, err) < 0)
		return -1;
	return who->shown > 0 ? 0 : say_nothing(who, key, err);
}

MUST_USE static int show_findings(const struct who *who, const char *key, struct error *err)
{
	struct findings_filter filter = {.access_key_id = key};
	return who->findings == NULL ? 0 : findings_list(who->findings, &filter, output_row, who->output, err);
}

static const char *key_at(const struct who *who, size_t index)
{
	return json_string_value(json_array_get(who->keys, index));
}

/* Of the time asked for, else of the key's life. */
MUST_USE static int find_coverage(const struct who *who, const char *key, json_t **ret, struct error *err)
{
	const struct ledger_filter *rows = &who->arguments->rows;
	return coverage_of_key(who->ledger, key, rows->since_us, rows->until_us, clock_now_us(), ret, err);
}

MUST_USE static int show_coverage_row(const struct who *who, const char *key, struct error *err)
{
	CLEANUP_JSON json_t *coverage = NULL;
	if (find_coverage(who, key, &coverage, err) < 0)
		return -1;
	return coverage == NULL ? 0 : output_row(who->output, coverage, err);
}

MUST_USE static int show_coverage_text(const struct who *who, const char *key, struct error *err)
{
	CLEANUP_JSON json_t *coverage = NULL;
	if (find_coverage(who, key, &coverage, err) < 0)
		return -1;
	return coverage_text(coverage, &who->look, err);
}

static int show_finding(void *context, const json_t *object, struct error *err)
{
	struct who *who = context;
	who->shown++;
	return who_text_finding(object, &who->look, err);
}

MUST_USE static int show_finding_texts(struct who *who, const char *key, struct error *err)
{
	struct findings_filter filter = {.access_key_id = key};
	who->shown = 0;
	if (who->findings != NULL && findings_list(who->findings, &filter, show_finding, who, err) < 0)
		return -1;
	if (who->shown == 0)
		(void)printf("\nFindings      %s\n", who->findings != NULL
		                                             ? "none on this key"
		                                             : "none yet: `keytrail detect` has not run here");
	return 0;
}

MUST_USE static int show_text(struct who *who, struct error *err)
{
	for (size_t i = 0; i < json_array_size(who->reports); i++)
		if (who_text_reported(json_array_get(who->reports, i), &who->look, err) < 0)
			return -1;
	for (size_t i = 0; i < json_array_size(who->keys); i++) {
		const char *key = key_at(who, i);
		if (show_heading(who, key, err) < 0 || show_coverage_text(who, key, err) < 0 ||
		    show_deliveries(who, key, err) < 0 || show_finding_texts(who, key, err) < 0)
			return -1;
	}
	return output_finish(stdout, err);
}

/* JSON Lines and CSV: all in one list, told apart by `kind`. */
MUST_USE static int show_rows(struct who *who, struct error *err)
{
	struct output_options options = {.form = who->arguments->form, .columns = &columns_who, .stream = stdout};
	CLEANUP_OUTPUT struct output *output = NULL;
	if (output_open(&options, &output, err) < 0)
		return -1;
	who->output = output;
	for (size_t i = 0; i < json_array_size(who->reports); i++)
		if (output_row(output, json_array_get(who->reports, i), err) < 0)
			return -1;
	for (size_t i = 0; i < json_array_size(who->keys); i++)
		if (show_deliveries(who, key_at(who, i), err) < 0)
			return -1;
	for (size_t i = 0; i < json_array_size(who->keys); i++)
		if (show_findings(who, key_at(who, i), err) < 0)
			return -1;
	for (size_t i = 0; i < json_array_size(who->keys); i++)
		if (show_coverage_row(who, key_at(who, i), err) < 0)
			return -1;
	return output_close(steal_pointer(&output), err);
}

/* Of each key that the ledger knows. New reference. */
MUST_USE static int list_coverage(const struct who *who, json_t **ret, struct error *err)
{
	json_t *list = json_array();
	for (size_t i = 0; i < json_array_size(who->keys); i++) {
		json_t *coverage = NULL;
		if (find_coverage(who, key_at(who, i), &coverage, err) < 0) {
			json_decref(list);
			return -1;
		}
		if (coverage != NULL)
			(void)json_array_append_new(list, coverage);
	}
	*ret = list;
	return 0;
}

/* The head of the one object, up to its list of deliveries. `key` is null when there are several. */
MUST_USE static int json_head(const struct who *who, struct buffer *to, struct error *err)
{
	CLEANUP_JSON json_t *head = json_object();
	const json_t *key = json_array_size(who->keys) == 1 ? json_array_get(who->keys, 0) : NULL;
	json_t *coverage;
	if (list_coverage(who, &coverage, err) < 0)
		return -1;
	json_put(head, "coverage", coverage);
	json_put_text(head, "key", json_string_value(key));
	json_put(head, "keys", json_deep_copy(who->keys));
	json_put_text(head, "kind", "who");
	json_put(head, "reported", json_deep_copy(who->reports));
	CLEANUP_FREE char *line = json_dumps(head, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
	if (line == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the output");
	line[strlen(line) - 1] = '\0';
	return buffer_printf(to, err, "%s,\"deliveries\":[", line);
}

MUST_USE static int show_json(struct who *who, struct error *err)
{
	CLEANUP_BUFFER struct buffer head = {0};
	CLEANUP_OUTPUT struct output *output = NULL;
	if (json_head(who, &head, err) < 0)
		return -1;
	struct output_options options = {.form = FORM_JSON, .stream = stdout, .opening = head.bytes, .closing = "],"};
	if (output_open(&options, &output, err) < 0)
		return -1;
	who->output = output;
	for (size_t i = 0; i < json_array_size(who->keys); i++)
		if (show_deliveries(who, key_at(who, i), err) < 0)
			return -1;
	if (output_close(steal_pointer(&output), err) < 0)
		return -1;

	options = (struct output_options){
		.form = FORM_JSON, .stream = stdout, .opening = "\"findings\":[", .closing = "]}\n"};
	if (output_open(&options, &output, err) < 0)
		return -1;
	who->output = output;
	for (size_t i = 0; i < json_array_size(who->keys); i++)
		if (show_findings(who, key_at(who, i), err) < 0)
			return -1;
	return output_close(steal_pointer(&output), err);
}

MUST_USE static int choose_keys(const struct arguments *arguments, json_t **ret_reports, json_t **ret_keys,
                                struct error *err)
{
	if (arguments->reported != NULL)
		return reported_read(arguments->reported, ret_reports, ret_keys, err);
	const char *key = arguments->operands[0];
	if (!access_key_is_valid(key))
		return error_set(err, ERROR_USAGE, "who %.140s: no key, " ACCESS_KEY_EXPECTED, key);
	*ret_reports = json_array();
	*ret_keys = json_pack("[s]", key);
	return *ret_keys != NULL ? 0 : error_set(err, ERROR_MEMORY, "no memory for a key");
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	struct place place;
	CLEANUP_JSON json_t *keys = NULL;
	CLEANUP_JSON json_t *reports = NULL;
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	CLEANUP_FINDINGS struct findings *findings = NULL;
	if (choose_keys(arguments, &reports, &keys, err) < 0 || place_find(arguments, &place, err) < 0 ||
	    place_open_ledger(&place, &ledger, err) < 0 || place_open_findings(arguments, &place, &findings, err) < 0)
		return -1;
	struct who who = {.arguments = arguments,
	                  .ledger = ledger,
	                  .findings = findings,
	                  .keys = keys,
	                  .reports = reports,
	                  .look = table_look_at(stdout)};
	int result = arguments->form == FORM_TABLE  ? show_text(&who, err)
	             : arguments->form == FORM_JSON ? show_json(&who, err)
	                                            : show_rows(&who, err);
	json_decref(who.previous);
	if (result < 0)
		return -1;
	*ret = STATUS_FINE;
	return 0;
}

const struct command command_who = {
	.name = "who",
	.operands = "KEY",
	.summary = "Every process that was handed KEY, newest first, then every finding on it",
	.details = "With --finding FILE instead of KEY it starts from a finding of GuardDuty or of Security Hub "
		   "(ASFF), as the "
		   "AWS CLI, EventBridge or an export to S3 give it. Ends with 0 also when nobody was handed the key.",
	.examples = "  keytrail who ASIAIOSFODNN7EXAMPLE\n"
		    "  aws guardduty get-findings --detector-id D --finding-ids F |\n"
		    "      keytrail who --finding -\n"
		    "  keytrail who ASIAIOSFODNN7EXAMPLE -o json | jq '.deliveries[].process.exe'\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_STORED | OPTIONS_WHO,
	.minimum = 1,
	.maximum = 1,
	.run = run,
};
