/* SPDX-License-Identifier: Apache-2.0 */

/* Where programs of this machine ask the daemon: paths, their modes, and what was left behind there. */
#include "proxy/local.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/text.h"

#define BACKLOG 16

/* Is it one that nobody listens on any more? Only that says so: who may not connect, or not now, has asked nobody. */
static bool is_dead(const struct sockaddr_un *address)
{
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno == ECONNREFUSED;
}

MUST_USE static int remove_stale(const struct sockaddr_un *address, struct error *err)
{
	const char *path = address->sun_path;
	struct stat status;
	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : error_errno(err, "%s", path);
	if (!S_ISSOCK(status.st_mode))
		return error_set(err, ERROR_INPUT, "%s: is there, and is no socket", path);
	if (!is_dead(address))
		return error_set(err, ERROR_SYSTEM, "%s: another keytraild answers there", path);
	return unlink(path) == 0 ? 0 : error_errno(err, "%s", path);
}

int local_listen(const char *path, int *ret, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (!text_copy(address.sun_path, sizeof(address.sun_path), path))
		return error_set(err, ERROR_LIMIT, "%s: longer than %zu bytes", path, sizeof(address.sun_path) - 1);
	if (remove_stale(&address, err) < 0)
		return -1;
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0660) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return error_errno(err, "%s", path);
	*ret = steal_fd(&fd);
	return 0;
}
