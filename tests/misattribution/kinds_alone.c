/* SPDX-License-Identifier: Apache-2.0 */

/* One process, one socket; what changes is how, and what becomes of the process. */
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "tests/misattribution/client.h"

#define NOBODY 65534
#define DEATH_US 8000 /* about as long as an answer takes */
#define ANOTHER_PROGRAM "/usr/bin/curl"

static void plain(struct run *run)
{
	fetch(run, connect_imds());
}

static void mapped(struct run *run)
{
	fetch(run, connect_to("::ffff:169.254.169.254", 80, -1));
}

static void six(struct run *run)
{
	fetch(run, connect_to("fd00:ec2::254", 80, -1));
}

static void fast_open(struct run *run)
{
	char text[1024];
	size_t length = request_text(run, text, sizeof(text));
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	(void)inet_pton(AF_INET, "169.254.169.254", &to.sin_addr);
	tell(run, "asked");
	check(sendto(fd, text, length, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof(to)) ==
	              (ssize_t)length,
	      "fast open");
	finish(run, fd);
}

struct job {
	struct run *run;
	int fd;
};

static void *fetch_in_thread(void *argument)
{
	const struct job *job = argument;
	fetch(job->run, job->fd >= 0 ? job->fd : connect_imds());
	return NULL;
}

static void in_thread(struct run *run, int fd)
{
	pthread_t thread;
	struct job job = {run, fd};
	check(pthread_create(&thread, NULL, fetch_in_thread, &job) == 0, "thread");
	(void)pthread_join(thread, NULL);
}

static void thread_asks(struct run *run)
{
	in_thread(run, connect_imds());
}

static void thread_connects(struct run *run)
{
	in_thread(run, -1);
}

static void setuid_between(struct run *run)
{
	int fd = connect_imds();
	check(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0, "setuid");
	fetch(run, fd);
}

static void sends_and_exits(struct run *run)
{
	int fd = connect_imds();
	tell(run, "asked");
	send_request(run, fd);
}

static void dies_before_answer(struct run *run)
{
	int fd = connect_imds();
	tell(run, "asked");
	send_request(run, fd);
	nap(DEATH_US);
	(void)kill(getpid(), SIGKILL);
}

static void stops_and_goes_on(struct run *run)
{
	int fd = connect_imds();
	tell(run, "asked");
	send_request(run, fd);
	nap(DEATH_US);
	finish(run, fd);
}

/* ---- another program */

static void exec_as(const struct run *run, const char *program, const char *kind)
{
	char number[16];
	(void)snprintf(number, sizeof(number), "%u", run->number);
	(void)execl(program, program, kind, "0", "0", number, run->token, run->path, run->nonce, (char *)NULL);
	check(false, program);
}

/* Option: a copy of this program. */
static void exec_between(struct run *run)
{
	char kind[16];
	int fd = connect_imds();
	(void)snprintf(kind, sizeof(kind), "ask:%d", fd);
	exec_as(run, run->option, kind);
}

static void ask(struct run *run)
{
	fetch(run, atoi(run->option + 1));
}

/* Looks like another program, in a mount namespace of its own. */
static void foreign_mount(struct run *run)
{
	char own[PATH_MAX] = ""; /* /proc/self/exe itself leads to the old namespace's mount */
	check(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0, "/proc/self/exe");
	check(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "unshare");
	check(mount(own, ANOTHER_PROGRAM, NULL, MS_BIND, NULL) == 0, "mount");
	exec_as(run, ANOTHER_PROGRAM, "fetch");
}

const struct kind kinds_alone[] = {
	{"plain", plain},
	{"v4-mapped", mapped},
	{"ipv6", six},
	{"fast-open", fast_open},
	{"thread-asks", thread_asks},
	{"thread-connects", thread_connects},
	{"setuid", setuid_between},
	{"exits", sends_and_exits},
	{"dies", dies_before_answer},
	{"slow", stops_and_goes_on},
	{"exec", exec_between},
	{"foreign-mount", foreign_mount},
	{"ask", ask},
	{"fetch", plain},
	{NULL, NULL},
};
