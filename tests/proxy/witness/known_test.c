/* SPDX-License-Identifier: Apache-2.0 */

/* Ancestors that change after they were remembered: what is told of them must be what somebody tells who never saw them
 * before. A parent that a case has changed, and a child of it that is asked about. */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "common/canonical.h"
#include "common/text.h"
#include "proxy/witness/known.h"
#include "proxy/witness/procfs.h"

#define DIGEST_MS 5000
#define NOBODY 65534

static struct digests *digests;
static struct identity_reader *reader;
static char folder[PATH_MAX], program[PATH_MAX], renamed[PATH_MAX], group[PATH_MAX];
static char *own_arguments; /* of this process, in place */

static void copy_cat(const char *to_path)
{
	char bytes[65536];
	CLEANUP_FD int from = open("/bin/cat", O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int to = open(to_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	assert_true(from >= 0 && to >= 0);
	for (ssize_t got; (got = read(from, bytes, sizeof(bytes))) > 0;)
		assert_int_equal(write(to, bytes, (size_t)got), got);
}

static int start(void **state)
{
	(void)state;
	(void)unit_folder(folder);
	(void)unit_path(program, folder, "program");
	(void)unit_path(renamed, folder, "renamed");
	assert_int_equal(digests_new(&digests, NULL), 0);
	return identity_reader_new("", digests, &reader, NULL);
}

static int stop(void **state)
{
	(void)state;
	identity_reader_free(reader);
	unit_folder_remove(folder);
	return 0;
}

/* ---- a parent and its child */

struct family {
	pid_t parent, child;
	int orders; /* a byte has the parent take its step */
	int done;   /* a byte when it has */
};

typedef bool step(const struct family *family);

static _Noreturn void be_child(void)
{
	for (;;)
		(void)pause();
}

/* `in_parent`: what the parent does when it is told, NULL: nothing; `runs_program`: it is a copy of cat. */
static void start_family(struct family *ret, step *in_parent, bool runs_program)
{
	int orders[2], done[2];
	char byte = 0;
	assert_int_equal(pipe2(orders, O_CLOEXEC), 0);
	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	pid_t parent = fork();
	if (parent == 0) {
		pid_t child = fork();
		if (child == 0) {
			(void)close(done[1]);
			be_child();
		}
		(void)!write(done[1], &child, sizeof(child));
		if (runs_program) {
			(void)dup2(orders[0], STDIN_FILENO);
			(void)execl(program, program, NULL);
		}
		(void)!read(orders[0], &byte, 1);
		bool good = in_parent == NULL || in_parent(NULL);
		(void)!write(done[1], good ? "y" : "n", 1);
		for (;;)
			(void)pause();
	}
	*ret = (struct family){.parent = parent, .orders = orders[1], .done = done[0]};
	assert_int_equal(read(done[0], &ret->child, sizeof(ret->child)), sizeof(ret->child));
	(void)close(orders[0]);
	(void)close(done[1]);
	if (runs_program) /* its end of `done` goes with the exec */
		assert_int_equal(read(done[0], &byte, 1), 0);
}

static void end_family(const struct family *family)
{
	(void)kill(family->child, SIGKILL);
	if (kill(family->parent, SIGKILL) == 0)
		(void)waitpid(family->parent, NULL, 0);
	(void)close(family->orders);
	(void)close(family->done);
}

static json_t *tree_of(const json_t *text)
{
	json_t *tree = NULL;
	const char *line = json_string_value(text);
	assert_true(line != NULL && canonical_json(line, strlen(line)));
	assert_int_equal(json_read(line, strlen(line), &tree, NULL), 0);
	return tree;
}

static json_t *parent_by(const struct identity_reader *by, const struct family *family)
{
	uint64_t ticks;
	assert_true(procfs_start((uint32_t)family->child, &ticks));
	CLEANUP_JSON json_t *process = identity_read(by, (uint32_t)family->child, ticks, true);
	assert_non_null(process);
	return tree_of(json_array_get(json_at(process, "ancestors"), 0));
}

static bool is_remembered(const struct family *family)
{
	struct machine_stat stat;
	CLEANUP_JSON json_t *found = known_find(reader->known, (uint32_t)family->parent, KNOWN_BY_PARENT, &stat);
	return found != NULL;
}

/* Reads it until it is remembered, which needs its digest. */
static json_t *remember(const struct family *family)
{
	for (int i = 0; i < DIGEST_MS; i++) {
		json_t *parent = parent_by(reader, family);
		if (is_remembered(family))
			return parent;
		json_decref(parent);
		(void)usleep(1000);
	}
	fail_msg("it is never remembered");
	return NULL;
}

/* Somebody who has never seen it; the digests are the same, so that none is late. */
static json_t *tell_anew(const struct family *family, const char *redact)
{
	struct identity_reader *fresh;
	assert_int_equal(identity_reader_new(redact, digests, &fresh, NULL), 0);
	json_t *parent = parent_by(fresh, family);
	identity_reader_free(fresh);
	return parent;
}

/* ---- steps */

static bool take_name(const struct family *family)
{
	(void)family;
	return prctl(PR_SET_NAME, "another", 0, 0, 0) == 0;
}

static bool take_user(const struct family *family)
{
	(void)family;
	return setresuid(NOBODY, NOBODY, NOBODY) == 0;
}

static bool take_arguments(const struct family *family)
{
	(void)family;
	memset(own_arguments, 'z', strlen(own_arguments));
	return true;
}

#define SECRET "password=z"

static bool take_secret(const struct family *family)
{
	(void)family;
	memset(own_arguments, 'z', strlen(own_arguments));
	memcpy(own_arguments, SECRET, strlen(SECRET));
	return true;
}

/* Behind what is stored of an argument. */
static bool take_far_secret(const struct family *family)
{
	char script[2048];
	(void)family;
	(void)snprintf(script, sizeof(script), "kill -STOP $$; : %0*d; curl -H 'X-aws-ec2-metadata-token: %056d' x",
	               1000, 7, 7);
	return execl("/bin/sh", "sh", "-c", script, NULL) == 0;
}

static bool take_program(const struct family *family)
{
	(void)family;
	return execl("/bin/sleep", "sleep", "60", NULL) == 0;
}

static bool take_mounts(const struct family *family)
{
	(void)family;
	return unshare(CLONE_NEWNS) == 0;
}

static bool take_users(const struct family *family)
{
	(void)family;
	return unshare(CLONE_NEWUSER) == 0;
}

static bool rename_program(const struct family *family)
{
	(void)family;
	return rename(program, renamed) == 0;
}

static bool rename_folder(const struct family *family)
{
	char other[PATH_MAX + 8];
	(void)family;
	(void)snprintf(other, sizeof(other), "%s.2", folder);
	return rename(folder, other) == 0;
}

static bool rename_folder_back(void)
{
	char other[PATH_MAX + 8];
	(void)snprintf(other, sizeof(other), "%s.2", folder);
	return rename(other, folder) == 0 || access(folder, F_OK) == 0;
}

static bool remove_program(const struct family *family)
{
	(void)family;
	return unlink(program) == 0;
}

static bool move_to_group(const struct family *family)
{
	static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
	for (size_t i = 0; i < ARRAY_LENGTH(roots); i++) {
		char file[PATH_MAX + 16];
		(void)snprintf(group, sizeof(group), "%s/kt-known-%d.service", roots[i], (int)getpid());
		if (mkdir(group, 0755) < 0)
			continue;
		(void)snprintf(file, sizeof(file), "%s/cgroup.procs", group);
		CLEANUP_FD int fd = open(file, O_WRONLY | O_CLOEXEC);
		return fd >= 0 && dprintf(fd, "%d", (int)family->parent) > 0;
	}
	return false;
}

static bool change_patterns(const struct family *family)
{
	(void)family;
	identity_reader_change(reader, "*known*");
	return true;
}

static const struct {
	const char *name;
	step *in_parent;    /* done by the parent */
	step *from_outside; /* or by this process */
	bool runs_program, needs_root;
	const char *field; /* that differs from then on */
	const char *redact;
} cases[] = {
	{"nothing", NULL, NULL, false, false, NULL, ""},
	{"nothing, another program", NULL, NULL, true, false, NULL, ""},
	{"another name", take_name, NULL, false, false, "comm", ""},
	{"another user", take_user, NULL, false, true, "uid", ""},
	{"other arguments, in place", take_arguments, NULL, false, false, "cmdline", ""},
	{"another program", take_program, NULL, false, false, "exe", ""},
	{"mounts of its own", take_mounts, NULL, false, true, NULL, ""},
	{"users of its own", take_users, NULL, false, true, "user", ""},
	{"its program elsewhere", NULL, rename_program, true, false, "exe", ""},
	{"its program's folder elsewhere", NULL, rename_folder, true, false, "exe", ""},
	{"its program removed", NULL, remove_program, true, false, "exe_file", ""},
	{"another control group", NULL, move_to_group, false, true, "unit", ""},
	{"other patterns", NULL, change_patterns, false, false, "cmdline", "*known*"},
};

/* False: the step cannot be taken here. */
static bool take_step(size_t i, const struct family *family)
{
	char answer = 'n';
	if (cases[i].from_outside != NULL)
		return cases[i].from_outside(family);
	if (cases[i].in_parent == NULL)
		return true;
	assert_int_equal(write(family->orders, "x", 1), 1);
	if (read(family->done, &answer, 1) == 0)
		answer = 'y'; /* closed by exec */
	return answer == 'y';
}

static void tells_what_is_so_now(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct family family;
		if (cases[i].needs_root && getuid() != 0)
			continue;
		copy_cat(program);
		start_family(&family, cases[i].in_parent, cases[i].runs_program);
		CLEANUP_JSON json_t *before = remember(&family);
		CHECK(cases[i].name, take_step(i, &family));
		CLEANUP_JSON json_t *now = parent_by(reader, &family);
		CLEANUP_JSON json_t *anew = tell_anew(&family, cases[i].redact);
		/* Another program's digest may have come between the two. */
		(void)json_object_del(now, "exe_sha256");
		(void)json_object_del(anew, "exe_sha256");
		CHECK(cases[i].name, json_equal(now, anew));
		CHECK(cases[i].name, cases[i].field != NULL ? !json_equal(json_at(before, cases[i].field),
		                                                          json_at(now, cases[i].field))
		                                            : json_equal(json_at(before, "exe"), json_at(now, "exe")));
		end_family(&family);
		(void)rename_folder_back();
		(void)unlink(program);
		identity_reader_change(reader, "");
		if (group[0] != '\0')
			(void)rmdir(group);
	}
}

static bool leave_session(const struct family *family)
{
	(void)family;
	return setsid() >= 0;
}

/* What is not stored of it decides who stands above it. */
static void knows_parent_and_session_of_now(void **state)
{
	struct family family;
	struct machine_stat stat, now;
	char path_of[32], answer;
	(void)state;
	start_family(&family, leave_session, false);
	json_decref(remember(&family));
	(void)snprintf(path_of, sizeof(path_of), "/proc/%d", (int)family.parent);
	CLEANUP_FD int process = open(path_of, O_PATH | O_CLOEXEC);
	for (int left = 0; left <= 1; left++) {
		CLEANUP_JSON json_t *found = known_find(reader->known, (uint32_t)family.parent, KNOWN_BY_PARENT, &stat);
		assert_non_null(found);
		assert_true(machine_stat(process, &now));
		assert_int_equal(stat.parent, getpid());
		assert_int_equal(stat.session, left ? family.parent : getsid(0));
		assert_int_equal(stat.session, now.session);
		assert_true(stat.start_ticks == now.start_ticks);
		assert_false(stat.is_ended);
		if (!left) {
			assert_int_equal(write(family.orders, "x", 1), 1);
			assert_int_equal(read(family.done, &answer, 1), 1);
			assert_int_equal(answer, 'y');
		}
	}
	end_family(&family);
}

/* It would stay in memory for as long as nobody else takes its place. */
static void remembers_no_secret(void **state)
{
	static const struct {
		const char *name;
		step *in_parent;
		size_t argument;
		const char *begins;
	} secrets[] = {
		{"an argument", take_secret, 0, "password=[redacted]"},
		{"far behind in one", take_far_secret, 2, "kill -STOP"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++) {
		struct family family;
		char answer;
		bool has_digest = false, is_told = true;
		start_family(&family, secrets[i].in_parent, false);
		json_decref(remember(&family));
		assert_int_equal(write(family.orders, "x", 1), 1);
		assert_in_range(read(family.done, &answer, 1), 0, 1);
		/* Only what has a digest is remembered. */
		for (int j = 0; j < DIGEST_MS && !has_digest; j++) {
			CLEANUP_JSON json_t *now = parent_by(reader, &family);
			const char *text =
				json_string_value(json_array_get(json_at(now, "cmdline"), secrets[i].argument));
			is_told &= text != NULL && text_starts(text, secrets[i].begins);
			has_digest = json_at(now, "exe_sha256") != NULL;
			(void)usleep(1000);
		}
		json_decref(parent_by(reader, &family));
		bool is_kept = is_remembered(&family);
		end_family(&family);
		CHECK(secrets[i].name, is_told && has_digest && !is_kept);
	}
}

/* A number that another process has by now is not that one. */
static void forgets_who_has_ended(void **state)
{
	struct family family;
	struct machine_stat stat;
	(void)state;
	start_family(&family, NULL, false);
	CLEANUP_JSON json_t *before = remember(&family);
	assert_int_equal(kill(family.parent, SIGKILL), 0);
	assert_int_equal(waitpid(family.parent, NULL, 0), family.parent);
	assert_null(known_find(reader->known, (uint32_t)family.parent, KNOWN_BY_PARENT, &stat));
	CLEANUP_JSON json_t *now = parent_by(reader, &family);
	assert_false(json_equal(json_at(before, "pid"), json_at(now, "pid")));
	(void)kill(family.child, SIGKILL);
	(void)close(family.orders);
	(void)close(family.done);
}

/* The same process may be known as a parent, or as the leader of a session. */
static void says_how_it_is_known(void **state)
{
	static const char *const ways[] = {"parent", "session", "parent"};
	struct family family;
	struct machine_stat stat;
	(void)state;
	start_family(&family, NULL, false);
	CLEANUP_JSON json_t *before = remember(&family);
	for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
		CLEANUP_JSON json_t *text = known_find(reader->known, (uint32_t)family.parent, ways[i], &stat);
		CLEANUP_JSON json_t *found = tree_of(text);
		assert_int_equal(stat.parent, getpid());
		assert_string_equal(json_text_at(found, "known_by"), ways[i]);
		json_put_text(found, "known_by", "parent");
		assert_true(json_equal(found, before));
	}
	end_family(&family);
}

#define READERS 4
#define READS 60

static void *read_again_and_again(void *argument)
{
	const struct family *family = argument;
	uintptr_t wrong = 0;
	for (int i = 0; i < READS; i++) {
		CLEANUP_JSON json_t *parent = parent_by(reader, family);
		int64_t pid = -1;
		wrong += !json_int_at(parent, "pid", &pid) || pid != family->parent;
	}
	return (void *)wrong;
}

/* While one reads, others read too, and all is forgotten now and then. */
static void serves_many_at_once(void **state)
{
	struct family family;
	pthread_t threads[READERS];
	void *wrong;
	(void)state;
	start_family(&family, NULL, false);
	json_decref(remember(&family));
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_again_and_again, &family), 0);
	for (int i = 0; i < READS; i++) {
		known_forget(reader->known);
		(void)usleep(500);
	}
	for (int i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	end_family(&family);
}

