/* SPDX-License-Identifier: Apache-2.0 */

/* One question a key and region, page by page. Regions take turns, so that the limit of each is waited for only where
 * there are few. Questions about derived keys follow from answers, so these come in rounds, until there is nothing new.
 */
#include "detector/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/clock.h"
#include "common/text.h"
#include "detector/aws_answer.h"
#include "detector/lookup_follow.h"
#include "detector/spool.h"

#define TARGET "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"
#define GAP_MS 500 /* two requests a second, in each account and region */
#define KEPT_US (INT64_C(90) * 86400 * CLOCK_SECOND_US)
#define REGIONS_MAX 64
#define GLOBAL_REGION "us-east-1" /* where global services' events are */

struct region {
	char name[REGION_BYTES];
	int64_t last_ms; /* when it was asked last */
};

struct lookup {
	const struct lookup_options *options;
	struct lookup_counts *counts;
	int fd;
	struct region regions[REGIONS_MAX];
	size_t region_count;
	int64_t since_us, until_us;
	int64_t oldest_us;               /* what ended before is remembered no more */
	uint64_t asked, known, answered; /* questions */
	struct error first;              /* of those that failed */
	struct follow follow;
	char **ids; /* of keys in the ledgers */
	size_t id_count, id_capacity;
};

static void add_region(struct lookup *lookup, const char *name)
{
	for (size_t i = 0; i < lookup->region_count; i++)
		if (strcmp(lookup->regions[i].name, name) == 0)
			return;
	struct region *region = &lookup->regions[lookup->region_count];
	if (name[0] == '\0' || lookup->region_count == REGIONS_MAX)
		return;
	*region = (struct region){0};
	if (text_copy(region->name, sizeof(region->name), name))
		lookup->region_count++;
}

static int add_region_of(void *context, const struct tracked_key *key, struct error *err)
{
	(void)err;
	add_region(context, key->region);
	return 0;
}

MUST_USE static int choose_regions(struct lookup *lookup, const struct tracked *tracked, struct error *err)
{
	const struct source_filter *filter = lookup->options->filter;
	for (size_t i = 0; i < filter->region_count; i++)
		add_region(lookup, filter->regions[i]);
	if (filter->region_count > 0)
		return 0;
	if (tracked->keys != NULL && tracked_keys_each(tracked->keys, add_region_of, lookup, err) < 0)
		return -1;
	for (size_t i = 0; i < tracked->instance_count; i++)
		add_region(lookup, tracked->instances[i].region);
	add_region(lookup, GLOBAL_REGION);
	return 0;
}

/* ---- one question */

