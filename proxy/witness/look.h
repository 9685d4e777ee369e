/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/witness/ebpf.h"
#include "proxy/witness/identity.h"
#include "proxy/witness/line.h"

/* Looking at one connection after the other: at accept, perhaps while the request is under way, and before the answer.
 * A look belongs to one thread. */
struct look;

struct look_options {
	const struct identity_reader *reader;
	struct ebpf *ebpf; /* NULL: off */
	bool proc_scan;
	int groups;               /* of groups_open() */
	uint16_t port;            /* the proxy's: only connections that were brought there are looked at */
	int64_t backlog_until_ms; /* monotonic: until then a connection may be older than this process */
};

/* Without some backend it works all the same, and its grades say what it could not see. NULL: no memory. */
struct look *look_new(void);
void look_free(struct look *look);

/* Forgets the connection before, and finds the socket of this one. Microseconds; nothing is written down yet. */
void look_at_accept(struct look *look, const struct look_options *options, const struct endpoint *peer,
                    const struct endpoint *local);
const struct sighting *look_sighting(const struct look *look);

/* Whether look_meanwhile() has anything to do. */
bool look_is_due(const struct look *look);
/* Who holds it while the request is under way. */
void look_meanwhile(struct look *look, const struct look_options *options);

/* The holder that is known so far: fills pid and start_ticks, if there is one. */
void look_at_first(struct look *look, const struct look_options *options, struct sighting *ret);

/* Looks at everything again; puts attribution, process and holders into the object. */
enum grade look_again(struct look *look, const struct look_options *options, json_t *document);
