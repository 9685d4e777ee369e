/* SPDX-License-Identifier: Apache-2.0 */

/* A table of executables, each waiting, being read, or done. One thread reads, at a bounded rate and at the lowest
 * priority; everybody else only looks into the table. Who runs a program may choose its file: so the bounds are on
 * bytes, files and time, and nothing is opened for reading but in that thread. */
#include "proxy/witness/digests.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "common/clock.h"
#include "common/text.h"

#define TABLE_MAX 256
#define CHUNK_BYTES (128 << 10)
/* A file changed a moment ago may change again within one tick of the clock that its ctime is taken from. */
#define SETTLE_US 20000

enum state { STATE_FREE, STATE_QUEUED, STATE_BUSY, STATE_KNOWN, STATE_FAILED };

struct entry {
	enum state state;
	char file[DIGESTS_FILE_BYTES];
	char *path; /* owned; NULL: unknown */
	int fd;     /* owned while queued */
	bool announce, is_announced;
	uint8_t digest[DIGEST_BYTES];
	uint64_t used; /* greater: asked for later */
};

struct digests {
	pthread_t thread;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t queued, known;
	struct entry table[TABLE_MAX];
	unsigned waiting;
	uint64_t uses;
	bool stop;
};

char *digests_file(const struct statx *status, char to[static DIGESTS_FILE_BYTES])
{
	(void)snprintf(to, DIGESTS_FILE_BYTES, "%u:%u:%llu:%llu:%lld%09u:%lld%09u", status->stx_dev_major,
	               status->stx_dev_minor, (unsigned long long)status->stx_ino, (unsigned long long)status->stx_size,
	               (long long)status->stx_mtime.tv_sec, status->stx_mtime.tv_nsec,
	               (long long)status->stx_ctime.tv_sec, status->stx_ctime.tv_nsec);
	return to;
}

static bool is_same_time(const struct statx_timestamp *a, const struct statx_timestamp *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool digests_is_same_file(const struct statx *a, const struct statx *b)
{
	return a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor &&
	       a->stx_ino == b->stx_ino && a->stx_size == b->stx_size && is_same_time(&a->stx_mtime, &b->stx_mtime) &&
	       is_same_time(&a->stx_ctime, &b->stx_ctime);
}

/* ---- the table; with the mutex held */

static struct entry *entry_of(struct digests *digests, const char *file)
{
	for (size_t i = 0; i < TABLE_MAX; i++)
		if (digests->table[i].state != STATE_FREE && strcmp(digests->table[i].file, file) == 0)
			return &digests->table[i];
	return NULL;
}

/* A free place, else that of whoever was not asked for the longest; never of one that is still at work. */
static struct entry *place_for(struct digests *digests)
{
	struct entry *oldest = NULL;
	for (size_t i = 0; i < TABLE_MAX; i++) {
		struct entry *entry = &digests->table[i];
		if (entry->state == STATE_FREE)
			return entry;
		bool is_over = entry->state == STATE_KNOWN || entry->state == STATE_FAILED;
		if (is_over && (oldest == NULL || entry->used < oldest->used))
			oldest = entry;
	}
	return oldest;
}

static void enqueue(struct digests *digests, const struct digests_query *query)
{
	struct entry *entry = digests->waiting < DIGESTS_QUEUE_MAX ? place_for(digests) : NULL;
	int fd = entry != NULL ? fcntl(query->fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd < 0)
		return;
	free(entry->path);
	*entry = (struct entry){.state = STATE_QUEUED,
	                        .path = query->path != NULL ? strdup(query->path) : NULL,
	                        .fd = fd,
	                        .announce = query->announce,
	                        .used = ++digests->uses};
	(void)text_copy(entry->file, sizeof(entry->file), query->file);
	digests->waiting++;
	(void)pthread_cond_signal(&digests->queued);
}

bool digests_find(struct digests *digests, const struct digests_query *query, char ret[static DIGEST_HEX_BYTES])
{
	(void)pthread_mutex_lock(&digests->mutex);
	struct entry *entry = entry_of(digests, query->file);
	bool is_known = entry != NULL && entry->state == STATE_KNOWN;
	if (is_known)
		(void)digest_hex(entry->digest, DIGEST_BYTES, ret);
	if (entry != NULL) {
		entry->used = ++digests->uses;
		entry->announce |= query->announce && !is_known;
	} else {
		enqueue(digests, query);
	}
	(void)pthread_mutex_unlock(&digests->mutex);
	return is_known;
}

json_t *digests_next(struct digests *digests)
{
	char hex[DIGEST_HEX_BYTES];
	json_t *news = NULL;
	(void)pthread_mutex_lock(&digests->mutex);
	for (;;) {
		for (size_t i = 0; news == NULL && i < TABLE_MAX; i++) {
			struct entry *entry = &digests->table[i];
			if (entry->state != STATE_KNOWN || !entry->announce || entry->is_announced)
				continue;
			entry->is_announced = true;
			news = json_object();
			json_put(news, "exe",
			         entry->path != NULL ? json_from_bytes(entry->path, strlen(entry->path)) : NULL);
			json_put_text(news, "exe_file", entry->file);
			json_put_text(news, "exe_sha256", digest_hex(entry->digest, DIGEST_BYTES, hex));
		}
		if (news != NULL)
			break;
		(void)pthread_cond_wait(&digests->known, &digests->mutex);
	}
	(void)pthread_mutex_unlock(&digests->mutex);
	return news;
}

/* ---- the thread that reads */

static bool must_stop(struct digests *digests)
{
	(void)pthread_mutex_lock(&digests->mutex);
	bool stop = digests->stop;
	(void)pthread_mutex_unlock(&digests->mutex);
	return stop;
}

static void sleep_us(int64_t duration_us)
{
	struct timespec time = {.tv_sec = duration_us / CLOCK_SECOND_US,
	                        .tv_nsec = (long)(duration_us % CLOCK_SECOND_US) * 1000};
	if (duration_us > 0)
		(void)nanosleep(&time, NULL);
}

/* Is the file behind `fd` still the one that was asked for? */
static bool is_still(int fd, const char *file, struct statx *ret)
{
	char now[DIGESTS_FILE_BYTES];
	return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, ret) == 0 && strcmp(digests_file(ret, now), file) == 0;
}

