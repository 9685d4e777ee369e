/* SPDX-License-Identifier: Apache-2.0 */

/* Coverage as `who` shows it: a list of receivers is worth what the ledger could see. */
#include "cli/coverage.h"

#include <string.h>

#include "cli/printable.h"
#include "cli/prose.h"
#include "common/clock.h"
#include "common/text.h"
#include "store/model.h"

#define MACHINES_SHOWN 5 /* in a table; JSON has all */

struct span {
	int64_t from_us, until_us; /* 0: not known */
	char instance_id[INSTANCE_BYTES];
};

static int take_span(void *context, const json_t *key, struct error *err)
{
	struct span *span = context;
	const char *issued = json_text_at(key, "updated_at"), *first = json_text_at(key, "first_delivered_at");
	const char *ends = json_text_at(key, "expires_at"), *instance = json_text_at(key, "instance_id");
	(void)err;
	if (issued == NULL || !clock_parse(issued, &span->from_us))
		(void)(first != NULL && clock_parse(first, &span->from_us));
	(void)(ends != NULL && clock_parse(ends, &span->until_us));
	(void)text_copy(span->instance_id, sizeof(span->instance_id), instance != NULL ? instance : "");
	return 0;
}

struct others {
	const char *instance_id; /* not this one */
	json_t *list;
};

static int add_other(void *context, const json_t *coverage, struct error *err)
{
	const struct others *others = context;
	const char *instance = json_text_at(coverage, "instance_id");
	if (instance != NULL && strcmp(instance, others->instance_id) == 0)
		return 0;
	json_t *object = json_object();
	json_put_text(object, "instance_id", instance);
	json_put_text(object, "ledger_id", json_text_at(coverage, "ledger_id"));
	json_put(object, "gaps", json_deep_copy(json_at(coverage, "gaps")));
	return json_array_append_new(others->list, object) == 0 ? 0 : error_set(err, ERROR_MEMORY, "no memory");
}

MUST_USE static int put_others(struct ledger *ledger, const struct span *span, json_t *coverage, struct error *err)
{
	const struct others others = {.instance_id = span->instance_id, .list = json_array()};
	struct others lent = others;
	int64_t machines = 0;
	json_put(coverage, "uncovered", others.list);
	if (ledger_uncovered(ledger, span->from_us, span->until_us, &machines, add_other, &lent, err) < 0)
		return -1;
	json_put_int(coverage, "machines", machines);
	return 0;
}

int coverage_of_key(struct ledger *ledger, const char *key, int64_t from_us, int64_t until_us, int64_t now_us,
                    json_t **ret, struct error *err)
{
	struct ledger_filter filter = {.access_key_id = key};
	struct span span = {0};
	CLEANUP_JSON json_t *coverage = NULL;
	if (ledger_keys(ledger, &filter, take_span, &span, err) < 0)
		return -1;
	if (from_us != 0) {
		span.from_us = from_us;
		span.until_us = until_us;
	} else if (until_us != 0 && until_us < span.until_us) {
		span.until_us = until_us;
	}
	if (span.until_us == 0 || span.until_us > now_us)
		span.until_us = now_us;
	*ret = NULL;
	if (span.from_us == 0 || span.from_us >= span.until_us)
		return 0;
	bool is_merged = ledger_is_merged(ledger);
	const char *instance = is_merged && span.instance_id[0] != '\0' ? span.instance_id : NULL;
	if (ledger_coverage_of(ledger, instance, span.from_us, span.until_us, &coverage, err) < 0 ||
	    (is_merged && put_others(ledger, &span, coverage, err) < 0))
		return -1;
	json_put_text(coverage, "access_key_id", key);
	*ret = steal_pointer(&coverage);
	return 0;
}

MUST_USE static int others_text(const json_t *coverage, const struct table_look *look, struct error *err)
{
	const json_t *others = json_at(coverage, "uncovered");
	CLEANUP_BUFFER struct buffer text = {0};
	size_t count = json_array_size(others);
	int64_t machines = 0;
	if (count == 0 || !json_int_at(coverage, "machines", &machines))
		return 0;
	for (size_t i = 0; i < count && i < MACHINES_SHOWN; i++) {
		const json_t *other = json_array_get(others, i);
		const json_t *name = json_at(other, "instance_id");
		if (buffer_printf(&text, err, i > 0 ? ", " : "") < 0 ||
		    printable_value(&text, name != NULL ? name : json_at(other, "ledger_id"), err) < 0)
			return -1;
	}
	(void)fprintf(look->stream, "%-13s %zu other(s) of %lld machines, who may have had it, too: %s%s\n",
	              "Not covered", count, (long long)machines, text.bytes,
	              count > MACHINES_SHOWN ? ", ... (-o json)" : "");
	return 0;
}

/* What a reason means to somebody who has not read docs/ledger.md. */
static const char *const reason_words[COVERAGE_REASON_COUNT] = {
	[COVERAGE_NOT_KEPT] = "before the ledger's first row",
	[COVERAGE_CLOCK_SET_BACK] = "the clock was set back",
	[COVERAGE_DAEMON_DOWN] = "the daemon was stopped",
	[COVERAGE_DAEMON_DIED] = "the daemon died",
	[COVERAGE_LEDGER_NOT_WRITTEN] = "rows were lost",
	[COVERAGE_NO_BEAT] = "the machine slept, or nothing could be written",
	[COVERAGE_REDIRECT_NOT_WHOLE] = "requests could go past the daemon",
	[COVERAGE_REDIRECT_UNCHECKED] = "nobody checked the redirect",
	[COVERAGE_NOT_YET_KNOWN] = "since the newest row",
	[COVERAGE_ROWS_MISSING] = "its rows were never imported",
};

int coverage_gap_text(const json_t *gap, const char *what, const struct table_look *look, struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	const char *from = json_text_at(gap, "from"), *until = json_text_at(gap, "until");
	const char *reason = json_text_at(gap, "reason");
	int index = reason != NULL ? name_index(coverage_reason_names, COVERAGE_REASON_COUNT, reason) : -1;
	if (buffer_printf(&text, err, "%s to %s, %s", from != NULL ? from : "-", until != NULL ? until : "-",
	                  reason != NULL ? reason : "-") < 0 ||
	    (index >= 0 && buffer_printf(&text, err, " (%s)", reason_words[index]) < 0))
		return -1;
	return prose_text(look, what, text.bytes, err);
}

int coverage_text(const json_t *coverage, const struct table_look *look, struct error *err)
{
	const json_t *gaps = json_at(coverage, "gaps");
	for (size_t i = 0; i < json_array_size(gaps); i++)
		if (coverage_gap_text(json_array_get(gaps, i), i == 0 ? "Not covered" : "", look, err) < 0)
			return -1;
	return others_text(coverage, look, err);
}
