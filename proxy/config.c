/* SPDX-License-Identifier: Apache-2.0 */

/* Users, folders, privileges. Runs once, as root if at all. */
#include "proxy/config.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "proxy/witness/line.h"
#include "store/state.h"

/* A worker's: its line, its epoll, a client, a connection to upstream, and marked sockets in hand for either IP. */
#define WORKER_DESCRIPTORS (4 + 2 * LINE_SOCKETS_MAX)
#define OTHER_DESCRIPTORS 64 /* ledger, control socket and so on; seen: 30 in the proxy, 40 in the witness */

int config_identity(const struct settings *settings, struct identity *ret, struct error *err)
{
	struct identity identity = {.uid = getuid(), .gid = getgid(), .is_root = geteuid() == 0};
	identity.may_look = capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) == 1;
	/* cppcheck-suppress getpwuidCalled; before any thread */
	const struct passwd *own = getpwuid(identity.uid);
	(void)text_copy(identity.name, sizeof(identity.name), own != NULL ? own->pw_name : "without a name");
	if (identity.is_root) {
		const struct passwd *user = getpwnam(settings->user);
		if (user == NULL)
			return error_set(err, ERROR_MISSING,
			                 "[daemon] user = %s: no such user (useradd --system --no-create-home %s)",
			                 settings->user, settings->user);
		if (user->pw_uid == 0)
			return error_set(err, ERROR_USAGE, "[daemon] user = %s: the proxy does not run as root",
			                 settings->user);
		(void)text_copy(identity.name, sizeof(identity.name), settings->user);
		identity.uid = user->pw_uid;
		identity.gid = user->pw_gid;
	}
	*ret = identity;
	return 0;
}

void config_state_folder(const struct settings *settings, char ret[static PATH_MAX])
{
	(void)text_copy(ret, PATH_MAX, settings->ledger_path);
	char *slash = strrchr(ret, '/');
	if (slash == ret)
		slash++;
	*slash = '\0';
}

struct upkeep_limits config_limits(const struct settings *settings)
{
	return (struct upkeep_limits){.retain_us = settings->retain_days * 24 * 3600 * CLOCK_SECOND_US,
	                              .retain_bytes = settings->retain_mb << 20};
}

struct upstream_options config_upstream(const struct settings *settings)
{
	return (struct upstream_options){
		.addresses = {[ENDPOINT_IMDS_IPV4] = settings->upstream_ipv4,
	                      [ENDPOINT_IMDS_IPV6] = settings->upstream_ipv6,
	                      [ENDPOINT_ECS] = settings->upstream_ecs,
	                      [ENDPOINT_EKS_IPV4] = settings->upstream_eks_ipv4,
	                      [ENDPOINT_EKS_IPV6] = settings->upstream_eks_ipv6},
		.timeout_ms = settings->upstream_timeout_ms,
		.cache_ms = settings->upstream_cache_ms,
	};
}

/* Nobody's files but, in the runtime folder, what the redirect's check may have left there before us. */
static bool is_unused(int fd)
{
	static const char *const usual[] = {".", "..", "redirect.json"};
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *folder = own >= 0 ? fdopendir(own) : NULL;
	const struct dirent *entry;
	bool unused = folder != NULL;
	while (unused && (entry = readdir(folder)) != NULL) {
		unused = false;
		for (size_t i = 0; i < ARRAY_LENGTH(usual); i++)
			unused |= strcmp(entry->d_name, usual[i]) == 0;
	}
	if (folder != NULL)
		(void)closedir(folder);
	else
		cleanup_descriptor(&own);
	return unused;
}

/* A link to a folder is followed if root has made it: the folder above may be the proxy's, which could have made one to
 * anywhere. */
static bool is_planted(const char *path)
{
	struct stat status;
	return lstat(path, &status) < 0 || (S_ISLNK(status.st_mode) && status.st_uid != 0);
}

MUST_USE static int give(const char *path, bool is_new, const struct identity *identity, struct error *err)
{
	struct stat status;
	CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && !is_new)
		return 0; /* one that we may not read is not one that was made for us */
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(err, "%s", path);
	if (is_planted(path) || (!is_new && (status.st_uid != 0 || !is_unused(fd))))
		return 0;
	if (identity->is_root && (fchown(fd, identity->uid, identity->gid) < 0 || fchmod(fd, 0750) < 0))
		return error_errno(err, "%s", path);
	return 0;
}