MUST_USE static int write_line(int fd, const char *text, struct error *err)
{
	CLEANUP_BUFFER struct buffer line = {0};
	size_t done = 0;
	/* A record never holds a bare line break: JSON has none in its strings. Between members it may. */
	if (buffer_printf(&line, err, "%s\n", text) < 0)
		return -1;
	for (size_t i = 0; i + 1 < line.length; i++)
		if (line.bytes[i] == '\n' || line.bytes[i] == '\r')
			line.bytes[i] = ' ';
	while (done < line.length) {
		ssize_t put = write(fd, line.bytes + done, line.length - done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return error_errno(err, "temporary file");
		done += (size_t)put;
	}
	return 0;
}

struct question {
	const char *attribute, *value;
	struct region *region;
};

MUST_USE static int ask_page(struct lookup *lookup, const struct question *question, const char *token, json_t **ret,
                             struct error *err)
{
	CLEANUP_JSON json_t *body = json_pack("{s:[{s:s,s:s}],s:i}", "LookupAttributes", "AttributeKey",
	                                      question->attribute, "AttributeValue", question->value, "MaxResults", 50);
	if (lookup->since_us != 0)
		json_put_int(body, "StartTime", lookup->since_us / CLOCK_SECOND_US);
	if (lookup->until_us != 0)
		json_put_int(body, "EndTime", lookup->until_us / CLOCK_SECOND_US);
	if (token[0] != '\0')
		json_put_text(body, "NextToken", token);
	CLEANUP_FREE char *text = json_line(body);
	if (text == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a question");
	int64_t now_ms = clock_monotonic_ms(), due_ms = question->region->last_ms + GAP_MS;
	if (question->region->last_ms != 0 && due_ms > now_ms && !aws_wait(lookup->options->aws, due_ms - now_ms))
		return error_set(err, ERROR_TIMEOUT, "stopped");
	question->region->last_ms = clock_monotonic_ms();
	const struct aws_call call = {.service = "cloudtrail",
	                              .region = question->region->name,
	                              .target = TARGET,
	                              .content_type = "application/x-amz-json-1.1",
	                              .body = text,
	                              .body_length = strlen(text)};
	return aws_ask(lookup->options->aws, &call, ret, err);
}

/* All pages. What came before an error is kept. */
MUST_USE static int ask(struct lookup *lookup, const struct question *question, struct error *err)
{
	CLEANUP_BUFFER struct buffer token = {0};
	if (buffer_append(&token, "", 0, err) < 0)
		return -1;
	do {
		CLEANUP_JSON json_t *page = NULL;
		const json_t *event;
		if (ask_page(lookup, question, token.bytes, &page, err) < 0)
			return -1;
		for (size_t i = 0; (event = aws_answer_list(page, "Events", i)) != NULL; i++) {
			const char *record = json_text_at(event, "CloudTrailEvent");
			if (record != NULL &&
			    (write_line(lookup->fd, record, err) < 0 || follow_take(&lookup->follow, record, err) < 0))
				return -1;
		}
		const char *next = json_text_at(page, "NextToken");
		buffer_clear(&token);
		if (buffer_append(&token, next != NULL ? next : "", next != NULL ? strlen(next) : 0, err) < 0)
			return -1;
	} while (token.length > 0);
	lookup->answered++;
	return 0;
}

/* In every region. One that does not answer costs its answer, and a line. */
static void ask_everywhere(struct lookup *lookup, const char *attribute, const char *value)
{
	for (size_t i = 0; i < lookup->region_count; i++) {
		const struct question question = {attribute, value, &lookup->regions[i]};
		struct error problem = {0}, line;
		int result = ask(lookup, &question, &problem);
		lookup->asked++;
		if (lookup->options->progress != NULL)
			lookup->options->progress(lookup->options->context, lookup->asked, lookup->known);
		if (result == 0)
			continue;
		(void)error_set(&line, problem.code, "LookupEvents in %s, %s %s: %s", lookup->regions[i].name,
		                attribute, value, problem.text);
		lookup->counts->failed++;
		if (lookup->first.code == ERROR_NONE)
			lookup->first = line;
		lookup->options->complain(lookup->options->context, line.text);
	}
}

/* ---- all of them */

static bool is_too_old(struct lookup *lookup, int64_t expires_us)
{
	bool is = expires_us != 0 && expires_us < lookup->oldest_us;
	if (is)
		lookup->counts->too_old++;
	return is;
}

/* Asked for later: as long as a ledger is being read, the daemon's log of it cannot be begun anew. */
static int note_key(void *context, const struct tracked_key *key, struct error *err)
{
	struct lookup *lookup = context;
	if (is_too_old(lookup, key->expires_at_us))
		return 0;
	if (array_reserve(&lookup->ids, sizeof(*lookup->ids), lookup->id_count, &lookup->id_capacity, "keys", err) < 0)
		return -1;
	if ((lookup->ids[lookup->id_count] = strdup(key->id)) == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a key");
	lookup->id_count++;
	lookup->known += lookup->region_count;
	return 0;
}

MUST_USE static int ask_tracked(struct lookup *lookup, const struct tracked *tracked, struct error *err)
{
	lookup->known = tracked->instance_count * lookup->region_count;
	if (tracked->keys != NULL && tracked_keys_each(tracked->keys, note_key, lookup, err) < 0)
		return -1;
	for (size_t i = 0; i < lookup->id_count; i++) {
		lookup->counts->keys++;
		ask_everywhere(lookup, "AccessKeyId", lookup->ids[i]);
	}
	for (size_t i = 0; i < tracked->instance_count; i++) {
		lookup->counts->sessions++;
		ask_everywhere(lookup, "Username", tracked->instances[i].id);
	}
	return 0;
}

/* One round: what all answers so far say. *ret_more: something was asked for, so there may be a further round. */
MUST_USE static int ask_round(struct lookup *lookup, bool *ret_more, struct error *err)
{
	struct lookup_counts *counts = lookup->counts;
	const char *attribute, *value;
	int64_t expires_us;
	bool has_next = true;
	uint64_t before = counts->derived;
	if (follow_open(&lookup->follow, err) < 0)
		return -1;
	for (;;) {
		if (follow_next(&lookup->follow, &attribute, &value, &expires_us, &has_next, err) < 0)
			return -1;
		if (!has_next)
			break;
		if (is_too_old(lookup, expires_us))
			continue;
		if ((counts->derived + 1) * lookup->region_count > LOOKUP_DERIVED_MAX) {
			counts->derived_left++;
			continue;
		}
		counts->derived++;
		lookup->known += lookup->region_count;
		ask_everywhere(lookup, attribute, value);
	}
	*ret_more = counts->derived > before;
	return 0;
}

static void lookup_done(struct lookup *lookup)
{
	follow_done(&lookup->follow);
	for (size_t i = 0; i < lookup->id_count; i++)
		free(lookup->ids[i]);
	free(lookup->ids);
}

int lookup_spool(const struct lookup_options *options, const struct tracked *tracked, int *ret_fd,
                 struct lookup_counts *ret, struct error *err)
{
	CLEANUP_FD int fd = -1;
	CLEANUP(lookup_done) struct lookup lookup = {.options = options, .counts = ret};
	bool has_more = true;
	lookup.oldest_us = clock_now_us() - KEPT_US;
	lookup.since_us = options->filter->since_us;
	lookup.until_us = options->filter->until_us;
	lookup.follow.lineage.tracked = tracked;
	*ret = (struct lookup_counts){0};
	if ((fd = spool_file(err)) < 0)
		return -1;
	lookup.fd = fd;
	if (choose_regions(&lookup, tracked, err) < 0)
		return -1;
	ret->regions = lookup.region_count;
	if (ask_tracked(&lookup, tracked, err) < 0)
		return -1;
	while (has_more)
		if (ask_round(&lookup, &has_more, err) < 0)
			return -1;
	if (tracked_check(tracked, err) < 0) /* whose keys were made by whom was asked of the ledgers, too */
		return -1;
	if (lookup.answered == 0 && ret->failed > 0)
		return error_set(err, lookup.first.code, "%s", lookup.first.text);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(err, "temporary file");
	*ret_fd = steal_fd(&fd);
	return 0;
}
