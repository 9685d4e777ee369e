/* SPDX-License-Identifier: Apache-2.0 */

/* Joining by digests: 500,000 passages fit in memory that way. For a foreign caller the record is stripped of key and
 * ARN, so there is nothing else to join by. */
#include "detector/activity.h"

#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/clock.h"

#define APART_US (15 * 60 * CLOCK_SECOND_US) /* two records of one call with one requestID */

uint64_t activity_digest(const char *text, size_t length)
{
	uint64_t hash = length > 0 ? map_hash(text, length) : 0;
	return length > 0 && hash == 0 ? 1 : hash;
}

static uint64_t hash_of(const char *text)
{
	return activity_digest(text, strlen(text));
}

uint64_t activity_shared(const struct event *event)
{
	return hash_of(event->shared_id);
}

uint64_t activity_request(const struct event *event)
{
	return hash_of(event->request_id);
}

int activity_add(struct activity *activity, const struct event *event, struct error *err)
{
	const char *owner = event->endpoint_account[0] != '\0' ? event->endpoint_account : event->recipient_account;
	struct passage passage = {
		.shared = activity_shared(event),
		.request = activity_request(event),
		.principal = hash_of(event->principal_id),
		.at_us = event->at_us,
		.owner = owner,
		.endpoint_id = event->endpoint_id,
		.event_id = event->id,
	};
	bool joins = passage.shared != 0 || passage.request != 0;
	if (!event->is_network || owner[0] == '\0' || !joins || strcmp(owner, event->account_id) == 0)
		return 0;
	return activity_put(activity, passage, err);
}

int activity_put(struct activity *activity, struct passage passage, struct error *err)
{
	activity->is_full = activity->is_full || activity->count == ACTIVITY_MAX;
	if (activity->is_full)
		return 0;
	if (array_reserve(&activity->passages, sizeof(passage), activity->count, &activity->capacity,
	                  "network activity", err) < 0 ||
	    map_keep(&activity->texts, &passage.owner, err) < 0 ||
	    map_keep(&activity->texts, &passage.endpoint_id, err) < 0 ||
	    map_keep(&activity->texts, &passage.event_id, err) < 0)
		return -1;
	activity->passages[activity->count++] = passage;
	return 0;
}

static int compare_shared(const void *left, const void *right)
{
	const struct passage *a = left, *b = right;
	int by_event = strcmp(a->event_id, b->event_id);
	if (a->shared != b->shared)
		return a->shared < b->shared ? -1 : 1;
	return by_event != 0 ? by_event : (int)b->is_stored - (int)a->is_stored;
}

static bool is_same(const struct passage *a, const struct passage *b)
{
	return a->shared == b->shared && a->request == b->request && a->principal == b->principal &&
	       a->at_us == b->at_us && strcmp(a->event_id, b->event_id) == 0 && strcmp(a->owner, b->owner) == 0 &&
	       strcmp(a->endpoint_id, b->endpoint_id) == 0;
}

/* Those of one record stand together, the stored one first. */
static void drop_repeated(struct activity *activity)
{
	size_t kept = 0;
	for (size_t i = 0; i < activity->count; i++)
		if (kept == 0 || !is_same(&activity->passages[kept - 1], &activity->passages[i]))
			activity->passages[kept++] = activity->passages[i];
	activity->count = kept;
}

static int compare_request(const void *left, const void *right)
{
	const struct passage *a = left, *b = right;
	return a->request != b->request ? (a->request < b->request ? -1 : 1) : strcmp(a->event_id, b->event_id);
}

int activity_close(struct activity *activity, struct error *err)
{
	free(activity->requests);
	activity->requests = NULL;
	if (activity->count == 0)
		return 0;
	qsort(activity->passages, activity->count, sizeof(*activity->passages), compare_shared);
	drop_repeated(activity);
	activity->requests = calloc(activity->count, sizeof(*activity->requests));
	if (activity->requests == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for network activity");
	memcpy(activity->requests, activity->passages, activity->count * sizeof(*activity->requests));
	qsort(activity->requests, activity->count, sizeof(*activity->requests), compare_request);
	return 0;
}

void activity_done(struct activity *activity)
{
	map_done(&activity->texts);
	free(activity->passages);
	free(activity->requests);
	*activity = (struct activity){0};
}

/* ---- looking up */

/* The first of those with this digest, or `count`. */
static size_t first_of(const struct passage *all, size_t count, size_t offset, uint64_t wanted)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint64_t at;
		memcpy(&at, (const char *)&all[middle] + offset, sizeof(at));
		if (at < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_same_call(const struct passage *passage, const struct event *event)
{
	uint64_t principal = hash_of(event->principal_id);
	int64_t apart = passage->at_us > event->at_us ? passage->at_us - event->at_us : event->at_us - passage->at_us;
	return apart <= APART_US && (passage->principal == 0 || principal == 0 || passage->principal == principal);
}

const struct passage *activity_of(const struct activity *activity, const struct event *event)
{
	uint64_t shared = activity_shared(event), request = activity_request(event);
	const struct passage *found = NULL;
	if (activity->requests == NULL || event->is_network)
		return NULL;
	size_t i = first_of(activity->passages, activity->count, offsetof(struct passage, shared), shared);
	for (; shared != 0 && i < activity->count && activity->passages[i].shared == shared; i++) {
		if (found != NULL && strcmp(found->owner, activity->passages[i].owner) != 0)
			return NULL;
		found = found != NULL ? found : &activity->passages[i];
	}
	if (found != NULL || request == 0)
		return found;
	i = first_of(activity->requests, activity->count, offsetof(struct passage, request), request);
	for (; i < activity->count && activity->requests[i].request == request; i++) {
		if (!is_same_call(&activity->requests[i], event))
			continue;
		if (found != NULL && strcmp(found->owner, activity->requests[i].owner) != 0)
			return NULL;
		found = found != NULL ? found : &activity->requests[i];
	}
	return found;
}

bool activity_has_request(const struct activity *activity, uint64_t request)
{
	if (activity->requests == NULL || request == 0)
		return false;
	size_t i = first_of(activity->requests, activity->count, offsetof(struct passage, request), request);
	return i < activity->count && activity->requests[i].request == request;
}
