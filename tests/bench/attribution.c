/* SPDX-License-Identifier: Apache-2.0 */

/* How long one attribution takes: stands where keytraild's proxy does, in front of a witness of its own, behind the
 * redirect. `attribution_bench auto|off|sock_diag PROCESSES ROUNDS` prints the medians of LOOK, FIRST and WHO in
 * microseconds, and grade and method of the last. Run it in the network namespace of an instance whose keytraild does
 * not run. `attribution_bench others PROCESSES` has only the other processes, until its input ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "proxy/witness/line.h"
#include "proxy/witness/witness.h"

#define PORT 8775
#define DESCRIPTORS 20 /* of each of the other processes */
#define ROUNDS_MAX 1000
#define READY_MS 10000 /* for the self-test */

static pid_t sleepers[20000];
static int sleeper_count;

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Small processes with sockets and pipes' ends, which is what a look at /proc has to read. */
static void start_sleepers(int count)
{
	int pair[2];
	for (; sleeper_count < count; sleeper_count++) {
		pid_t pid = fork();
		if (pid < 0)
			fail("fork");
		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (int i = 0; i < DESCRIPTORS / 2; i++)
				if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
					fail("socketpair");
			for (;;)
				(void)pause();
		}
		sleepers[sleeper_count] = pid;
	}
}

static void end_sleepers(void)
{
	for (int i = 0; i < sleeper_count; i++)
		(void)kill(sleepers[i], SIGKILL);
	for (int i = 0; i < sleeper_count; i++)
		(void)waitpid(sleepers[i], NULL, 0);
}

static char group[PATH_MAX]; /* of the client: programs of a machine are in groups of their own */

/* The client's part; without control groups it stays where it is. */
static void move_to_group(void)
{
	char path[PATH_MAX + 16];
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)dprintf(fd, "0");
}

static void make_group(void)
{
	static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
	for (size_t i = 0; i < ARRAY_LENGTH(roots); i++) {
		(void)snprintf(group, sizeof(group), "%s/kt-attribution-%d", roots[i], (int)getpid());
		if (mkdir(group, 0755) == 0)
			return;
	}
}

/* Connects for each byte that it is told, and waits as clients do, until the other end hangs up. */
static pid_t start_client(int orders)
{
	char byte;
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	move_to_group();
	while (read(orders, &byte, 1) == 1) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
		(void)inet_pton(AF_INET, "169.254.169.254", &to.sin_addr);
		CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM, 0);
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
			fail("connect");
		(void)poll(&ready, 1, -1);
	}
	_exit(0);
}

static int listen_here(void)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 64) < 0)
		fail("listen");
	return fd;
}

/* One connection, the witness asked about it as soon as it is there. False: none came. */
static bool take(int listener, struct line *line, struct sighting *ret, int *ret_fd, int64_t *ret_us)
{
	struct sockaddr_storage address[2];
	socklen_t size[2] = {sizeof(address[0]), sizeof(address[1])};
	struct endpoint peer, local;
	struct error problem = {0};
	struct pollfd ready = {.fd = listener, .events = POLLIN};
	if (poll(&ready, 1, READY_MS) != 1)
		return false;
	int fd = accept(listener, (struct sockaddr *)&address[0], &size[0]);
	if (fd < 0 || getsockname(fd, (struct sockaddr *)&address[1], &size[1]) < 0)
		fail("accept");
	endpoint_from_sockaddr(&address[0], &peer);
	endpoint_from_sockaddr(&address[1], &local);
	int64_t started_us = clock_monotonic_us();
	if (line_ask(line, &peer, &local, &problem) < 0 || line_look(line, ret, &problem) < 0) {
		(void)fprintf(stderr, "%s\n", problem.text);
		exit(1);
	}
	*ret_us = clock_monotonic_us() - started_us;
	*ret_fd = fd;
	return true;
}

static int by_number(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return left < right ? -1 : left > right;
}

static int64_t median(int64_t *numbers, int count)
{
	qsort(numbers, (size_t)count, sizeof(*numbers), by_number);
	return numbers[count / 2];
}

static void measure(int listener, struct line *line, int orders, int rounds)
{
	static int64_t look_us[ROUNDS_MAX], first_us[ROUNDS_MAX], who_us[ROUNDS_MAX];
	struct error problem = {0};
	struct sighting sighting;
	for (int i = 0; i < rounds; i++) {
		CLEANUP_FD int fd = -1;
		CLEANUP_ATTRIBUTION struct attribution attribution = {0};
		if (write(orders, "c", 1) != 1 || !take(listener, line, &sighting, &fd, &look_us[i]))
			fail("no client");
		int64_t started_us = clock_monotonic_us();
		if (line_first(line, &sighting, &problem) < 0)
			fail("first");
		first_us[i] = clock_monotonic_us() - started_us;
		started_us = clock_monotonic_us();
		if (line_who(line, &attribution, &problem) < 0)
			fail("who");
		who_us[i] = clock_monotonic_us() - started_us;
		if (i == rounds - 1)
			(void)printf("%lld %lld %lld %s %s\n", (long long)median(look_us, rounds),
			             (long long)median(first_us, rounds), (long long)median(who_us, rounds),
			             grade_names[attribution.grade], attribution.method);
	}
}

static int only_others(int processes)
{
	char ignored;
	if (processes < 0 || processes > (int)ARRAY_LENGTH(sleepers))
		return 2;
	start_sleepers(processes);
	(void)puts("there");
	(void)fflush(stdout);
	(void)!read(STDIN_FILENO, &ignored, 1);
	end_sleepers();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "others") == 0)
		return only_others(atoi(argv[2]));
	static struct settings settings;
	struct error problem = {0};
	struct sighting sighting = {0};
	int main_fd, orders[2];
	pid_t witness;
	if (argc != 4 || settings_load("/dev/null", &settings, &problem) < 0)
		return 2;
	settings.ebpf = strcmp(argv[1], "auto") == 0 ? TRISTATE_ON : TRISTATE_OFF;
	if (strcmp(argv[1], "sock_diag") == 0)
		settings.proc_scan = 0;
	int processes = atoi(argv[2]), rounds = atoi(argv[3]);
	if (processes < 0 || processes > (int)ARRAY_LENGTH(sleepers) || rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	start_sleepers(processes);
	make_group();
	if (pipe(orders) < 0)
		fail("pipe");
	pid_t client = start_client(orders[0]);
	const struct witness_options options = {.settings = &settings, .proxy_uid = 65534, .is_root = true};
	struct line *line;
	if (witness_fork(&options, &main_fd, &witness, &problem) < 0 || line_open(main_fd, &line, &problem) < 0) {
		(void)fprintf(stderr, "%s\n", problem.text);
		end_sleepers();
		return 1;
	}
	int listener = listen_here();
	while (settings.ebpf == TRISTATE_ON && !sighting.is_probe) {
		CLEANUP_FD int fd = -1;
		int64_t ignored;
		if (!take(listener, line, &sighting, &fd, &ignored))
			fail("the self-test does not come");
	}
	measure(listener, line, orders[1], rounds);
	(void)close(orders[1]);
	(void)kill(client, SIGKILL);
	(void)waitpid(client, NULL, 0);
	end_sleepers();
	for (int i = 0; i < 100 && rmdir(group) < 0 && errno == EBUSY; i++)
		(void)usleep(10000);
	return 0;
}
