/* SPDX-License-Identifier: Apache-2.0 */

/* Asking the kernel who holds a socket: one process is looked at in microseconds, all of them in a hundredth of the
 * time that /proc takes. An iterator has no arguments, so what is looked for stands in a map while it runs; other
 * threads' sockets may come along, and are passed over. */
#include "proxy/witness/ebpf_list.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "common/clock.h"

/* programs.S */
extern const unsigned char holders_object[];
extern const uint64_t holders_object_bytes;

struct ebpf_list {
	struct bpf_object *object;
	int program_fd, wanted_fd;
};

int ebpf_list_open(struct ebpf_list **ret, struct error *err)
{
	struct ebpf_list *list = calloc(1, sizeof(*list));
	if (list == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for eBPF");
	list->object = bpf_object__open_mem(holders_object, holders_object_bytes, NULL);
	if (list->object == NULL || bpf_object__load(list->object) < 0) {
		(void)error_errno(err, "the kernel does not list descriptors");
		ebpf_list_close(list);
		return -1;
	}
	list->program_fd = bpf_program__fd(bpf_object__find_program_by_name(list->object, "list_holders"));
	list->wanted_fd = bpf_object__find_map_fd_by_name(list->object, "wanted");
	*ret = list;
	return 0;
}

void ebpf_list_close(struct ebpf_list *list)
{
	if (list == NULL)
		return;
	bpf_object__close(list->object);
	free(list);
}

static struct holder *holder_of(struct holders *holders, uint32_t pid)
{
	size_t known = holders->count < HOLDERS_MAX ? holders->count : HOLDERS_MAX;
	for (size_t i = known; i-- > 0;)
		if (holders->items[i].pid == pid)
			return &holders->items[i];
	return NULL;
}

void ebpf_tally_add(struct ebpf_tally *tally, const struct ebpf_row *row)
{
	struct holders *holders = tally->holders;
	struct holder *known = holder_of(holders, row->pid);
	if (row->kind == EBPF_ROW_TUN) {
		tally->tun_pid = row->pid;
		if (known != NULL)
			known->is_relay = true;
		return;
	}
	/* A cookie is made when somebody asks for it, so 0 is no contradiction. */
	if (row->kind != EBPF_ROW_SOCKET || row->inode != tally->search->inode ||
	    (row->cookie != 0 && row->cookie != tally->search->cookie))
		return;
	tally->is_steady = row->is_steady && (tally->rows == 0 || (tally->is_steady && tally->waits == row->waits));
	tally->rows++;
	tally->references = (uint64_t)row->references;
	tally->waits = row->waits;
	if (known != NULL)
		return; /* the same socket under another number */
	if (holders->count < HOLDERS_MAX)
		holders->items[holders->count] = (struct holder){
			.pid = row->pid,
			.start_ticks = procfs_ticks(row->start_boot_ns),
			.fd = (int)row->fd,
			.is_relay = tally->tun_pid == row->pid,
		};
	holders->count++;
}

bool ebpf_tally_is_explained(const struct ebpf_tally *tally)
{
	return tally->rows > 0 && tally->is_steady && tally->references == tally->rows + tally->waits;
}

/* A row at a time, or the kernel would go on until it has filled more. 1: to the end; 0: the time was over before. */
MUST_USE static int read_rows(int iterator, struct ebpf_tally *tally, struct error *err)
{
	struct ebpf_row row = {0};
	size_t have = 0;
	for (;;) {
		ssize_t got = read(iterator, (char *)&row + have, sizeof(row) - have);
		if (got == 0)
			return 1;
		if (got < 0 && errno != EAGAIN && errno != EINTR) /* EAGAIN: nothing among the last million */
			return error_errno(err, "listing descriptors");
		have += got > 0 ? (size_t)got : 0;
		if (have == sizeof(row)) {
			ebpf_tally_add(tally, &row);
			have = 0;
		}
		if (have == 0 && row.kind == EBPF_ROW_TICK && clock_monotonic_ms() >= tally->search->deadline_ms)
			return 0;
	}
}

MUST_USE static int run_iterator(const struct ebpf_list *list, struct ebpf_tally *tally, struct error *err)
{
	union bpf_iter_link_info which = {0};
	LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &which, .iter_info_len = sizeof(which));
	which.task.pid = tally->search->pid; /* since Linux 6.1; before, all are looked at */
	CLEANUP_FD int link = bpf_link_create(list->program_fd, 0, BPF_TRACE_ITER, &options);
	CLEANUP_FD int iterator = link >= 0 ? bpf_iter_create(link) : -1;
	if (iterator < 0)
		return error_errno(err, "listing descriptors");
	return read_rows(iterator, tally, err);
}

int ebpf_list_holders(const struct ebpf_list *list, const struct ebpf_search *search, struct holders *ret,
                      bool *ret_is_explained, struct error *err)
{
	uint64_t inode = search->inode;
	*ret = (struct holders){0};
	struct ebpf_tally tally = {.search = search, .holders = ret};
	if (bpf_map_update_elem(list->wanted_fd, &inode, &inode, BPF_ANY) < 0)
		return error_errno(err, "listing descriptors");
	int result = run_iterator(list, &tally, err);
	(void)bpf_map_delete_elem(list->wanted_fd, &inode);
	*ret_is_explained = result == 1 && ebpf_tally_is_explained(&tally);
	ret->is_complete = result == 1 && (search->pid == 0 || *ret_is_explained);
	return result < 0 ? -1 : 0;
}
