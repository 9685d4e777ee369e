/* SPDX-License-Identifier: Apache-2.0 */

/* usage: misattribution-client KIND COUNT PARALLEL FIRST TOKEN PATH [OPTION]
 *
 * COUNT clients of a kind, PARALLEL at a time, numbered from FIRST. With `kind/small` they live in a pid namespace with
 * few pids. Two kinds are what others exec: `ask:FD` and `fetch`, with FIRST the number and COUNT 0. */
#include "tests/misattribution/client.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL_PID_MAX "400\n"

static const struct kind *const tables[] = {kinds_alone, kinds_family, kinds_passed,
                                            kinds_uring, kinds_pids,   kinds_net};

static const struct kind *find_kind(const char *name, size_t length)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct kind *kind = tables[t]; kind->name != NULL; kind++)
			if (strlen(kind->name) == length && memcmp(kind->name, name, length) == 0)
				return kind;
	errx(2, "no kind %s", name);
}

/* One client, with all the processes that it leaves behind. */
static void act_once(const struct kind *kind, struct run *run)
{
	pid_t child = fork();
	check(child >= 0, "fork");
	if (child == 0) {
		kind->act(run);
		_exit(0);
	}
	while (wait(NULL) >= 0 || errno == EINTR)
		continue;
}

/* Takes every PARALLELth client. */
static void work(const struct kind *kind, struct run *run, unsigned from, unsigned to, unsigned step)
{
	char prefix[sizeof(run->nonce)];
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(prefix, sizeof(prefix), "%s", run->nonce);
	for (unsigned number = from; number < to; number += step) {
		run->number = number;
		check(snprintf(run->nonce, sizeof(run->nonce), "%s.%u", prefix, number) < (int)sizeof(run->nonce),
		      "nonce");
		act_once(kind, run);
	}
	_exit(0);
}

static void run_all(const struct kind *kind, struct run *run, unsigned first, unsigned count, unsigned parallel)
{
	for (unsigned i = 0; i < parallel; i++) {
		pid_t worker = fork();
		check(worker >= 0, "fork");
		if (worker == 0)
			work(kind, run, first + i, first + count, parallel);
	}
	while (wait(NULL) >= 0 || errno == EINTR)
		continue;
}

/* From here on pids are few, and come again soon. */
static void enter_small_namespace(void)
{
	check(unshare(CLONE_NEWPID) == 0, "unshare");
	pid_t first = fork();
	check(first >= 0, "fork");
	if (first > 0) {
		await(first);
		exit(0);
	}
	int file = open("/proc/sys/kernel/pid_max", O_WRONLY | O_CLOEXEC);
	check(file >= 0 && write(file, SMALL_PID_MAX, strlen(SMALL_PID_MAX)) > 0, "pid_max");
	(void)close(file);
}

int main(int argc, char *argv[])
{
	if (argc < 7)
		errx(2, "usage: misattribution-client KIND COUNT PARALLEL FIRST TOKEN PATH [OPTION]");
	struct run run = {.token = argv[5], .path = argv[6], .option = argc > 7 ? argv[7] : NULL};
	unsigned count = (unsigned)strtoul(argv[2], NULL, 10), parallel = (unsigned)strtoul(argv[3], NULL, 10);
	unsigned first = (unsigned)strtoul(argv[4], NULL, 10);
	size_t length = strcspn(argv[1], "/:");
	run.out = STDOUT_FILENO;
	run.number = first;
	(void)signal(SIGPIPE, SIG_IGN);
	if (count == 0) { /* executed by a client, whose nonce is the option; or the forger */
		(void)snprintf(run.nonce, sizeof(run.nonce), "%s", run.option);
		run.option = argv[1][length] != '\0' ? argv[1] + length : run.option;
		find_kind(argv[1], length)->act(&run);
		return 0;
	}
	(void)snprintf(run.nonce, sizeof(run.nonce), "kt-%.*s", (int)length, argv[1]);
	if (strcmp(argv[1] + length, "/small") == 0) {
		enter_small_namespace();
		(void)strcat(run.nonce, "-small");
	} else if (argv[1][length] == ':') { /* the harness's name for a use of this kind */
		(void)snprintf(run.nonce, sizeof(run.nonce), "kt-%s", argv[1] + length + 1);
	}
	run_all(find_kind(argv[1], length), &run, first, count, parallel);
	return 0;
}
