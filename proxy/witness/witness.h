/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "store/settings.h"

/* The privileged process: it answers fixed-size queries (line.h) and parses nothing else from the proxy. It ends when
 * the other end of its main socket closes. */

#define WITNESS_MARK 0x4b54u /* SO_MARK of the proxy's upstream sockets; iptables/keytrail-redirect has the same */

struct witness_options {
	const struct settings *settings;
	uid_t proxy_uid;    /* the redirect lets sockets through that carry the mark and were made under this uid */
	const int *sockets; /* listening ones that it must not hold open */
	int socket_count;
	bool is_root; /* else: attribute what one's own user may see, and mark nothing */
};

/* Forks the witness, and returns when it is ready; the caller goes on as the proxy. Call before any thread is started,
 * and before a socket listens: connections that the witness's programs have not seen begin are harder to tell apart. */
MUST_USE int witness_fork(const struct witness_options *options, int *ret_main_fd, pid_t *ret_pid, struct error *err);

/* The proxy's side: has the witness go by [witness] proc_scan and redact of these settings from the next query on, and
 * waits until it does. One message of a fixed size, of which nothing is parsed: a proxy that was taken over can switch
 * off what it could as well leave unrecorded, and never the built-in patterns. */
MUST_USE int witness_change(int main_fd, const struct settings *settings, struct error *err);
