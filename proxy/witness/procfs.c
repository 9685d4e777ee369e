/* SPDX-License-Identifier: Apache-2.0 */

/* The last rung of the ladder, and the only one that costs time in proportion to the machine. To find somebody: newest
 * processes first, and those of the socket's user before others. To exclude everybody else: all of them, in one scan
 * for all who are waiting. */
#include "proxy/witness/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/text.h"

#define PIDS_MAX 65536
#define INIT_PID 1

static int by_pid_descending(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	return left < right ? 1 : left > right ? -1 : 0;
}

/* All pids, newest (highest) first. */
static size_t list_pids(uint32_t *pids)
{
	DIR *folder = opendir("/proc");
	size_t count = 0;
	struct dirent *entry;
	uint64_t pid;
	while (folder != NULL && count < PIDS_MAX && (entry = readdir(folder)) != NULL)
		if (text_to_u64(entry->d_name, INT32_MAX, &pid))
			pids[count++] = (uint32_t)pid;
	if (folder != NULL)
		(void)closedir(folder);
	qsort(pids, count, sizeof(*pids), by_pid_descending);
	return count;
}

bool procfs_start(uint32_t pid, uint64_t *ret_ticks)
{
	char path[32], text[1024];
	(void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (got <= 0)
		return false;
	text[got] = '\0';
	/* The name may hold anything, so fields are counted behind the last parenthesis (proc(5)): 3 is the state, 22
	 * the start time. */
	const char *at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < 22; field++) {
		at = strchr(at, ' ');
		if (at != NULL)
			at++;
	}
	char number[24];
	size_t length = at != NULL ? strcspn(at, " ") : 0;
	if (length == 0 || length >= sizeof(number))
		return false;
	memcpy(number, at, length);
	number[length] = '\0';
	return text_to_u64(number, UINT64_MAX, ret_ticks);
}

uint64_t procfs_ticks(uint64_t boot_ns)
{
	return boot_ns / (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* One search under way. */
struct wanted {
	const struct holder_search *search;
	struct holders *holders;
	struct wanted *next;
	int fd; /* of the process being looked at; -1: not found there */
	bool is_done;
};

static void note(struct wanted *wanted, uint32_t pid, bool is_relay)
{
	struct holders *holders = wanted->holders;
	struct holder holder = {.pid = pid, .fd = wanted->fd, .is_relay = is_relay};
	if (!procfs_start(pid, &holder.start_ticks))
		return; /* it ended between the two looks */
	if (holders->count < HOLDERS_MAX)
		holders->items[holders->count] = holder;
	holders->count++;
}

/* `socket:[N]` -> N; 0: it is something else. */
static uint32_t socket_inode(const char *link)
{
	static const char prefix[] = "socket:[";
	return strncmp(link, prefix, sizeof(prefix) - 1) == 0 ? (uint32_t)strtoul(link + sizeof(prefix) - 1, NULL, 10)
	                                                      : 0;
}

/* Looks through one process's descriptors for all that is wanted. False: it could not be looked at. */
static bool look_at(struct wanted *list, uint32_t pid)
{
	char path[32], link[64];
	(void)snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	DIR *folder = opendir(path);
	if (folder == NULL)
		return errno == ENOENT || errno == ESRCH || (pid == INIT_PID && errno == EACCES);
	bool is_relay = false, is_hidden = false;
	for (struct wanted *wanted = list; wanted != NULL; wanted = wanted->next)
		wanted->fd = -1;
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		uint64_t fd;
		if (!text_to_u64(entry->d_name, INT32_MAX, &fd))
			continue;
		ssize_t length = readlinkat(dirfd(folder), entry->d_name, link, sizeof(link) - 1);
		if (length <= 0) {
			is_hidden |= length < 0 && (errno == EACCES || errno == EPERM);
			continue;
		}
		link[length] = '\0';
		is_relay |= strcmp(link, "/dev/net/tun") == 0;
		uint32_t inode = socket_inode(link);
		for (struct wanted *wanted = list; inode != 0 && wanted != NULL; wanted = wanted->next)
			if (wanted->search->inode == inode && wanted->fd < 0)
				wanted->fd = (int)fd;
	}
	(void)closedir(folder);
	for (struct wanted *wanted = list; wanted != NULL; wanted = wanted->next) {
		wanted->holders->looked_at++;
		if (wanted->fd >= 0)
			note(wanted, pid, is_relay);
	}
	/* Some machines hide their init even from root. It may read every process's memory anyway, so a socket in its
	 * hands would tell nothing new. */
	return !is_hidden || pid == INIT_PID;
}

/* ---- the first holder there is */

/* Processes that held a socket a moment ago, most recent first: whoever asks, often asks again. Only where to look
 * first, never an answer. */
#define RECENT_MAX 16
static pthread_mutex_t recent_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
	uint32_t pid;
	int fd;
} recent[RECENT_MAX];

