/* SPDX-License-Identifier: Apache-2.0 */

/* What is stored of a process, read off real ones: this one, and children with hostile names and arguments. */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "common/canonical.h"
#include "common/clock.h"
#include "proxy/witness/identity.h"
#include "proxy/witness/procfs.h"

static struct identity_reader *reader;
static char folder[PATH_MAX];

static int start(void **state)
{
	(void)state;
	(void)unit_folder(folder);
	return identity_reader_new("hush-*", NULL, &reader, NULL);
}

static int stop(void **state)
{
	(void)state;
	identity_reader_free(reader);
	unit_folder_remove(folder);
	return 0;
}

/* As it is stored. */
static json_t *unfold(const json_t *folded)
{
	CLEANUP_FREE char *line = identity_line(folded);
	json_t *process = NULL;
	assert_non_null(line);
	assert_true(canonical_json(line, strlen(line)));
	assert_int_equal(json_read(line, strlen(line), &process, NULL), 0);
	return process;
}

static json_t *read_pid(pid_t pid, bool with_ancestors)
{
	uint64_t ticks;
	if (!procfs_start((uint32_t)pid, &ticks))
		return NULL;
	CLEANUP_JSON json_t *folded = identity_read(reader, (uint32_t)pid, ticks, with_ancestors);
	return folded != NULL ? unfold(folded) : NULL;
}

/* The kernel closes descriptors on exec before the new arguments are in place. */
static void wait_for_arguments(pid_t pid)
{
	char path[64];
	ssize_t got = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	for (int i = 0; i < 5000 && got <= 0; i++) {
		char byte;
		CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
		got = fd >= 0 ? read(fd, &byte, 1) : -1;
		if (got <= 0)
			(void)usleep(1000);
	}
	assert_int_equal(got, 1);
}

