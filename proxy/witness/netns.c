/* SPDX-License-Identifier: Apache-2.0 */

/* What the kernel says of a network namespace from outside: who owns it, and whether a link joins it to ours. Nothing
 * that is said inside of it counts. */
#include "proxy/witness/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/net_namespace.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/cleanup.h"

static uint64_t inode_of(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

/* One that we may not ask about belongs to a user namespace above ours. */
static bool is_owned_by_root(int namespace)
{
	CLEANUP_FD int owner = ioctl(namespace, NS_GET_USERNS);
	if (owner < 0)
		return errno == EPERM;
	CLEANUP_FD int own = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	uint64_t inode = inode_of(owner);
	return own >= 0 && inode != 0 && inode == inode_of(own);
}

/* The kernel numbers a namespace within another when a link of the one leads to the other. */
static int read_number(const struct nlattr *attribute, void *context)
{
	uint32_t *number = context;
	if (mnl_attr_get_type(attribute) == NETNSA_NSID && mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0)
		*number = mnl_attr_get_u32(attribute);
	return MNL_CB_OK;
}

static int read_answer(const struct nlmsghdr *head, void *context)
{
	return mnl_attr_parse(head, sizeof(struct rtgenmsg), read_number, context);
}

static void cleanup_socket(struct mnl_socket **socket)
{
	if (*socket != NULL)
		(void)mnl_socket_close(*socket);
}

static bool is_linked(int namespace)
{
	char bytes[512];
	uint32_t number = UINT32_MAX; /* what the kernel says of one without a number */
	CLEANUP(cleanup_socket) struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (socket == NULL || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return false;
	struct nlmsghdr *head = mnl_nlmsg_put_header(bytes);
	head->nlmsg_type = RTM_GETNSID;
	head->nlmsg_flags = NLM_F_REQUEST;
	head->nlmsg_seq = 1;
	(void)mnl_nlmsg_put_extra_header(head, sizeof(struct rtgenmsg));
	mnl_attr_put_u32(head, NETNSA_FD, (uint32_t) namespace);
	if (mnl_socket_sendto(socket, head, head->nlmsg_len) < 0)
		return false;
	ssize_t got = mnl_socket_recvfrom(socket, bytes, sizeof(bytes));
	return got > 0 && mnl_cb_run(bytes, (size_t)got, 1, mnl_socket_get_portid(socket), read_answer, &number) >= 0 &&
	       number != UINT32_MAX;
}

bool netns_leads_here(int namespace)
{
	return is_owned_by_root(namespace) || is_linked(namespace);
}