static void remember(const struct holder *holder)
{
	(void)pthread_mutex_lock(&recent_mutex);
	size_t place = 0;
	while (place < RECENT_MAX - 1 && recent[place].pid != holder->pid)
		place++;
	memmove(&recent[1], &recent[0], place * sizeof(recent[0]));
	recent[0].pid = holder->pid;
	recent[0].fd = holder->fd;
	(void)pthread_mutex_unlock(&recent_mutex);
}

static void look_at_recent(struct wanted *wanted)
{
	__typeof__(recent) known;
	(void)pthread_mutex_lock(&recent_mutex);
	memcpy(known, recent, sizeof(known));
	(void)pthread_mutex_unlock(&recent_mutex);
	/* Most programs use the same descriptor every time: one link to read, before all of a process's. */
	for (size_t i = 0; i < RECENT_MAX && wanted->holders->count == 0; i++) {
		struct holder holder = {.pid = known[i].pid, .fd = known[i].fd};
		wanted->fd = known[i].fd;
		if (holder.pid != 0 && procfs_start(holder.pid, &holder.start_ticks) &&
		    procfs_still_holds(&holder, wanted->search->inode))
			note(wanted, holder.pid, false);
	}
	for (size_t i = 0; i < RECENT_MAX && wanted->holders->count == 0; i++)
		if (known[i].pid != 0)
			(void)look_at(wanted, known[i].pid);
}

static bool is_of_user(uint32_t pid, uint32_t uid)
{
	char path[32];
	struct stat status;
	(void)snprintf(path, sizeof(path), "/proc/%u", pid);
	return stat(path, &status) == 0 && status.st_uid == uid;
}

/* Newest first; with same_user_only, those of the socket's user, which are not looked at again without it. */
static void look_until_found(struct wanted *wanted, uint32_t *pids, size_t count, bool same_user_only)
{
	for (size_t i = 0; i < count && wanted->holders->count == 0; i++) {
		if (pids[i] == 0 || (same_user_only && !is_of_user(pids[i], wanted->search->uid)))
			continue;
		if (clock_monotonic_ms() > wanted->search->deadline_ms)
			return;
		(void)look_at(wanted, pids[i]);
		pids[i] = 0;
	}
}

static void find_first(struct wanted *wanted)
{
	look_at_recent(wanted);
	if (wanted->holders->count > 0)
		return;
	CLEANUP_FREE uint32_t *pids = calloc(PIDS_MAX, sizeof(*pids));
	size_t count = pids != NULL ? list_pids(pids) : 0;
	look_until_found(wanted, pids, count, true);
	look_until_found(wanted, pids, count, false);
}

/* ---- all holders there are */

#define ROUNDS_MAX 4 /* over processes that were born during the round before */

static bool is_among(const uint32_t *pids, size_t count, uint32_t pid)
{
	return bsearch(&pid, pids, count, sizeof(*pids), by_pid_descending) != NULL;
}

