/* SPDX-License-Identifier: Apache-2.0 */

/* Another process with the number of the one that connected: clone3(2) gives it on request. */
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/misattribution/client.h"

/* Only meaningful where this process sees pids as the machine numbers them. Fails when somebody else has got it first:
 * then the client is an ordinary one. */
static pid_t fork_as(pid_t pid)
{
	struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* A connects, leaves the socket to B, and ends; C gets A's number and keeps it until B, which asks then, has ended. */
static void reused(struct run *run)
{
	int go[2], done[2];
	check(pipe(go) == 0 && pipe(done) == 0, "pipe");
	pid_t first = fork();
	if (first == 0) {
		int fd = connect_imds();
		tell(run, "connected");
		if (fork() == 0) {
			wait_for_byte(go[0]);
			fetch(run, fd);
		}
		_exit(0);
	}
	await(first);
	(void)close(done[1]);
	pid_t again = fork_as(first);
	if (again == 0) {
		(void)pause();
		_exit(0);
	}
	send_byte(go[1]);
	wait_for_byte(done[0]);
	if (again > 0)
		(void)kill(again, SIGKILL);
}

/* A sends its request and ends; its number goes at once to C, which asks for itself, under a nonce of its own. */
static void reused_at_once(struct run *run)
{
	pid_t first = fork();
	if (first == 0) {
		int fd = connect_imds();
		tell(run, "asked");
		send_request(run, fd);
		_exit(0);
	}
	await(first);
	pid_t again = fork_as(first);
	if (again == 0) {
		run->nonce[0] = 'K';
		fetch(run, connect_imds());
		_exit(0);
	}
	if (again > 0)
		await(again);
}

const struct kind kinds_pids[] = {
	{"reused", reused},
	{"reused-at-once", reused_at_once},
	{NULL, NULL},
};
