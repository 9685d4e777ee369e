/* SPDX-License-Identifier: Apache-2.0 */

/* keytraild: start-up in order, wait, shut down in the opposite order. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "proxy/config.h"
#include "proxy/control.h"
#include "proxy/notify.h"
#include "proxy/reload.h"
#include "proxy/scrape.h"
#include "proxy/seccomp.h"
#include "proxy/witness/witness.h"
#include "proxy/workers.h"
#include "store/host_keys.h"
#include "store/ship.h"

const char *argp_program_version = "keytraild " KEYTRAIL_VERSION;

struct arguments {
	const char *config;
	bool check_only, rotate_tokens, rotate_host;
};

static error_t on_argument(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	switch (key) {
	case 'c':
		arguments->config = value;
		return 0;
	case 'C':
		arguments->check_only = true;
		return 0;
	case 'R':
		arguments->rotate_tokens = true;
		return 0;
	case 'H':
		arguments->rotate_host = true;
		return 0;
	case 'v':
		log_set_level(LOG_LEVEL_DEBUG);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"config", 'c', "FILE", 0, "Settings (default " SETTINGS_DEFAULT_PATH ", which need not exist)", 0},
	{"check-config", 'C', NULL, 0, "Check the settings and exit", 0},
	{"rotate-token-key", 'R', NULL, 0, "Make a new key of session tokens and exit; reload to have it used", 0},
	{"rotate-host-key", 'H', NULL, 0,
         "Make a new key of fingerprints, keep the old one, and exit; reload to have it used", 0},
	{"verbose", 'v', NULL, 0, "Log more", 0},
	{0},
};

static const struct argp parser = {
	.options = options,
	.parser = on_argument,
	.doc = "Keytrail's daemon: a transparent proxy in front of the EC2 instance metadata service that writes down "
	       "which "
	       "process received which access key. Stays in the foreground and logs to standard error.",
};

static int fail(const struct error *problem)
{
	log_line(LOG_LEVEL_ERROR, "cannot_start", "reason=\"%s\"", problem->text);
	return problem->code == ERROR_USAGE || problem->code == ERROR_INPUT ? 2 : 1;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

MUST_USE static int read_boot_id(char *to, size_t size, struct error *err)
{
	CLEANUP_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, to, size - 1) : -1;
	if (got <= 0)
		return error_errno(err, "boot id");
	to[got] = '\0';
	to[strcspn(to, "\n")] = '\0';
	return 0;
}

/* Tokens that were given out stay good until their end, and fingerprints that were made can be compared. */
MUST_USE static int rotate(const struct arguments *arguments, const struct settings *settings, struct error *err)
{
	char folder[PATH_MAX], boot_id[40];
	config_state_folder(settings, folder);
	if (arguments->rotate_host && host_keys_rotate(folder, clock_now_us(), err) < 0)
		return -1;
	if (!arguments->rotate_tokens)
		return 0;
	if (read_boot_id(boot_id, sizeof(boot_id), err) < 0)
		return -1;
	return keyring_rotate(folder, boot_id, clock_boot_seconds(), err);
}

/* Everything that the exchanges share. What was opened before a failure is the process's end to close. */
MUST_USE static int open_proxy(struct proxy *proxy, int witness_fd, struct error *err)
{
	const struct settings *settings = &proxy->at_start;
	const struct writer_options writer = {.path = settings->ledger_path,
	                                      .use_journal = settings->on_failure == ON_FAILURE_JOURNAL,
	                                      .held = true,
	                                      .limits = config_limits(settings),
	                                      .jsonl = settings->jsonl,
	                                      .journal_socket = settings->journald ? SHIP_JOURNAL_SOCKET : NULL};
	const struct upstream_options upstream = config_upstream(settings);
	proxy->started_us = clock_now_us();
	if (current_new(&proxy->at_start, &proxy->current, err) < 0 ||
	    read_boot_id(proxy->boot_id, sizeof(proxy->boot_id), err) < 0 ||
	    writer_open(&writer, &proxy->writer, err) < 0 || instance_open(proxy, &proxy->instance, err) < 0 ||
	    upstream_open(&upstream, &proxy->upstream, err) < 0)
		return -1;
	if (heartbeat_start(proxy->writer, settings->runtime, proxy->boot_id, &proxy->heartbeat, err) < 0 ||
	    executables_start(proxy->writer, witness_fd, &proxy->executables, err) < 0)
		return -1;
	return placement_start(proxy->upstream, proxy->writer, proxy->instance, witness_fd, &proxy->placement, err);
}

