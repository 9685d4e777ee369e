/* SPDX-License-Identifier: Apache-2.0 */

/* The daemon as its own client of IMDS. What it reads is AWS's word on where this instance is; without it every
 * instance with a public address would accuse itself. */
#include "proxy/placement.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

#define REFRESH_MS (5 * 60 * 1000) /* addresses may be associated at any time */
#define RETRY_FIRST_MS 200         /* while IMDS is out of reach, growing to ... */
#define RETRY_MOST_MS 30000
#define CLOCK_STEP_MS 2000 /* smaller changes of the clock's offset are no news */

struct placement {
	struct upstream *upstream;
	struct writer *writer;
	struct instance *instance; /* told first whose rows they are */
	struct line *line;
	struct stock stock;
	pthread_t thread;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	bool stop, refresh, waited;
	json_t *current; /* the newest row's body; NULL: none yet */
};

static int begin(void *context, const struct sockaddr_storage *address, struct error *err)
{
	struct placement *placement = context;
	return stock_connect(&placement->stock, address, err);
}

/* Reads one value. 1: read, 0: IMDS has none, -1: no answer. */
MUST_USE static int get(struct placement *placement, const char *path, struct response *answer, struct error *err)
{
	char target[256];
	(void)snprintf(target, sizeof(target), "/latest/%s", path);
	const struct upstream_request request = {
		.method = "GET", .target = target, .connect = begin, .connect_context = placement};
	if (upstream_fetch(placement->upstream, &request, answer, err) < 0)
		return -1;
	if (answer->status == 404)
		return 0;
	return answer->status == 200 ? 1 : error_set(err, ERROR_SYSTEM, "IMDS answers %d for %s", answer->status, path);
}

/* Adds each line to a sorted list without repeats. */
static void add_lines(json_t *list, const struct buffer *text)
{
	const char *at = text->bytes, *end = text->bytes + text->length;
	while (at != NULL && at < end) {
		size_t length = strcspn(at, "\r\n"), place = 0;
		CLEANUP_FREE char *value = strndup(at, length);
		at += length;
		at += strspn(at, "\r\n");
		if (value == NULL || length == 0 || length > 64)
			continue;
		while (place < json_array_size(list) &&
		       strcmp(json_string_value(json_array_get(list, place)), value) < 0)
			place++;
		const char *there = json_string_value(json_array_get(list, place));
		if (there == NULL || strcmp(there, value) != 0)
			(void)json_array_insert_new(list, place, json_from_bytes(value, length));
	}
}

MUST_USE static int add_values(struct placement *placement, const char *path, json_t *list, struct error *err)
{
	CLEANUP_RESPONSE struct response answer = {0};
	int got = get(placement, path, &answer, err);
	if (got == 1)
		add_lines(list, &answer.body);
	return got < 0 ? -1 : 0;
}

MUST_USE static int read_document(struct placement *placement, json_t *body, struct error *err)
{
	CLEANUP_RESPONSE struct response answer = {0};
	CLEANUP_JSON json_t *document = NULL;
	int got = get(placement, "dynamic/instance-identity/document", &answer, err);
	if (got < 0)
		return -1;
	if (got == 0)
		return error_set(err, ERROR_MISSING, "IMDS has no identity document");
	if (json_read(answer.body.bytes, answer.body.length, &document, err) < 0)
		return error_prefix(err, "the identity document");
	json_put_text(body, "account_id", json_text_at(document, "accountId"));
	json_put_text(body, "region", json_text_at(document, "region"));
	json_put_text(body, "instance_id", json_text_at(document, "instanceId"));
	int64_t offset_ms = answer.date_us != 0 ? (answer.date_us - clock_now_us()) / 1000 : 0;
	json_put(body, "clock_offset_ms", answer.date_us != 0 ? json_integer(offset_ms) : NULL);
	return 0;
}

/* Every interface's own values. */
MUST_USE static int read_interfaces(struct placement *placement, json_t *body, struct error *err)
{
	static const struct {
		const char *name, *list;
	} values[] = {
		{"local-ipv4s", "addresses"},
		{"public-ipv4s", "addresses"},
		{"ipv6s", "addresses"},
		{"vpc-ipv4-cidr-blocks", "addresses"},
		{"vpc-ipv6-cidr-blocks", "addresses"},
		{"vpc-id", "vpc_ids"},
		{"owner-id", "owner_ids"},
	};
	CLEANUP_JSON json_t *macs = json_array();
	if (add_values(placement, "meta-data/network/interfaces/macs/", macs, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(macs); i++)
		for (size_t j = 0; j < ARRAY_LENGTH(values); j++) {
			char path[160];
			const char *mac = json_string_value(json_array_get(macs, i));
			(void)snprintf(path, sizeof(path), "meta-data/network/interfaces/macs/%.*s/%s",
			               (int)strcspn(mac, "/"), mac, values[j].name);
			if (add_values(placement, path, json_object_get(body, values[j].list), err) < 0)
				return -1;
		}
	return 0;
}

MUST_USE static int read_all(struct placement *placement, json_t *body, struct error *err)
{
	json_put(body, "addresses", json_array());
	json_put(body, "vpc_ids", json_array());
	json_put(body, "owner_ids", json_array());
	if (read_document(placement, body, err) < 0 ||
	    add_values(placement, "meta-data/local-ipv4", json_object_get(body, "addresses"), err) < 0 ||
	    add_values(placement, "meta-data/public-ipv4", json_object_get(body, "addresses"), err) < 0 ||
	    add_values(placement, "meta-data/ipv6", json_object_get(body, "addresses"), err) < 0)
		return -1;
	return read_interfaces(placement, body, err);
}

/* The clock's offset wavers by whole seconds because Date has no fraction; that alone is no change. */
static bool is_same(const json_t *a, const json_t *b)
{
	CLEANUP_JSON json_t *left = json_copy((json_t *)(uintptr_t)a);
	CLEANUP_JSON json_t *right = json_copy((json_t *)(uintptr_t)b);
	int64_t offset_a = 0, offset_b = 0;
	(void)json_int_at(a, "clock_offset_ms", &offset_a);
	(void)json_int_at(b, "clock_offset_ms", &offset_b);
	(void)json_object_del(left, "clock_offset_ms");
	(void)json_object_del(right, "clock_offset_ms");
	return json_equal(left, right) && llabs(offset_a - offset_b) < CLOCK_STEP_MS;
}

static void keep(struct placement *placement, json_t *body)
{
	struct entry entry = {.kind = "placement", .at_us = clock_now_us(), .body = body};
	struct error problem = {0};
	instance_learned(placement->instance, json_text_at(body, "instance_id"));
	bool is_news = placement->current == NULL || !is_same(placement->current, body);
	if (is_news && entry_id_make(entry.id, &problem) == 0)
		writer_append_later(placement->writer, &entry);
	(void)pthread_mutex_lock(&placement->mutex);
	if (is_news) {
		json_decref(placement->current);
		placement->current = json_incref(body);
	}
	(void)pthread_cond_broadcast(&placement->changed);
	(void)pthread_mutex_unlock(&placement->mutex);
}

static struct timespec after_ms(int64_t ms)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return until;
}

