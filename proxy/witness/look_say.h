/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/witness/conntrack.h"
#include "proxy/witness/look.h"
#include "proxy/witness/sockdiag.h"

/* What look.c knows of one connection, and the sentences that are made of it. Only these two files see inside. */

struct look {
	struct conntrack *conntrack;
	struct sockdiag *sockdiag;

	/* What was seen at accept. */
	uint16_t accepted_port;
	bool is_bridged; /* its socket lies in another network namespace than ours */
	struct sighting sighting;
	struct error conntrack_problem, sockdiag_problem; /* code ERROR_NONE: it answered */
	bool has_looked;                                  /* sock_diag was asked and answered */
	bool has_note;
	struct ebpf_note note; /* who connected */

	/* Who holds it, once somebody has looked. */
	bool is_first_due;
	struct holder first;   /* pid 0: none found */
	json_t *first_process; /* as it was then; owned */

	/* Of the last look. */
	bool by_proc;
	json_t *evidence; /* array of sentences; owned */
};

/* Adds a sentence of at most 255 bytes to the evidence. */
void look_say(struct look *look, const char *format, ...) PRINTF_LIKE(2, 3);

/* Adds what was seen at accept: the tuple, the socket, who connected and who held it. */
void look_say_accepted(struct look *look);
