/* SPDX-License-Identifier: Apache-2.0 */

/* By io_uring: with a descriptor, and with a socket that is in no table of descriptors at all. */
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/misattribution/client.h"

#define ENTRIES 4

struct ring {
	int fd;
	struct io_uring_params params;
	char *queue; /* both rings: IORING_FEAT_SINGLE_MMAP */
	struct io_uring_sqe *entries;
};

static unsigned *place(const struct ring *ring, unsigned offset)
{
	return (unsigned *)(void *)(ring->queue + offset);
}

static void ring_open(struct ring *ret)
{
	*ret = (struct ring){0};
	ret->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &ret->params);
	check(ret->fd >= 0, "io_uring_setup");
	size_t sq = ret->params.sq_off.array + ret->params.sq_entries * sizeof(unsigned);
	size_t cq = ret->params.cq_off.cqes + ret->params.cq_entries * sizeof(struct io_uring_cqe);
	ret->queue = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ret->fd,
	                  IORING_OFF_SQ_RING);
	ret->entries = mmap(NULL, ret->params.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_POPULATE, ret->fd, IORING_OFF_SQES);
	check(ret->queue != MAP_FAILED && ret->entries != MAP_FAILED, "mmap");
}

/* One operation, to its end; its result. */
static int ring_do(const struct ring *ring, const struct io_uring_sqe *what)
{
	unsigned *tail = place(ring, ring->params.sq_off.tail), *head = place(ring, ring->params.cq_off.head);
	unsigned at = *tail & *place(ring, ring->params.sq_off.ring_mask);
	ring->entries[at] = *what;
	place(ring, ring->params.sq_off.array)[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	check(syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1, "io_uring_enter");
	const struct io_uring_cqe *results = (void *)(ring->queue + ring->params.cq_off.cqes);
	int result = results[*head & *place(ring, ring->params.cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

static void fetch_by(const struct run *run, const struct ring *ring, int fd, unsigned char flags)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	char text[1024], answer[8192];
	size_t length = request_text(run, text, sizeof(text)), got = 0;
	int more = 0;
	(void)inet_pton(AF_INET, "169.254.169.254", &to.sin_addr);
	struct io_uring_sqe connecting = {
		.opcode = IORING_OP_CONNECT, .flags = flags, .fd = fd, .addr = (uintptr_t)&to, .off = sizeof(to)};
	check(ring_do(ring, &connecting) == 0, "connect by io_uring");
	tell(run, "asked");
	struct io_uring_sqe sending = {
		.opcode = IORING_OP_SEND, .flags = flags, .fd = fd, .addr = (uintptr_t)text, .len = (unsigned)length};
	check(ring_do(ring, &sending) == (int)length, "send by io_uring");
	do {
		struct io_uring_sqe receiving = {.opcode = IORING_OP_RECV,
		                                 .flags = flags,
		                                 .fd = fd,
		                                 .addr = (uintptr_t)(answer + got),
		                                 .len = (unsigned)(sizeof(answer) - 1 - got)};
		more = ring_do(ring, &receiving);
		got += more > 0 ? (size_t)more : 0;
	} while (more > 0 && got < sizeof(answer) - 1);
	answer[got] = '\0';
	if (strstr(answer, "AccessKeyId") != NULL)
		tell(run, "answered");
}

static void with_descriptor(struct run *run)
{
	struct ring ring;
	ring_open(&ring);
	fetch_by(run, &ring, socket(AF_INET, SOCK_STREAM, 0), 0);
}

static void without_descriptor(struct run *run)
{
	struct ring ring;
	int empty = -1;
	ring_open(&ring);
	check(syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES, &empty, 1) == 0, "io_uring_register");
	struct io_uring_sqe making = {.opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_STREAM, .file_index = 1};
	check(ring_do(&ring, &making) == 0, "socket by io_uring");
	fetch_by(run, &ring, 0, IOSQE_FIXED_FILE);
}

const struct kind kinds_uring[] = {
	{"uring", with_descriptor},
	{"uring-only", without_descriptor},
	{NULL, NULL},
};
