/* SPDX-License-Identifier: Apache-2.0 */

/* Tuples that clash, are there twice, or are forged; and relays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/misattribution/client.h"

/* "ADDRESS,PORT": each client takes the port of its number. */
static int own_socket(const struct run *run, char address[static 64])
{
	unsigned port = 0;
	check(run->option != NULL && sscanf(run->option, "%63[^,],%u", address, &port) == 2, "ADDRESS,PORT");
	return bound_socket(address, (uint16_t)(port + run->number));
}

static void bound(struct run *run)
{
	char address[64];
	fetch(run, connect_to("169.254.169.254", 80, own_socket(run, address)));
}

/* The same port of another process leads to the same listener already, by another metadata address: NAT must give this
 * connection another port, which is then what the daemon accepts. */
static void clash(struct run *run)
{
	int ready[2], done[2];
	char address[64];
	check(pipe(ready) == 0 && pipe(done) == 0, "pipe");
	pid_t other = fork();
	if (other == 0) {
		(void)close(done[1]);
		(void)connect_to("169.254.170.2", 80, own_socket(run, address));
		send_byte(ready[1]);
		wait_for_byte(done[0]);
		_exit(0);
	}
	wait_for_byte(ready[0]);
	fetch(run, connect_to("169.254.169.254", 80, own_socket(run, address)));
	(void)close(done[1]);
	await(other);
}

/* Not a client: in a namespace that has both addresses, makes sockets with the tuples of others and keeps them until
 * its input ends. Option "ADDRESS,PORT,COUNT". */
static void forge(struct run *run)
{
	char address[64];
	unsigned port = 0, count = 0;
	const struct rlimit many = {8192, 8192};
	check(sscanf(run->option, "%63[^,],%u,%u", address, &port, &count) == 3, "ADDRESS,PORT,COUNT");
	(void)setrlimit(RLIMIT_NOFILE, &many);
	int listener = bound_socket("169.254.169.254", 80);
	check(listen(listener, 4096) == 0, "listen");
	for (unsigned i = 0; i < count; i++)
		(void)connect_to("169.254.169.254", 80, bound_socket(address, (uint16_t)(port + i)));
	check(write(run->out, "ready\n", 6) == 6, "ready");
	wait_for_byte(STDIN_FILENO);
}

/* Through what relays on a port of the loopback; `relayed` stands for no role of a holder. */
static void relayed(struct run *run)
{
	fetch(run, connect_to("127.0.0.1", (uint16_t)atoi(run->option), -1));
}

/* SOCKS 5, no authentication, to the metadata address by number. */
static void socks(struct run *run)
{
	static const unsigned char hello[] = {5, 1, 0}, to[] = {5, 1, 0, 1, 169, 254, 169, 254, 0, 80};
	unsigned char answer[10];
	int fd = connect_to("127.0.0.1", (uint16_t)atoi(run->option), -1);
	check(send(fd, hello, sizeof(hello), 0) == sizeof(hello) && recv(fd, answer, 2, MSG_WAITALL) == 2, "SOCKS");
	check(send(fd, to, sizeof(to), 0) == sizeof(to) && recv(fd, answer, 10, MSG_WAITALL) == 10 && answer[1] == 0,
	      "SOCKS");
	fetch(run, fd);
}

const struct kind kinds_net[] = {
	{"bound", bound}, {"clash", clash}, {"forge", forge}, {"relayed", relayed}, {"socks", socks}, {NULL, NULL},
};
