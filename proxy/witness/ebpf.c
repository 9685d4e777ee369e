/* SPDX-License-Identifier: Apache-2.0 */

/* Loading and attaching witness.bpf.c, and asking its maps. Links only: they stand beside other programs, displace
 * nobody's, and are gone when their last descriptor is. The iterator over descriptors is a second object, since it
 * needs the kernel's BTF; without it the first one serves all the same. */
#include "proxy/witness/ebpf.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "proxy/witness/ebpf_list.h"
#include "proxy/witness/groups.h"

#define FOREIGN_MAX 64 /* programs of others that status names */
#define REASON_BYTES 200
#define SECOND_NS 1000000000u

/* programs.S */
extern const unsigned char connect_object[];
extern const uint64_t connect_object_bytes;

/* Where connections are noted. Addresses that are not redirected cost a look-up, and nothing comes of it. */
static const char *const noted_addresses[] = {
	"::ffff:169.254.169.254", "fd00:ec2::254", /* the metadata service */
	"::ffff:169.254.170.2",                    /* ECS */
	"::ffff:169.254.170.23",  "fd00:ec2::23",  /* EKS */
};
#define NOTED_PORT 80

/* Program -> where it is attached. */
static const struct {
	const char *name;
	enum bpf_attach_type type;
} attachments[] = {
	{"note_connect4", BPF_CGROUP_INET4_CONNECT},
	{"note_connect6", BPF_CGROUP_INET6_CONNECT},
	{"watch_sockets", BPF_CGROUP_SOCK_OPS},
};

struct ebpf {
	struct bpf_object *object;
	struct bpf_link *links[ARRAY_LENGTH(attachments)];
	int cgroup_fd, connects_fd, tuples_fd, counters_fd, proxies_fd;
	bool may_mark; /* the kernel lets a program set a socket's mark */
	uint32_t entries;
	struct ebpf_list *list; /* NULL: the kernel does not list descriptors */
	char list_problem[REASON_BYTES];
	atomic_bool is_trusted, is_marking;
	pthread_mutex_t mutex; /* guards what follows */
	char reason[REASON_BYTES];
	uint32_t proxy_pid; /* 0: none */
	struct ebpf_proxy proxy;
};

/* Reads the programs, and sets what must be set before they are loaded. */
MUST_USE static int open_object(struct ebpf *ebpf, bool may_mark, struct error *err)
{
	ebpf->object = bpf_object__open_mem(connect_object, connect_object_bytes, NULL);
	if (ebpf->object == NULL)
		return error_errno(err, "cannot read the programs");
	if (bpf_map__set_initial_value(bpf_object__find_map_by_name(ebpf->object, ".rodata"), &may_mark,
	                               sizeof(may_mark)) < 0)
		return error_errno(err, "cannot set the programs' constants");
	static const char *const sized[] = {"connects", "tuples"};
	for (size_t i = 0; i < ARRAY_LENGTH(sized); i++)
		if (bpf_map__set_max_entries(bpf_object__find_map_by_name(ebpf->object, sized[i]), ebpf->entries) < 0)
			return error_errno(err, "cannot size the maps");
	return 0;
}

/* A kernel before 5.8 has no helper for marking; then the witness makes upstream's sockets. */
MUST_USE static int load(struct ebpf *ebpf, struct error *err)
{
	if (open_object(ebpf, true, err) < 0)
		return -1;
	ebpf->may_mark = bpf_object__load(ebpf->object) == 0;
	if (!ebpf->may_mark) {
		bpf_object__close(ebpf->object);
		if (open_object(ebpf, false, err) < 0)
			return -1;
		if (bpf_object__load(ebpf->object) < 0)
			return error_errno(err, "the kernel does not load the programs");
	}
	ebpf->connects_fd = bpf_object__find_map_fd_by_name(ebpf->object, "connects");
	ebpf->tuples_fd = bpf_object__find_map_fd_by_name(ebpf->object, "tuples");
	ebpf->counters_fd = bpf_object__find_map_fd_by_name(ebpf->object, "counters");
	ebpf->proxies_fd = bpf_object__find_map_fd_by_name(ebpf->object, "proxies");
	return 0;
}

MUST_USE static int fill_destinations(struct ebpf *ebpf, struct error *err)
{
	int fd = bpf_object__find_map_fd_by_name(ebpf->object, "destinations");
	for (size_t i = 0; i < ARRAY_LENGTH(noted_addresses); i++) {
		struct ebpf_destination key = {.port = NOTED_PORT};
		const uint8_t yes = 1;
		if (inet_pton(AF_INET6, noted_addresses[i], key.address) != 1 ||
		    bpf_map_update_elem(fd, &key, &yes, BPF_ANY) < 0)
			return error_errno(err, "cannot fill the maps");
	}
	return 0;
}

