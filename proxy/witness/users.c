/* SPDX-License-Identifier: Apache-2.0 */

/* A few users ask again and again, and each look-up reads the whole list. */
#include "proxy/witness/users.h"

#include <pthread.h>
#include <pwd.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/text.h"

#define REMEMBERED_MAX 64

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
	int64_t until_ms; /* 0: nothing is remembered here */
	uid_t uid;
	bool is_there;
	char name[USERS_NAME_BYTES];
} remembered[REMEMBERED_MAX];

static bool look_up(uid_t uid, char ret[static USERS_NAME_BYTES])
{
	char bytes[4096];
	struct passwd entry, *found = NULL;
	return getpwuid_r(uid, &entry, bytes, sizeof(bytes), &found) == 0 && found != NULL &&
	       text_copy(ret, USERS_NAME_BYTES, found->pw_name);
}

bool users_name(uid_t uid, char ret[static USERS_NAME_BYTES])
{
	const int64_t now_ms = clock_monotonic_ms();
	const size_t place = uid % REMEMBERED_MAX;
	(void)pthread_mutex_lock(&mutex);
	bool is_known = remembered[place].uid == uid && now_ms < remembered[place].until_ms;
	bool is_there = is_known && remembered[place].is_there;
	if (is_there)
		(void)text_copy(ret, USERS_NAME_BYTES, remembered[place].name);
	(void)pthread_mutex_unlock(&mutex);
	if (is_known)
		return is_there;

	is_there = look_up(uid, ret); /* may take its time: nobody else waits for it */
	(void)pthread_mutex_lock(&mutex);
	remembered[place].uid = uid;
	remembered[place].until_ms = now_ms + USERS_REMEMBERED_MS;
	remembered[place].is_there = is_there;
	(void)text_copy(remembered[place].name, USERS_NAME_BYTES, is_there ? ret : "");
	(void)pthread_mutex_unlock(&mutex);
	return is_there;
}
