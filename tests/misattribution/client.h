/* SPDX-License-Identifier: Apache-2.0 */

/* Clients whose identity is known: each process that has to do with a request says who it is, on a line of its own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What all clients of one run share; `nonce` is the one that this client sends as its User-Agent. */
struct run {
	const char *token, *path;
	const char *option; /* of the kind: see the table in client.c */
	int out;            /* where the lines go */
	unsigned number;
	char nonce[96];
};

struct kind {
	const char *name;
	void (*act)(struct run *run); /* in a process of its own, which ends with it */
};

/* One line: nonce, role, pid as the machine's /proc numbers it, start in ticks, uid, device and inode of the
 * executable. Roles: `connected`, `asked` (wrote the request), `held` (has a descriptor from before the request to
 * behind the answer), `may` (had one for some of that time), `answered` (read a credential). Says it before it is so.
 */
void tell(const struct run *run, const char *role);

/* Each ends the process with a message when the kernel refuses. */
int connect_to(const char *address, uint16_t port, int source); /* source: a socket to use; -1: a new one */
int connect_imds(void);                                         /* IPv4, as most clients do */
int bound_socket(const char *address, uint16_t port);
void send_request(const struct run *run, int fd);
void finish(const struct run *run, int fd);
void fetch(const struct run *run, int fd); /* tell asked, send, finish */
size_t request_text(const struct run *run, char *ret, size_t size);
void check(bool good, const char *what);
void nap(unsigned longest_us); /* a random while */
void send_fd(int line, int fd);
int receive_fd(int line);
void wait_for_byte(int fd);
void send_byte(int fd);
void await(pid_t child);

extern const struct kind kinds_alone[], kinds_family[], kinds_passed[], kinds_uring[], kinds_pids[], kinds_net[];