/* Sleeps; true: it is time to end. */
static bool pause_for(struct placement *placement, int64_t ms)
{
	struct timespec until = after_ms(ms);
	(void)pthread_mutex_lock(&placement->mutex);
	while (!placement->stop && !placement->refresh &&
	       pthread_cond_timedwait(&placement->changed, &placement->mutex, &until) != ETIMEDOUT)
		continue;
	bool stop = placement->stop;
	placement->refresh = false;
	(void)pthread_mutex_unlock(&placement->mutex);
	return stop;
}

static void *run(void *argument)
{
	struct placement *placement = argument;
	int64_t retry_ms = RETRY_FIRST_MS;
	char last[sizeof(((struct error *)0)->text)] = "";
	for (;;) {
		struct error problem = {0};
		CLEANUP_JSON json_t *body = json_object();
		if (read_all(placement, body, &problem) == 0) {
			keep(placement, body);
			retry_ms = RETRY_FIRST_MS;
			last[0] = '\0';
			if (pause_for(placement, REFRESH_MS))
				return NULL;
			continue;
		}
		if (strcmp(last, problem.text) != 0)
			log_line(LOG_LEVEL_WARNING, "placement_unknown", "reason=\"%s\"", problem.text);
		(void)snprintf(last, sizeof(last), "%s", problem.text);
		if (pause_for(placement, retry_ms))
			return NULL;
		retry_ms = retry_ms * 2 < RETRY_MOST_MS ? retry_ms * 2 : RETRY_MOST_MS;
	}
}

int placement_start(struct upstream *upstream, struct writer *writer, struct instance *instance, int witness_fd,
                    struct placement **ret, struct error *err)
{
	struct placement *placement = calloc(1, sizeof(*placement));
	pthread_condattr_t monotonic;
	if (placement == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the placement");
	placement->upstream = upstream;
	placement->writer = writer;
	placement->instance = instance;
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&placement->mutex, NULL);
	(void)pthread_cond_init(&placement->changed, &monotonic);
	int result = line_open(witness_fd, &placement->line, err);
	placement->stock.line = placement->line;
	if (result == 0 && pthread_create(&placement->thread, NULL, run, placement) != 0)
		result = error_set(err, ERROR_SYSTEM, "cannot start the placement's thread");
	if (result < 0) {
		line_close(placement->line);
		free(placement);
		return -1;
	}
	*ret = placement;
	return 0;
}

void placement_stop(struct placement *placement)
{
	if (placement == NULL)
		return;
	(void)pthread_mutex_lock(&placement->mutex);
	placement->stop = true;
	(void)pthread_cond_broadcast(&placement->changed);
	(void)pthread_mutex_unlock(&placement->mutex);
	(void)pthread_join(placement->thread, NULL);
	stock_done(&placement->stock);
	line_close(placement->line);
	json_decref(placement->current);
	free(placement);
}

/* With the mutex held. */
static json_t *host_of(const json_t *current)
{
	static const char *const members[] = {"instance_id", "account_id", "region"};
	json_t *host = json_object();
	for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
		json_put_text(host, members[i], json_text_at(current, members[i]));
	return host;
}

json_t *placement_known(struct placement *placement)
{
	(void)pthread_mutex_lock(&placement->mutex);
	json_t *host = placement->current != NULL ? host_of(placement->current) : NULL;
	(void)pthread_mutex_unlock(&placement->mutex);
	return host;
}

json_t *placement_host(struct placement *placement)
{
	struct timespec until = after_ms(PLACEMENT_WAIT_MS);
	(void)pthread_mutex_lock(&placement->mutex);
	while (placement->current == NULL && !placement->stop && !placement->waited)
		if (pthread_cond_timedwait(&placement->changed, &placement->mutex, &until) == ETIMEDOUT)
			placement->waited = true;
	json_t *host = host_of(placement->current);
	(void)pthread_mutex_unlock(&placement->mutex);
	return host;
}

void placement_refresh(struct placement *placement)
{
	(void)pthread_mutex_lock(&placement->mutex);
	placement->refresh = true;
	(void)pthread_cond_broadcast(&placement->changed);
	(void)pthread_mutex_unlock(&placement->mutex);
}
