/* SPDX-License-Identifier: Apache-2.0 */

/* The witness's process: privileges down to what looking needs, then one thread a line. */
#include "proxy/witness/witness.h"

#include <cap-ng.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "proxy/seccomp.h"
#include "proxy/witness/groups.h"
#include "proxy/witness/line.h"
#include "proxy/witness/looker.h"
#include "proxy/witness/pass.h"
#include "proxy/witness/probe.h"

/* Lines beyond the proxy's workers: placement, and one to spare. */
#define LINES_EXTRA 8

static const capng_select_t everything = CAPNG_SELECT_BOTH;

/* NET_ADMIN: conntrack, SO_MARK. SYS_PTRACE and DAC_READ_SEARCH: /proc/PID of others. SYS_ADMIN: sock_diag inside
 * containers' network namespaces. */
static const unsigned kept[] = {CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN};

MUST_USE static int drop_privileges(const struct witness_options *options, struct error *err)
{
	if (!options->is_root)
		return 0;
	/* Sockets are the proxy's user's by the file-system uid alone, which upstream's rules go by. Were it also the
	 * saved one, the proxy could signal this process. Permissions of files are a capability's matter, which the
	 * change takes away, and capng_apply() gives back. */
	if (setresuid(0, 0, 0) < 0)
		return error_errno(err, "witness: setresuid");
	(void)setfsuid(options->proxy_uid);
	if ((uid_t)setfsuid((uid_t)-1) != options->proxy_uid)
		return error_set(err, ERROR_SYSTEM, "witness: cannot make files as uid %u", options->proxy_uid);
	/* What a container or a unit has taken away already is missed where it is needed, and graded so. */
	bool has[ARRAY_LENGTH(kept)];
	if (capng_get_caps_process() < 0)
		return error_set(err, ERROR_SYSTEM, "witness: cannot read capabilities");
	for (size_t i = 0; i < ARRAY_LENGTH(kept); i++)
		has[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]) == 1;
	capng_clear(everything);
	for (size_t i = 0; i < ARRAY_LENGTH(kept); i++)
		if (has[i] && capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]) < 0)
			return error_set(err, ERROR_SYSTEM, "witness: cannot choose capabilities");
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return error_set(err, ERROR_SYSTEM, "witness: cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "witness: no_new_privs");
	return 0;
}

/* Who has the other end of the main socket: our parent, as the kernel noted it when the pair was made. While a process
 * has children, its number is its own; theirs say so when it has gone. 0: gone already. */
static uint32_t proxy_of(int main_fd)
{
	struct ucred maker;
	socklen_t size = sizeof(maker);
	if (getsockopt(main_fd, SOL_SOCKET, SO_PEERCRED, &maker, &size) < 0 || maker.pid != getppid())
		return 0;
	return (uint32_t)maker.pid;
}

static void mark_for_proxy(const struct looker_options *looker, int main_fd, uid_t uid)
{
	ebpf_mark_for(looker->ebpf, proxy_of(main_fd), &(struct ebpf_proxy){.uid = uid, .mark = WITNESS_MARK});
}

/* What the child says once, when it is ready, or why it never will be. */
struct hello {
	bool is_ready;
	char problem[200];
};

/* Before privileges go. Without eBPF, where it is not asked for by name, all works all the same: NULL, and why. */
MUST_USE static int open_ebpf(const struct witness_options *options, struct ebpf **ret, char *reason, size_t size,
                              struct error *err)
{
	const struct settings *settings = options->settings;
	struct error problem = {0};
	if (settings->ebpf == TRISTATE_OFF)
		(void)error_set(&problem, ERROR_USAGE, "[witness] ebpf = off");
	else if (!options->is_root)
		(void)error_set(&problem, ERROR_USAGE, "not started as root");
	else if (ebpf_open((uint32_t)settings->ebpf_connections, ret, &problem) == 0)
		return 0;
	(void)text_copy(reason, size, problem.text);
	if (settings->ebpf == TRISTATE_ON)
		return error_set(err, problem.code, "[witness] ebpf = on: %s", problem.text);
	if (settings->ebpf != TRISTATE_OFF)
		log_line(LOG_LEVEL_NOTICE, "ebpf_off", "reason=\"%s\"", problem.text);
	return 0;
}

