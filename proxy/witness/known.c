/* SPDX-License-Identifier: Apache-2.0 */

/* A look at an ancestor costs two dozen system calls and a JSON object, and what comes of it is nearly always the same.
 * So descriptors and object are kept, and seven calls find out whether it is. */
#include "proxy/witness/known.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "common/text.h"
#include "proxy/witness/users.h"

enum file { FILE_STATUS, FILE_CMDLINE, FILE_CGROUP, FILE_COUNT };

static const char *const file_names[FILE_COUNT] = {
	[FILE_STATUS] = "status", [FILE_CMDLINE] = "cmdline", [FILE_CGROUP] = "cgroup"};

/* Never changed once it is in the table, so whoever has a reference reads it without a lock. */
struct one {
	unsigned references; /* under the table's mutex */
	uint32_t pid;
	struct subject subject; /* as it was read */
	json_t *object;         /* made of that */
	json_t *text;           /* of it as a parent, as nearly all are known */
	int files[FILE_COUNT];
};

struct known {
	pthread_mutex_t mutex;
	struct one *items[KNOWN_MAX]; /* the one asked for last stands first */
};

int known_new(struct known **ret, struct error *err)
{
	struct known *known = calloc(1, sizeof(*known));
	if (known == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for ancestors");
	(void)pthread_mutex_init(&known->mutex, NULL);
	*ret = known;
	return 0;
}

static void one_free(struct one *one)
{
	for (int i = 0; i < FILE_COUNT; i++)
		if (one->files[i] >= 0)
			(void)close(one->files[i]);
	subject_done(&one->subject);
	json_decref(one->object);
	json_decref(one->text);
	free(one);
}

/* With the mutex held; the caller frees what is given back, if anything, without it. */
static struct one *give_up(struct one *one)
{
	return one != NULL && --one->references == 0 ? one : NULL;
}

static void release(struct known *known, struct one *one)
{
	(void)pthread_mutex_lock(&known->mutex);
	struct one *last = give_up(one);
	(void)pthread_mutex_unlock(&known->mutex);
	if (last != NULL)
		one_free(last);
}

void known_forget(struct known *known)
{
	for (size_t i = 0; i < KNOWN_MAX; i++) {
		(void)pthread_mutex_lock(&known->mutex);
		struct one *last = give_up(known->items[i]);
		known->items[i] = NULL;
		(void)pthread_mutex_unlock(&known->mutex);
		if (last != NULL)
			one_free(last);
	}
}

void known_free(struct known *known)
{
	if (known == NULL)
		return;
	known_forget(known);
	(void)pthread_mutex_destroy(&known->mutex);
	free(known);
}

/* Takes a reference, and moves it to the front. */
static struct one *take(struct known *known, uint32_t pid)
{
	struct one *found = NULL;
	(void)pthread_mutex_lock(&known->mutex);
	for (size_t i = 0; i < KNOWN_MAX && found == NULL; i++)
		if (known->items[i] != NULL && known->items[i]->pid == pid) {
			found = known->items[i];
			memmove(&known->items[1], &known->items[0], i * sizeof(known->items[0]));
			known->items[0] = found;
			found->references++;
		}
	(void)pthread_mutex_unlock(&known->mutex);
	return found;
}

/* In front of all others, in place of an earlier reading of that process, else of the one not asked for longest. */
static void put(struct known *known, struct one *one)
{
	size_t place = 0;
	(void)pthread_mutex_lock(&known->mutex);
	while (place < KNOWN_MAX - 1 && known->items[place] != NULL && known->items[place]->pid != one->pid)
		place++;
	struct one *last = give_up(known->items[place]);
	memmove(&known->items[1], &known->items[0], place * sizeof(known->items[0]));
	known->items[0] = one;
	(void)pthread_mutex_unlock(&known->mutex);
	if (last != NULL)
		one_free(last);
}

/* ---- is all as it was? */

/* Reads a file from its start; false: it has ended, or there is more than what was kept can be. */
static bool read_again(const struct one *one, enum file file, char *to, size_t size, size_t *ret_length)
{
	ssize_t got = pread(one->files[file], to, size - 1, 0);
	if (got < 0 || (size_t)got == size - 1)
		return false;
	to[got] = '\0';
	*ret_length = (size_t)got;
	return true;
}

static bool is_same_file(const struct one *one, enum file file, const struct buffer *before)
{
	char text[KNOWN_FILE_BYTES + 1];
	size_t length = 0;
	bool is_same = read_again(one, file, text, sizeof(text), &length) && length == before->length &&
	               (length == 0 || memcmp(text, before->bytes, length) == 0);
	explicit_bzero(text, sizeof(text)); /* it may have become a secret, also one that is too long to compare */
	return is_same;
}

static bool is_same_line(const char *before, const char *now)
{
	size_t length = before != NULL ? strcspn(before, "\n") : 0;
	return before != NULL && now != NULL && strncmp(before, now, length) == 0 && now[length] == '\n';
}

/* A number in a line of `status`. */
static bool take_number(const char *status, const char *name, uint32_t *ret)
{
	const char *at = fields_line(status, name);
	bool is_there = at != NULL && *at >= '0' && *at <= '9';
	if (is_there)
		*ret = (uint32_t)strtoul(at, NULL, 10);
	return is_there;
}

/* What `stat` would say. Its start stays the same, and the session has its number in our namespace first. */
static bool take_stat(const struct one *one, const char *status, struct machine_stat *ret)
{
	struct machine_stat stat = one->subject.stat;
	const char *state = fields_line(status, "\nState:\t");
	if (state == NULL || !take_number(status, "\nPPid:\t", &stat.parent) ||
	    !take_number(status, "\nNSsid:\t", &stat.session))
		return false;
	stat.is_ended = *state == 'Z' || *state == 'X';
	*ret = stat;
	return true;
}

/* Also what may change, and changes nothing of what is stored. */
static bool is_same_status(const struct one *one, struct machine_stat *ret)
{
	char text[KNOWN_FILE_BYTES + 1];
	size_t length;
	const char *before = one->subject.status;
	return read_again(one, FILE_STATUS, text, sizeof(text), &length) && is_same_line(before, text) &&
	       is_same_line(fields_line(before, "\nUid:\t"), fields_line(text, "\nUid:\t")) &&
	       take_stat(one, text, ret);
}

/* The machine's list of users is remembered for a while only. */
static bool is_same_user(const struct subject *subject)
{
	char name[USERS_NAME_BYTES] = "";
	return subject->user_of < 0 || (users_name(subject->reader->machine.root, (uid_t)subject->user_of, name)
	                                        ? strcmp(name, subject->user) == 0
	                                        : subject->user[0] == '\0');
}

/* Its status last: whoever is there then was there for all that was read before. */
static bool is_same(const struct one *one, struct machine_stat *ret)
{
	const struct subject *subject = &one->subject;
	const struct machine *machine = &subject->reader->machine;
	return machine_namespace(subject->folder, "mnt") == machine->mount_namespace &&
	       machine_namespace(subject->folder, "user") == machine->user_namespace &&
	       exe_is_same(subject->folder, &subject->exe) && is_same_user(subject) &&
	       is_same_file(one, FILE_CMDLINE, &subject->cmdline) && is_same_file(one, FILE_CGROUP, &subject->cgroup) &&
	       is_same_status(one, ret);
}

json_t *known_text(const json_t *object, const char *known_by)
{
	char value[32];
	(void)snprintf(value, sizeof(value), "\"%s\"", known_by);
	CLEANUP_FREE char *text = json_line_with(object, "known_by", value);
	return text != NULL ? json_string(text) : NULL;
}

/* A copy: counts of references are not to be shared between threads. */
static json_t *text_of(const struct one *one, const char *known_by)
{
	return strcmp(known_by, KNOWN_BY_PARENT) == 0
	               ? json_stringn_nocheck(json_string_value(one->text), json_string_length(one->text))
	               : known_text(one->object, known_by);
}

json_t *known_find(struct known *known, uint32_t pid, const char *known_by, struct machine_stat *ret)
{
	struct one *one = take(known, pid);
	json_t *text = one != NULL && is_same(one, ret) ? text_of(one, known_by) : NULL;
	if (one != NULL)
		release(known, one);
	return text;
}

/* ---- remembering */

/* Only what can be told again by seven calls: not what lives in namespaces of its own, nor what still waits for its
 * digest. And no secret is kept to be compared with. */
static bool is_worth_it(const struct subject *subject, const json_t *object)
{
	bool has_exe = subject->exe.fd >= 0;
	return object != NULL && !subject->is_foreign && !subject->is_foreign_user && !subject->stat.is_ended &&
	       !subject->has_secret && (!has_exe || json_text_at(object, "exe_sha256") != NULL) &&
	       subject->cmdline.length < KNOWN_FILE_BYTES && subject->cgroup.length < KNOWN_FILE_BYTES;
}

void known_keep(struct known *known, struct subject *subject, uint32_t pid, json_t *object)
{
	bool is_whole = true;
	struct one *one = is_worth_it(subject, object) ? calloc(1, sizeof(*one)) : NULL;
	if (one == NULL)
		return;
	one->references = 1;
	one->pid = pid;
	one->object = json_copy(object);
	one->text = known_text(object, KNOWN_BY_PARENT);
	for (int i = 0; i < FILE_COUNT; i++) {
		one->files[i] = openat(subject->folder, file_names[i], O_RDONLY | O_CLOEXEC);
		is_whole &= one->files[i] >= 0;
	}
	one->subject = *subject;
	*subject = SUBJECT_NONE;
	exe_done(&one->subject.exe); /* what was read of it stays */
	if (is_whole && one->object != NULL && one->text != NULL)
		put(known, one);
	else
		one_free(one);
}
