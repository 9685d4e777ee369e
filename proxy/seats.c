/* SPDX-License-Identifier: Apache-2.0 */

/* A table of at most some thousand rows, looked through only when it is full or somebody has much. */
#include "proxy/seats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

struct holding {
	struct seat_holder holder;
	int count;       /* 0: a free row */
	int group_count; /* of all its group's holders; kept in each of them */
};

struct seat {
	int fd;
	int64_t taken_ms;                /* 0: a free seat */
	atomic_int_least64_t waiting_ms; /* for its client since then; 0: being worked on; PARKED */
	struct holding *holding;         /* NULL: not admitted, or ended */
	bool is_ended;
};

#define PARKED (-1)

struct seats {
	pthread_mutex_t mutex; /* guards all */
	int limit, size, admitted;
	struct seat *seats;
	int seats_top; /* behind the last that is taken */
	struct holding *holdings;
	int holdings_top;
	int64_t complained_ms;
};

/* The first byte of a group says what the others are. */
enum group_kind { GROUP_NETNS = 'n', GROUP_LOCAL = 'l', GROUP_ADDRESS = 'a' };

struct seat_holder seat_holder_of(const struct sighting *sighting, bool is_local)
{
	struct seat_holder holder = {.uid = -1};
	bool is_known = sighting->is_found && !sighting->is_ambiguous;
	if (is_known && sighting->inode != 0)
		holder.uid = sighting->uid;
	if (is_known && sighting->netns != 0) {
		holder.group[0] = GROUP_NETNS;
		memcpy(holder.group + 1, &sighting->netns, sizeof(sighting->netns));
	} else if (is_local) {
		holder.group[0] = GROUP_LOCAL;
	} else {
		holder.group[0] = GROUP_ADDRESS;
		memcpy(holder.group + 1, sighting->client.address, sizeof(sighting->client.address));
	}
	return holder;
}

static bool is_group(const struct holding *holding, const struct seat_holder *holder)
{
	return holding->count > 0 && memcmp(holding->holder.group, holder->group, sizeof(holder->group)) == 0;
}

/* The row of a holder, made if need be; it counts nothing yet. There are as many rows as seats. */
static struct holding *holding_of(struct seats *seats, const struct seat_holder *holder)
{
	struct holding *free_row = NULL;
	int group_count = 0;
	for (int i = 0; i < seats->holdings_top; i++) {
		struct holding *row = &seats->holdings[i];
		if (row->count == 0 && free_row == NULL)
			free_row = row;
		if (!is_group(row, holder))
			continue;
		if (row->holder.uid == holder->uid)
			return row;
		group_count = row->group_count;
	}
	if (free_row == NULL)
		free_row = &seats->holdings[seats->holdings_top++]; /* there are no more of them than seats */
	*free_row = (struct holding){.holder = *holder, .group_count = group_count};
	return free_row;
}

static void count(struct seats *seats, struct seat *seat, struct holding *holding, int change)
{
	const struct seat_holder holder = holding->holder;
	int group_count = holding->group_count + change;
	holding->count += change;
	seats->admitted += change;
	seat->holding = change > 0 ? holding : NULL;
	holding->group_count = group_count;
	for (int i = 0; i < seats->holdings_top; i++)
		if (is_group(&seats->holdings[i], &holder))
			seats->holdings[i].group_count = group_count;
	while (seats->holdings_top > 0 && seats->holdings[seats->holdings_top - 1].count == 0)
		seats->holdings_top--;
}

/* The largest holder of the largest group, or of this one's; NULL: there is none. */
static const struct holding *largest(const struct seats *seats, const struct seat_holder *of_group)
{
	const struct holding *most = NULL;
	for (int i = 0; i < seats->holdings_top; i++) {
		const struct holding *row = &seats->holdings[i];
		if (row->count == 0 || (of_group != NULL && !is_group(row, of_group)))
			continue;
		if (most == NULL || row->group_count > most->group_count ||
		    (row->group_count == most->group_count && row->count > most->count))
			most = row;
	}
	return most;
}

