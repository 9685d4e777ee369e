/* SPDX-License-Identifier: Apache-2.0 */

/* THE LIST of system calls. No program is ever started, no process made, no privilege changed, nobody traced, nothing
 * mounted: whoever takes over the process that parses the network has what is in here and no more. Where a library
 * chooses between an old and a new call, both are in. */
#include "proxy/seccomp.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/log.h"

#define BOTH (SECCOMP_PROXY | SECCOMP_WITNESS)

struct allowance {
	unsigned processes;
	const char *names; /* space-separated; unknown ones of other architectures are passed over */
};

static const struct allowance allowances[] = {
	/* Files and descriptors. */
	{BOTH, "read readv pread64 write writev pwrite64 lseek close fcntl dup dup2 dup3 pipe2 ioctl flock"},
	{BOTH, "open openat fstat fstatfs stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat"},
	{BOTH, "getdents64 getcwd umask"},
	/* The ledger and its journal, the sockets that it makes and takes away. */
	{SECCOMP_PROXY, "ftruncate fallocate fsync fdatasync rename renameat renameat2 unlink unlinkat mkdir mkdirat"},
	{SECCOMP_PROXY, "link linkat"}, /* new keys, when the state is begun anew */
	{SECCOMP_PROXY, "chmod fchmod fchmodat chown fchown fchownat utimensat fadvise64"},
	/* Paths of other processes, by what the kernel has in memory. */
	{SECCOMP_WITNESS, "openat2 open_by_handle_at statfs pidfd_open fadvise64"},

	/* Memory. */
	{BOTH, "mmap munmap mremap mprotect madvise brk membarrier"},
	/* Threads: but see `clone` below. */
	{BOTH,
         "futex set_robust_list get_robust_list rseq set_tid_address sched_yield sched_getaffinity exit exit_group"},
	{BOTH, "gettid getpid getppid prctl getrlimit prlimit64 arch_prctl restart_syscall"},
	{SECCOMP_WITNESS, "setpriority getpriority sched_setscheduler"},
	/* Signals. */
	{BOTH, "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigpending sigaltstack signalfd4"},
	/* Time. */
	{BOTH, "nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times"},
	/* The rest of what libraries ask. */
	{BOTH, "getrandom uname sysinfo getuid geteuid getgid getegid getgroups capget"},

	/* Sockets and waiting: but see `socket` below. */
	{BOTH, "socketpair bind connect listen accept accept4 shutdown getsockname getpeername getsockopt setsockopt"},
	{BOTH, "sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg poll ppoll select pselect6 eventfd2"},
	{BOTH, "epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 timerfd_create timerfd_settime"},
	/* Sockets as the proxy's user; sock_diag in other network namespaces; eBPF. */
	{SECCOMP_WITNESS, "setfsuid setns bpf perf_event_open memfd_create"},
};

/* Allowed only if one argument, masked, has one of these values. */
struct condition {
	unsigned processes;
	const char *name;
	unsigned argument;
	uint64_t mask, value;
};

#define ALL_BITS UINT64_C(0xffffffff)
#define OWN_PID UINT64_MAX /* as a value: the number of the process that the filter is for */

static const struct condition conditions[] = {
	{BOTH, "clone", 0, CLONE_THREAD, CLONE_THREAD}, /* a thread, never a process */
	{BOTH, "tgkill", 0, ALL_BITS, OWN_PID},         /* abort(3), and nobody else */
	{BOTH, "socket", 0, ALL_BITS, AF_UNIX},         {BOTH, "socket", 0, ALL_BITS, AF_INET},
	{BOTH, "socket", 0, ALL_BITS, AF_INET6},        {SECCOMP_WITNESS, "socket", 0, ALL_BITS, AF_NETLINK},
};

static void cleanup_filter(scmp_filter_ctx *filter)
{
	if (*filter != NULL)
		seccomp_release(*filter);
}

static int add_names(scmp_filter_ctx filter, const char *names)
{
	while (*names != '\0') {
		char name[40];
		size_t length = strcspn(names, " ");
		if (length == 0 || length >= sizeof(name))
			return -EINVAL;
		memcpy(name, names, length);
		name[length] = '\0';
		int number = seccomp_syscall_resolve_name(name);
		int result = number != __NR_SCMP_ERROR ? seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0) : 0;
		if (result < 0)
			return result;
		names += length;
		names += strspn(names, " ");
	}
	return 0;
}

static int add_condition(scmp_filter_ctx filter, const struct condition *condition)
{
	uint64_t value = condition->value == OWN_PID ? (uint64_t)getpid() : condition->value;
	const struct scmp_arg_cmp compare = SCMP_CMP64(condition->argument, SCMP_CMP_MASKED_EQ, condition->mask, value);
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(condition->name), 1,
	                              &compare);
}

/* 0, or a negative errno. */
static int fill(scmp_filter_ctx filter, unsigned process)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(allowances); i++)
		if ((allowances[i].processes & process) != 0)
			result = add_names(filter, allowances[i].names);
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(conditions); i++)
		if ((conditions[i].processes & process) != 0)
			result = add_condition(filter, &conditions[i]);
	/* A filter cannot look into what clone3 is given. The C library then takes clone. */
	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), seccomp_syscall_resolve_name("clone3"), 0);
	if (result == 0)
		result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1); /* all threads */
	if (result == 0)
		result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: the list is long */
	return result;
}

int seccomp_apply(enum seccomp_process process, struct error *err)
{
	CLEANUP(cleanup_filter) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int result = filter != NULL ? fill(filter, process) : -ENOMEM;
	if (result == 0)
		result = seccomp_load(filter);
	if (result == -ENOSYS || result == -EOPNOTSUPP)
		log_line(LOG_LEVEL_WARNING, "no_filter", "effect=\"system calls are not limited\"");
	if (result == 0 || result == -ENOSYS || result == -EOPNOTSUPP)
		return 0;
	errno = -result;
	return error_errno(err, "cannot set a filter on system calls");
}
