/* SPDX-License-Identifier: Apache-2.0 */

/* Files, processes, privileges: by the system calls themselves, so that no library gives up before the kernel does. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/separation/taken_over.h"

static void try_open(char *const words[], char *answer, size_t size)
{
	static const struct {
		const char *name;
		int flags;
	} modes[] = {{"read", O_RDONLY},
	             {"write", O_WRONLY},
	             {"list", O_RDONLY | O_DIRECTORY},
	             {"create", O_WRONLY | O_CREAT | O_EXCL},
	             {"truncate", O_WRONLY | O_TRUNC}};
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(words[1], modes[i].name) == 0) {
			CLEANUP_FD int fd = open(words[0], modes[i].flags | O_CLOEXEC | O_NONBLOCK, 0600);
			say_result(fd, answer, size);
			return;
		}
	(void)snprintf(answer, size, "no such mode");
}

static void try_readlink(char *const words[], char *answer, size_t size)
{
	char target[256];
	say_result(readlink(words[0], target, sizeof(target)), answer, size);
}

static void try_chmod(char *const words[], char *answer, size_t size)
{
	say_result(chmod(words[0], 0666), answer, size);
}

static void try_chown(char *const words[], char *answer, size_t size)
{
	say_result(chown(words[0], 0, 0), answer, size);
}

static void try_unlink(char *const words[], char *answer, size_t size)
{
	say_result(unlink(words[0]), answer, size);
}

static void try_link(char *const words[], char *answer, size_t size)
{
	say_result(link(words[0], words[1]), answer, size);
}

static void try_rename(char *const words[], char *answer, size_t size)
{
	say_result(rename(words[0], words[1]), answer, size);
}

/* ---- processes */

static void try_tgkill(char *const words[], char *answer, size_t size)
{
	say_result(syscall(SYS_tgkill, atoi(words[0]), atoi(words[0]), atoi(words[1])), answer, size);
}

static void try_prlimit(char *const words[], char *answer, size_t size)
{
	uint64_t limit[2];
	say_result(syscall(SYS_prlimit64, atoi(words[0]), 7, NULL, limit), answer, size);
}

/* Has the kernel send a signal for it: whoever owns a descriptor is told by the signal chosen when there is something
 * to read. Whether it arrived, the other one shows. */
static void try_owner(char *const words[], char *answer, size_t size)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		say_result(-1, answer, size);
		return;
	}
	CLEANUP_FD int ours = pair[0];
	CLEANUP_FD int theirs = pair[1];
	long result = fcntl(ours, F_SETOWN, atoi(words[0]));
	if (result == 0)
		result = fcntl(ours, F_SETSIG, SIGKILL);
	if (result == 0)
		result = fcntl(ours, F_SETFL, O_ASYNC);
	if (result == 0)
		result = write(theirs, "x", 1);
	say_result(result, answer, size);
}

/* ---- privileges */

static void try_socket(char *const words[], char *answer, size_t size)
{
	CLEANUP_FD int fd = socket(atoi(words[0]), atoi(words[1]) | SOCK_CLOEXEC, atoi(words[2]));
	say_result(fd, answer, size);
}

static void try_mark(char *const words[], char *answer, size_t size)
{
	const unsigned mark = 0x4b54;
	(void)words;
	CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	say_result(fd < 0 ? fd : setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), answer, size);
}

/* A capability back into the ambient set: prctl(2) as such is allowed. */
static void try_ambient(char *const words[], char *answer, size_t size)
{
	(void)words;
	say_result(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0), answer, size);
}

/* What a descriptor refers to, all in one line. */
static void list_descriptors(char *const words[], char *answer, size_t size)
{
	size_t at = 0;
	(void)words;
	answer[0] = '\0';
	for (int fd = 0; fd < 1024 && at < size; fd++) {
		char path[32], target[128];
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, target, sizeof(target) - 1);
		if (length <= 0)
			continue;
		target[length] = '\0';
		at += (size_t)snprintf(answer + at, size - at, "%s ", target);
	}
}

/* ---- calls that no argument makes harmless: made with arguments that do nothing, should they be let through */

#define CALL(name)                                                                                                     \
	{                                                                                                              \
#name, SYS_##name                                                                                      \
	}

static const struct {
	const char *name;
	long number;
} calls[] = {
	CALL(ptrace),
	CALL(process_vm_readv),
	CALL(process_vm_writev),
	CALL(kill),
	CALL(tkill),
	CALL(pidfd_open),
	CALL(pidfd_getfd),
	CALL(pidfd_send_signal),
	CALL(process_madvise),
	CALL(kcmp),
	CALL(bpf),
	CALL(perf_event_open),
	CALL(execve),
	CALL(execveat),
	CALL(unshare),
	CALL(setns),
	CALL(mount),
	CALL(move_mount),
	CALL(open_by_handle_at),
	CALL(chroot),
	CALL(setuid),
	CALL(setresuid),
	CALL(setgroups),
	CALL(setfsuid),
	CALL(capset),
	CALL(io_uring_setup),
	CALL(keyctl),
	CALL(init_module),
	CALL(finit_module),
	CALL(kexec_load),
	CALL(userfaultfd),
	CALL(memfd_create),
	CALL(mknodat),
	CALL(name_to_handle_at),
	CALL(personality),
	CALL(seccomp),
	CALL(shmget),
	CALL(timer_create),
	CALL(setpriority),
};

static void try_call(char *const words[], char *answer, size_t size)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(words[0], calls[i].name) == 0) {
			say_result(syscall(calls[i].number, -1, -1, -1, -1, -1, -1), answer, size);
			return;
		}
	(void)snprintf(answer, size, "no such call");
}

static void list_calls(char *const words[], char *answer, size_t size)
{
	size_t at = 0;
	(void)words;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && at < size; i++)
		at += (size_t)snprintf(answer + at, size - at, "%s ", calls[i].name);
}

/* A process, not a thread. */
static void try_fork(char *const words[], char *answer, size_t size)
{
	(void)words;
	long result = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (result == 0)
		_exit(0);
	say_result(result, answer, size);
}

const struct attempt attempts_system[] = {
	{"open", 2, try_open},       {"readlink", 1, try_readlink},
	{"chmod", 1, try_chmod},     {"chown", 1, try_chown},
	{"unlink", 1, try_unlink},   {"link", 2, try_link},
	{"rename", 2, try_rename},   {"tgkill", 2, try_tgkill},
	{"prlimit", 1, try_prlimit}, {"owner", 1, try_owner},
	{"socket", 3, try_socket},   {"mark", 0, try_mark},
	{"ambient", 0, try_ambient}, {"descriptors", 0, list_descriptors},
	{"call", 1, try_call},       {"calls", 0, list_calls},
	{"fork", 0, try_fork},       {NULL, 0, NULL},
};
