/* SPDX-License-Identifier: Apache-2.0 */

/* A few values under a lock that is held for moments only. */
#include "proxy/place.h"

#include <pthread.h>
#include <string.h>

#include "common/clock.h"

struct values {
	struct sockaddr_storage addresses[ENDPOINT_COUNT];
	int64_t timeout_ms;
	bool keeps;
};

struct place {
	pthread_mutex_t mutex; /* guards what follows */
	struct values values;
};

MUST_USE static int parse(const struct upstream_options *options, struct values *ret, struct error *err)
{
	*ret = (struct values){.timeout_ms = options->timeout_ms, .keeps = options->cache_ms > 0};
	for (int i = 0; i < ENDPOINT_COUNT; i++)
		if (transfer_parse_address(options->addresses[i], &ret->addresses[i], err) < 0)
			return -1;
	return 0;
}

int place_new(const struct upstream_options *options, struct place **ret, struct error *err)
{
	struct place *place = calloc(1, sizeof(*place));
	if (place == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for upstream");
	(void)pthread_mutex_init(&place->mutex, NULL);
	if (parse(options, &place->values, err) < 0) {
		place_free(place);
		return -1;
	}
	*ret = place;
	return 0;
}

void place_free(struct place *place)
{
	if (place == NULL)
		return;
	(void)pthread_mutex_destroy(&place->mutex);
	free(place);
}

int place_change(struct place *place, const struct upstream_options *options, bool *ret_is_other, struct error *err)
{
	struct values next;
	if (parse(options, &next, err) < 0)
		return -1;
	(void)pthread_mutex_lock(&place->mutex);
	*ret_is_other = memcmp(place->values.addresses, next.addresses, sizeof(next.addresses)) != 0;
	place->values = next;
	(void)pthread_mutex_unlock(&place->mutex);
	return 0;
}

struct sockaddr_storage place_address(struct place *place, enum upstream_endpoint endpoint)
{
	(void)pthread_mutex_lock(&place->mutex);
	struct sockaddr_storage address = place->values.addresses[endpoint];
	(void)pthread_mutex_unlock(&place->mutex);
	return address;
}

int64_t place_deadline_ms(struct place *place)
{
	(void)pthread_mutex_lock(&place->mutex);
	int64_t timeout_ms = place->values.timeout_ms;
	(void)pthread_mutex_unlock(&place->mutex);
	return clock_monotonic_ms() + timeout_ms;
}

bool place_keeps(struct place *place)
{
	(void)pthread_mutex_lock(&place->mutex);
	bool keeps = place->values.keeps;
	(void)pthread_mutex_unlock(&place->mutex);
	return keeps;
}
