/* SPDX-License-Identifier: Apache-2.0 */

/* Changing the key of the tokens must end nobody's token. But once a key has leaked, tokens can be forged with it for
 * ever, so the previous one is good only for ends that it can have given out itself: six hours after the change. */
#include "proxy/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "common/text.h"

#define NOTE_BYTES 96 /* a boot's id (36), a space, a number, a newline, a NUL */

struct keyring {
	pthread_mutex_t mutex;
	struct token_keys keys;
};

struct previous_file {
	struct secret_key key;
	char note[NOTE_BYTES];
};

/* "BOOT-ID SECONDS\n": *ret_until is 0 when it speaks of another boot. */
static bool read_note(char *note, const char *boot_id, int64_t *ret_until)
{
	uint64_t until;
	char *space = strchr(note, ' '), *end = strchr(note, '\n');
	if (space == NULL || end == NULL || end < space || end[1] != '\0')
		return false;
	*space = *end = '\0';
	if (!text_to_u64(space + 1, INT64_MAX / 2, &until))
		return false;
	*ret_until = strcmp(note, boot_id) == 0 ? (int64_t)until : 0;
	return true;
}

MUST_USE static int read_previous(const char *path, const char *boot_id, struct token_keys *keys, struct error *err)
{
	struct previous_file file = {0};
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	keys->previous_until = 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, "%s", path);
	ssize_t got = read(fd, &file, sizeof(file) - 1);
	bool good = got > SECRET_KEY_BYTES && read_note(file.note, boot_id, &keys->previous_until);
	if (good && keys->previous_until != 0)
		keys->previous = file.key;
	explicit_bzero(&file, sizeof(file));
	return good ? 0
	            : error_set(err, ERROR_INPUT, "%s: expected a key of %d bytes and a line about it", path,
	                        SECRET_KEY_BYTES);
}

int keyring_read(const char *folder, const char *boot_id, struct token_keys *ret, struct error *err)
{
	char path[PATH_MAX];
	struct token_keys keys = {0};
	(void)snprintf(path, sizeof(path), "%s/" KEYRING_NOW, folder);
	int result = secret_key_open(path, &keys.now, err);
	(void)snprintf(path, sizeof(path), "%s/" KEYRING_PREVIOUS, folder);
	if (result == 0)
		result = read_previous(path, boot_id, &keys, err);
	if (result == 0)
		*ret = keys;
	token_keys_done(&keys);
	return result;
}

int keyring_new(const struct token_keys *keys, struct keyring **ret, struct error *err)
{
	struct keyring *keyring = malloc(sizeof(*keyring));
	if (keyring == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the keys of tokens");
	(void)pthread_mutex_init(&keyring->mutex, NULL);
	keyring->keys = *keys;
	*ret = keyring;
	return 0;
}

void keyring_free(struct keyring *keyring)
{
	if (keyring == NULL)
		return;
	(void)pthread_mutex_destroy(&keyring->mutex);
	token_keys_done(&keyring->keys);
	free(keyring);
}

void keyring_replace(struct keyring *keyring, const struct token_keys *keys)
{
	(void)pthread_mutex_lock(&keyring->mutex);
	keyring->keys = *keys;
	(void)pthread_mutex_unlock(&keyring->mutex);
}

struct token_keys keyring_keys(struct keyring *keyring)
{
	(void)pthread_mutex_lock(&keyring->mutex);
	struct token_keys keys = keyring->keys;
	(void)pthread_mutex_unlock(&keyring->mutex);
	return keys;
}

/* ---- changing the key */

/* A file with these bytes and the folder's owner, in the place of what is there. */
MUST_USE static int put_file(const char *folder, const char *name, const void *bytes, size_t length, struct error *err)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	struct stat owner;
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) ||
	    snprintf(temporary, sizeof(temporary), "%s/%s.new", folder, name) >= (int)sizeof(temporary))
		return error_set(err, ERROR_LIMIT, "%s: path too long", folder);
	(void)unlink(temporary);
	CLEANUP_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || stat(folder, &owner) < 0 || (geteuid() == 0 && fchown(fd, owner.st_uid, owner.st_gid) < 0) ||
	    write(fd, bytes, length) != (ssize_t)length || fsync(fd) < 0 || rename(temporary, path) < 0)
		return error_errno(err, "%s", path);
	return 0;
}

MUST_USE static int sync_folder(const char *folder, struct error *err)
{
	CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? error_errno(err, "%s", folder) : 0;
}

int keyring_rotate(const char *folder, const char *boot_id, int64_t now_seconds, struct error *err)
{
	CLEANUP_KEY struct secret_key next = {0};
	struct token_keys keys;
	struct previous_file previous = {0};
	char path[PATH_MAX];
	(void)snprintf(path, sizeof(path), "%s/" KEYRING_NOW, folder);
	if (access(path, F_OK) < 0)
		return error_errno(err, "%s", path);
	if (secret_random(next.bytes, sizeof(next.bytes), err) < 0 || keyring_read(folder, boot_id, &keys, err) < 0)
		return -1;
	previous.key = keys.now;
	int note = snprintf(previous.note, sizeof(previous.note), "%s %lld\n", boot_id,
	                    (long long)(now_seconds + TOKEN_TTL_MAX_SECONDS));
	/* In this order: until the second file is there, the key in use is also the previous one, which harms nobody.
	 */
	int result = put_file(folder, KEYRING_PREVIOUS, &previous, SECRET_KEY_BYTES + (size_t)note, err);
	if (result == 0)
		result = sync_folder(folder, err);
	if (result == 0)
		result = put_file(folder, KEYRING_NOW, next.bytes, sizeof(next.bytes), err);
	if (result == 0)
		result = sync_folder(folder, err);
	token_keys_done(&keys);
	explicit_bzero(&previous, sizeof(previous));
	return result;
}
