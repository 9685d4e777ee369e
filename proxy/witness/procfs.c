/* SPDX-License-Identifier: Apache-2.0 */

/* The last rung of the ladder, and the only one that costs time in proportion to the machine: newest processes first,
 * and those of the socket's user before others, since that is where it is found nearly always. */
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

struct scan {
	const struct holder_search *search;
	struct holders *holders;
	char wanted[32]; /* "socket:[N]" */
	bool is_blind;   /* there was a process that could not be looked at */
};

static void note(struct scan *scan, uint32_t pid, int fd, bool is_relay)
{
	struct holders *holders = scan->holders;
	struct holder holder = {.pid = pid, .fd = fd, .is_relay = is_relay};
	if (!procfs_start(pid, &holder.start_ticks))
		return; /* it ended between the two looks */
	if (holders->count < HOLDERS_MAX)
		holders->items[holders->count] = holder;
	holders->count++;
}

/* Looks through one process's descriptors. */
static void look_at(struct scan *scan, uint32_t pid)
{
	char path[32], link[64];
	(void)snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	DIR *folder = opendir(path);
	if (folder == NULL) {
		bool is_denied = errno == EACCES || errno == EPERM;
		bool is_short = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
		scan->is_blind |= is_short || (is_denied && pid != INIT_PID);
		return;
	}
	int found = -1;
	bool is_relay = false, is_hidden = false;
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		uint64_t fd;
		ssize_t length;
		if (!text_to_u64(entry->d_name, INT32_MAX, &fd))
			continue;
		length = readlinkat(dirfd(folder), entry->d_name, link, sizeof(link) - 1);
		if (length <= 0) {
			is_hidden |= length < 0 && (errno == EACCES || errno == EPERM);
			continue;
		}
		link[length] = '\0';
		if (found < 0 && strcmp(link, scan->wanted) == 0)
			found = (int)fd;
		is_relay |= strcmp(link, "/dev/net/tun") == 0;
	}
	(void)closedir(folder);
	/* Some machines hide their init even from root. It may read every process's memory anyway, so a socket in its
	 * hands would tell nothing new. */
	scan->is_blind |= is_hidden && pid != INIT_PID;
	scan->holders->looked_at++;
	if (found >= 0)
		note(scan, pid, found, is_relay);
}

/* Processes that held a socket a moment ago, most recent first: whoever asks, often asks again. Only where to look
 * first, never an answer. */
#define RECENT_MAX 16
static pthread_mutex_t recent_mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t recent[RECENT_MAX];

static void remember(uint32_t pid)
{
	(void)pthread_mutex_lock(&recent_mutex);
	size_t place = 0;
	while (place < RECENT_MAX - 1 && recent[place] != pid)
		place++;
	memmove(&recent[1], &recent[0], place * sizeof(recent[0]));
	recent[0] = pid;
	(void)pthread_mutex_unlock(&recent_mutex);
}

/* For a search that ends with the first holder: true if one of the recent ones is it. */
static bool look_at_recent(struct scan *scan)
{
	uint32_t pids[RECENT_MAX];
	(void)pthread_mutex_lock(&recent_mutex);
	memcpy(pids, recent, sizeof(pids));
	(void)pthread_mutex_unlock(&recent_mutex);
	for (size_t i = 0; i < RECENT_MAX && scan->holders->count == 0; i++)
		if (pids[i] != 0)
			look_at(scan, pids[i]);
	return scan->holders->count > 0;
}

static bool is_of_user(uint32_t pid, uint32_t uid)
{
	char path[32];
	struct stat status;
	(void)snprintf(path, sizeof(path), "/proc/%u", pid);
	return stat(path, &status) == 0 && status.st_uid == uid;
}

/* One pass over all pids; false: it was cut short. */
static bool pass(struct scan *scan, uint32_t *pids, size_t count, bool same_user_only)
{
	for (size_t i = 0; i < count; i++) {
		if (pids[i] == 0 || (same_user_only && !is_of_user(pids[i], scan->search->uid)))
			continue;
		if (clock_monotonic_ms() > scan->search->deadline_ms)
			return false;
		look_at(scan, pids[i]);
		pids[i] = 0; /* not again in the next pass */
		if (scan->search->stop_at_first && scan->holders->count > 0)
			return false;
	}
	return true;
}

static int by_pid(const void *a, const void *b)
{
	uint32_t left = ((const struct holder *)a)->pid, right = ((const struct holder *)b)->pid;
	return left < right ? -1 : left > right ? 1 : 0;
}

void procfs_find(const struct holder_search *search, struct holders *ret)
{
	struct scan scan = {.search = search, .holders = ret};
	*ret = (struct holders){0};
	if (search->inode == 0)
		return;
	(void)snprintf(scan.wanted, sizeof(scan.wanted), "socket:[%u]", search->inode);
	if (search->stop_at_first && look_at_recent(&scan)) {
		remember(ret->items[0].pid);
		return;
	}
	CLEANUP_FREE uint32_t *pids = calloc(PIDS_MAX, sizeof(*pids));
	if (pids == NULL)
		return;
	size_t count = list_pids(pids);
	if (pass(&scan, pids, count, true))
		ret->is_complete = pass(&scan, pids, count, false) && !scan.is_blind && count < PIDS_MAX;
	if (ret->count > 0)
		remember(ret->items[0].pid);
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