/* The witness says nothing unasked but a late answer to a reload, so readable means that it is gone. */
static bool has_ended(int witness_fd)
{
	char late;
	return recv(witness_fd, &late, 1, MSG_DONTWAIT) <= 0;
}

/* What the main thread watches over. */
struct watch {
	struct proxy *proxy;
	const char *config;
	struct workers *workers;
	int signals, witness_fd;
	int64_t told_ms; /* when the manager last heard from us */
	uint64_t taken;
};

/* Only while there are workers that serve: a daemon that merely exists is to be started anew. */
static void tell_watchdog(struct watch *watch, int every_ms)
{
	int64_t now_ms = clock_monotonic_ms();
	if (every_ms < 0 || now_ms - watch->told_ms < every_ms)
		return;
	watch->told_ms = now_ms;
	if (workers_are_alive(watch->workers, &watch->taken))
		notify_send("WATCHDOG=1");
	else
		log_line(LOG_LEVEL_ERROR, "workers_stuck", "effect=\"the service manager is not told that we live\"");
}

/* Until we are told to end (0), or the witness has (1). */
static int wait_for_end(struct watch *watch)
{
	struct pollfd ready[] = {{.fd = watch->signals, .events = POLLIN}, {.fd = watch->witness_fd, .events = POLLIN}};
	struct signalfd_siginfo got;
	int every_ms = notify_watchdog_ms();
	for (;;) {
		int count = poll(ready, ARRAY_LENGTH(ready), every_ms);
		if (count < 0 && errno == EINTR)
			continue;
		tell_watchdog(watch, every_ms);
		if (count == 0)
			continue;
		if (ready[1].revents != 0 && has_ended(watch->witness_fd))
			return 1;
		if (ready[0].revents == 0)
			continue;
		if (read(watch->signals, &got, sizeof(got)) != (ssize_t)sizeof(got) || got.ssi_signo != SIGHUP)
			return 0;
		reload_settings(watch->proxy, watch->config, watch->witness_fd);
	}
}

/* From here on as the proxy's user. */
static int serve(struct proxy *proxy, const char *config, int witness_fd, pid_t witness_pid, int sockets[], int count)
{
	struct error problem = {0};
	struct workers *workers;
	struct control *control;
	struct scrape *scrape;
	sigset_t endings;
	(void)sigemptyset(&endings);
	(void)sigaddset(&endings, SIGTERM);
	(void)sigaddset(&endings, SIGINT);
	(void)sigaddset(&endings, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &endings, NULL);
	CLEANUP_FD int signals = signalfd(-1, &endings, SFD_CLOEXEC);

	if (signals < 0 || open_proxy(proxy, witness_fd, &problem) < 0 ||
	    control_start(proxy, witness_fd, witness_pid, &control, &problem) < 0 ||
	    scrape_start(proxy, witness_fd, &scrape, &problem) < 0 ||
	    workers_start(proxy, witness_fd, sockets, count, &workers, &problem) < 0 ||
	    seccomp_apply(SECCOMP_PROXY, &problem) < 0)
		return fail(&problem);
	log_line(LOG_LEVEL_NOTICE, "ready", "version=%s pid=%d witness=%d port=%lld ledger=%s", KEYTRAIL_VERSION,
	         getpid(), witness_pid, (long long)proxy->at_start.port, proxy->at_start.ledger_path);
	notify_send("READY=1");

	struct watch watch = {
		.proxy = proxy, .config = config, .workers = workers, .signals = signals, .witness_fd = witness_fd};
	int status = wait_for_end(&watch);
	notify_send("STOPPING=1");
	log_line(status == 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR, status == 0 ? "ending" : "witness_ended", "pid=%d",
	         getpid());
	bool drained = workers_stop(workers);
	scrape_stop(scrape);
	control_stop(control);
	placement_stop(proxy->placement);
	executables_stop(proxy->executables);
	heartbeat_stop(proxy->heartbeat);
	writer_close(proxy->writer);
	if (drained) {
		upstream_close(proxy->upstream);
		keyring_free(proxy->keyring);
		current_free(proxy->current);
		instance_close(proxy->instance);
	}
	return status;
}

