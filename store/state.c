/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of the state folder's files, and what is done with all of them at once. */
#include "store/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/folder.h"
#include "common/text.h"
#include "store/host_keys.h"

#define ARCHIVE "archive"
#define MOVING ARCHIVE "/.moving" /* an archive in the making */

enum fate { NOT_OURS, PUT_ASIDE, REMOVED, ITSELF };

/* `name` is a glob; `of_ledger`: what follows the ledger's own name. */
static const struct file {
	const char *name;
	bool of_ledger;
	enum fate fate; /* when the state becomes another instance's; sealing removes all */
} files[] = {
	{"", true, PUT_ASIDE},
	{"-wal", true, PUT_ASIDE},
	{"-shm", true, PUT_ASIDE},
	{"-journal", true, PUT_ASIDE},
	{".version-*", true, PUT_ASIDE}, /* as it was before a migration */
	{"journal", false, PUT_ASIDE},
	{"gap.json", false, PUT_ASIDE},
	{"findings.db", false, PUT_ASIDE},
	{"findings.db-*", false, PUT_ASIDE},
	{"findings.db.version-*", false, PUT_ASIDE},
	{"watch.db", false, PUT_ASIDE}, /* what of the findings was said */
	{"watch.db-*", false, PUT_ASIDE},
	{"watch.db.version-*", false, PUT_ASIDE},
	{"host.key", false, PUT_ASIDE}, /* or the fingerprints in the ledger are worth nothing */
	{HOST_KEY_KEPT "*", false, PUT_ASIDE},
	{"host.key.*", false, REMOVED}, /* a key whose making was interrupted */
	{"token.key", false, REMOVED},
	{"token.key.*", false, REMOVED},
	{"instance", false, ITSELF},
	{"instance.new", false, REMOVED},
};

static enum fate fate_of(const char *ledger_name, const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		const char *rest = name;
		if (files[i].of_ledger && !text_starts(name, ledger_name))
			continue;
		if (files[i].of_ledger)
			rest = name + strlen(ledger_name);
		if (text_glob(files[i].name, rest))
			return files[i].fate;
	}
	return NOT_OURS;
}

/* ---- whose it is */

int state_lock(const char *folder, int *ret, struct error *err)
{
	CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "%s", folder);
	/* A file system that knows no locks is no reason not to run. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return error_set(err, ERROR_SYSTEM, "%s: another keytraild is using it", folder);
	*ret = steal_fd(&fd);
	return 0;
}

bool state_is_instance_id(const char *text)
{
	size_t digits = text_starts(text, "i-") ? strlen(text + 2) : 0;
	return (digits == 8 || digits == 17) && strspn(text + 2, "0123456789abcdef") == digits;
}

/* The first line of a small file; "" if there is none. */
static ssize_t read_line(const char *path, char *to, size_t size)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got = fd >= 0 ? read(fd, to, size - 1) : -1;
	to[got > 0 ? got : 0] = '\0';
	to[strcspn(to, "\r\n")] = '\0';
	return got;
}

void state_instance_of_firmware(const char *path, char ret[static INSTANCE_BYTES])
{
	char text[256];
	(void)read_line(path, text, sizeof(text));
	(void)text_copy(ret, INSTANCE_BYTES, state_is_instance_id(text) ? text : "");
}

int state_instance_read(const char *folder, char ret[static INSTANCE_BYTES], struct error *err)
{
	char path[PATH_MAX], text[256];
	(void)snprintf(path, sizeof(path), "%s/instance", folder);
	ssize_t got = read_line(path, text, sizeof(text));
	if (got < 0 && errno != ENOENT)
		return error_errno(err, "%s", path);
	if (got >= 0 && !state_is_instance_id(text))
		return error_set(err, ERROR_INPUT, "%s: expected an instance id", path);
	(void)text_copy(ret, INSTANCE_BYTES, text);
	return 0;
}

int state_instance_write(const char *folder, const char *id, struct error *err)
{
	char line[INSTANCE_BYTES + 1];
	int length = snprintf(line, sizeof(line), "%s\n", id);
	return folder_put(folder, "instance", 0640, line, (size_t)length, err);
}

/* ---- all of it at once */

struct place {
	char folder[PATH_MAX];
	const char *ledger_name;
};

static void place_of(const char *ledger, struct place *ret)
{
	const char *slash = strrchr(ledger, '/');
	ret->ledger_name = slash != NULL ? slash + 1 : ledger;
	(void)snprintf(ret->folder, sizeof(ret->folder), "%.*s", slash != NULL ? (int)(slash - ledger + 1) : 2,
	               slash != NULL ? ledger : "./");
}

