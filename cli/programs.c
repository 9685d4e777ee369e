/* SPDX-License-Identifier: Apache-2.0 */

/* Asks the kernel for the egress programs of each control group and tries them. A handful of bpf(2) calls: no library.
 */
#include "cli/programs.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <mntent.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/text.h"

#define PROGRAMS_MAX 64 /* the kernel's own limit for one hook of one group */
#define DEPTH_MAX 64    /* as deep as paths of groups get; more is somebody's joke */
#define KEPT 0x1U       /* of a program's answer: let the packet pass */
#define PROXY_PORT 8775
#define METADATA_PORT 80

struct packet {
	unsigned char bytes[sizeof(struct ether_header) + sizeof(struct ip6_hdr) + sizeof(struct tcphdr)];
	uint32_t length;
};

/* Where the same request goes without the redirect, and with it. */
static const struct {
	const char *without, *with;
} journeys[] = {{"169.254.169.254", "127.0.0.1"}, {"fd00:ec2::254", "::1"}};

static long call(enum bpf_cmd command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

/* ---- trying one */

static void make_packet(const char *destination, uint16_t port, struct packet *ret)
{
	bool is_v6 = strchr(destination, ':') != NULL;
	struct ether_header ether = {.ether_type = htons(is_v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP)};
	struct ip ip = {.ip_v = 4, .ip_hl = 5, .ip_ttl = 64, .ip_p = IPPROTO_TCP};
	struct ip6_hdr ip6 = {.ip6_plen = htons(sizeof(struct tcphdr)), .ip6_nxt = IPPROTO_TCP, .ip6_hlim = 64};
	struct tcphdr tcp = {.th_dport = htons(port), .th_sport = htons(40000), .th_off = 5, .th_flags = TH_SYN};
	size_t header = is_v6 ? sizeof(ip6) : sizeof(ip);
	ip.ip_len = htons(sizeof(ip) + sizeof(tcp));
	ip6.ip6_vfc = 0x60;
	(void)inet_pton(is_v6 ? AF_INET6 : AF_INET, destination, is_v6 ? (void *)&ip6.ip6_dst : (void *)&ip.ip_dst);
	memcpy(ret->bytes, &ether, sizeof(ether));
	memcpy(ret->bytes + sizeof(ether), is_v6 ? (const void *)&ip6 : (const void *)&ip, header);
	memcpy(ret->bytes + sizeof(ether) + header, &tcp, sizeof(tcp));
	ret->length = (uint32_t)(sizeof(ether) + header + sizeof(tcp));
}

/* 1: passes, 0: is dropped, -1: the kernel would not try. */
static int try_packet(int program, const char *destination, uint16_t port)
{
	struct packet packet;
	make_packet(destination, port, &packet);
	union bpf_attr attributes = {.test = {.prog_fd = (uint32_t)program,
	                                      .data_in = (uintptr_t)packet.bytes,
	                                      .data_size_in = packet.length,
	                                      .repeat = 1}};
	if (call(BPF_PROG_TEST_RUN, &attributes) < 0)
		return -1;
	return (attributes.test.retval & KEPT) != 0;
}

static const char *verdict_of(int program)
{
	for (size_t i = 0; i < ARRAY_LENGTH(journeys); i++) {
		int without = try_packet(program, journeys[i].without, METADATA_PORT);
		int with = try_packet(program, journeys[i].with, PROXY_PORT);
		if (without < 0 || with < 0)
			return "untried";
		if (without == 0 && with == 1)
			return "closes";
	}
	return "passes";
}

/* ---- finding them */

static void print_program(FILE *to, const char *group, uint32_t id)
{
	char shown_group[PATH_MAX], shown_name[BPF_OBJ_NAME_LEN * 4 + 1];
	union bpf_attr attributes = {.prog_id = id};
	struct bpf_prog_info info = {0};
	CLEANUP_FD int program = (int)call(BPF_PROG_GET_FD_BY_ID, &attributes);
	if (program < 0 && errno == ENOENT)
		return; /* gone meanwhile */
	union bpf_attr question = {
		.info = {.bpf_fd = (uint32_t)program, .info_len = sizeof(info), .info = (uintptr_t)&info}};
	if (program >= 0 && call(BPF_OBJ_GET_INFO_BY_FD, &question) < 0)
		info = (struct bpf_prog_info){0};
	(void)fprintf(to, "%s\t%s\t%s\t", program >= 0 ? verdict_of(program) : "untried",
	              text_escape(shown_group, sizeof(shown_group), group, strlen(group)),
	              text_escape(shown_name, sizeof(shown_name), info.name, strnlen(info.name, sizeof(info.name))));
	for (size_t i = 0; i < sizeof(info.tag); i++)
		(void)fprintf(to, "%02x", info.tag[i]);
	(void)fputc('\n', to);
}

/* The programs of one group. A kernel without eBPF has none. */
MUST_USE static int print_group(FILE *to, int folder, const char *group, struct error *err)
{
	uint32_t ids[PROGRAMS_MAX] = {0};
	union bpf_attr attributes = {.query = {.target_fd = (uint32_t)folder,
	                                       .attach_type = BPF_CGROUP_INET_EGRESS,
	                                       .prog_ids = (uintptr_t)ids,
	                                       .prog_cnt = PROGRAMS_MAX}};
	if (call(BPF_PROG_QUERY, &attributes) < 0) {
		if (errno == ENOSYS || errno == EINVAL)
			return 0;
		return error_errno(err, "%s: asking for its programs", group);
	}
	for (uint32_t i = 0; i < attributes.query.prog_cnt && i < PROGRAMS_MAX; i++)
		print_program(to, group, ids[i]);
	return 0;
}

/* A group and all below it. Takes the descriptor. Groups come and go: one that is gone is none. */
/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX deep at most */
MUST_USE static int print_tree(FILE *to, int folder, const char *group, int depth, struct error *err)
{
	char below[PATH_MAX];
	DIR *entries = fdopendir(folder);
	struct dirent *entry;
	if (entries == NULL) {
		(void)error_errno(err, "%s", group);
		(void)close(folder);
		return -1;
	}
	int result = print_group(to, folder, group, err);
	while (result == 0 && depth < DEPTH_MAX && (entry = readdir(entries)) != NULL) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    snprintf(below, sizeof(below), "%s/%s", group, entry->d_name) >= (int)sizeof(below))
			continue;
		int inner = openat(dirfd(entries), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (inner >= 0)
			result = print_tree(to, inner, below, depth + 1, err);
	}
	(void)closedir(entries);
	return result;
}

/* Where control groups of version 2 are mounted; false: nowhere. */
static bool find_mount(char ret[static PATH_MAX])
{
	struct mntent *mount;
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	bool found = false;
	while (mounts != NULL && !found && (mount = getmntent(mounts)) != NULL)
		found = strcmp(mount->mnt_type, "cgroup2") == 0 && text_copy(ret, PATH_MAX, mount->mnt_dir);
	if (mounts != NULL)
		(void)endmntent(mounts);
	return found;
}

int programs_print(FILE *to, struct error *err)
{
	char root[PATH_MAX];
	if (!find_mount(root))
		return 0;
	int folder = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return error_errno(err, "%s", root);
	return print_tree(to, folder, root, 0, err);
}
