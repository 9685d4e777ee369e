/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/* Who holds a socket, and whether anything else refers to it: an iterator over descriptors (one process's, or all), in
 * the kernel. It needs the kernel's BTF; without, /proc is read instead. Only such fields are declared here as are
 * used; where they lie in the running kernel is found when the program is loaded. */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "proxy/witness/ebpf_shared.h"

#define KERNEL __attribute__((preserve_access_index))
#define WAITS_MAX 16 /* entries of a wait queue looked at; with more the numbers do not add up, and all are searched   \
	              */
#define FILES_OF_A_TICK 1024 /* a power of two */
#define TYPE_MASK 0170000
#define TYPE_CHARACTER 0020000
#define TUN_DEVICE ((10 << 20) | 200) /* /dev/net/tun, as the kernel packs its numbers */

char LICENSE[] SEC("license") = "GPL";

struct list_head {
	struct list_head *next;
} KERNEL;
struct wait_queue_head {
	struct list_head head;
} KERNEL;
struct wait_queue_entry {
	struct list_head entry;
} KERNEL;
typedef struct {
	__s64 counter;
} atomic64_t;
typedef struct {
	atomic64_t refcnt;
} file_ref_t;
struct inode {
	unsigned long i_ino;
	unsigned short i_mode;
	__u32 i_rdev;
} KERNEL;
struct file {
	struct inode *f_inode;
	file_ref_t f_ref;   /* since Linux 6.13: one less than there are */
	atomic64_t f_count; /* before */
} KERNEL;
struct poll_table_entry {
	struct file *filp;
	struct wait_queue_entry wait;
	struct wait_queue_head *wait_address;
} KERNEL;
struct sock_common {
	atomic64_t skc_cookie;
} KERNEL;
struct sock {
	struct sock_common __sk_common;
} KERNEL;
struct socket_wq {
	struct wait_queue_head wait;
} KERNEL;
struct socket {
	struct sock *sk;
	struct socket_wq wq;
} KERNEL;
struct task_struct {
	int tgid;
	struct task_struct *group_leader;
	__u64 start_boottime;
} KERNEL;
struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 seq_num;
} KERNEL;
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
} KERNEL;

/* Inodes of the sockets that somebody looks for. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} wanted SEC(".maps");

static __always_inline __s64 references(struct file *file)
{
	if (bpf_core_field_exists(file->f_ref))
		return BPF_CORE_READ(file, f_ref.refcnt.counter) + 1;
	return BPF_CORE_READ(file, f_count.counter);
}

/* The kernel checks a program with each value that it can tell, branch by branch: a count kept in sight took it more
 * than a second to load. What a helper has written is any number to it. */
static __always_inline __u32 out_of_sight(__u32 value)
{
	__u32 same = 0;
	bpf_probe_read_kernel(&same, sizeof(same), &value);
	return same;
}

/* Each process that waits in poll(2) or select(2) holds a reference for as long. Its entry names the file, and the
 * queue that it stands in; no other kind of entry has both in these places. */
static __always_inline __u32 count_waits(struct file *file, struct socket *socket)
{
	struct wait_queue_head *queue = &socket->wq.wait;
	struct list_head *head = &queue->head, *at = BPF_CORE_READ(head, next);
	__u32 waits = 0;
	for (int i = 0; i < WAITS_MAX && at && at != head; i++) {
		struct wait_queue_entry *entry = (void *)at - bpf_core_field_offset(struct wait_queue_entry, entry);
		struct poll_table_entry *poll = (void *)entry - bpf_core_field_offset(struct poll_table_entry, wait);
		if (BPF_CORE_READ(poll, filp) == file && BPF_CORE_READ(poll, wait_address) == queue)
			waits++;
		waits = out_of_sight(waits);
		at = BPF_CORE_READ(at, next);
	}
	return waits;
}

static __always_inline int is_tun(struct file *file)
{
	struct inode *inode = file->f_inode;
	return inode && (inode->i_mode & TYPE_MASK) == TYPE_CHARACTER && inode->i_rdev == TUN_DEVICE;
}

SEC("iter/task_file")
int list_holders(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct task_struct *task = ctx->task;
	struct ebpf_row row = {};
	if (!file || !task)
		return 0;
	/* The reader gets something to read now and then, so that it can look at the clock. */
	if ((ctx->meta->seq_num & (FILES_OF_A_TICK - 1)) == FILES_OF_A_TICK - 1) {
		struct ebpf_row tick = {.kind = EBPF_ROW_TICK};
		bpf_seq_write(ctx->meta->seq, &tick, sizeof(tick));
	}
	struct socket *socket = bpf_sock_from_file(file);
	if (socket) {
		row.inode = BPF_CORE_READ(file, f_inode, i_ino);
		if (!bpf_map_lookup_elem(&wanted, &row.inode))
			return 0;
		row.kind = EBPF_ROW_SOCKET;
		row.cookie = BPF_CORE_READ(socket, sk, __sk_common.skc_cookie.counter);
		__s64 first = references(file);
		row.waits = count_waits(file, socket);
		__s64 second = references(file);
		row.is_steady = first == second && row.waits == count_waits(file, socket);
		row.references = second - 1; /* the iterator's own */
	} else if (is_tun(file)) {
		row.kind = EBPF_ROW_TUN;
	} else {
		return 0;
	}
	row.pid = task->tgid;
	row.start_boot_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	row.fd = ctx->fd;
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}
