/* SPDX-License-Identifier: Apache-2.0 */

/* One exact conntrack query a connection, by libnetfilter_conntrack over libmnl. */
#include "proxy/witness/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

struct conntrack {
	struct mnl_socket *socket;
	uint32_t sequence;
};

int conntrack_open(struct conntrack **ret, struct error *err)
{
	struct conntrack *conntrack = calloc(1, sizeof(*conntrack));
	if (conntrack == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for conntrack");
	conntrack->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (conntrack->socket == NULL || mnl_socket_bind(conntrack->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		(void)error_errno(err, "conntrack");
		conntrack_close(conntrack);
		return -1;
	}
	*ret = conntrack;
	return 0;
}

void conntrack_close(struct conntrack *conntrack)
{
	if (conntrack == NULL)
		return;
	if (conntrack->socket != NULL)
		(void)mnl_socket_close(conntrack->socket);
	free(conntrack);
}

/* The reply tuple as attributes. By hand: the library always writes an original tuple too, which the kernel then takes
 * for the one that is wanted. */
static void put_reply(struct nlmsghdr *head, const struct endpoint *source, const struct endpoint *destination)
{
	bool ipv4 = source->family == AF_INET;
	size_t length = ipv4 ? 4 : 16;
	struct nlattr *tuple = mnl_attr_nest_start(head, CTA_TUPLE_REPLY);
	struct nlattr *address = mnl_attr_nest_start(head, CTA_TUPLE_IP);
	mnl_attr_put(head, ipv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, length, source->address);
	mnl_attr_put(head, ipv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, length, destination->address);
	mnl_attr_nest_end(head, address);
	struct nlattr *protocol = mnl_attr_nest_start(head, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(head, CTA_PROTO_NUM, IPPROTO_TCP);
	mnl_attr_put_u16(head, CTA_PROTO_SRC_PORT, htons(source->port));
	mnl_attr_put_u16(head, CTA_PROTO_DST_PORT, htons(destination->port));
	mnl_attr_nest_end(head, protocol);
	mnl_attr_nest_end(head, tuple);
}

static void get_original(const struct nf_conntrack *entry, struct endpoint *source, struct endpoint *destination)
{
	uint16_t family = nfct_get_attr_u8(entry, ATTR_ORIG_L3PROTO);
	bool ipv4 = family == AF_INET;
	size_t length = ipv4 ? 4 : 16;
	*source = (struct endpoint){.family = family, .port = ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_SRC))};
	*destination = (struct endpoint){.family = family, .port = ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_DST))};
	memcpy(source->address, nfct_get_attr(entry, ipv4 ? ATTR_ORIG_IPV4_SRC : ATTR_ORIG_IPV6_SRC), length);
	memcpy(destination->address, nfct_get_attr(entry, ipv4 ? ATTR_ORIG_IPV4_DST : ATTR_ORIG_IPV6_DST), length);
}

static void cleanup_entry(struct nf_conntrack **entry)
{
	if (*entry != NULL)
		nfct_destroy(*entry);
}

/* Reads the one answer: 1 with *entry filled, 0 when there is none, -1. */
MUST_USE static int receive(struct conntrack *conntrack, struct nf_conntrack *entry, struct error *err)
{
	char bytes[8192];
	for (;;) {
		ssize_t got = mnl_socket_recvfrom(conntrack->socket, bytes, sizeof(bytes));
		if (got <= 0)
			return error_errno(err, "conntrack");
		int left = (int)got;
		for (struct nlmsghdr *head = (struct nlmsghdr *)(void *)bytes; mnl_nlmsg_ok(head, left);
		     head = mnl_nlmsg_next(head, &left)) {
			if (head->nlmsg_seq != conntrack->sequence)
				continue; /* left over from a query that was given up */
			if (head->nlmsg_type == NLMSG_ERROR) {
				errno = -((struct nlmsgerr *)mnl_nlmsg_get_payload(head))->error;
				return errno == ENOENT ? 0 : error_errno(err, "conntrack");
			}
			return nfct_nlmsg_parse(head, entry) < 0 ? error_errno(err, "conntrack") : 1;
		}
	}
}

int conntrack_original(struct conntrack *conntrack, const struct endpoint *peer, const struct endpoint *local,
                       struct endpoint *ret_client, struct endpoint *ret_destination, struct error *err)
{
	char bytes[1024];
	CLEANUP(cleanup_entry) struct nf_conntrack *found = nfct_new();
	if (found == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for conntrack");

	struct nlmsghdr *head = mnl_nlmsg_put_header(bytes);
	head->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	head->nlmsg_flags = NLM_F_REQUEST;
	head->nlmsg_seq = ++conntrack->sequence;
	struct nfgenmsg *family = mnl_nlmsg_put_extra_header(head, sizeof(*family));
	family->nfgen_family = (uint8_t)peer->family;
	family->version = NFNETLINK_V0;
	put_reply(head, local, peer);
	if (mnl_socket_sendto(conntrack->socket, head, head->nlmsg_len) < 0)
		return error_errno(err, "conntrack");
	int result = receive(conntrack, found, err);
	if (result == 1)
		get_original(found, ret_client, ret_destination);
	return result;
}