/* Calls for each file of the folder but `.`, `..` and the archives. */
MUST_USE static int each_file(const struct place *place,
                              int (*take)(const struct place *, const char *name, void *, struct error *),
                              void *context, struct error *err)
{
	DIR *folder = opendir(place->folder);
	const struct dirent *entry;
	int result = 0;
	if (folder == NULL)
		return error_errno(err, "%s", place->folder);
	while (result == 0 && (entry = readdir(folder)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    strcmp(entry->d_name, ARCHIVE) != 0)
			result = take(place, entry->d_name, context, err);
	(void)closedir(folder);
	return result;
}

static int path_of(const struct place *place, const char *name, char to[static PATH_MAX], struct error *err)
{
	if (snprintf(to, PATH_MAX, "%s%s", place->folder, name) >= PATH_MAX)
		return error_set(err, ERROR_LIMIT, "%.80s: path too long", place->folder);
	return 0;
}

static int put_aside(const struct place *place, const char *name, void *context, struct error *err)
{
	char from[PATH_MAX], to[PATH_MAX], there[NAME_MAX + sizeof(MOVING) + 2];
	int *moved = context;
	enum fate fate = fate_of(place->ledger_name, name);
	(void)snprintf(there, sizeof(there), MOVING "/%s", name);
	if (path_of(place, name, from, err) < 0 || path_of(place, there, to, err) < 0)
		return -1;
	if (fate == REMOVED && unlink(from) < 0)
		return error_errno(err, "%s", from);
	if (fate == PUT_ASIDE && rename(from, to) < 0)
		return error_errno(err, "%s", from);
	*moved += fate == PUT_ASIDE;
	return 0;
}

static void archive_name(const char *id, int64_t now_us, char to[static STATE_ARCHIVE_BYTES])
{
	struct tm when;
	time_t seconds = (time_t)(now_us / CLOCK_SECOND_US);
	char text[32];
	(void)strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", gmtime_r(&seconds, &when));
	(void)snprintf(to, STATE_ARCHIVE_BYTES, ARCHIVE "/%.*s-%s", INSTANCE_BYTES - 1, id, text);
}

int state_archive(const char *ledger, const char *id, int64_t now_us, char ret[static STATE_ARCHIVE_BYTES],
                  struct error *err)
{
	struct place place;
	char archives[PATH_MAX], moving[PATH_MAX], to[PATH_MAX], name[STATE_ARCHIVE_BYTES];
	int moved = 0;
	place_of(ledger, &place);
	archive_name(id, now_us, name);
	if (path_of(&place, ARCHIVE, archives, err) < 0 || path_of(&place, MOVING, moving, err) < 0 ||
	    path_of(&place, name, to, err) < 0)
		return -1;
	if (mkdir(archives, 0750) < 0 && errno != EEXIST)
		return error_errno(err, "%s", archives);
	if (mkdir(moving, 0750) < 0 && errno != EEXIST)
		return error_errno(err, "%s", moving);
	if (each_file(&place, put_aside, &moved, err) < 0 || folder_sync(place.folder, err) < 0 ||
	    folder_sync(moving, err) < 0)
		return -1;
	/* Fails where it is empty: nothing was moved now, nor before a crash. */
	bool was_empty = unlinkat(AT_FDCWD, moving, AT_REMOVEDIR) == 0;
	if (!was_empty && rename(moving, to) < 0)
		return error_errno(err, "%s", to);
	(void)text_copy(ret, STATE_ARCHIVE_BYTES, was_empty ? "" : name);
	return folder_sync(archives, err);
}

struct emptying {
	int removed, others;
};

static int remove_one(const struct place *place, const char *name, void *context, struct error *err)
{
	char path[PATH_MAX];
	struct emptying *emptying = context;
	if (fate_of(place->ledger_name, name) == NOT_OURS) {
		emptying->others++;
		return 0;
	}
	if (path_of(place, name, path, err) < 0)
		return -1;
	if (unlink(path) < 0)
		return error_errno(err, "%s", path);
	emptying->removed++;
	return 0;
}

static int remove_any(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

int state_empty(const char *ledger, int *ret_removed, int *ret_others, struct error *err)
{
	struct place place;
	struct emptying emptying = {0};
	char archives[PATH_MAX];
	CLEANUP_FD int lock = -1;
	place_of(ledger, &place);
	if (state_lock(place.folder, &lock, err) < 0 || path_of(&place, ARCHIVE, archives, err) < 0 ||
	    each_file(&place, remove_one, &emptying, err) < 0)
		return -1;
	if (nftw(archives, remove_any, 8, FTW_DEPTH | FTW_PHYS) == 0)
		emptying.removed++;
	else if (errno != ENOENT)
		return error_errno(err, "%s", archives);
	*ret_removed = emptying.removed;
	*ret_others = emptying.others;
	return folder_sync(place.folder, err);
}
