/* SPDX-License-Identifier: Apache-2.0 */

/* The file that runs, and what is made of its path: in this process's children, some in mount namespaces of their own.
 */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "proxy/witness/exe.h"

static struct machine machine;
static char folder[PATH_MAX], program[PATH_MAX], other[PATH_MAX];

static void copy_cat(const char *to_path)
{
	char bytes[65536];
	CLEANUP_FD int from = open("/bin/cat", O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int to = open(to_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	assert_true(from >= 0 && to >= 0);
	for (ssize_t got; (got = read(from, bytes, sizeof(bytes))) > 0;)
		assert_int_equal(write(to, bytes, (size_t)got), got);
}

static int start(void **state)
{
	(void)state;
	(void)unit_folder(folder);
	copy_cat(unit_path(program, folder, "program"));
	copy_cat(unit_path(other, folder, "other"));
	return machine_open(&machine, NULL);
}

/* Paths of that depth are too long to be removed by. */
static void remove_deep(void)
{
	char name[201], here[PATH_MAX];
	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(folder), 0);
	while (chdir(name) == 0)
		continue;
	(void)unlink("deep");
	while (chdir("..") == 0 && rmdir(name) == 0)
		continue;
	assert_int_equal(chdir(here), 0);
}

static int stop(void **state)
{
	(void)state;
	machine_close(&machine);
	remove_deep();
	unit_folder_remove(folder);
	return 0;
}

/* What a child does before it runs cat; then it waits at the end of a pipe. */
typedef int prepare(void);

static int run_program(void)
{
	(void)execl(program, program, NULL);
	return -1;
}

static int run_unmounted(void)
{
	return unshare(CLONE_NEWNS) < 0 ? -1 : run_program();
}

/* As a hardened unit: the same files, mounted anew and read-only, and a /tmp of its own (else the program is in there).
 */
static int run_hardened(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(folder, folder, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, folder, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return -1;
	return run_program();
}

static int run_mounted_over(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(other, program, NULL, MS_BIND, NULL) < 0)
		return -1;
	return run_program();
}

/* What any user can do. */
static int run_mounted_over_by_user(void)
{
	return unshare(CLONE_NEWUSER) < 0 ? -1 : run_mounted_over();
}

static int run_elsewhere(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/mnt", "tmpfs", 0, NULL) < 0)
		return -1;
	copy_cat("/mnt/own");
	(void)execl("/mnt/own", "own", NULL);
	return -1;
}

static int run_deleted(void)
{
	char path[PATH_MAX];
	copy_cat(unit_path(path, folder, "deleted"));
	int fd = open(path, O_PATH);
	(void)unlink(path);
	(void)fexecve(fd, (char *const[]){path, NULL}, environ);
	return -1;
}

/* Another name of the file is left, so its links do not tell. */
static int run_deleted_with_link(void)
{
	char path[PATH_MAX], second[PATH_MAX];
	copy_cat(unit_path(path, folder, "linked"));
	if (link(path, unit_path(second, folder, "second")) < 0)
		return -1;
	int fd = open(path, O_PATH);
	(void)unlink(path);
	(void)fexecve(fd, (char *const[]){path, NULL}, environ);
	return -1;
}

static int run_replaced(void)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	copy_cat(unit_path(path, folder, "replaced"));
	copy_cat(unit_path(fresh, folder, "fresh"));
	int fd = open(path, O_PATH);
	(void)rename(fresh, path);
	(void)fexecve(fd, (char *const[]){path, NULL}, environ);
	return -1;
}

static int run_named_deleted(void)
{
	char path[PATH_MAX];
	copy_cat(unit_path(path, folder, "x (deleted)"));
	(void)execl(path, "x", NULL);
	return -1;
}

static int run_memfd(void)
{
	char bytes[65536];
	int from = open("/bin/cat", O_RDONLY | O_CLOEXEC), to = memfd_create("hidden", MFD_CLOEXEC);
	for (ssize_t got; (got = read(from, bytes, sizeof(bytes))) > 0;)
		if (write(to, bytes, (size_t)got) != got)
			return -1;
	(void)fexecve(to, (char *const[]){(char[]){"x"}, NULL}, environ);
	return -1;
}

/* A path that is longer than the kernel gives out. */
static int run_deep(void)
{
	char name[201];
	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	if (chdir(folder) < 0)
		return -1;
	for (int i = 0; i < 25; i++)
		if (mkdir(name, 0755) < 0 || chdir(name) < 0)
			return -1;
	copy_cat("deep");
	(void)execl("./deep", "deep", NULL);
	return -1;
}