MUST_USE static int attach(struct ebpf *ebpf, struct error *err)
{
	ebpf->cgroup_fd = groups_open();
	if (ebpf->cgroup_fd < 0)
		return error_errno(err, "the root of the unified control groups is not mounted");
	for (size_t i = 0; i < ARRAY_LENGTH(attachments); i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(ebpf->object, attachments[i].name);
		ebpf->links[i] = bpf_program__attach_cgroup(program, ebpf->cgroup_fd);
		if (ebpf->links[i] == NULL)
			return error_errno(err, "cannot attach %s to the root control group", attachments[i].name);
	}
	return 0;
}

/* What libbpf has to say is in the errors that it returns; its own lines would go past our log. */
static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

int ebpf_open(uint32_t entries, struct ebpf **ret, struct error *err)
{
	struct error problem = {0};
	struct ebpf *ebpf = calloc(1, sizeof(*ebpf));
	if (ebpf == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for eBPF");
	ebpf->entries = entries;
	ebpf->cgroup_fd = -1;
	(void)pthread_mutex_init(&ebpf->mutex, NULL);
	(void)libbpf_set_print(print_nothing);
	if (load(ebpf, err) < 0 || fill_destinations(ebpf, err) < 0 || attach(ebpf, err) < 0) {
		ebpf_close(ebpf);
		return -1;
	}
	if (ebpf_list_open(&ebpf->list, &problem) < 0)
		(void)text_copy(ebpf->list_problem, sizeof(ebpf->list_problem), problem.text);
	*ret = ebpf;
	return 0;
}

void ebpf_close(struct ebpf *ebpf)
{
	if (ebpf == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LENGTH(attachments); i++)
		(void)bpf_link__destroy(ebpf->links[i]);
	bpf_object__close(ebpf->object);
	ebpf_list_close(ebpf->list);
	cleanup_descriptor(&ebpf->cgroup_fd);
	(void)pthread_mutex_destroy(&ebpf->mutex);
	free(ebpf);
}

/* ---- trust */

bool ebpf_is_trusted(const struct ebpf *ebpf)
{
	return ebpf != NULL && atomic_load(&ebpf->is_trusted);
}

/* With the mutex held: the programs know the proxy while they are trusted. Pids are what the test has shown to be the
 * same to them and to us. */
static void show_proxy(struct ebpf *ebpf)
{
	bool is_marking = false;
	if (ebpf->proxy_pid != 0 && ebpf->may_mark && atomic_load(&ebpf->is_trusted))
		is_marking = bpf_map_update_elem(ebpf->proxies_fd, &ebpf->proxy_pid, &ebpf->proxy, BPF_ANY) == 0;
	else if (ebpf->proxy_pid != 0)
		(void)bpf_map_delete_elem(ebpf->proxies_fd, &ebpf->proxy_pid);
	atomic_store(&ebpf->is_marking, is_marking);
}

void ebpf_trust(struct ebpf *ebpf)
{
	(void)pthread_mutex_lock(&ebpf->mutex);
	atomic_store(&ebpf->is_trusted, true);
	show_proxy(ebpf);
	(void)pthread_mutex_unlock(&ebpf->mutex);
}

void ebpf_distrust(struct ebpf *ebpf, const char *reason)
{
	(void)pthread_mutex_lock(&ebpf->mutex);
	atomic_store(&ebpf->is_trusted, false);
	show_proxy(ebpf);
	(void)text_copy(ebpf->reason, sizeof(ebpf->reason), reason);
	(void)pthread_mutex_unlock(&ebpf->mutex);
}

/* ---- marking */

void ebpf_mark_for(struct ebpf *ebpf, uint32_t pid, const struct ebpf_proxy *proxy)
{
	if (ebpf == NULL)
		return;
	(void)pthread_mutex_lock(&ebpf->mutex);
	if (ebpf->proxy_pid != 0)
		(void)bpf_map_delete_elem(ebpf->proxies_fd, &ebpf->proxy_pid);
	ebpf->proxy_pid = pid;
	ebpf->proxy = *proxy;
	show_proxy(ebpf);
	(void)pthread_mutex_unlock(&ebpf->mutex);
}

bool ebpf_marks(const struct ebpf *ebpf)
{
	return ebpf != NULL && atomic_load(&ebpf->is_marking);
}

/* ---- asking */

bool ebpf_connect(const struct ebpf *ebpf, uint64_t cookie, struct ebpf_note *ret)
{
	return bpf_map_lookup_elem(ebpf->connects_fd, &cookie, ret) == 0;
}

/* IPv4 in the v4-mapped form. */
static void put_address(const struct endpoint *endpoint, uint32_t to[static 4])
{
	if (endpoint->family == AF_INET6) {
		memcpy(to, endpoint->address, 4 * sizeof(to[0]));
		return;
	}
	to[0] = to[1] = 0;
	to[2] = htonl(0xffff);
	memcpy(&to[3], endpoint->address, sizeof(to[3]));
}

static uint64_t counter_of(const struct ebpf *ebpf, enum ebpf_counter counter)
{
	uint32_t key = counter;
	uint64_t value = 0;
	(void)bpf_map_lookup_elem(ebpf->counters_fd, &key, &value);
	return value;
}

/* Where one tuple was not noted, the one that was may be a twin of it. */
static bool has_all_tuples(const struct ebpf *ebpf)
{
	uint64_t missed_s = counter_of(ebpf, EBPF_MISSED_AT_NS) / SECOND_NS;
	return missed_s == 0 || clock_boot_seconds() > (int64_t)missed_s + EBPF_BACKLOG_S;
}

bool ebpf_socket(const struct ebpf *ebpf, const struct endpoint *client, const struct endpoint *destination,
                 struct ebpf_socket *ret)
{
	struct ebpf_tuple tuple = {.client_port = client->port, .destination_port = destination->port};
	put_address(client, tuple.client);
	put_address(destination, tuple.destination);
	return bpf_map_lookup_elem(ebpf->tuples_fd, &tuple, ret) == 0 && ret->is_doubtful == 0 && has_all_tuples(ebpf);
}

bool ebpf_lists_holders(const struct ebpf *ebpf)
{
	return ebpf->list != NULL;
}

int ebpf_holders(const struct ebpf *ebpf, const struct ebpf_search *search, struct holders *ret, bool *ret_is_explained,
                 struct error *err)
{
	if (ebpf->list == NULL)
		return error_set(err, ERROR_SYSTEM, "%s", ebpf->list_problem);
	return ebpf_list_holders(ebpf->list, search, ret, ret_is_explained, err);
}

/* ---- status */

static uint64_t count_present(const struct ebpf *ebpf)
{
	uint64_t keys[2], *at = NULL, count = 0;
	while (count <= ebpf->entries && bpf_map_get_next_key(ebpf->connects_fd, at, &keys[count % 2]) == 0) {
		at = &keys[count % 2];
		count++;
	}
	return count;
}

/* What was noted and neither ended nor is there was pushed out by newer ones: the kernel does not count that itself. */
static void put_map(const struct ebpf *ebpf, json_t *object)
{
	json_t *map = json_object();
	uint64_t present = count_present(ebpf), closed = counter_of(ebpf, EBPF_CLOSED);
	uint64_t noted = counter_of(ebpf, EBPF_NOTED);
	json_put_int(map, "size", ebpf->entries);
	json_put_int(map, "present", (int64_t)present);
	json_put_int(map, "noted", (int64_t)noted);
	json_put_int(map, "evicted", (int64_t)(noted > closed + present ? noted - closed - present : 0));
	json_put(object, "map", map);
}

static bool is_ours(const struct ebpf *ebpf, uint32_t id)
{
	for (size_t i = 0; i < ARRAY_LENGTH(attachments); i++) {
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(bpf_object__find_program_by_name(ebpf->object, attachments[i].name));
		if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.id == id)
			return true;
	}
	return false;
}

