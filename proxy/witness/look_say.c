/* SPDX-License-Identifier: Apache-2.0 */

/* Facts into sentences, for whoever reads the evidence of a row. Decides nothing. */
#include "proxy/witness/look_say.h"

#include <stdarg.h>
#include <string.h>

void look_say(struct look *look, const char *format, ...)
{
	char sentence[256];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	(void)json_array_append_new(look->evidence, json_from_bytes(sentence, strlen(sentence)));
}

static void say_tuple(struct look *look)
{
	const struct sighting *sighting = &look->sighting;
	char client[ADDRESS_TEXT_BYTES], destination[ADDRESS_TEXT_BYTES];
	if (sighting->has_tuple)
		look_say(look, "conntrack: accepted port %u is the client's %s port %u to %s port %u",
		         look->accepted_port, endpoint_text(&sighting->client, client), sighting->client.port,
		         endpoint_text(&sighting->destination, destination), sighting->destination.port);
	else
		look_say(look, "conntrack: %s",
		         look->conntrack_problem.code != ERROR_NONE ? look->conntrack_problem.text
		                                                    : "no entry for this connection");
}

static void say_socket(struct look *look)
{
	const struct sighting *sighting = &look->sighting;
	if (!sighting->has_tuple)
		return;
	if (!look->has_looked)
		look_say(look, "sock_diag: %s", look->sockdiag_problem.text);
	else if (sighting->is_ambiguous)
		look_say(look, "sock_diag: sockets in two network namespaces have this tuple");
	else if (!sighting->is_found)
		look_say(look, "sock_diag: no socket has this tuple");
	else if (sighting->inode == 0)
		look_say(look, "sock_diag: the client had closed before it was looked for");
	else
		look_say(look,
		         "sock_diag: inode %u, cookie %llx, made by uid %u, control group %llu, network namespace %llu",
		         sighting->inode, (unsigned long long)sighting->cookie, sighting->uid,
		         (unsigned long long)sighting->cgroup_id, (unsigned long long)sighting->netns);
}

static void say_owner(struct look *look)
{
	const struct ebpf_note *note = &look->note;
	if (look->has_note)
		look_say(look, "ebpf: connected by pid %u (thread %u, \"%.16s\"), uid %u, control group %llu",
		         note->pid, note->tid, note->comm, note->uid, (unsigned long long)note->cgroup_id);
	if (look->first.pid != 0 && look->first.fd >= 0)
		look_say(look, "%s: pid %u held the socket as descriptor %d at first", look->by_proc ? "proc" : "ebpf",
		         look->first.pid, look->first.fd);
}

void look_say_accepted(struct look *look)
{
	say_tuple(look);
	say_socket(look);
	say_owner(look);
}