/* All of it, at the rate that is allowed. */
MUST_USE static int read_all(struct digests *digests, int fd, struct digest *digest)
{
	CLEANUP_FREE char *bytes = malloc(CHUNK_BYTES);
	const int64_t start_us = clock_monotonic_us();
	int64_t total = 0;
	for (ssize_t got = 1; bytes != NULL && got > 0;) {
		got = read(fd, bytes, CHUNK_BYTES);
		total += got > 0 ? got : 0;
		if (got < 0 || total > DIGESTS_SIZE_MAX || must_stop(digests) ||
		    digest_add(digest, bytes, (size_t)got, NULL) < 0)
			return -1;
		sleep_us(start_us + total * CLOCK_SECOND_US / DIGESTS_BYTES_PER_SECOND - clock_monotonic_us());
	}
	return bytes != NULL ? 0 : -1;
}

MUST_USE static int make_digest(struct digests *digests, int named, const char *file, uint8_t ret[static DIGEST_BYTES])
{
	char path[48];
	struct statx status;
	struct digest *digest = NULL;
	if (!is_still(named, file, &status) || !S_ISREG(status.stx_mode) || status.stx_size > DIGESTS_SIZE_MAX)
		return -1;
	int64_t changed_us = status.stx_ctime.tv_sec * CLOCK_SECOND_US + status.stx_ctime.tv_nsec / 1000;
	if (clock_now_us() - changed_us < SETTLE_US)
		sleep_us(SETTLE_US);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", named);
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || digest_new(&digest, NULL) < 0)
		return -1;
	int result = read_all(digests, fd, digest);
	if (result == 0)
		result = digest_take(digest, ret, NULL);
	digest_free(digest);
	return result == 0 && is_still(fd, file, &status) ? 0 : -1;
}

/* The one that has waited for the longest; with the mutex held. */
static struct entry *next_queued(struct digests *digests)
{
	struct entry *next = NULL;
	for (size_t i = 0; i < TABLE_MAX; i++) {
		struct entry *entry = &digests->table[i];
		if (entry->state == STATE_QUEUED && (next == NULL || entry->used < next->used))
			next = entry;
	}
	return next;
}

static void work_on(struct digests *digests, struct entry *entry)
{
	uint8_t digest[DIGEST_BYTES];
	int fd = entry->fd;
	entry->state = STATE_BUSY; /* nobody but us changes its file now */
	digests->waiting--;
	(void)pthread_mutex_unlock(&digests->mutex);
	int result = make_digest(digests, fd, entry->file, digest);
	(void)close(fd);
	(void)pthread_mutex_lock(&digests->mutex);
	entry->state = result == 0 ? STATE_KNOWN : STATE_FAILED;
	if (result == 0)
		memcpy(entry->digest, digest, DIGEST_BYTES);
	(void)pthread_cond_broadcast(&digests->known);
}

static void *run(void *context)
{
	struct digests *digests = context;
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	(void)pthread_mutex_lock(&digests->mutex);
	while (!digests->stop) {
		struct entry *entry = next_queued(digests);
		if (entry != NULL)
			work_on(digests, entry);
		else
			(void)pthread_cond_wait(&digests->queued, &digests->mutex);
	}
	(void)pthread_mutex_unlock(&digests->mutex);
	return NULL;
}

int digests_new(struct digests **ret, struct error *err)
{
	struct digests *digests = calloc(1, sizeof(*digests));
	if (digests == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for digests of executables");
	(void)pthread_mutex_init(&digests->mutex, NULL);
	(void)pthread_cond_init(&digests->queued, NULL);
	(void)pthread_cond_init(&digests->known, NULL);
	if (pthread_create(&digests->thread, NULL, run, digests) != 0) {
		free(digests);
		return error_set(err, ERROR_SYSTEM, "cannot start a thread for digests of executables");
	}
	*ret = digests;
	return 0;
}

void digests_free(struct digests *digests)
{
	if (digests == NULL)
		return;
	(void)pthread_mutex_lock(&digests->mutex);
	digests->stop = true;
	(void)pthread_cond_broadcast(&digests->queued);
	(void)pthread_mutex_unlock(&digests->mutex);
	(void)pthread_join(digests->thread, NULL);
	for (size_t i = 0; i < TABLE_MAX; i++) {
		free(digests->table[i].path);
		if (digests->table[i].state == STATE_QUEUED)
			(void)close(digests->table[i].fd);
	}
	free(digests);
}
