/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/witness/ebpf.h"

/* The iterator over descriptors (holders.bpf.c). Safe from any thread. */
struct ebpf_list;

MUST_USE int ebpf_list_open(struct ebpf_list **ret, struct error *err);
void ebpf_list_close(struct ebpf_list *list);
MUST_USE int ebpf_list_holders(const struct ebpf_list *list, const struct ebpf_search *search, struct holders *ret,
                               bool *ret_is_explained, struct error *err);

/* From rows, as the iterator writes them, to holders; pure. Rows of one process stand together. */
struct ebpf_tally {
	const struct ebpf_search *search;
	struct holders *holders;
	uint64_t rows, references, waits; /* of that socket */
	bool is_steady;
	uint32_t tun_pid; /* the last process seen to hold a tun device */
};
void ebpf_tally_add(struct ebpf_tally *tally, const struct ebpf_row *row);
bool ebpf_tally_is_explained(const struct ebpf_tally *tally);