/* Does the newcomer have less than the largest (NULL: there is none), counting itself? */
static bool is_smaller(const struct holding *newcomer, const struct holding *most)
{
	if (most == NULL)
		return false;
	if (memcmp(newcomer->holder.group, most->holder.group, sizeof(newcomer->holder.group)) == 0)
		return newcomer->count < most->count;
	return newcomer->group_count < most->group_count ||
	       (newcomer->group_count == most->group_count && newcomer->count < most->count);
}

/* The connection that has waited longest for its client, since then or longer, of this holder or, unless `alone`, of
 * those of its group that have as much; NULL: none. */
static struct seat *oldest_waiting(struct seats *seats, const struct holding *holding, bool alone, int64_t since_ms)
{
	struct seat *oldest = NULL;
	int64_t before_ms = since_ms + 1;
	for (int i = 0; holding != NULL && i < seats->seats_top; i++) {
		struct seat *seat = &seats->seats[i];
		int64_t waiting_ms = atomic_load(&seat->waiting_ms);
		if (seat->holding == NULL || waiting_ms <= 0 || waiting_ms >= before_ms)
			continue;
		if (seat->holding != holding &&
		    (alone || seat->holding->count != holding->count || !is_group(seat->holding, &holding->holder)))
			continue;
		oldest = seat;
		before_ms = waiting_ms;
	}
	return oldest;
}

static void end(struct seats *seats, struct seat *seat)
{
	count(seats, seat, seat->holding, -1);
	seat->is_ended = true;
	(void)shutdown(seat->fd, SHUT_RDWR); /* whoever waits on it wakes up */
}

/* Who is to give a seat for the newcomer; NULL: nobody needs to. */
static const struct holding *giver(const struct seats *seats, const struct holding *newcomer)
{
	if (newcomer->count >= (seats->limit + 3) / 4)
		return newcomer;
	if (newcomer->group_count >= (seats->limit + 1) / 2)
		return largest(seats, &newcomer->holder);
	if (seats->admitted < seats->limit)
		return NULL;
	const struct holding *most = largest(seats, NULL);
	return is_smaller(newcomer, most) ? most : largest(seats, &newcomer->holder);
}

/* With the mutex held. */
static bool admit(struct seats *seats, struct seat *seat, const struct seat_holder *holder, int64_t now_ms)
{
	struct holding *holding = holding_of(seats, holder);
	const struct holding *from = giver(seats, holding);
	struct seat *given = oldest_waiting(seats, from, from == holding, now_ms - SEAT_PATIENCE_MS);
	if (given == NULL && seats->admitted >= seats->limit) {
		from = largest(seats, NULL);
		if (!is_smaller(holding, from))
			return false;
		given = oldest_waiting(seats, from, false, now_ms);
		/* The last seat is for looking at newcomers: without it, nobody would be told to make room any more. */
		if (given == NULL && seats->admitted >= seats->size - 1)
			return false;
	}
	if (given != NULL)
		end(seats, given);
	count(seats, seat, holding_of(seats, holder), 1); /* the row may have gone with the seat that was given */
	return true;
}

bool seats_admit(struct seats *seats, struct seat *seat, const struct seat_holder *holder, int64_t now_ms)
{
	(void)pthread_mutex_lock(&seats->mutex);
	bool admitted = admit(seats, seat, holder, now_ms);
	(void)pthread_mutex_unlock(&seats->mutex);
	return admitted;
}

bool seats_admit_unknown(struct seats *seats, struct seat *seat)
{
	static const struct seat_holder somebody = {.group = {GROUP_LOCAL}, .uid = -1};
	bool admitted = false;
	(void)pthread_mutex_lock(&seats->mutex);
	if (seats->admitted < seats->limit / 2) {
		struct holding *holding = holding_of(seats, &somebody);
		admitted = holding->count < seats->limit / 8;
		if (admitted)
			count(seats, seat, holding, 1);
	}
	(void)pthread_mutex_unlock(&seats->mutex);
	return admitted;
}

