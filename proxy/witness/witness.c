/* SPDX-License-Identifier: Apache-2.0 */

/* The witness's process: privileges down to what looking needs, then one thread a line. */
#include "proxy/witness/witness.h"

#include <cap-ng.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/text.h"
#include "proxy/witness/line.h"
#include "proxy/witness/looker.h"
#include "proxy/witness/pass.h"

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
	/* The saved uid lets a thread take the proxy's file-system uid while it makes a socket, without CAP_SETUID. */
	if (setresuid(0, 0, options->proxy_uid) < 0)
		return error_errno(err, "witness: setresuid");
	capng_clear(everything);
	for (size_t i = 0; i < ARRAY_LENGTH(kept); i++)
		if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]) < 0)
			return error_set(err, ERROR_SYSTEM, "witness: cannot choose capabilities");
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return error_set(err, ERROR_SYSTEM, "witness: cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "witness: no_new_privs");
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
	}
	(void)send(main_fd, &answer, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Takes the descriptor of a new line; -1: none came, *ret_ended: the proxy is gone. */
static int take_line(int main_fd, struct looker_options *options, bool *ret_ended)
{
	struct change change;
	int fd;
	ssize_t got = pass_receive(main_fd, &change, sizeof(change), &fd);
	*ret_ended = got == 0 || (got < 0 && errno != EINTR);
	if (got == (ssize_t)sizeof(change))
		take_change(main_fd, &change, options);
	return fd;
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

static _Noreturn void run(int main_fd, const struct witness_options *options)
{
	struct error problem = {0};
	struct identity_reader *reader = NULL;
	pthread_rwlockattr_t writers_first;
	struct digests *digests = NULL;
	/* The terminal's ^C and a supervisor's SIGTERM reach the proxy, which ends in order; then we do. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)prctl(PR_SET_NAME, "keytrail-wit", 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (drop_privileges(options, &problem) < 0 || digests_new(&digests, &problem) < 0 ||
	    identity_reader_new(options->settings->redact, digests, &reader, &problem) < 0) {
		log_line(LOG_LEVEL_ERROR, "witness_failed", "reason=\"%s\"", problem.text);
		_exit(1);
	}
	(void)pthread_rwlockattr_init(&writers_first);
	(void)pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	struct looker_options looker_options = {
		.reader = reader,
		.digests = digests,
		.proxy_uid = options->proxy_uid,
		.is_root = options->is_root,
		.proc_scan = options->settings->proc_scan != 0,
		.lines_max = (unsigned)options->settings->max_connections + LINES_EXTRA,
	};
	(void)pthread_rwlock_init(&looker_options.lock, &writers_first);
	serve(main_fd, &looker_options);
	_exit(0);
}

int witness_fork(const struct witness_options *options, int *ret_main_fd, pid_t *ret_pid, struct error *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "witness");
	pid_t pid = fork();
	if (pid < 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return error_errno(err, "cannot fork the witness");
	}
	if (pid == 0) {
		(void)close(pair[0]);
		for (int i = 0; i < options->socket_count; i++)
			(void)close(options->sockets[i]);
		run(pair[1], options);
	}
	(void)close(pair[1]);
	*ret_main_fd = pair[0];
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