static const struct {
	const char *name;
	prepare *run;
	const char *path; /* below the folder, or absolute */
	bool is_deleted, is_memfd, is_foreign;
} cases[] = {
	{"in the machine's namespace", run_program, "program", false, false, false},
	{"in a namespace with the same files", run_unmounted, "program", false, false, false},
	{"as a hardened unit", run_hardened, "program", false, false, false},
	{"mounted over", run_mounted_over, "program", false, false, true},
	{"mounted over by a user", run_mounted_over_by_user, "program", false, false, true},
	{"a file that the machine has not", run_elsewhere, "/mnt/own", false, false, true},
	{"deleted", run_deleted, "deleted", true, false, false},
	{"deleted, another name is left", run_deleted_with_link, "linked", true, false, false},
	{"replaced", run_replaced, "replaced", true, false, false},
	{"named as if deleted", run_named_deleted, "x (deleted)", false, false, false},
	{"memfd", run_memfd, "/memfd:hidden", true, true, false},
	{"path too long", run_deep, "", false, false, false},
};

/* Starts it and waits until it runs: the pipe `ready` closes on exec. */
static pid_t start_child(prepare *run, int *ret_end)
{
	int line[2], ready[2];
	char byte;
	assert_int_equal(pipe2(line, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)dup2(line[0], STDIN_FILENO);
		(void)run();
		(void)!write(ready[1], "!", 1);
		_exit(127);
	}
	(void)close(line[0]);
	(void)close(ready[1]);
	ssize_t got = read(ready[0], &byte, 1);
	(void)close(ready[0]);
	*ret_end = line[1];
	return got == 0 ? child : -child;
}

static void reads_the_file_that_runs(void **state)
{
	const uint64_t memfd_device = exe_memfd_device();
	(void)state;
	assert_true(memfd_device != 0);
	if (geteuid() != 0)
		skip(); /* mount namespaces */
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char path[PATH_MAX], file[32];
		int end;
		pid_t child = start_child(cases[i].run, &end);
		CHECK(cases[i].name, child > 0);
		(void)snprintf(file, sizeof(file), "/proc/%d", (int)child);
		CLEANUP_FD int process = open(file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		CLEANUP_EXE struct exe exe = {.fd = -1};
		bool found = exe_read(&machine, process, machine_namespace(process, "mnt") != machine.mount_namespace,
		                      memfd_device, &exe);
		(void)close(end);
		(void)waitpid(child, NULL, 0);
		CHECK(cases[i].name, found);
		(void)unit_path(path, folder, cases[i].path);
		bool is_whole = cases[i].path[0] == '/' || cases[i].path[0] == '\0';
		CHECK_TEXT(cases[i].name, exe.path, is_whole ? cases[i].path : path);
		CHECK_NUMBER(cases[i].name, exe.is_deleted, cases[i].is_deleted);
		CHECK_NUMBER(cases[i].name, exe.is_memfd, cases[i].is_memfd);
		CHECK_NUMBER(cases[i].name, exe.is_foreign, cases[i].is_foreign);
		CHECK(cases[i].name, exe.file[0] != '\0' && exe.status.stx_ino != 0);
	}
}

static void reads_nothing_of_who_has_none(void **state)
{
	struct exe exe;
	char file[32];
	(void)state;
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0); /* a zombie now */
	(void)snprintf(file, sizeof(file), "/proc/%d", (int)child);
	CLEANUP_FD int zombie = open(file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(zombie >= 0);
	assert_false(exe_read(&machine, zombie, false, 0, &exe));
	assert_int_equal(exe.fd, -1);
	struct machine_stat stat;
	assert_true(machine_stat(zombie, &stat) && stat.is_ended && stat.parent == (uint32_t)getpid());
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_false(machine_stat(zombie, &stat));
}

/* The machine's view is not that of whoever asks: this process leaves its own namespace first. */
static int see_from_elsewhere(void *context)
{
	struct machine seen;
	struct statx status;
	(void)context;
	EXPECT(machine_statx(AT_FDCWD, "/etc/passwd", &status));
	EXPECT(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	EXPECT(mount(program, "/etc/passwd", NULL, MS_BIND, NULL) == 0);
	EXPECT(machine_open(&seen, NULL) == 0);
	EXPECT(seen.mount_namespace == machine.mount_namespace);
	EXPECT(machine_shows(seen.root, "/etc/passwd", &status));
	EXPECT(machine_statx(AT_FDCWD, "/etc/passwd", &status) && !machine_shows(seen.root, "/etc/passwd", &status));
	machine_close(&seen);
	return 0;
}

static void sees_the_machine_from_elsewhere(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* mount namespaces */
	assert_int_equal(unit_in_child(see_from_elsewhere, NULL), 0);
}

static void looks_up_only_below_the_root(void **state)
{
	struct statx status;
	(void)state;
	assert_true(machine_statx(AT_FDCWD, program, &status));
	CLEANUP_FD int below = open(folder, O_PATH | O_CLOEXEC);
	assert_true(machine_shows(below, "/program", &status));
	assert_true(machine_shows(below, "/../../program", &status));
	assert_false(machine_shows(below, program, &status));
	assert_false(machine_shows(below, "program", &status)); /* not absolute */
	assert_false(machine_shows(below, "/other", &status));
	assert_false(machine_shows(below, "/missing", &status));
	assert_false(machine_shows(below, "", &status));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_file_that_runs),
		cmocka_unit_test(reads_nothing_of_who_has_none),
		cmocka_unit_test(sees_the_machine_from_elsewhere),
		cmocka_unit_test(looks_up_only_below_the_root),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
