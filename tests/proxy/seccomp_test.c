/* SPDX-License-Identifier: Apache-2.0 */

/* The filters, from inside: each call in a process of its own, which lives through it or is ended by it. */
#include "tests/common/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "proxy/seccomp.h"

typedef void attempt(void);

static void *nothing(void *argument)
{
	return argument;
}

static void start_thread(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, nothing, NULL) == 0)
		(void)pthread_join(thread, NULL);
	else
		_exit(1);
}

static void read_a_file(void)
{
	char byte;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &byte, 1) != 1 || close(fd) < 0)
		_exit(1);
}

static void make_socket(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)close(fd);
}

static void socket_unix(void)
{
	make_socket(AF_UNIX);
}

static void socket_inet(void)
{
	make_socket(AF_INET6);
}

static void socket_netlink(void)
{
	(void)syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0);
}

static void socket_packet(void)
{
	(void)syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0);
}

static void socket_vsock(void)
{
	(void)syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0);
}

static void run_program(void)
{
	(void)execl("/bin/true", "true", NULL);
}

static void run_program_at(void)
{
	(void)syscall(SYS_execveat, AT_FDCWD, "/bin/true", NULL, NULL, 0);
}

static void make_process(void)
{
	pid_t child = fork();
	if (child == 0)
		_exit(0);
}

static void make_process_sharing_memory(void)
{
	(void)syscall(SYS_clone, SIGCHLD | CLONE_VFORK, 0, 0, 0, 0);
	_exit(0); /* parent and child */
}

static void trace(void)
{
	(void)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static void read_memory(void)
{
	(void)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static void send_signal(void)
{
	(void)kill(getppid(), 0);
}

static void change_user(void)
{
	(void)syscall(SYS_setuid, 65534);
}

static void change_user_of_files(void)
{
	(void)setfsuid(geteuid());
}

static void leave_namespace(void)
{
	(void)syscall(SYS_unshare, 0);
}

static void enter_namespace(void)
{
	(void)setns(-1, 0);
}

static void mount_something(void)
{
	(void)mount("none", "/nowhere", "tmpfs", 0, NULL);
}

static void load_bpf(void)
{
	(void)syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0);
}

static void look_up_in_memory(void)
{
	struct open_how how = {.flags = O_PATH};
	(void)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));
}

static void use_keys(void)
{
	(void)syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static void use_a_ring(void)
{
	(void)syscall(SYS_io_uring_setup, 0, NULL);
}

static void remove_file(void)
{
	(void)unlink("/nowhere/at/all");
}

static void call_nothing(void)
{
	(void)syscall(4999);
}

static const struct {
	const char *name;
	attempt *call;
	bool proxy_lives, witness_lives;
} cases[] = {
	{"a thread", start_thread, true, true},
	{"reading a file", read_a_file, true, true},
	{"a Unix socket", socket_unix, true, true},
	{"an Internet socket", socket_inet, true, true},
	{"a netlink socket", socket_netlink, false, true},
	{"a packet socket", socket_packet, false, false},
	{"a socket of another family", socket_vsock, false, false},
	{"execve", run_program, false, false},
	{"execveat", run_program_at, false, false},
	{"fork", make_process, false, false},
	{"vfork", make_process_sharing_memory, false, false},
	{"ptrace", trace, false, false},
	{"process_vm_readv", read_memory, false, false},
	{"kill", send_signal, false, false},
	{"setuid", change_user, false, false},
	{"setfsuid", change_user_of_files, false, true},
	{"unshare", leave_namespace, false, false},
	{"setns", enter_namespace, false, true},
	{"mount", mount_something, false, false},
	{"bpf", load_bpf, false, true},
	{"openat2", look_up_in_memory, false, true},
	{"keyctl", use_keys, false, false},
	{"io_uring_setup", use_a_ring, false, false},
	{"unlink", remove_file, true, false},
	{"no system call", call_nothing, false, false},
};

struct trial {
	enum seccomp_process process;
	attempt *call;
};

static int attempt_under_filter(void *context)
{
	const struct trial *trial = context;
	EXPECT(seccomp_apply(trial->process, NULL) == 0);
	trial->call();
	return 7;
}

static void ends_what_does_more_than_it_needs(void **state)
{
	static const enum seccomp_process processes[] = {SECCOMP_PROXY, SECCOMP_WITNESS};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		for (size_t p = 0; p < ARRAY_LENGTH(processes); p++) {
			struct trial trial = {processes[p], cases[i].call};
			char name[80];
			bool lives = p == 0 ? cases[i].proxy_lives : cases[i].witness_lives;
			(void)snprintf(name, sizeof(name), "%s: %s", p == 0 ? "proxy" : "witness", cases[i].name);
			CHECK_NUMBER(name, unit_in_child(attempt_under_filter, &trial), lives ? 7 : -1);
		}
}

/* A thread that was there before is under the filter as well, and its end is the end of all. */
static int wait_for_filter(void *context)
{
	int *line = context;
	char byte;
	if (read(line[0], &byte, 1) == 1)
		(void)syscall(SYS_unshare, 0);
	return 0;
}

static void *run_wait(void *context)
{
	(void)wait_for_filter(context);
	return NULL;
}

static int attempt_in_older_thread(void *context)
{
	int line[2];
	pthread_t thread;
	(void)context;
	EXPECT(pipe2(line, O_CLOEXEC) == 0);
	EXPECT(pthread_create(&thread, NULL, run_wait, line) == 0);
	EXPECT(seccomp_apply(SECCOMP_PROXY, NULL) == 0);
	EXPECT(write(line[1], "x", 1) == 1);
	EXPECT(pthread_join(thread, NULL) == 0);
	return 7;
}

static void holds_for_threads_that_were_there(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(attempt_in_older_thread, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_what_does_more_than_it_needs),
		cmocka_unit_test(holds_for_threads_that_were_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