/* Makes the folder and those above it. Only one that we make gets our owner and mode, or that was made for us: root's,
 * and unused. Whatever else lies there may have been given its owner for a reason. */
MUST_USE static int make_folder(const char *path, const struct identity *identity, struct error *err)
{
	char above[PATH_MAX];
	struct stat status;
	(void)text_copy(above, sizeof(above), path);
	for (char *slash = strchr(above + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(above, 0755) < 0 && errno != EEXIST)
			return error_errno(err, "cannot make the folder %s", above);
		*slash = '/';
	}
	if (mkdir(path, 0750) == 0)
		return give(path, true, identity, err);
	if (errno != EEXIST)
		return error_errno(err, "cannot make the folder %s", path);
	if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode))
		return error_set(err, ERROR_INPUT, "%s: expected a folder", path);
	return give(path, false, identity, err);
}

int config_folders(const struct settings *settings, const struct identity *identity, struct error *err)
{
	char state[PATH_MAX];
	config_state_folder(settings, state);
	if (make_folder(state, identity, err) < 0)
		return -1;
	return make_folder(settings->runtime, identity, err);
}

/* Workers beyond what the process may open would not serve more clients, but leave none of them with what it needs:
 * marked sockets in hand are kept, so it would not heal either. Fewer than max_connections: the others wait in the
 * kernel. */
int config_connections(const struct settings *settings, int extra, int *ret, struct error *err)
{
	int wanted = (int)settings->max_connections;
	const rlim_t least = OTHER_DESCRIPTORS + ((rlim_t)extra + 1) * WORKER_DESCRIPTORS;
	struct rlimit files;
	*ret = wanted;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_errno(err, "open files");
	if (files.rlim_cur < least)
		return error_set(err, ERROR_LIMIT, "at most %llu open files: expected %llu or more (LimitNOFILE=)",
		                 (unsigned long long)files.rlim_cur, (unsigned long long)least);
	rlim_t workers = (files.rlim_cur - OTHER_DESCRIPTORS) / WORKER_DESCRIPTORS - (rlim_t)extra;
	if (workers >= (rlim_t)wanted)
		return 0;
	*ret = (int)workers;
	log_line(LOG_LEVEL_WARNING, "few_descriptors",
	         "limit=%llu max_connections=%d effect=\"%d connections at once\"", (unsigned long long)files.rlim_cur,
	         wanted, *ret);
	return 0;
}

MUST_USE static int check_folder(const char *path, const char *user, struct error *err)
{
	struct stat status;
	if (access(path, R_OK | W_OK | X_OK) == 0)
		return 0;
	if (errno != EACCES)
		return error_errno(err, "%s", path);
	if (stat(path, &status) < 0)
		return error_set(err, ERROR_SYSTEM, "%s: user %s may not enter a folder above it", path, user);
	return error_set(err, ERROR_SYSTEM, "%s: user %s may not write there: it is uid %u's, mode %04o (chown %s: %s)",
	                 path, user, (unsigned)status.st_uid, (unsigned)status.st_mode & 07777U, user, path);
}

int config_take_folders(const struct settings *settings, const struct identity *identity, struct error *err)
{
	char state[PATH_MAX];
	int lock; /* the process's */
	config_state_folder(settings, state);
	if (check_folder(state, identity->name, err) < 0 || check_folder(settings->runtime, identity->name, err) < 0)
		return -1;
	return state_lock(state, &lock, err);
}

int config_drop_privileges(const struct identity *identity, struct error *err)
{
	const struct rlimit none = {0};
	/* Secrets pass through this process: no core file, no reading of its memory by others of its user. */
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return error_errno(err, "core size limit");
	if (identity->is_root &&
	    (setgroups(0, NULL) < 0 || setresgid(identity->gid, identity->gid, identity->gid) < 0 ||
	     setresuid(identity->uid, identity->uid, identity->uid) < 0))
		return error_errno(err, "cannot become uid %u", (unsigned)identity->uid);
	/* Also those that a service manager may have given to a user. */
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return error_set(err, ERROR_SYSTEM, "cannot drop capabilities");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "prctl");
	if (identity->is_root && setuid(0) == 0)
		return error_set(err, ERROR_SYSTEM, "could become root again");
	return 0;
}
