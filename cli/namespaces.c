/* SPDX-License-Identifier: Apache-2.0 */

/* Goes into each namespace that a process lives in, in a child of its own, and asks which way packets would take. */
#include "cli/namespaces.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/buffer.h"
#include "common/text.h"

#define METADATA_ADDRESS "169.254.169.254"
#define NAMESPACES_MAX 4096

/* What a child finds out. */
struct way {
	char device[IFNAMSIZ], driver[32];
};

bool namespaces_route(const char *routes, char *ret_device, size_t size)
{
	uint32_t wanted = inet_addr(METADATA_ADDRESS), best_mask = 0;
	unsigned best_metric = 0;
	bool has_any = false;
	for (const char *line = strchr(routes, '\n'); line != NULL; line = strchr(line + 1, '\n')) {
		char device[IFNAMSIZ];
		unsigned destination, flags, metric, mask;
		/* proc(5): Iface Destination Gateway Flags RefCnt Use Metric Mask, addresses as they lie in memory */
		if (sscanf(line + 1, "%15s %x %*x %x %*d %*d %u %x", device, &destination, &flags, &metric, &mask) !=
		            5 ||
		    (wanted & mask) != destination || (flags & 1) == 0)
			continue;
		bool is_better = ntohl(mask) > best_mask || (ntohl(mask) == best_mask && metric < best_metric);
		if (has_any && !is_better)
			continue;
		has_any = true;
		best_mask = ntohl(mask);
		best_metric = metric;
		(void)text_copy(ret_device, size, device);
	}
	return has_any;
}

bool namespaces_is_own_device(const char *driver)
{
	/* A veth ends in an interface of the machine; a tun in one of its processes, which is seen instead. */
	static const char *const within[] = {"veth", "tun", "bridge", "dummy", ""};
	for (size_t i = 0; i < ARRAY_LENGTH(within); i++)
		if (strcmp(within[i], driver) == 0)
			return false;
	return true;
}

/* ---- inside a namespace */

static void read_driver(const char *device, char *to, size_t size)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (void *)&info};
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)text_copy(request.ifr_name, sizeof(request.ifr_name), device);
	(void)text_copy(to, size, fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0 ? info.driver : "unknown");
}

/* The child's side: does not return. */
static _Noreturn void look_inside(int namespace, int answer)
{
	CLEANUP_BUFFER struct buffer routes = {.limit = 1 << 20};
	struct way way = {0};
	if (setns(namespace, CLONE_NEWNET) == 0 && buffer_read_file(&routes, "/proc/self/net/route", NULL) == 0 &&
	    routes.length > 0 && namespaces_route(routes.bytes, way.device, sizeof(way.device)))
		read_driver(way.device, way.driver, sizeof(way.driver));
	_exit(write(answer, &way, sizeof(way)) == (ssize_t)sizeof(way) ? 0 : 1);
}

MUST_USE static int ask_inside(int namespace, struct way *ret, struct error *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "making a pipe");
	CLEANUP_FD int from = ends[0], to = ends[1];
	pid_t child = fork();
	if (child < 0)
		return error_errno(err, "looking into a network namespace");
	if (child == 0)
		look_inside(namespace, to);
	(void)close(steal_fd(&to));
	ssize_t got = read(from, ret, sizeof(*ret));
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		continue;
	if (got != (ssize_t)sizeof(*ret))
		*ret = (struct way){0}; /* gone meanwhile */
	return 0;
}

/* ---- all of them */

static json_t *describe(ino_t inode, unsigned pid, const struct way *way)
{
	char path[64], exe[PATH_MAX];
	json_t *object = json_object();
	(void)snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	ssize_t length = readlink(path, exe, sizeof(exe));
	json_put_text(object, "kind", "namespace");
	json_put_int(object, "netns", (int64_t)inode);
	json_put_int(object, "pid", pid);
	json_put(object, "exe", length > 0 ? json_from_bytes(exe, (size_t)length) : NULL);
	json_put_text(object, "device", way->device);
	json_put_text(object, "driver", way->driver);
	return object;
}

struct seen {
	ino_t inodes[NAMESPACES_MAX];
	size_t count;
};

static bool is_new(struct seen *seen, ino_t inode)
{
	for (size_t i = 0; i < seen->count; i++)
		if (seen->inodes[i] == inode)
			return false;
	if (seen->count == NAMESPACES_MAX)
		return false;
	seen->inodes[seen->count++] = inode;
	return true;
}

/* The namespace of one process, if it was not looked at before. */
MUST_USE static int look_at(unsigned pid, struct seen *seen, json_t *list, struct error *err)
{
	char path[64];
	struct stat status;
	struct way way;
	(void)snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
	CLEANUP_FD int namespace = open(path, O_RDONLY | O_CLOEXEC);
	if (namespace < 0 || fstat(namespace, &status) < 0 || !is_new(seen, status.st_ino))
		return 0;
	if (ask_inside(namespace, &way, err) < 0)
		return -1;
	if (way.device[0] != '\0' && namespaces_is_own_device(way.driver))
		(void)json_array_append_new(list, describe(status.st_ino, pid, &way));
	return 0;
}

int namespaces_out_of_reach(json_t **ret, struct error *err)
{
	struct stat own;
	struct seen *seen = calloc(1, sizeof(*seen));
	CLEANUP_JSON json_t *list = json_array();
	DIR *processes = opendir("/proc");
	int result = seen != NULL && processes != NULL && stat("/proc/self/ns/net", &own) == 0
	                     ? 0
	                     : error_errno(err, "network namespaces");
	if (result == 0)
		(void)is_new(seen, own.st_ino);
	for (struct dirent *entry; result == 0 && (entry = readdir(processes)) != NULL;) {
		uint64_t pid;
		if (text_to_u64(entry->d_name, INT32_MAX, &pid))
			result = look_at((unsigned)pid, seen, list, err);
	}
	if (processes != NULL)
		(void)closedir(processes);
	free(seen);
	if (result == 0)
		*ret = steal_pointer(&list);
	return result;
}
