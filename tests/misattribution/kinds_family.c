/* SPDX-License-Identifier: Apache-2.0 */

/* Parents and children with one socket. */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/misattribution/client.h"

static void child_asks(struct run *run)
{
	int fd = connect_imds();
	tell(run, "held");
	pid_t child = fork();
	if (child == 0) {
		fetch(run, fd);
		_exit(0);
	}
	await(child);
}

/* The parent has let go before the child asks, and lives. */
static void child_has_it(struct run *run)
{
	int line[2], fd = connect_imds();
	check(pipe(line) == 0, "pipe");
	tell(run, "connected");
	pid_t child = fork();
	if (child == 0) {
		wait_for_byte(line[0]);
		fetch(run, fd);
		_exit(0);
	}
	(void)close(fd);
	send_byte(line[1]);
	await(child);
}

static void parent_exits(struct run *run)
{
	int fd = connect_imds();
	pid_t parent = getpid();
	tell(run, "connected");
	if (fork() != 0)
		_exit(0);
	while (getppid() == parent)
		(void)usleep(200);
	fetch(run, fd);
}

/* In the middle of it: the request is sent, then the parent exits and leaves the socket to a child. */
static void parent_exits_meanwhile(struct run *run)
{
	int fd = connect_imds();
	tell(run, "asked");
	send_request(run, fd);
	if (fork() == 0) {
		tell(run, "may");
		finish(run, fd);
		_exit(0);
	}
	nap(4000);
	tell(run, "leaves");
	_exit(0);
}

static void two_hold(struct run *run)
{
	int line[2], ready[2], fd = connect_imds();
	check(pipe(line) == 0 && pipe(ready) == 0, "pipe");
	pid_t child = fork();
	if (child == 0) {
		tell(run, "held");
		send_byte(ready[1]);
		wait_for_byte(line[0]);
		_exit(0);
	}
	wait_for_byte(ready[0]);
	fetch(run, fd);
	send_byte(line[1]);
	await(child);
}

/* A child writes the request and is gone; the parent reads the answer. */
static void lent(struct run *run)
{
	int fd = connect_imds();
	tell(run, "held");
	pid_t child = fork();
	if (child == 0) {
		tell(run, "asked");
		send_request(run, fd);
		tell(run, "leaves");
		_exit(0);
	}
	await(child);
	finish(run, fd);
}

const struct kind kinds_family[] = {
	{"child-asks", child_asks},
	{"child-has-it", child_has_it},
	{"parent-exits", parent_exits},
	{"parent-exits-meanwhile", parent_exits_meanwhile},
	{"two-hold", two_hold},
	{"lent", lent},
	{NULL, NULL},
};
