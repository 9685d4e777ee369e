/* SPDX-License-Identifier: Apache-2.0 */

/* Built without clang or libbpf: the eBPF backend is off, and says so. */
#include "proxy/witness/ebpf.h"

int ebpf_open(uint32_t entries, struct ebpf **ret, struct error *err)
{
	(void)entries;
	(void)ret;
	return error_set(err, ERROR_MISSING, "built without eBPF");
}

void ebpf_close(struct ebpf *ebpf)
{
	(void)ebpf;
}

bool ebpf_is_trusted(const struct ebpf *ebpf)
{
	(void)ebpf;
	return false;
}

void ebpf_trust(struct ebpf *ebpf)
{
	(void)ebpf;
}

void ebpf_distrust(struct ebpf *ebpf, const char *reason)
{
	(void)ebpf;
	(void)reason;
}

void ebpf_mark_for(struct ebpf *ebpf, uint32_t pid, const struct ebpf_proxy *proxy)
{
	(void)ebpf;
	(void)pid;
	(void)proxy;
}

bool ebpf_marks(const struct ebpf *ebpf)
{
	(void)ebpf;
	return false;
}

bool ebpf_connect(const struct ebpf *ebpf, uint64_t cookie, struct ebpf_note *ret)
{
	(void)ebpf;
	(void)cookie;
	(void)ret;
	return false;
}

bool ebpf_socket(const struct ebpf *ebpf, const struct endpoint *client, const struct endpoint *destination,
                 struct ebpf_socket *ret)
{
	(void)ebpf;
	(void)client;
	(void)destination;
	(void)ret;
	return false;
}

bool ebpf_lists_holders(const struct ebpf *ebpf)
{
	(void)ebpf;
	return false;
}

int ebpf_holders(const struct ebpf *ebpf, const struct ebpf_search *search, struct holders *ret, bool *ret_is_explained,
                 struct error *err)
{
	(void)ebpf;
	(void)search;
	(void)ret;
	(void)ret_is_explained;
	return error_set(err, ERROR_MISSING, "built without eBPF");
}

void ebpf_put_status(const struct ebpf *ebpf, const char *reason, json_t *object)
{
	(void)ebpf;
	json_put(object, "ebpf", json_sprintf("off: %s", reason));
	json_put(object, "map", NULL);
	json_put_text(object, "holders", "proc");
	json_put_text(object, "marks", "socket");
	json_put(object, "foreign_connect_programs", json_array());
}