void seats_limit(struct seats *seats, int limit, int64_t now_ms)
{
	struct seat *given;
	(void)pthread_mutex_lock(&seats->mutex);
	seats->limit = limit;
	while (seats->admitted > seats->limit &&
	       (given = oldest_waiting(seats, largest(seats, NULL), false, now_ms)) != NULL)
		end(seats, given);
	(void)pthread_mutex_unlock(&seats->mutex);
}

struct seat *seats_take(struct seats *seats, int fd, int64_t now_ms)
{
	struct seat *seat = NULL;
	(void)pthread_mutex_lock(&seats->mutex);
	int i = 0;
	while (i < seats->size && seats->seats[i].taken_ms != 0)
		i++;
	if (i < seats->size) {
		seat = &seats->seats[i];
		seats->seats_top = i >= seats->seats_top ? i + 1 : seats->seats_top;
		seat->fd = fd;
		seat->taken_ms = now_ms;
		seat->is_ended = false;
		atomic_store(&seat->waiting_ms, now_ms);
	}
	(void)pthread_mutex_unlock(&seats->mutex);
	return seat;
}

void seat_waits(struct seat *seat, int64_t now_ms)
{
	atomic_store(&seat->waiting_ms, now_ms);
}

void seat_works(struct seat *seat)
{
	atomic_store(&seat->waiting_ms, 0);
}

void seat_parks(struct seat *seat)
{
	atomic_store(&seat->waiting_ms, PARKED);
}

bool seats_leave(struct seats *seats, struct seat *seat)
{
	(void)pthread_mutex_lock(&seats->mutex);
	if (seat->holding != NULL)
		count(seats, seat, seat->holding, -1);
	bool was_ended = seat->is_ended;
	seat->taken_ms = 0;
	while (seats->seats_top > 0 && seats->seats[seats->seats_top - 1].taken_ms == 0)
		seats->seats_top--;
	(void)pthread_mutex_unlock(&seats->mutex);
	return was_ended;
}

bool seats_may_complain(struct seats *seats, int64_t now_ms)
{
	(void)pthread_mutex_lock(&seats->mutex);
	bool may = now_ms - seats->complained_ms >= 1000;
	if (may)
		seats->complained_ms = now_ms;
	(void)pthread_mutex_unlock(&seats->mutex);
	return may;
}

int seats_stuck(struct seats *seats, int64_t now_ms)
{
	int stuck = 0;
	(void)pthread_mutex_lock(&seats->mutex);
	for (int i = 0; i < seats->seats_top; i++) {
		const struct seat *seat = &seats->seats[i];
		int64_t waiting_ms = atomic_load(&seat->waiting_ms);
		bool is_slow = waiting_ms != 0 && now_ms - waiting_ms >= SEAT_SLOW_MS;
		stuck += seat->taken_ms != 0 && waiting_ms != PARKED &&
		         (is_slow || now_ms - seat->taken_ms >= SEAT_LONG_MS);
	}
	(void)pthread_mutex_unlock(&seats->mutex);
	return stuck;
}

int seats_new(int limit, int extra, struct seats **ret, struct error *err)
{
	struct seats *seats = calloc(1, sizeof(*seats));
	if (seats == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the seats");
	(void)pthread_mutex_init(&seats->mutex, NULL);
	seats->limit = limit;
	seats->size = limit + extra;
	seats->seats = calloc((size_t)seats->size, sizeof(*seats->seats));
	seats->holdings = calloc((size_t)seats->size, sizeof(*seats->holdings));
	if (seats->seats == NULL || seats->holdings == NULL) {
		seats_free(seats);
		return error_set(err, ERROR_MEMORY, "no memory for the seats");
	}
	*ret = seats;
	return 0;
}

void seats_free(struct seats *seats)
{
	if (seats == NULL)
		return;
	free(seats->seats);
	free(seats->holdings);
	(void)pthread_mutex_destroy(&seats->mutex);
	free(seats);
}
