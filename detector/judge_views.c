/* SPDX-License-Identifier: Apache-2.0 */

/* Records that tell of one call, in whatever run they come: which of them is the use, and which are kept, since their
 * other half may come later. */
#include <string.h>

#include "detector/finding.h"
#include "detector/judge.h"

/* May a later run have another opinion of this use? Not where only the ledger and the inventory were asked. */
MUST_USE static int hold(struct judge *judge, const struct event *event, struct error *err)
{
	bool is_innocent = judge->last.verdict == VERDICT_HOME || judge->last.verdict == VERDICT_AWS;
	bool is_lasting = judge->last.is_nothing && judge->last.until_us > judge->last.from_us;
	if (judge->is_held || is_lasting)
		return 0;
	enum held_kind kind = is_innocent && judge->last.is_nothing ? HELD_QUIET : HELD_USE;
	return held_put(&judge->held, judge->setup->findings, kind, event, err);
}

/* May this record be another view of a use that another record names the key of? A call across accounts is recorded in
 * both, and by the owner of the endpoint that it came through; the others see no key. */
static bool is_partial(const struct event *event)
{
	bool joins = event->shared_id[0] != '\0' || (event->is_network && event->request_id[0] != '\0');
	return joins && (event->access_key_id[0] == '\0' || event->is_network);
}

static void note_call(struct judge *judge, const struct event *event)
{
	uint64_t shared = activity_shared(event), request = activity_request(event);
	judge->has_shared = judge->has_shared || shared != 0;
	if (shared != 0)
		(void)seen_first(&judge->calls, shared);
	if (request != 0 && judge->learned->activity.count > 0)
		(void)seen_first(&judge->calls, ~request);
}

static bool is_noted(const struct judge *judge, const struct event *event)
{
	uint64_t shared = activity_shared(event), request = activity_request(event);
	return (shared != 0 && seen_holds(&judge->calls, shared)) ||
	       (event->is_network && request != 0 && seen_holds(&judge->calls, ~request));
}

/* The owner's own calls through an endpoint of its own are many, and nothing. */
MUST_USE static int keep_partial(struct judge *judge, const struct event *event, const char *bytes, size_t length,
                                 struct error *err)
{
	const char *owner = event->endpoint_account[0] != '\0' ? event->endpoint_account : event->recipient_account;
	bool is_own = event->is_network && strcmp(owner, event->account_id) == 0;
	struct spool *partial = judge->is_replaying ? &judge->partial_replayed : &judge->partial;
	if (spool_put(partial, bytes, length, err) < 0)
		return -1;
	return judge->is_held
	               ? 0
	               : held_put(&judge->held, judge->setup->findings, is_own ? HELD_QUIET : HELD_USE, event, err);
}

int judge_event(struct judge *judge, const struct event *event, const char *bytes, size_t length, struct error *err)
{
	judge->last = (struct judged){0};
	if (is_partial(event))
		return keep_partial(judge, event, bytes, length, err);
	note_call(judge, event);
	return judge_use(judge, event, err) < 0 ? -1 : hold(judge, event, err);
}

/* It tells of a use that was judged by its own record, or will be: nothing of its own. */
MUST_USE static int take_back(struct judge *judge, const struct event *event, struct error *err)
{
	const struct findings_event nothing = {.id = event->replaces[0] != '\0' ? event->replaces : event->id,
	                                       .at_us = event->at_us,
	                                       .version = finding_version(event),
	                                       .is_replayed = judge->is_replaying};
	return event->is_addendum ? 0 : findings_judge(judge->setup->findings, &nothing, err);
}

MUST_USE static int finish_partial(struct judge *judge, struct spool *partial, struct error *err)
{
	struct error problem = {0};
	const char *bytes;
	size_t length;
	struct event event;
	if (spool_rewind(partial, err) < 0)
		return -1;
	while ((bytes = spool_next(partial, &length, &problem)) != NULL)
		if (event_read(bytes, length, &event) &&
		    (is_noted(judge, &event) ? take_back(judge, &event, err) : judge_use(judge, &event, err)) < 0)
			return -1;
	return problem.code != ERROR_NONE ? error_set(err, problem.code, "%s", problem.text) : 0;
}

static int replay(void *context, const struct event *event, const char *bytes, size_t length, struct error *err)
{
	struct judge *judge = context;
	return judge_is_ours(judge, event) ? judge_event(judge, event, bytes, length, err) : 0;
}

static void begin_replay(struct judge *judge, struct detect_summary *ignored, struct detect_summary **ret_summary)
{
	*ret_summary = judge->summary;
	judge->summary = ignored;
	judge->is_replaying = true;
}

static void end_replay(struct judge *judge, struct detect_summary *summary)
{
	judge->summary = summary;
	judge->is_replaying = false;
}

/* Whoever watches reads a few files at a time, and nothing has changed for what waits. */
bool judge_may_replay(const struct judge *judge, const bool news[static LEARNED_KINDS])
{
	bool may = judge->has_shared || judge->partial.count > 0 || judge->learned->activity.count > 0;
	for (size_t i = 0; i < LEARNED_KINDS; i++)
		may = may || news[i];
	return may;
}

int judge_replay(struct judge *judge, struct error *err)
{
	struct detect_summary *summary, ignored = {0};
	begin_replay(judge, &ignored, &summary);
	judge->is_held = true;
	int result = held_each(judge->setup->findings, replay, judge, err);
	judge->is_held = false;
	end_replay(judge, summary);
	return result;
}

int judge_finish(struct judge *judge, struct error *err)
{
	struct detect_summary *summary, ignored = {0};
	if (finish_partial(judge, &judge->partial, err) < 0)
		return -1;
	begin_replay(judge, &ignored, &summary);
	int result = finish_partial(judge, &judge->partial_replayed, err);
	end_replay(judge, summary);
	return result;
}
