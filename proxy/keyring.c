/* SPDX-License-Identifier: Apache-2.0 */

/* Changing the key of the tokens must end nobody's token. But once a key has leaked, tokens can be forged with it for
 * ever, so the previous one is good only for ends that it can have given out itself: six hours after the change. */
#include "proxy/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "common/folder.h"
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
	int result = folder_put(folder, KEYRING_PREVIOUS, 0600, &previous, SECRET_KEY_BYTES + (size_t)note, err);
	if (result == 0)
		result = folder_put(folder, KEYRING_NOW, 0600, next.bytes, sizeof(next.bytes), err);
	token_keys_done(&keys);
	explicit_bzero(&previous, sizeof(previous));
	return result;
}
