/* SPDX-License-Identifier: Apache-2.0 */

/* sock_diag over libmnl (sock_diag(7); attribute numbers from linux/inet_diag.h). A closed socket answers from the
 * time-wait state with uid 0 and inode 0: that uid is never believed. */
#include "proxy/witness/sockdiag.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/text.h"
#include "proxy/witness/netns.h"

#define CGROUP_ID_ATTRIBUTE 21 /* INET_DIAG_CGROUP_ID, since Linux 5.8; older headers lack the name */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* since Linux 5.14 */
#endif
#define INTERFACES_MAX 512  /* of a namespace, tried for one query */
#define NAMESPACES_MAX 1024 /* entered for one query; a host with more is attributed by address */

struct sockdiag {
	struct mnl_socket *socket; /* in our own namespace */
	uint32_t sequence;
	int own_namespace; /* descriptor to come back by */
	uint64_t own_inode;
	uint32_t found_beside; /* a process of the namespace in which the last search found something */
};

/* What one query found. */
struct socket_facts {
	uint32_t uid, inode;
	uint64_t cookie, cgroup_id;
};

static uint64_t inode_of(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

int sockdiag_open(struct sockdiag **ret, struct error *err)
{
	struct sockdiag *sockdiag = calloc(1, sizeof(*sockdiag));
	if (sockdiag == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for sock_diag");
	sockdiag->own_namespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	sockdiag->socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (sockdiag->own_namespace < 0 || sockdiag->socket == NULL ||
	    mnl_socket_bind(sockdiag->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		(void)error_errno(err, "sock_diag");
		sockdiag_close(sockdiag);
		return -1;
	}
	sockdiag->own_inode = inode_of(sockdiag->own_namespace);
	*ret = sockdiag;
	return 0;
}

void sockdiag_close(struct sockdiag *sockdiag)
{
	if (sockdiag == NULL)
		return;
	if (sockdiag->socket != NULL)
		(void)mnl_socket_close(sockdiag->socket);
	cleanup_descriptor(&sockdiag->own_namespace);
	free(sockdiag);
}

static int on_attribute(const struct nlattr *attribute, void *context)
{
	uint64_t *cgroup_id = context;
	if (mnl_attr_get_type(attribute) == CGROUP_ID_ATTRIBUTE &&
	    mnl_attr_get_payload_len(attribute) == sizeof(uint64_t))
		*cgroup_id = mnl_attr_get_u64(attribute);
	return MNL_CB_OK;
}

/* One answer to one query: 1 found, 0 not, -1 error. */
MUST_USE static int receive(struct mnl_socket *socket, uint32_t sequence, struct socket_facts *ret, struct error *err)
{
	char bytes[8192];
	for (;;) {
		ssize_t got = mnl_socket_recvfrom(socket, bytes, sizeof(bytes));
		if (got <= 0)
			return error_errno(err, "sock_diag");
		int left = (int)got;
		for (struct nlmsghdr *head = (struct nlmsghdr *)(void *)bytes; mnl_nlmsg_ok(head, left);
		     head = mnl_nlmsg_next(head, &left)) {
			if (head->nlmsg_seq != sequence)
				continue;
			if (head->nlmsg_type == NLMSG_ERROR) {
				errno = -((struct nlmsgerr *)mnl_nlmsg_get_payload(head))->error;
				return errno == ENOENT ? 0 : error_errno(err, "sock_diag");
			}
			const struct inet_diag_msg *message = mnl_nlmsg_get_payload(head);
			*ret = (struct socket_facts){
				.uid = message->idiag_uid,
				.inode = message->idiag_inode,
				.cookie = (uint64_t)message->id.idiag_cookie[1] << 32 | message->id.idiag_cookie[0],
			};
			(void)mnl_attr_parse(head, sizeof(*message), on_attribute, &ret->cgroup_id);
			return 1;
		}
	}
}

/* `interface`: the index of the one that the socket is bound to; 0: to none. */
MUST_USE static int query_bound(struct mnl_socket *socket, uint32_t sequence, unsigned interface,
                                const struct sighting *sighting, struct socket_facts *ret, struct error *err)
{
	char bytes[256];
	struct nlmsghdr *head = mnl_nlmsg_put_header(bytes);
	head->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	head->nlmsg_flags = NLM_F_REQUEST;
	head->nlmsg_seq = sequence;
	struct inet_diag_req_v2 *request = mnl_nlmsg_put_extra_header(head, sizeof(*request));
	request->sdiag_family = (uint8_t)sighting->client.family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = UINT32_MAX;
	request->id.idiag_sport = htons(sighting->client.port);
	request->id.idiag_dport = htons(sighting->destination.port);
	memcpy(request->id.idiag_src, sighting->client.address, sizeof(sighting->client.address));
	memcpy(request->id.idiag_dst, sighting->destination.address, sizeof(sighting->destination.address));
	request->id.idiag_if = interface;
	request->id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	request->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	if (mnl_socket_sendto(socket, head, head->nlmsg_len) < 0)
		return error_errno(err, "sock_diag");
	return receive(socket, sequence, ret, err);
}

static void cleanup_interfaces(struct if_nameindex **list)
{
	if (*list != NULL)
		if_freenameindex(*list);
}

/* A socket that is bound to an interface (SO_BINDTODEVICE) is found only by naming it, so each is tried for one that is
 * not found without. The thread must be in the namespace that the socket asks. */
MUST_USE static int query(struct sockdiag *sockdiag, struct mnl_socket *socket, const struct sighting *sighting,
                          struct socket_facts *ret, struct error *err)
{
	int found = query_bound(socket, ++sockdiag->sequence, 0, sighting, ret, err);
	if (found != 0)
		return found;
	CLEANUP(cleanup_interfaces) struct if_nameindex *interfaces = if_nameindex();
	for (size_t i = 0; interfaces != NULL && interfaces[i].if_index != 0 && i < INTERFACES_MAX && found == 0; i++)
		found = query_bound(socket, ++sockdiag->sequence, interfaces[i].if_index, sighting, ret, err);
	return found;
}

static void note(struct sighting *sighting, const struct socket_facts *facts, uint64_t netns, bool is_local)
{
	if (sighting->is_found) {
		/* Two namespaces with one tuple are a doubt, never a choice: nothing of either is kept. */
		sighting->is_ambiguous = true;
		sighting->is_local = false;
		sighting->uid = sighting->inode = 0;
		sighting->cookie = sighting->cgroup_id = sighting->netns = 0;
		return;
	}
	sighting->is_found = true;
	sighting->is_local = is_local;
	sighting->uid = facts->uid;
	sighting->inode = facts->inode;
	sighting->cookie = facts->cookie;
	sighting->cgroup_id = facts->cgroup_id;
	sighting->netns = netns;
}

static uint64_t netns_cookie_of(int socket)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);
	return getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/* Queries inside another namespace, if it is the one with that cookie (0: any). Only this thread goes there, and it
 * comes back whatever happens. No descriptor of it is kept: that would keep the namespace alive when its container has
 * ended. */
MUST_USE static int query_inside(struct sockdiag *sockdiag, int namespace, uint64_t cookie,
                                 const struct sighting *sighting, struct socket_facts *ret)
{
	struct error ignored;
	int result = -1;
	if (setns(namespace, CLONE_NEWNET) < 0)
		return -1;
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (socket != NULL && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    (cookie == 0 || cookie == netns_cookie_of(mnl_socket_get_fd(socket))))
		result = query(sockdiag, socket, sighting, ret, &ignored);
	if (socket != NULL)
		(void)mnl_socket_close(socket);
	if (setns(sockdiag->own_namespace, CLONE_NEWNET) < 0)
		abort(); /* a witness in the wrong namespace would name wrong processes */
	return result;
}

/* Calls query_inside for each distinct foreign namespace that a process lives in; notes what it finds. */
static void search_elsewhere(struct sockdiag *sockdiag, struct sighting *sighting)
{
	uint64_t seen[NAMESPACES_MAX];
	size_t count = 0;
	DIR *processes = opendir("/proc");
	for (struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;) {
		char path[64];
		struct stat status;
		uint64_t pid;
		struct socket_facts facts;
		if (!text_to_u64(entry->d_name, INT32_MAX, &pid))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%u/ns/net", (unsigned)pid);
		if (stat(path, &status) < 0 || status.st_ino == sockdiag->own_inode || count == NAMESPACES_MAX)
			continue;
		size_t i = 0;
		while (i < count && seen[i] != status.st_ino)
			i++;
		if (i < count)
			continue;
		seen[count++] = status.st_ino;
		CLEANUP_FD int namespace = open(path, O_RDONLY | O_CLOEXEC);
		if (namespace >= 0 && inode_of(namespace) == status.st_ino &&
		    query_inside(sockdiag, namespace, 0, sighting, &facts) == 1 && netns_leads_here(namespace)) {
			note(sighting, &facts, status.st_ino, false);
			sockdiag->found_beside = (uint32_t)pid;
		}
	}
	if (processes != NULL)
		(void)closedir(processes);
}

int sockdiag_find(struct sockdiag *sockdiag, bool elsewhere, struct sighting *sighting, struct error *err)
{
	struct socket_facts facts;
	int found = query(sockdiag, sockdiag->socket, sighting, &facts, err);
	if (found < 0)
		return -1;
	if (found == 1)
		note(sighting, &facts, sockdiag->own_inode, true);
	else if (elsewhere)
		search_elsewhere(sockdiag, sighting);
	return 0;
}

/* 1: found in the namespace of that process, 0: not, -1: not looked for: it has ended, or lives elsewhere now. */
MUST_USE static int find_beside(struct sockdiag *sockdiag, uint32_t pid, uint64_t netns, uint64_t cookie,
                                struct sighting *sighting)
{
	char path[64];
	struct socket_facts facts;
	(void)snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
	CLEANUP_FD int namespace = pid != 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	uint64_t inode = namespace >= 0 ? inode_of(namespace) : 0;
	if (inode == 0 || (netns != 0 && inode != netns))
		return -1;
	int found = query_inside(sockdiag, namespace, cookie, sighting, &facts);
	if (found == 1 && !netns_leads_here(namespace))
		found = 0;
	if (found == 1)
		note(sighting, &facts, inode, inode == sockdiag->own_inode);
	return found;
}

int sockdiag_find_beside(struct sockdiag *sockdiag, uint32_t pid, uint64_t netns_cookie, struct sighting *sighting)
{
	sockdiag->found_beside = pid;
	return find_beside(sockdiag, pid, 0, netns_cookie, sighting);
}

int sockdiag_again(struct sockdiag *sockdiag, const struct sighting *sighting, uint32_t pid, struct error *err)
{
	struct sighting now = *sighting;
	int found = -1;
	now.is_found = now.is_ambiguous = false;
	/* That no other namespace has this tuple was seen at accept. What comes later is another connection. */
	if (!sighting->is_local)
		found = find_beside(sockdiag, pid != 0 ? pid : sockdiag->found_beside, sighting->netns, 0, &now);
	if (found < 0 && sockdiag_find(sockdiag, !sighting->is_local, &now, err) < 0)
		return -1;
	return now.is_found && !now.is_ambiguous && now.inode != 0 && now.inode == sighting->inode &&
	       now.cookie == sighting->cookie && now.netns == sighting->netns;
}
