/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/* Notes who connects to a metadata address, and forgets it when the connection has ended. Only UAPI contexts: neither
 * BTF nor the kernel's headers are needed. No verdict and no reply is ever changed: each program returns what lets the
 * call go on, and leaves to others what others have set. */
#include <asm/socket.h>
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "proxy/witness/ebpf_shared.h"

#define ALLOW 1
#define AF_INET 2
#define IPPROTO_TCP 6
#define MAPPED bpf_htonl(0xffff) /* third word of ::ffff:0:0/96 */

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct ebpf_destination);
	__type(value, __u8);
} destinations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* set before loading */
	__type(key, __u64);
	__type(value, struct ebpf_note);
} connects SEC(".maps");

/* Not one that pushes old entries out: an attacker who floods it could make a connection's place free for a twin. Full,
 * it takes nothing more, and says so. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set before loading */
	__type(key, struct ebpf_tuple);
	__type(value, struct ebpf_socket);
} tuples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EBPF_COUNTER_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* The proxy: one process, or none. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32); /* thread group, in the first pid namespace */
	__type(value, struct ebpf_proxy);
} proxies SEC(".maps");

/* Set before loading. Without it, what calls the helper is dead code, which no kernel looks at. */
const volatile bool may_mark = false;

static __always_inline void count(__u32 which)
{
	__u64 *counter = bpf_map_lookup_elem(&counters, &which);
	if (counter)
		__sync_fetch_and_add(counter, 1);
}

static __always_inline void set_missed(void)
{
	__u32 which = EBPF_MISSED_AT_NS;
	__u64 now = bpf_ktime_get_boot_ns();
	bpf_map_update_elem(&counters, &which, &now, BPF_ANY);
}

/* ---- what the proxy connects */

/* Its upstream sockets get the mark that the redirect goes by, before a route is chosen or a packet made. False: this
 * is somebody else's, or has got none. */
static __always_inline bool is_marked(struct bpf_sock_addr *ctx, __u32 pid, __u32 uid)
{
	if (!may_mark)
		return false;
	const struct ebpf_proxy *proxy = bpf_map_lookup_elem(&proxies, &pid);
	if (!proxy || proxy->uid != uid)
		return false;
	__u32 mark = proxy->mark;
	return bpf_setsockopt(ctx, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0;
}

/* ---- who connects */

static __always_inline int note_connect(struct bpf_sock_addr *ctx, const struct ebpf_destination *to)
{
	struct ebpf_note note = {};
	__u64 cookie;
	if (ctx->protocol != IPPROTO_TCP || !bpf_map_lookup_elem(&destinations, to))
		return ALLOW;
	__u64 ids = bpf_get_current_pid_tgid(), users = bpf_get_current_uid_gid();
	if (is_marked(ctx, ids >> 32, (__u32)users))
		return ALLOW;
	note.boot_ns = bpf_ktime_get_boot_ns();
	note.netns_cookie = bpf_get_netns_cookie(ctx);
	note.cgroup_id = bpf_get_current_cgroup_id();
	note.pid = ids >> 32;
	note.tid = (__u32)ids;
	note.uid = (__u32)users;
	note.gid = users >> 32;
	bpf_get_current_comm(note.comm, sizeof(note.comm));
	cookie = bpf_get_socket_cookie(ctx);
	if (!bpf_map_lookup_elem(&connects, &cookie))
		count(EBPF_NOTED);
	bpf_map_update_elem(&connects, &cookie, &note, BPF_ANY);
	return ALLOW;
}

SEC("cgroup/connect4")
int note_connect4(struct bpf_sock_addr *ctx)
{
	struct ebpf_destination to = {.address = {0, 0, MAPPED, ctx->user_ip4}, .port = bpf_ntohs(ctx->user_port)};
	return note_connect(ctx, &to);
}

SEC("cgroup/connect6")
int note_connect6(struct bpf_sock_addr *ctx)
{
	struct ebpf_destination to = {.port = bpf_ntohs(ctx->user_port)};
	to.address[0] = ctx->user_ip6[0];
	to.address[1] = ctx->user_ip6[1];
	to.address[2] = ctx->user_ip6[2];
	to.address[3] = ctx->user_ip6[3];
	return note_connect(ctx, &to);
}

/* ---- with which tuple, and how long */

/* The verifier takes only loads at fixed places of the context: volatile keeps the compiler from joining two of them.
 */
#define FIELD(name) (*(volatile __u32 *)&ctx->name)

static __always_inline void get_tuple(struct bpf_sock_ops *ctx, struct ebpf_tuple *ret)
{
	__u32 client = FIELD(local_ip4), destination = FIELD(remote_ip4);
	ret->client[0] = FIELD(local_ip6[0]);
	ret->client[1] = FIELD(local_ip6[1]);
	ret->client[2] = FIELD(local_ip6[2]);
	ret->client[3] = FIELD(local_ip6[3]);
	ret->destination[0] = FIELD(remote_ip6[0]);
	ret->destination[1] = FIELD(remote_ip6[1]);
	ret->destination[2] = FIELD(remote_ip6[2]);
	ret->destination[3] = FIELD(remote_ip6[3]);
	ret->client_port = FIELD(local_port);
	ret->destination_port = bpf_ntohl(FIELD(remote_port));
	if (FIELD(family) == AF_INET ||
	    (ret->destination[0] == 0 && ret->destination[1] == 0 && ret->destination[2] == MAPPED)) {
		ret->client[0] = ret->client[1] = ret->destination[0] = ret->destination[1] = 0;
		ret->client[2] = ret->destination[2] = MAPPED;
		ret->client[3] = client;
		ret->destination[3] = destination;
	}
}

static __always_inline void note_tuple(struct bpf_sock_ops *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct ebpf_note *note = bpf_map_lookup_elem(&connects, &cookie);
	struct ebpf_tuple tuple = {};
	if (!note)
		return;
	get_tuple(ctx, &tuple);
	struct ebpf_socket now = {.cookie = cookie, .netns_cookie = note->netns_cookie};
	if (bpf_map_update_elem(&tuples, &tuple, &now, BPF_NOEXIST) != 0) {
		struct ebpf_socket *before = bpf_map_lookup_elem(&tuples, &tuple);
		now.is_doubtful = !before || before->cookie != cookie;
		if (bpf_map_update_elem(&tuples, &tuple, &now, BPF_ANY) != 0)
			set_missed();
	}
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

static __always_inline void forget(struct bpf_sock_ops *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct ebpf_tuple tuple = {};
	if (bpf_map_delete_elem(&connects, &cookie) == 0)
		count(EBPF_CLOSED);
	get_tuple(ctx, &tuple);
	struct ebpf_socket *socket = bpf_map_lookup_elem(&tuples, &tuple);
	if (socket && socket->cookie == cookie)
		bpf_map_delete_elem(&tuples, &tuple);
}

SEC("sockops")
int watch_sockets(struct bpf_sock_ops *ctx)
{
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		note_tuple(ctx);
	else if (ctx->op == BPF_SOCK_OPS_STATE_CB && ctx->args[1] == BPF_TCP_CLOSE)
		forget(ctx);
	return ALLOW;
}