int main(int argc, char **argv)
{
	static struct proxy proxy; /* static: worker threads may outlive main's frame by a moment */
	struct arguments arguments = {0};
	struct error problem = {0};
	struct identity identity;
	struct stat netns;
	int sockets[SOCKETS_MAX], count, witness_fd;
	pid_t witness_pid;

	argp_err_exit_status = 2;
	if (argp_parse(&parser, argc, argv, ARGP_NO_ARGS, NULL, &arguments) != 0)
		return 2;
	if (settings_load(arguments.config, &proxy.at_start, &problem) < 0)
		return fail(&problem);
	if (arguments.check_only) {
		(void)printf("%s: settings are good\n",
		             arguments.config != NULL ? arguments.config : SETTINGS_DEFAULT_PATH);
		return 0;
	}
	if (arguments.rotate_tokens || arguments.rotate_host)
		return rotate(&arguments, &proxy.at_start, &problem) < 0 ? fail(&problem) : 0;
	(void)signal(SIGPIPE, SIG_IGN);
	/* A file that may not grow is one that cannot be written, and the journal's matter. */
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)umask(0027);
	raise_descriptor_limit();
	/* Memory that follows the load, down as well as up: few arenas, large pieces given back at once. With one
	 * arena only, threads that make and take apart JSON wait for each other. */
	(void)mallopt(M_ARENA_MAX, 3);
	(void)mallopt(M_MMAP_THRESHOLD, 65536);
	(void)mallopt(M_TRIM_THRESHOLD, 65536);
	json_wipe_freed();
	if (config_identity(&proxy.at_start, &identity, &problem) < 0 ||
	    config_folders(&proxy.at_start, &identity, &problem) < 0)
		return fail(&problem);
	if (!identity.is_root)
		log_line(LOG_LEVEL_WARNING, "not_root", "effect=\"%s\"",
		         identity.may_look ? "processes of other users cannot be told apart"
		                           : "no process can be named");
	proxy.may_look = identity.may_look;
	proxy.netns = stat("/proc/self/ns/net", &netns) == 0 ? netns.st_ino : 0;
	(void)text_copy(proxy.user, sizeof(proxy.user), identity.name);

	count = sockets_inherit(sockets, &problem);
	if (count < 0)
		return fail(&problem);
	const struct witness_options witness = {.settings = &proxy.at_start,
	                                        .proxy_uid = identity.uid,
	                                        .is_root = identity.is_root,
	                                        .sockets = sockets,
	                                        .socket_count = count};
	/* The witness first: it must not hold the port open while a new daemon wants it. */
	if (witness_fork(&witness, &witness_fd, &witness_pid, &problem) < 0 ||
	    (count == 0 && sockets_bind(proxy.at_start.port, sockets, &count, &problem) < 0) ||
	    config_drop_privileges(&identity, &problem) < 0 ||
	    config_take_folders(&proxy.at_start, &identity, &problem) < 0)
		return fail(&problem);
	return serve(&proxy, arguments.config, witness_fd, witness_pid, sockets, count);
}
