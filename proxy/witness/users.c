/* SPDX-License-Identifier: Apache-2.0 */

/* A few users ask again and again, and each look-up reads the whole list. What is remembered holds until the list
 * changes; names that other services give have no sign of that, hence the time limit. */
#include "proxy/witness/users.h"

#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/text.h"
#include "proxy/witness/digests.h"
#include "proxy/witness/machine.h"

#define REMEMBERED_MAX 64

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
	int64_t until_ms;              /* 0: nothing is remembered here */
	char list[DIGESTS_FILE_BYTES]; /* the list that it was looked up in, by digests_file(); "": there was none */
	uid_t uid;
	bool is_there;
	char name[USERS_NAME_BYTES];
} remembered[REMEMBERED_MAX];

/* The list of a machine that we see only from a container: no service of names is ours to ask. */
static bool look_up_in(int list, uid_t uid, char ret[static USERS_NAME_BYTES])
{
	char bytes[4096];
	struct passwd entry = {0}, *found = NULL;
	CLEANUP_FILE FILE *lines = fdopen(dup(list), "r");
	while (lines != NULL && fgetpwent_r(lines, &entry, bytes, sizeof(bytes), &found) == 0)
		if (found->pw_uid == uid)
			return text_copy(ret, USERS_NAME_BYTES, found->pw_name);
	return false;
}

static bool is_ours(int list)
{
	struct statx there, here;
	return machine_statx(list, "", &there) && machine_statx(AT_FDCWD, "/etc/passwd", &here) &&
	       there.stx_ino == here.stx_ino && there.stx_dev_major == here.stx_dev_major &&
	       there.stx_dev_minor == here.stx_dev_minor;
}

static bool look_up(int root, uid_t uid, char ret[static USERS_NAME_BYTES])
{
	char bytes[4096];
	struct passwd entry, *found = NULL;
	CLEANUP_FD int list = openat(root, "etc/passwd", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (list >= 0 && !is_ours(list))
		return look_up_in(list, uid, ret);
	return getpwuid_r(uid, &entry, bytes, sizeof(bytes), &found) == 0 && found != NULL &&
	       text_copy(ret, USERS_NAME_BYTES, found->pw_name);
}

bool users_name(int root, uid_t uid, char ret[static USERS_NAME_BYTES])
{
	const int64_t now_ms = clock_monotonic_ms();
	const size_t place = uid % REMEMBERED_MAX;
	struct statx status;
	char list[DIGESTS_FILE_BYTES] = "";
	if (machine_statx(root, "etc/passwd", &status))
		(void)digests_file(&status, list);
	(void)pthread_mutex_lock(&mutex);
	bool is_known = remembered[place].uid == uid && now_ms < remembered[place].until_ms &&
	                strcmp(remembered[place].list, list) == 0;
	bool is_there = is_known && remembered[place].is_there;
	if (is_there)
		(void)text_copy(ret, USERS_NAME_BYTES, remembered[place].name);
	(void)pthread_mutex_unlock(&mutex);
	if (is_known)
		return is_there;

	is_there = look_up(root, uid, ret); /* may take its time: nobody else waits for it */
	(void)pthread_mutex_lock(&mutex);
	remembered[place].uid = uid;
	remembered[place].until_ms = now_ms + USERS_REMEMBERED_MS;
	remembered[place].is_there = is_there;
	memcpy(remembered[place].list, list, sizeof(list));
	(void)text_copy(remembered[place].name, USERS_NAME_BYTES, is_there ? ret : "");
	(void)pthread_mutex_unlock(&mutex);
	return is_there;
}
