/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
#pragma once

#include <linux/types.h>

/* What the programs in the kernel (witness.bpf.c, holders.bpf.c) and ebpf.c say to each other. IPv4 addresses are kept
 * in their v4-mapped form, in which AF_INET6 sockets may use them too. */

/* Key of `destinations`: where connections are noted. */
struct ebpf_destination {
	__u32 address[4]; /* network order */
	__u32 port;       /* host order */
};

/* Value of `connects`, by socket cookie: who called connect(). */
struct ebpf_note {
	__u64 boot_ns; /* when, since boot */
	__u64 netns_cookie;
	__u64 cgroup_id;
	__u32 pid, tid; /* thread group and thread, in the first pid namespace */
	__u32 uid, gid;
	char comm[16];
};

/* Value of `proxies`, by pid: what sockets that it connects to a destination are given. */
struct ebpf_proxy {
	__u32 uid; /* as whom it has to do so */
	__u32 mark;
};

/* Key of `tuples`. */
struct ebpf_tuple {
	__u32 client[4], destination[4]; /* network order */
	__u32 client_port, destination_port;
};

/* Value of `tuples`: the last socket that had it. */
struct ebpf_socket {
	__u64 cookie;
	__u64 netns_cookie;
	__u64 is_doubtful; /* there was another one, in whatever namespace, whose end was not seen */
};

/* Index of `counters`. */
enum ebpf_counter {
	EBPF_NOTED,
	EBPF_CLOSED,
	EBPF_MISSED_AT_NS, /* when a tuple was last not noted, since boot; 0: never */
	EBPF_COUNTER_COUNT,
};

enum ebpf_row_kind { EBPF_ROW_SOCKET = 1, EBPF_ROW_TUN, EBPF_ROW_TICK };

/* One descriptor, as holders.bpf.c writes it. */
struct ebpf_row {
	__u64 inode, cookie; /* of EBPF_ROW_SOCKET */
	__u64 start_boot_ns; /* when the process started */
	__s64 references;    /* to the open socket, without the reader's own */
	__u32 waits;         /* how many of them are calls of poll(2) or select(2) that wait for it */
	__u32 is_steady;     /* both numbers were the same twice */
	__u32 pid, fd;
	__u32 kind, padding;
};