/* What the main socket carries beside new lines, which are one byte and a descriptor. */
struct change {
	uint32_t magic;
	uint32_t proc_scan;
	char redact[SETTINGS_TEXT_BYTES];
};

#define CHANGE_TIMEOUT_MS 5000 /* queries under way end first; they have deadlines of their own */

/* Also the answer to a change: one byte. */
#define CHANGED 'c'
#define UNCHANGED 'u'

static void take_change(int main_fd, const struct change *change, struct looker_options *options)
{
	bool good = change->magic == LINE_MAGIC && memchr(change->redact, '\0', sizeof(change->redact)) != NULL;
	char answer = good ? CHANGED : UNCHANGED;
	if (good) {
		(void)pthread_rwlock_wrlock(&options->lock);
		identity_reader_change(options->reader, change->redact);
		options->proc_scan = change->proc_scan != 0;
		(void)pthread_rwlock_unlock(&options->lock);
	} else {
		refusals_add(&options->refusals, REFUSAL_MALFORMED);
	}
	(void)send(main_fd, &answer, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Takes the descriptor of a new line; -1: none came, *ret_ended: the proxy is gone. */
static int take_line(int main_fd, struct looker_options *options, bool *ret_ended)
{
	union {
		struct change change;
		char bytes[sizeof(struct change) + 1]; /* so that a longer one is not taken for one */
	} message;
	int fds[PASS_MAX];
	size_t count;
	ssize_t got = pass_receive(main_fd, &message, sizeof(message.bytes), fds, &count);
	CLEANUP_FD int fd = count > 0 ? fds[--count] : -1;
	while (count > 0) /* nobody sends more than one */
		(void)close(fds[--count]);
	*ret_ended = got == 0 || (got < 0 && errno != EINTR);
	if (got == 1 && fd >= 0)
		return steal_fd(&fd);
	if (got == (ssize_t)sizeof(message.change))
		take_change(main_fd, &message.change, options);
	else if (got > 0)
		refusals_add(&options->refusals,
		             got > (ssize_t)sizeof(message.change) ? REFUSAL_OVERSIZED : REFUSAL_MALFORMED);
	return -1;
}

static void serve(int main_fd, struct looker_options *options)
{
	pthread_attr_t attributes;
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, 512 << 10);
	for (;;) {
		bool ended;
		pthread_t thread;
		CLEANUP_FD int fd = take_line(main_fd, options, &ended);
		if (ended)
			return;
		struct looker *looker = fd >= 0 ? looker_new(fd, options) : NULL;
		if (looker == NULL)
			continue;
		(void)steal_fd(&fd);
		if (pthread_create(&thread, &attributes, looker_run, looker) != 0)
			looker_free(looker);
	}
}

static _Noreturn void end(int main_fd, const struct error *problem)
{
	struct hello hello = {0};
	(void)text_copy(hello.problem, sizeof(hello.problem), problem->text);
	(void)send(main_fd, &hello, sizeof(hello), MSG_NOSIGNAL);
	_exit(1);
}

static void prepare_process(void)
{
	/* The terminal's ^C and a supervisor's SIGTERM reach the proxy, which ends in order; then we do. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)prctl(PR_SET_NAME, "keytrail-wit", 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static _Noreturn void run(int main_fd, const struct witness_options *options)
{
	static char ebpf_reason[sizeof(((struct error *)0)->text)];
	const struct hello hello = {.is_ready = true};
	struct error problem = {0};
	pthread_rwlockattr_t writers_first;
	struct looker_options looker_options = {
		.is_root = options->is_root,
		.ebpf_reason = ebpf_reason,
		/* Sockets that are older than this process may hold connections that are. */
		.backlog_until_ms = options->socket_count > 0 ? clock_monotonic_ms() + EBPF_BACKLOG_S * 1000 : 0,
		.proc_scan = options->settings->proc_scan != 0,
		.port = (uint16_t)options->settings->port,
		.groups = groups_open(),
		.lines_max = (unsigned)options->settings->max_connections + LINES_EXTRA,
	};
	prepare_process();
	if (open_ebpf(options, &looker_options.ebpf, ebpf_reason, sizeof(ebpf_reason), &problem) < 0 ||
	    drop_privileges(options, &problem) < 0 || digests_new(&looker_options.digests, &problem) < 0 ||
	    identity_reader_new(options->settings->redact, looker_options.digests, &looker_options.reader, &problem) <
	            0 ||
	    (looker_options.ebpf != NULL && probe_start(looker_options.ebpf, &looker_options.probe, &problem) < 0) ||
	    seccomp_apply(SECCOMP_WITNESS, &problem) < 0)
		end(main_fd, &problem);
	mark_for_proxy(&looker_options, main_fd, options->proxy_uid);
	(void)pthread_rwlockattr_init(&writers_first);
	(void)pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	(void)pthread_rwlock_init(&looker_options.lock, &writers_first);
	(void)send(main_fd, &hello, sizeof(hello), MSG_NOSIGNAL);
	serve(main_fd, &looker_options);
	ebpf_mark_for(looker_options.ebpf, 0, &(struct ebpf_proxy){0});
	_exit(0);
}

