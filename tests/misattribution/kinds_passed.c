/* SPDX-License-Identifier: Apache-2.0 */

/* Sockets that travel over Unix sockets. */
#include <sys/socket.h>
#include <unistd.h>

#include "tests/misattribution/client.h"

#define MEANWHILE_US 4000

/* Connects and passes on to a process that had nothing to do with it, which asks. */
static void pass(struct run *run, bool keeps)
{
	int line[2];
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, line) == 0, "socketpair");
	pid_t receiver = fork();
	if (receiver == 0) {
		(void)close(line[0]);
		int fd = receive_fd(line[1]);
		wait_for_byte(line[1]);
		fetch(run, fd);
		_exit(0);
	}
	int fd = connect_imds();
	tell(run, keeps ? "held" : "connected");
	send_fd(line[0], fd);
	if (!keeps)
		(void)close(fd);
	send_byte(line[0]);
	await(receiver);
}

static void passes_and_keeps(struct run *run)
{
	pass(run, true);
}

static void passes_and_closes(struct run *run)
{
	pass(run, false);
}

/* Asks by itself, and gives the answer to another: at some moment of the request. */
static void passes_meanwhile(struct run *run)
{
	int line[2];
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, line) == 0, "socketpair");
	pid_t receiver = fork();
	if (receiver == 0) {
		(void)close(line[0]);
		tell(run, "may");
		int fd = receive_fd(line[1]);
		finish(run, fd);
		_exit(0);
	}
	int fd = connect_imds();
	tell(run, "asked");
	send_request(run, fd);
	nap(MEANWHILE_US);
	send_fd(line[0], fd);
	(void)close(fd);
	await(receiver);
}

/* A copy is on its way all the time, and nobody ever takes it. */
static void in_flight(struct run *run)
{
	int line[2], fd = connect_imds();
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, line) == 0, "socketpair");
	tell(run, "held");
	send_fd(line[0], fd);
	fetch(run, fd);
}

/* The only copy is on its way when the answer comes, or nearly. */
static void only_in_flight(struct run *run)
{
	int line[2];
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, line) == 0, "socketpair");
	pid_t receiver = fork();
	if (receiver == 0) {
		(void)close(line[0]);
		tell(run, "may");
		nap(MEANWHILE_US);
		finish(run, receive_fd(line[1]));
		_exit(0);
	}
	int fd = connect_imds();
	tell(run, "asked");
	send_request(run, fd);
	send_fd(line[0], fd);
	(void)close(fd);
	await(receiver);
}

const struct kind kinds_passed[] = {
	{"passes-keeps", passes_and_keeps},     {"passes-closes", passes_and_closes},
	{"passes-meanwhile", passes_meanwhile}, {"in-flight", in_flight},
	{"only-in-flight", only_in_flight},     {NULL, NULL},
};