/* A child that runs a program which waits on its standard input. */
static pid_t start_program(const char *program, const char *const arguments[], int *ret_end)
{
	int line[2], ready[2];
	char byte;
	assert_int_equal(pipe2(line, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0); /* closed by the exec */
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)dup2(line[0], STDIN_FILENO);
		(void)execv(program, (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	(void)close(line[0]);
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 0);
	(void)close(ready[0]);
	wait_for_arguments(child);
	*ret_end = line[1];
	return child;
}

static void end_program(pid_t child, int end)
{
	int status = 0;
	(void)close(end);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A copy of cat, which waits for its input and takes no offence at its name. */
static char *copy_program(char path[static PATH_MAX], const char *name)
{
	char real[PATH_MAX], bytes[65536];
	assert_non_null(realpath("/bin/cat", real));
	CLEANUP_FD int from = open(real, O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int to = open(unit_path(path, folder, name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	assert_true(from >= 0 && to >= 0);
	for (ssize_t got; (got = read(from, bytes, sizeof(bytes))) > 0;)
		assert_int_equal(write(to, bytes, (size_t)got), got);
	return path;
}

static void knows_nobody_who_is_not_there(void **state)
{
	(void)state;
	assert_null(identity_read(reader, 2147483647u, 1, true));
	assert_null(identity_read(reader, 0, 0, true));
}

static void knows_nobody_by_another_start(void **state)
{
	uint64_t ticks;
	(void)state;
	assert_true(procfs_start((uint32_t)getpid(), &ticks));
	assert_null(identity_read(reader, (uint32_t)getpid(), ticks + 1, true));
	assert_null(identity_read(reader, (uint32_t)getpid(), ticks - 1, true));
	assert_null(identity_read(reader, (uint32_t)getpid(), 0, true));
}

static void knows_nobody_who_has_ended(void **state)
{
	const char *const arguments[] = {"cat", NULL};
	uint64_t ticks;
	int end;
	(void)state;
	pid_t child = start_program("/bin/cat", arguments, &end);
	assert_true(procfs_start((uint32_t)child, &ticks));
	end_program(child, end);
	assert_null(identity_read(reader, (uint32_t)child, ticks, true));
}

static void reads_this_process(void **state)
{
	CLEANUP_JSON json_t *process = read_pid(getpid(), true);
	char exe[PATH_MAX] = "";
	struct stat status;
	int64_t number = -1, started;
	bool flag = true;
	(void)state;
	assert_non_null(process);
	assert_true(json_int_at(process, "pid", &number) && number == getpid());
	assert_true(json_int_at(process, "uid", &number) && number == getuid());
	assert_true(json_int_at(process, "gid", &number) && number == getgid());
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_string_equal(json_text_at(process, "exe"), exe);
	assert_true(json_bool_at(process, "exe_deleted", &flag) && !flag);
	assert_true(json_bool_at(process, "exe_foreign_mount", &flag) && !flag);
	assert_int_equal(stat("/proc/self/exe", &status), 0);
	assert_true(json_int_at(process, "exe_inode", &number) && number == (int64_t)status.st_ino);
	assert_non_null(json_text_at(process, "exe_device"));
	assert_int_equal(stat("/proc/self/ns/net", &status), 0);
	assert_true(json_int_at(process, "netns", &number) && number == (int64_t)status.st_ino);
	assert_true(clock_parse(json_text_at(process, "started_at"), &started));
	assert_in_range(clock_now_us() - started, 0, 600 * CLOCK_SECOND_US);
}

/* Named fields are always there, null where unknown. */
static void names_every_field(void **state)
{
	static const char *const of_all[] = {
		"exe_file",          "pid",     "started_at", "uid",  "user",         "comm",   "exe", "exe_sha256",
		"exe_foreign_mount", "cmdline", "cgroup",     "unit", "container_id", "pod_uid"};
	static const char *const of_process[] = {"script",    "ns_pid",      "ns_uid",     "effective_uid",
	                                         "exe_memfd", "exe_deleted", "exe_device", "exe_inode",
	                                         "gid",       "netns",       "login_uid",  "ancestors"};
	CLEANUP_JSON json_t *process = read_pid(getpid(), true);
	(void)state;
	assert_non_null(process);
	for (size_t i = 0; i < ARRAY_LENGTH(of_all); i++)
		CHECK(of_all[i], json_object_get(process, of_all[i]) != NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(of_process); i++)
		CHECK(of_process[i], json_object_get(process, of_process[i]) != NULL);
	const json_t *ancestor = json_array_get(json_at(process, "ancestors"), 0);
	for (size_t i = 0; ancestor != NULL && i < ARRAY_LENGTH(of_all); i++)
		CHECK(of_all[i], json_object_get(ancestor, of_all[i]) != NULL);
}

static void names_ancestors_up_to_a_bound(void **state)
{
	CLEANUP_JSON json_t *process = read_pid(getpid(), true);
	CLEANUP_JSON json_t *alone = read_pid(getpid(), false);
	int64_t pid = 0;
	(void)state;
	assert_non_null(process);
	const json_t *ancestors = json_at(process, "ancestors");
	assert_true(json_array_size(ancestors) >= 1);
	assert_true(json_array_size(ancestors) <= ANCESTORS_MAX);
	assert_true(json_int_at(json_array_get(ancestors, 0), "pid", &pid) && pid == getppid());
	/* For what is likely to be thrown away, its parent by name only. */
	assert_int_equal(json_array_size(json_at(alone, "ancestors")), 1);
	const json_t *parent = json_array_get(json_at(alone, "ancestors"), 0);
	assert_true(json_int_at(parent, "pid", &pid) && pid == getppid());
	assert_string_equal(json_text_at(parent, "known_by"), "accept");
	assert_string_equal(json_text_at(parent, "started_at"),
	                    json_text_at(json_array_get(ancestors, 0), "started_at"));
	assert_null(json_text_at(parent, "exe"));
}

/* A chain of children that is longer than the bound: the innermost says how many ancestors it saw, 0 if its parent was
 * not the first of them. */
static int deep_child(void *context)
{
	int depth = *(const int *)context;
	int64_t pid = 0;
	if (depth > 0) {
		int next = depth - 1;
		return unit_in_child(deep_child, &next);
	}
	CLEANUP_JSON json_t *process = read_pid(getpid(), true);
	const json_t *ancestors = json_at(process, "ancestors");
	bool is_parent = json_int_at(json_array_get(ancestors, 0), "pid", &pid) && pid == getppid();
	return is_parent ? (int)json_array_size(ancestors) : 0;
}

static int deep_session(void *context)
{
	return setsid() > 0 ? deep_child(context) : 0;
}

static void cuts_long_lines_of_ancestors(void **state)
{
	int depth = ANCESTORS_MAX + 3;
	(void)state;
	assert_int_equal(unit_in_child(deep_child, &depth), ANCESTORS_MAX);
}

static void wait_for_end_of(pid_t parent)
{
	while (getppid() == parent)
		(void)usleep(1000);
}

/* Its parent has ended, and its session's leader lives: whoever adopts it comes after the leader, which comes after the
 * parents that are left. */
static int orphaned_line(void *context)
{
	int depth = *(const int *)context, line[2];
	unsigned char result = 0;
	if (pipe(line) < 0 || setsid() < 0)
		return 0;
	pid_t middle = fork();
	if (middle == 0) {
		pid_t parent = getpid();
		if (fork() != 0)
			_exit(0);
		wait_for_end_of(parent);
		result = (unsigned char)unit_in_child(deep_child, &depth);
		_exit(write(line[1], &result, 1) != 1);
	}
	(void)waitpid(middle, NULL, 0);
	return read(line[0], &result, 1) == 1 ? result : 0;
}

/* The leader of its session stands for ancestors that have ended, not for those that are there. */
static void puts_no_leader_before_a_parent(void **state)
{
	(void)state;
	for (int depth = 1; depth <= ANCESTORS_MAX + 3; depth++)
		assert_in_range(unit_in_child(deep_session, &depth), 1, ANCESTORS_MAX);
	for (int depth = 0; depth <= 2; depth++)
		assert_in_range(unit_in_child(orphaned_line, &depth), 1, ANCESTORS_MAX);
}

static const struct {
	const char *name, *argument, *stored;
} hostile[] = {
	{"empty", "", ""},
	{"newline", "a\nb", "a\nb"},
	{"escape sequence", "\x1b[2J", "\x1b[2J"},
	{"quote", "a\"b\\c", "a\"b\\c"},
	{"UTF-8", "\xc3\xa9", "\xc3\xa9"},
	{"broken UTF-8",
         "a\xff"
         "b\xc3",
         "a\\xffb\\xc3"},
	{"overlong slash", "\xc0\xaf", "\\xc0\\xaf"},
	{"surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
	{"token", "X-aws-ec2-metadata-token: AQAEabc", "X-aws-ec2-metadata-token: [redacted]"},
	{"pattern of the settings", "hush-1", "[redacted]"},
	{"option", "--password", "--password"},
	{"its value", "sesame", "[redacted]"},
	{"last", "z", "z"},
};

static void cleans_a_command_line(void **state)
{
	/* Arguments behind a script are only texts to it. */
	const char *all[ARRAY_LENGTH(hostile) + 4] = {"sh", "-c", "read x; exit 0"};
	int end;
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(hostile); i++)
		all[i + 3] = hostile[i].argument;
	pid_t child = start_program("/bin/sh", all, &end);
	CLEANUP_JSON json_t *process = read_pid(child, false);
	end_program(child, end);
	assert_non_null(process);
	const json_t *cmdline = json_at(process, "cmdline");
	assert_int_equal(json_array_size(cmdline), ARRAY_LENGTH(hostile) + 3);
	for (size_t i = 0; i < ARRAY_LENGTH(hostile); i++)
		CHECK_TEXT(hostile[i].name, json_string_value(json_array_get(cmdline, i + 3)), hostile[i].stored);
	/* One line of valid JSON comes of it, whatever it was. */
	CLEANUP_FREE char *line = json_line(process);
	assert_non_null(line);
	assert_null(strpbrk(line, "\n\x1b"));
}

static void bounds_a_command_line(void **state)
{
	static char longest[60000];
	const char *all[404] = {"sh", "-c", "read x; exit 0"};
	int end;
	(void)state;
	for (size_t i = 3; i < 403; i++)
		all[i] = "x";
	pid_t child = start_program("/bin/sh", all, &end);
	CLEANUP_JSON json_t *many = read_pid(child, false);
	end_program(child, end);
	assert_in_range(json_array_size(json_at(many, "cmdline")), 250, 256);

	memset(longest, 'y', sizeof(longest) - 1);
	const char *one[] = {"sh", "-c", "read x; exit 0", longest, NULL};
	child = start_program("/bin/sh", one, &end);
	CLEANUP_JSON json_t *large = read_pid(child, false);
	end_program(child, end);
	CLEANUP_FREE char *line = json_line(large);
	assert_non_null(line);
	assert_in_range(strlen(line), 4000, 8000);
}

/* A token across the end of what is kept: none of it is. */
static void keeps_no_half_of_a_token(void **state)
{
	static char argument[5000];
	int end;
	(void)state;
	for (size_t before = 4040; before < 4096; before += 11) {
		memset(argument, 'y', sizeof(argument) - 1);
		memcpy(argument + before, " AQAE", 5);
		memset(argument + before + 5, 'z', 51);
		argument[before + 56] = ' ';
		const char *all[] = {"sh", "-c", "read x; exit 0", argument, NULL};
		pid_t child = start_program("/bin/sh", all, &end);
		CLEANUP_JSON json_t *process = read_pid(child, false);
		end_program(child, end);
		const char *stored = json_string_value(json_array_get(json_at(process, "cmdline"), 3));
		assert_non_null(stored);
		assert_null(strstr(stored, "AQAE"));
		assert_null(strchr(stored, 'z'));
	}
}

static void cleans_a_name(void **state)
{
	char before[16];
	(void)state;
	assert_int_equal(prctl(PR_GET_NAME, before), 0);
	assert_int_equal(prctl(PR_SET_NAME, "a\nUid:\t0\xff"), 0);
	CLEANUP_JSON json_t *process = read_pid(getpid(), false);
	assert_int_equal(prctl(PR_SET_NAME, before), 0);
	int64_t uid = -1;
	assert_non_null(process);
	assert_true(json_int_at(process, "uid", &uid) && uid == getuid());
	const char *comm = json_text_at(process, "comm");
	assert_non_null(comm);
	assert_null(strchr(comm, '\n'));
	assert_non_null(strstr(comm, "\\xff"));
}

static void says_that_an_executable_is_deleted(void **state)
{
	const char *const arguments[] = {"deleted", NULL};
	char path[PATH_MAX];
	bool flag = false;
	int end;
	(void)state;
	pid_t child = start_program(copy_program(path, "deleted"), arguments, &end);
	assert_int_equal(unlink(path), 0);
	CLEANUP_JSON json_t *process = read_pid(child, false);
	end_program(child, end);
	assert_non_null(process);
	assert_string_equal(json_text_at(process, "exe"), path);
	assert_true(json_bool_at(process, "exe_deleted", &flag) && flag);
}

/* The kernel's mark for deleted files is also a name that anybody can give to a file of his own. */
static void takes_no_name_for_a_deletion(void **state)
{
	const char *const arguments[] = {"app", NULL};
	char path[PATH_MAX];
	bool flag = true;
	int end;
	(void)state;
	pid_t child = start_program(copy_program(path, "app (deleted)"), arguments, &end);
	CLEANUP_JSON json_t *process = read_pid(child, false);
	end_program(child, end);
	assert_non_null(process);
	assert_string_equal(json_text_at(process, "exe"), path);
	assert_true(json_bool_at(process, "exe_deleted", &flag) && !flag);
}

static void cleans_a_path(void **state)
{
	const char *const arguments[] = {"x", NULL};
	char path[PATH_MAX];
	int end;
	(void)state;
	pid_t child = start_program(copy_program(path, "a\xff\nb"), arguments, &end);
	CLEANUP_JSON json_t *process = read_pid(child, false);
	end_program(child, end);
	assert_non_null(process);
	const char *exe = json_text_at(process, "exe");
	assert_non_null(exe);
	assert_string_equal(exe + strlen(exe) - strlen("a\\xff\nb"), "a\\xff\nb");
}

static const struct {
	const char *name, *json;
	bool is_forwarder;
} forwarders[] = {
	{"nothing", "{}", false},
	{"no executable", "{\"exe\":null}", false},
	{"bare name", "{\"exe\":\"envoy\"}", false},
	{"curl", "{\"exe\":\"/usr/bin/curl\",\"cmdline\":[\"curl\",\"-D\",\"-\"]}", false},
	{"ends like one", "{\"exe\":\"/usr/bin/notenvoy\"}", false},
	{"starts like one", "{\"exe\":\"/usr/bin/envoy2\"}", false},
	{"name in the folder", "{\"exe\":\"/opt/envoy/bin\"}", false},
	{"ssh alone", "{\"exe\":\"/usr/bin/ssh\",\"cmdline\":[\"ssh\",\"host\"]}", false},
	{"ssh, no command line", "{\"exe\":\"/usr/bin/ssh\"}", false},
	{"ssh, letter in a host", "{\"exe\":\"/usr/bin/ssh\",\"cmdline\":[\"ssh\",\"D\"]}", false},
	{"ssh -D", "{\"exe\":\"/usr/bin/ssh\",\"cmdline\":[\"ssh\",\"-D\",\"1080\",\"host\"]}", true},
	{"ssh -ND", "{\"exe\":\"/usr/bin/ssh\",\"cmdline\":[\"ssh\",\"-ND\",\"1080\",\"host\"]}", true},
	{"ssh -R", "{\"exe\":\"/usr/bin/ssh\",\"cmdline\":[\"ssh\",\"-R\",\"80:169.254.169.254:80\",\"host\"]}", true},
	{"slirp4netns", "{\"exe\":\"/usr/bin/slirp4netns\"}", true},
	{"pasta", "{\"exe\":\"/usr/bin/pasta.avx2\"}", true},
	{"envoy", "{\"exe\":\"/usr/local/bin/envoy\"}", true},
	{"socat", "{\"exe\":\"/usr/bin/socat\"}", true},
	{"sshd", "{\"exe\":\"/usr/sbin/sshd\"}", true},
	{"docker-proxy", "{\"exe\":\"/usr/bin/docker-proxy\"}", true},
};

static void knows_forwarders(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(forwarders); i++) {
		CLEANUP_JSON json_t *process = NULL;
		assert_int_equal(json_read(forwarders[i].json, strlen(forwarders[i].json), &process, NULL), 0);
		CHECK_NUMBER(forwarders[i].name, identity_is_forwarder(process), forwarders[i].is_forwarder);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_nobody_who_is_not_there),
		cmocka_unit_test(knows_nobody_by_another_start),
		cmocka_unit_test(knows_nobody_who_has_ended),
		cmocka_unit_test(reads_this_process),
		cmocka_unit_test(names_every_field),
		cmocka_unit_test(names_ancestors_up_to_a_bound),
		cmocka_unit_test(cuts_long_lines_of_ancestors),
		cmocka_unit_test(puts_no_leader_before_a_parent),
		cmocka_unit_test(cleans_a_command_line),
		cmocka_unit_test(bounds_a_command_line),
		cmocka_unit_test(keeps_no_half_of_a_token),
		cmocka_unit_test(cleans_a_name),
		cmocka_unit_test(cleans_a_path),
		cmocka_unit_test(says_that_an_executable_is_deleted),
		cmocka_unit_test(takes_no_name_for_a_deletion),
		cmocka_unit_test(knows_forwarders),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
