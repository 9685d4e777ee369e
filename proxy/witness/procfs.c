/* SPDX-License-Identifier: Apache-2.0 */

/* The last rung of the ladder, and the only one that costs time in proportion to the machine. To find somebody: whoever
 * held that socket before, then processes of its control group, then of its user, newest first. To exclude everybody
 * else: all of them, in one scan for all who are waiting. */
#include "proxy/witness/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/text.h"
#include "proxy/witness/groups.h"
#include "proxy/witness/order.h"

#define PIDS_MAX 65536
#define INIT_PID 1
#define CLOCK_EVERY 256  /* descriptors */
#define NAMED_MAX 4096   /* processes that are looked at first */
#define MEMBERS_MAX 1024 /* of one control group, among them */

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

/* Looks through one process's descriptors for all that is wanted. False: it could not be looked at, or not to the end:
 * one process may have a million. */
static bool look_at(struct wanted *list, uint32_t pid, int64_t deadline_ms)
{
	char path[32], link[64];
	(void)snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	DIR *folder = opendir(path);
	if (folder == NULL)
		return errno == ENOENT || errno == ESRCH || (pid == INIT_PID && errno == EACCES);
	bool is_relay = false, is_hidden = false, is_late = false;
	unsigned looked = 0;
	for (struct wanted *wanted = list; wanted != NULL; wanted = wanted->next)
		wanted->fd = -1;
	for (struct dirent *entry; !is_late && (entry = readdir(folder)) != NULL;) {
		uint64_t fd;
		is_late = ++looked % CLOCK_EVERY == 0 && clock_monotonic_ms() > deadline_ms;
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
	return !is_late && (!is_hidden || pid == INIT_PID);
}

/* ---- whom to look at first */

/* Processes that held a socket a moment ago, most recent first: whoever asks, often asks again. Only where to look
 * first, never an answer. */
#define RECENT_MAX 16
struct recent {
	uint32_t inode;
	struct holder holder;
};
static pthread_mutex_t recent_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct recent recent[RECENT_MAX];

static void remember(uint32_t inode, const struct holder *holder)
{
	(void)pthread_mutex_lock(&recent_mutex);
	size_t place = 0;
	while (place < RECENT_MAX - 1 && recent[place].holder.pid != holder->pid)
		place++;
	memmove(&recent[1], &recent[0], place * sizeof(recent[0]));
	recent[0] = (struct recent){.inode = inode, .holder = *holder};
	(void)pthread_mutex_unlock(&recent_mutex);
}

static void copy_recent(struct recent to[static RECENT_MAX])
{
	(void)pthread_mutex_lock(&recent_mutex);
	memcpy(to, recent, sizeof(recent));
	(void)pthread_mutex_unlock(&recent_mutex);
}

/* Whoever held this very socket, else whoever held another one at the same descriptor: most programs use the same every
 * time. That is one link to read, before all of a process's. The process must be the one that it was. */
static void look_at_recent(struct wanted *wanted)
{
	const struct holder_search *search = wanted->search;
	struct recent known[RECENT_MAX];
	copy_recent(known);
	for (int is_guess = 0; is_guess <= 1; is_guess++)
		for (size_t i = 0; i < RECENT_MAX && wanted->holders->count == 0; i++) {
			const struct holder *holder = &known[i].holder;
			wanted->fd = holder->fd;
			if (holder->pid != 0 && (known[i].inode != search->inode) == is_guess &&
			    procfs_still_holds(holder, search->inode))
				note(wanted, holder->pid, false);
		}
	for (size_t i = 0; i < RECENT_MAX && wanted->holders->count == 0; i++)
		if (known[i].holder.pid != 0)
			(void)look_at(wanted, known[i].holder.pid, search->deadline_ms);
}

/* Whoever held one of these sockets, and the processes of the control groups that they were made in. */
static size_t name_some(const struct wanted *list, uint32_t named[static NAMED_MAX])
{
	struct recent known[RECENT_MAX];
	size_t count = 0;
	copy_recent(known);
	for (const struct wanted *wanted = list; wanted != NULL; wanted = wanted->next) {
		const struct holder_search *search = wanted->search;
		for (size_t i = 0; i < RECENT_MAX && count < NAMED_MAX; i++)
			if (known[i].holder.pid != 0 && known[i].inode == search->inode)
				named[count++] = known[i].holder.pid;
		size_t room = NAMED_MAX - count < MEMBERS_MAX ? NAMED_MAX - count : MEMBERS_MAX;
		if (search->cgroup_id > 1) /* in the root there is everybody */
			count += groups_members(search->groups, search->cgroup_id, &named[count], room);
	}
	return count;
}

static bool is_of_their_user(const void *context, uint32_t pid)
{
	char path[32];
	struct stat status;
	bool is_theirs = false;
	(void)snprintf(path, sizeof(path), "/proc/%u", pid);
	if (stat(path, &status) < 0)
		return false;
	for (const struct wanted *wanted = context; wanted != NULL && !is_theirs; wanted = wanted->next)
		is_theirs = wanted->search->uid == status.st_uid;
	return is_theirs;
}

static void arrange(const struct wanted *list, uint32_t *pids, size_t count)
{
	CLEANUP_FREE uint32_t *named = calloc(NAMED_MAX, sizeof(*named));
	if (named != NULL)
		order_pids(pids, count, named, name_some(list, named), is_of_their_user, list);
}

/* ---- the first holder there is */

static void look_until_found(struct wanted *wanted, const uint32_t *pids, size_t count)
{
	const int64_t deadline_ms = wanted->search->deadline_ms;
	for (size_t i = 0; i < count && wanted->holders->count == 0 && clock_monotonic_ms() <= deadline_ms; i++)
		(void)look_at(wanted, pids[i], deadline_ms);
}

static void find_first(struct wanted *wanted)
{
	CLEANUP_FREE uint32_t *pids = calloc(PIDS_MAX, sizeof(*pids));
	look_at_recent(wanted);
	if (pids == NULL || wanted->holders->count > 0)
		return;
	/* A group has few, all of the machine take long to list. */
	look_until_found(wanted, pids, name_some(wanted, pids));
	if (wanted->holders->count > 0)
		return;
	size_t count = list_pids(pids);
	arrange(wanted, pids, count);
	look_until_found(wanted, pids, count);
}

/* ---- all holders there are */

#define ROUNDS_MAX 16 /* over processes that were born during the round before */

static bool is_among(const uint32_t *pids, size_t count, uint32_t pid)
{
	return bsearch(&pid, pids, count, sizeof(*pids), by_pid_descending) != NULL;
}

/* Looks at every process once, and at those that appeared meanwhile, until there are no new ones. False: not at all of
 * them. */
static bool look_at_all(struct wanted *list, int64_t deadline_ms)
{
	CLEANUP_FREE uint32_t *seen = calloc(PIDS_MAX, sizeof(*seen));
	CLEANUP_FREE uint32_t *pids = calloc(PIDS_MAX, sizeof(*pids));
	CLEANUP_FREE uint32_t *fresh = calloc(PIDS_MAX, sizeof(*fresh));
	size_t seen_count = 0;
	bool all = seen != NULL && pids != NULL && fresh != NULL;
	for (int round = 0; all && round < ROUNDS_MAX; round++) {
		size_t count = list_pids(pids), fresh_count = 0;
		for (size_t i = 0; i < count; i++)
			if (!is_among(seen, seen_count, pids[i]))
				fresh[fresh_count++] = pids[i];
		if (fresh_count == 0)
			return count < PIDS_MAX;
		if (round == 0)
			arrange(list, fresh, fresh_count);
		for (size_t i = 0; i < fresh_count; i++) {
			if (clock_monotonic_ms() > deadline_ms)
				return false;
			all &= look_at(list, fresh[i], deadline_ms);
		}
		uint32_t *swap = seen;
		seen = pids;
		pids = swap;
		seen_count = count;
	}
	return false;
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
		remember(search->inode, &ret->items[0]);
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
