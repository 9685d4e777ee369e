/* SPDX-License-Identifier: Apache-2.0 */

/* Reading the keys of fingerprints, and changing the one in use. */
#include "store/host_keys.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"
#include "common/folder.h"
#include "common/text.h"

#define KEYS_MAX 16384 /* a file for each machine of a fleet, and some of before */

void host_keys_done(struct host_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		secret_key_done(&keys->keys[i]);
	free(keys->keys);
	*keys = (struct host_keys){0};
}

/* A larger array, and the old one wiped. */
MUST_USE static int make_room(struct host_keys *keys, struct error *err)
{
	size_t room = 16;
	while (room <= keys->count)
		room *= 2;
	if (keys->count >= KEYS_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d keys of fingerprints", KEYS_MAX);
	if (keys->count != 0 && keys->count != room / 2)
		return 0;
	struct secret_key *larger = calloc(room, sizeof(*larger));
	if (larger == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for keys");
	struct host_keys old = *keys;
	for (size_t i = 0; i < old.count; i++)
		larger[i] = old.keys[i];
	keys->keys = larger;
	host_keys_done(&old);
	return 0;
}

MUST_USE static int add_file(struct host_keys *keys, const char *path, struct error *err)
{
	CLEANUP_KEY struct secret_key key = {0};
	if (secret_key_read(path, &key, err) < 0 || make_room(keys, err) < 0)
		return -1;
	keys->keys[keys->count++] = key;
	return 0;
}

/* Each file of a folder that `is_wanted`. */
MUST_USE static int add_folder(struct host_keys *keys, const char *folder,
                               bool (*is_wanted)(const char *name, const struct stat *status), struct error *err)
{
	char path[PATH_MAX];
	struct stat status;
	const struct dirent *entry;
	int result = 0;
	DIR *files = opendir(folder);
	if (files == NULL)
		return error_errno(err, "%s", folder);
	while (result == 0 && (entry = readdir(files)) != NULL) {
		if (snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) < (int)sizeof(path) &&
		    stat(path, &status) == 0 && S_ISREG(status.st_mode) && is_wanted(entry->d_name, &status))
			result = add_file(keys, path, err);
	}
	(void)closedir(files);
	return result;
}

static bool has_length(const char *name, const struct stat *status)
{
	(void)name;
	return status->st_size == SECRET_KEY_BYTES;
}

static bool is_of_state(const char *name, const struct stat *status)
{
	(void)status;
	return strcmp(name, HOST_KEY) == 0 || text_starts(name, HOST_KEY_KEPT);
}

int host_keys_add(struct host_keys *keys, const char *path, struct error *err)
{
	struct stat status;
	size_t before = keys->count;
	if (stat(path, &status) < 0)
		return error_errno(err, "%s", path);
	if (!S_ISDIR(status.st_mode))
		return add_file(keys, path, err);
	if (add_folder(keys, path, has_length, err) < 0)
		return -1;
	return keys->count > before
	               ? 0
	               : error_set(err, ERROR_INPUT, "%s: no file of %d bytes, as keys have", path, SECRET_KEY_BYTES);
}

int host_keys_add_state(struct host_keys *keys, const char *folder, struct error *err)
{
	struct error problem = {0};
	if (add_folder(keys, folder, is_of_state, &problem) == 0)
		return 0;
	if (problem.code == ERROR_INPUT || problem.code == ERROR_MEMORY || problem.code == ERROR_LIMIT)
		return error_set(err, problem.code, "%s", problem.text);
	return 0; /* not ours to read */
}

int host_keys_rotate(const char *folder, int64_t now_us, struct error *err)
{
	CLEANUP_KEY struct secret_key now = {0};
	CLEANUP_KEY struct secret_key next = {0};
	char path[PATH_MAX], kept[NAME_MAX], stamp[32];
	struct tm when;
	time_t seconds = (time_t)(now_us / CLOCK_SECOND_US);
	if (snprintf(path, sizeof(path), "%s/" HOST_KEY, folder) >= (int)sizeof(path))
		return error_set(err, ERROR_LIMIT, "%.80s: path too long", folder);
	(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", gmtime_r(&seconds, &when));
	(void)snprintf(kept, sizeof(kept), HOST_KEY_KEPT "%s.%06lldZ", stamp, (long long)(now_us % CLOCK_SECOND_US));
	if (secret_key_read(path, &now, err) < 0 || secret_random(next.bytes, sizeof(next.bytes), err) < 0)
		return -1;
	/* In this order: no fingerprint is ever without its key. */
	return folder_put(folder, kept, 0600, now.bytes, sizeof(now.bytes), err) < 0
	               ? -1
	               : folder_put(folder, HOST_KEY, 0600, next.bytes, sizeof(next.bytes), err);
}
