/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "proxy/witness/ebpf_shared.h"
#include "proxy/witness/line.h"
#include "proxy/witness/procfs.h"

/* The eBPF backend: programs in the kernel note who connects to a metadata address, and list who holds a socket. Safe
 * from any thread. What it says counts only once ebpf_trust() was called: until then nothing has shown that the
 * redirect, control groups and pid namespaces of this machine are such that its answers are right. */
struct ebpf;

/* Loads and attaches, as a link, beside whatever others have attached; needs root. `entries`: connections noted at
 * once. The programs go when the handle is closed, or the process ends. */
MUST_USE int ebpf_open(uint32_t entries, struct ebpf **ret, struct error *err);
void ebpf_close(struct ebpf *ebpf);

/* Whether the self-test has passed; ebpf may be NULL. */
bool ebpf_is_trusted(const struct ebpf *ebpf);
void ebpf_trust(struct ebpf *ebpf);
/* Why not (yet), for people. */
void ebpf_distrust(struct ebpf *ebpf, const char *reason);

/* From when the backend is trusted: TCP sockets that this process, as that user, connects to a metadata address get the
 * mark on their way, before a route is chosen. The caller knows that the process is there, and takes it back (pid 0)
 * when it has gone. ebpf may be NULL. */
void ebpf_mark_for(struct ebpf *ebpf, uint32_t pid, const struct ebpf_proxy *proxy);
/* Is that so now? Not on kernels before 5.8, for one. ebpf may be NULL. */
bool ebpf_marks(const struct ebpf *ebpf);

/* Who called connect() on a socket. False: not known. */
bool ebpf_connect(const struct ebpf *ebpf, uint64_t cookie, struct ebpf_note *ret);

/* How long a connection may wait to be accepted: so long a fact about all connections is not taken for granted. */
#define EBPF_BACKLOG_S 60

/* The socket that a tuple belongs to, in whatever namespace. False: not known, or it may be either of two. */
bool ebpf_socket(const struct ebpf *ebpf, const struct endpoint *client, const struct endpoint *destination,
                 struct ebpf_socket *ret);

/* Whether the kernel lists descriptors for us (ebpf_holders). */
bool ebpf_lists_holders(const struct ebpf *ebpf);

struct ebpf_search {
	uint64_t cookie;
	uint32_t inode;
	uint32_t pid;        /* look at this process alone; 0: at all */
	int64_t deadline_ms; /* monotonic; then what was found so far is all, and not complete */
};

/* Who holds the socket. *ret_is_explained: its descriptors, and calls that wait for it, are all that refers to it, so
 * that nobody else holds it, and it is not on its way to anybody either. -1: the kernel did not say. */
MUST_USE int ebpf_holders(const struct ebpf *ebpf, const struct ebpf_search *search, struct holders *ret,
                          bool *ret_is_explained, struct error *err);

/* {"ebpf", "holders", "marks", "map"{…}, "foreign_connect_programs"[…]}, into an object; ebpf may be NULL, `reason`
 * says why. */
void ebpf_put_status(const struct ebpf *ebpf, const char *reason, json_t *object);