/* Looks at every process once, and at those that appeared meanwhile. False: not at all of them. */
static bool look_at_all(struct wanted *list, int64_t deadline_ms)
{
	CLEANUP_FREE uint32_t *seen = calloc(PIDS_MAX, sizeof(*seen));
	CLEANUP_FREE uint32_t *pids = calloc(PIDS_MAX, sizeof(*pids));
	size_t seen_count = 0;
	bool all = seen != NULL && pids != NULL;
	for (int round = 0; all && round < ROUNDS_MAX; round++) {
		size_t count = list_pids(pids), fresh = 0;
		all = count < PIDS_MAX;
		for (size_t i = 0; i < count; i++) {
			if (is_among(seen, seen_count, pids[i]))
				continue;
			if (clock_monotonic_ms() > deadline_ms)
				return false;
			all &= look_at(list, pids[i]);
			fresh++;
		}
		if (fresh == 0)
			break;
		uint32_t *swap = seen;
		seen = pids;
		pids = swap;
		seen_count = count;
	}
	return all;
}

/* Searches that came in while a scan was running are answered by the next one, all together: many clients at once cost
 * two scans, not one each. */
static pthread_mutex_t scan_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t scan_ended = PTHREAD_COND_INITIALIZER;
static struct wanted *scan_waiting;
static bool scan_runs;

/* With the mutex held, which is let go meanwhile. */
static void scan_for_all_waiting(void)
{
	struct wanted *list = scan_waiting;
	int64_t deadline_ms = list->search->deadline_ms;
	for (struct wanted *wanted = list; wanted != NULL; wanted = wanted->next)
		if (wanted->search->deadline_ms > deadline_ms)
			deadline_ms = wanted->search->deadline_ms;
	scan_waiting = NULL;
	scan_runs = true;
	(void)pthread_mutex_unlock(&scan_mutex);
	bool all = look_at_all(list, deadline_ms);
	(void)pthread_mutex_lock(&scan_mutex);
	while (list != NULL) {
		struct wanted *next = list->next; /* once done, it is its owner's stack again */
		list->holders->is_complete = all;
		list->is_done = true;
		list = next;
	}
	scan_runs = false;
	(void)pthread_cond_broadcast(&scan_ended);
}

static void find_all(struct wanted *wanted)
{
	(void)pthread_mutex_lock(&scan_mutex);
	wanted->next = scan_waiting;
	scan_waiting = wanted;
	while (!wanted->is_done) {
		if (scan_runs)
			(void)pthread_cond_wait(&scan_ended, &scan_mutex);
		else
			scan_for_all_waiting();
	}
	(void)pthread_mutex_unlock(&scan_mutex);
}

static int by_pid(const void *a, const void *b)
{
	uint32_t left = ((const struct holder *)a)->pid, right = ((const struct holder *)b)->pid;
	return left < right ? -1 : left > right ? 1 : 0;
}

void procfs_find(const struct holder_search *search, struct holders *ret)
{
	struct wanted wanted = {.search = search, .holders = ret};
	*ret = (struct holders){0};
	if (search->inode == 0)
		return;
	if (search->stop_at_first)
		find_first(&wanted);
	else
		find_all(&wanted);
	if (ret->count > 0)
		remember(&ret->items[0]);
	qsort(ret->items, ret->count < HOLDERS_MAX ? ret->count : HOLDERS_MAX, sizeof(ret->items[0]), by_pid);
}

bool procfs_still_holds(const struct holder *holder, uint32_t inode)
{
	char path[48], link[64], wanted[32];
	uint64_t start;
	(void)snprintf(path, sizeof(path), "/proc/%u/fd/%d", holder->pid, holder->fd);
	(void)snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
	ssize_t length = readlink(path, link, sizeof(link) - 1);
	if (length <= 0)
		return false;
	link[length] = '\0';
	return strcmp(link, wanted) == 0 && procfs_start(holder->pid, &start) && start == holder->start_ticks;
}