/* Other programs that see connect() at the root: they may change where a connection goes. */
static void put_foreign_at(const struct ebpf *ebpf, enum bpf_attach_type type, json_t *list)
{
	uint32_t ids[FOREIGN_MAX], count = FOREIGN_MAX, flags = 0;
	if (bpf_prog_query(ebpf->cgroup_fd, type, 0, &flags, ids, &count) < 0)
		return;
	for (uint32_t i = 0; i < count && i < FOREIGN_MAX; i++) {
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);
		char text[64];
		if (is_ours(ebpf, ids[i]))
			continue;
		CLEANUP_FD int fd = bpf_prog_get_fd_by_id(ids[i]);
		bool known = fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0;
		(void)snprintf(text, sizeof(text), "%.16s (id %u)", known ? info.name : "?", ids[i]);
		(void)json_array_append_new(list, json_from_bytes(text, strlen(text)));
	}
}

static json_t *ebpf_state(const struct ebpf *ebpf)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&ebpf->mutex;
	if (atomic_load(&ebpf->is_trusted))
		return json_string("on");
	(void)pthread_mutex_lock(mutex);
	json_t *text = json_sprintf("off: %s", ebpf->reason[0] != '\0' ? ebpf->reason : "not yet tested");
	(void)pthread_mutex_unlock(mutex);
	return text;
}

void ebpf_put_status(const struct ebpf *ebpf, const char *reason, json_t *object)
{
	json_t *foreign = json_array();
	json_put(object, "ebpf", ebpf != NULL ? ebpf_state(ebpf) : json_sprintf("off: %s", reason));
	json_put(object, "map", NULL);
	json_put_text(object, "holders", "proc");
	json_put_text(object, "marks", ebpf_marks(ebpf) ? "connect" : "socket");
	if (ebpf != NULL) {
		put_map(ebpf, object);
		put_foreign_at(ebpf, BPF_CGROUP_INET4_CONNECT, foreign);
		put_foreign_at(ebpf, BPF_CGROUP_INET6_CONNECT, foreign);
		json_put_text(object, "holders", ebpf->list != NULL ? "kernel" : "proc");
	}
	json_put(object, "foreign_connect_programs", foreign);
}