#define HELLO_TIMEOUT_MS 20000

/* The programs in the kernel must be there before anybody can connect to us. */
MUST_USE static int wait_until_ready(int main_fd, struct error *err)
{
	struct pollfd ready = {.fd = main_fd, .events = POLLIN};
	struct hello hello;
	if (poll(&ready, 1, HELLO_TIMEOUT_MS) != 1 ||
	    recv(main_fd, &hello, sizeof(hello), MSG_DONTWAIT) != (ssize_t)sizeof(hello))
		return error_set(err, ERROR_SYSTEM, "the witness does not start");
	return hello.is_ready ? 0 : error_set(err, ERROR_SYSTEM, "%.*s", (int)sizeof(hello.problem), hello.problem);
}

int witness_fork(const struct witness_options *options, int *ret_main_fd, pid_t *ret_pid, struct error *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "witness");
	CLEANUP_FD int ours = pair[0];
	CLEANUP_FD int theirs = pair[1];
	pid_t pid = fork();
	if (pid < 0)
		return error_errno(err, "cannot fork the witness");
	if (pid == 0) {
		(void)close(ours);
		for (int i = 0; i < options->socket_count; i++)
			(void)close(options->sockets[i]);
		run(theirs, options);
	}
	cleanup_descriptor(&theirs);
	theirs = -1;
	if (wait_until_ready(ours, err) < 0)
		return -1;
	*ret_main_fd = steal_fd(&ours);
	*ret_pid = pid;
	return 0;
}

int witness_change(int main_fd, const struct settings *settings, struct error *err)
{
	struct change change = {.magic = LINE_MAGIC, .proc_scan = settings->proc_scan != 0};
	struct pollfd ready = {.fd = main_fd, .events = POLLIN};
	char answer = 0;
	(void)text_copy(change.redact, sizeof(change.redact), settings->redact);
	while (recv(main_fd, &answer, 1, MSG_DONTWAIT) > 0)
		continue; /* answers that came too late for an earlier change */
	if (send(main_fd, &change, sizeof(change), MSG_NOSIGNAL) != (ssize_t)sizeof(change))
		return error_errno(err, "the witness");
	if (poll(&ready, 1, CHANGE_TIMEOUT_MS) <= 0)
		return error_set(err, ERROR_TIMEOUT, "the witness does not answer");
	if (recv(main_fd, &answer, 1, MSG_DONTWAIT) != 1 || answer != CHANGED)
		return error_set(err, ERROR_SYSTEM, "the witness did not take the settings");
	return 0;
}
