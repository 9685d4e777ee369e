/* SPDX-License-Identifier: Apache-2.0 */

/* Coverage as `who` shows it: a list of receivers is worth what the ledger could see. */
#include "cli/coverage.h"

#include "cli/printable.h"
#include "common/clock.h"

struct span {
	int64_t from_us, until_us; /* 0: not known */
};

static int take_span(void *context, const json_t *key, struct error *err)
{
	struct span *span = context;
	const char *issued = json_text_at(key, "updated_at"), *first = json_text_at(key, "first_delivered_at");
	const char *ends = json_text_at(key, "expires_at");
	(void)err;
	if (issued == NULL || !clock_parse(issued, &span->from_us))
		(void)(first != NULL && clock_parse(first, &span->from_us));
	(void)(ends != NULL && clock_parse(ends, &span->until_us));
	return 0;
}

int coverage_of_key(struct ledger *ledger, const char *key, int64_t now_us, json_t **ret, struct error *err)
{
	struct ledger_filter filter = {.access_key_id = key};
	struct span span = {0};
	json_t *coverage = NULL;
	if (ledger_keys(ledger, &filter, take_span, &span, err) < 0)
		return -1;
	if (span.until_us == 0 || span.until_us > now_us)
		span.until_us = now_us;
	if (span.from_us != 0 && span.from_us < span.until_us &&
	    ledger_coverage(ledger, span.from_us, span.until_us, &coverage, err) < 0)
		return -1;
	if (coverage != NULL)
		json_put_text(coverage, "access_key_id", key);
	*ret = coverage;
	return 0;
}

int coverage_text(const json_t *coverage, const struct table_look *look, struct error *err)
{
	const json_t *gaps = json_at(coverage, "gaps");
	for (size_t i = 0; i < json_array_size(gaps); i++) {
		const json_t *gap = json_array_get(gaps, i);
		CLEANUP_BUFFER struct buffer from = {0};
		CLEANUP_BUFFER struct buffer until = {0};
		CLEANUP_BUFFER struct buffer reason = {0};
		if (printable_value(&from, json_at(gap, "from"), err) < 0 ||
		    printable_value(&until, json_at(gap, "until"), err) < 0 ||
		    printable_value(&reason, json_at(gap, "reason"), err) < 0)
			return -1;
		(void)fprintf(look->stream, "%-13s %s to %s, %s\n", i == 0 ? "Not covered" : "", from.bytes,
		              until.bytes, reason.bytes);
	}
	return 0;
}
