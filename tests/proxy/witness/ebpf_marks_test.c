/* SPDX-License-Identifier: Apache-2.0 */

/* Whose sockets get the mark on their way, and whose do not: real programs, in a network without a way out. */
#include "tests/common/unit.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "proxy/connection.h"
#include "proxy/witness/ebpf.h"
#include "tests/proxy/own_network.h"

#define MARK 0x4b54u
#define OTHER_UID 65534u

enum who { MYSELF, ANOTHER_THREAD, CHILD, ANOTHER_USER };

static const struct {
	const char *name;
	const char *address;
	uint16_t port;
	int type;
	enum who who;
	bool is_marked;
} cases[] = {
	{"the service", "169.254.169.254", 80, SOCK_STREAM, MYSELF, true},
	{"the service over IPv6", "fd00:ec2::254", 80, SOCK_STREAM, MYSELF, true},
	{"the service, its address mapped", "::ffff:169.254.169.254", 80, SOCK_STREAM, MYSELF, true},
	{"another thread of the same process", "169.254.169.254", 80, SOCK_STREAM, ANOTHER_THREAD, true},
	{"a child", "169.254.169.254", 80, SOCK_STREAM, CHILD, false},
	{"a thread of another user", "169.254.169.254", 80, SOCK_STREAM, ANOTHER_USER, false},
	{"another port", "169.254.169.254", 81, SOCK_STREAM, MYSELF, false},
	{"another address", "127.0.0.1", 80, SOCK_STREAM, MYSELF, false},
	{"another address over IPv6", "::1", 80, SOCK_STREAM, MYSELF, false},
	{"no TCP", "169.254.169.254", 80, SOCK_DGRAM, MYSELF, false},
};

/* What a socket is marked with when it has tried to connect there. */
static unsigned mark_after(const char *address, uint16_t port, int type)
{
	struct sockaddr_storage to = address_of(address, port);
	CLEANUP_FD int fd = socket(to.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unsigned mark = 7;
	socklen_t size = sizeof(mark);
	assert_true(fd >= 0);
	(void)connect(fd, (const struct sockaddr *)&to, connection_address_bytes(&to)); /* nobody listens */
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &size), 0);
	return mark;
}

struct attempt {
	size_t i;
	bool as_other;
	unsigned mark;
};

static void *run(void *argument)
{
	struct attempt *attempt = argument;
	/* The bare call: of this thread alone. */
	if (attempt->as_other && syscall(SYS_setresuid, OTHER_UID, OTHER_UID, OTHER_UID) != 0)
		return NULL;
	attempt->mark = mark_after(cases[attempt->i].address, cases[attempt->i].port, cases[attempt->i].type);
	return NULL;
}

static unsigned try(size_t i)
{
	struct attempt attempt = {.i = i, .as_other = cases[i].who == ANOTHER_USER, .mark = 7};
	pthread_t thread;
	int status = 0;
	pid_t child;
	switch (cases[i].who) {
	case CHILD:
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			(void)run(&attempt);
			_exit(attempt.mark == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		return status == 0 ? 0 : MARK;
	case ANOTHER_THREAD:
	case ANOTHER_USER:
		assert_int_equal(pthread_create(&thread, NULL, run, &attempt), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		return attempt.mark;
	case MYSELF:
		break;
	}
	(void)run(&attempt);
	return attempt.mark;
}

static struct ebpf *open_or_skip(void)
{
	struct ebpf *ebpf;
	struct error problem = {0};
	enter_own_network();
	if (ebpf_open(16, &ebpf, &problem) < 0) {
		print_message("no eBPF: %s\n", problem.text);
		skip();
	}
	return ebpf;
}

static void marks_what_the_proxy_connects(void **state)
{
	const struct ebpf_proxy proxy = {.uid = getuid(), .mark = MARK};
	struct ebpf *ebpf = open_or_skip();
	(void)state;
	ebpf_mark_for(ebpf, (uint32_t)getpid(), &proxy);
	ebpf_trust(ebpf);
	assert_true(ebpf_marks(ebpf));
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		CHECK_NUMBER(cases[i].name, try(i), cases[i].is_marked ? MARK : 0);
	ebpf_close(ebpf);
}

static void check(const char *name, const struct ebpf *ebpf, bool is_marked)
{
	CHECK_NUMBER(name, ebpf_marks(ebpf), is_marked);
	CHECK_NUMBER(name, try(0), is_marked ? MARK : 0);
}

static void marks_only_while_it_is_trusted(void **state)
{
	const struct ebpf_proxy proxy = {.uid = getuid(), .mark = MARK}, of_other = {.uid = OTHER_UID, .mark = MARK};
	uint32_t pid = (uint32_t)getpid();
	struct ebpf *ebpf = open_or_skip();
	(void)state;
	check("nobody's", ebpf, false);
	ebpf_mark_for(ebpf, pid, &proxy);
	check("not tested yet", ebpf, false);
	ebpf_trust(ebpf);
	check("trusted", ebpf, true);
	ebpf_distrust(ebpf, "a test");
	check("not trusted any more", ebpf, false);
	ebpf_trust(ebpf);
	check("trusted again", ebpf, true);
	ebpf_mark_for(ebpf, pid + 1, &proxy);
	CHECK_NUMBER("another process", try(0), 0);
	ebpf_mark_for(ebpf, pid, &of_other);
	CHECK_NUMBER("another user", try(0), 0);
	ebpf_mark_for(ebpf, pid, &proxy);
	check("ours again", ebpf, true);
	ebpf_mark_for(ebpf, 0, &proxy);
	check("it has gone", ebpf, false);
	ebpf_mark_for(ebpf, pid, &proxy);
	ebpf_close(ebpf);
	CHECK_NUMBER("closed", try(0), 0);
	assert_false(ebpf_marks(NULL));
	ebpf_mark_for(NULL, pid, &proxy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_what_the_proxy_connects),
		cmocka_unit_test(marks_only_while_it_is_trusted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