static size_t descriptors(void)
{
	size_t count = 0;
	char path[32], target[64];
	for (int fd = 0; fd < 2048; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		count += readlink(path, target, sizeof(target)) > 0;
	}
	return count;
}

/* More than there is room for: the oldest are given up, with all that they hold. */
static void keeps_so_many_and_no_more(void **state)
{
	static struct family families[KNOWN_MAX + 8];
	(void)state;
	known_forget(reader->known);
	size_t before = descriptors();
	for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
		start_family(&families[i], NULL, false);
		json_decref(remember(&families[i]));
	}
	assert_false(is_remembered(&families[0]));
	assert_true(is_remembered(&families[ARRAY_LENGTH(families) - 1]));
	assert_true(descriptors() <= before + 5 * (KNOWN_MAX + 1) + 2 * ARRAY_LENGTH(families) + DIGESTS_QUEUE_MAX);
	for (size_t i = 0; i < ARRAY_LENGTH(families); i++)
		end_family(&families[i]);
	known_forget(reader->known);
	/* Whatever still waits for its digest holds one. */
	for (int i = 0; i < DIGEST_MS && descriptors() > before; i++)
		(void)usleep(1000);
	assert_true(descriptors() <= before);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_is_so_now),
		cmocka_unit_test(forgets_who_has_ended),
		cmocka_unit_test(knows_parent_and_session_of_now),
		cmocka_unit_test(remembers_no_secret),
		cmocka_unit_test(says_how_it_is_known),
		cmocka_unit_test(serves_many_at_once),
		cmocka_unit_test(keeps_so_many_and_no_more),
	};
	(void)argc;
	own_arguments = argv[0];
	return cmocka_run_group_tests(tests, start, stop);
}
