/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "common/buffer.h"
#include "proxy/witness/identity.h"
#include "proxy/witness/machine.h"
#include "store/settings.h"

/* Between identity.c, which finds processes and pins them, and fields.c, which reads what is stored of one. */

struct identity_reader {
	int64_t boot_us;
	long ticks_per_second;
	struct machine machine;
	uint64_t memfd_device;
	struct digests *digests; /* borrowed, may be NULL */
	char redact[SETTINGS_TEXT_BYTES];
};

/* One that is being read. */
struct subject {
	const struct identity_reader *reader;
	int folder; /* in /proc; pins: reads fail once it has ended */
	struct machine_stat stat;
	char *status;         /* text of /proc/PID/status; owned */
	bool is_main;         /* else an ancestor, of which less is kept */
	bool is_stored;       /* what is read is likely to be kept */
	bool is_foreign;      /* in another mount namespace than the machine's */
	bool is_foreign_user; /* in another user namespace */
};

/* Text of its `status`; the caller frees. NULL: it has ended. */
char *fields_status(int folder);

/* Everything that is known of it but its ancestors. New reference; NULL: it has ended. */
json_t *fields_read(struct subject *subject, uint32_t pid);

/* The same fields, but only pid, start, uid and comm are looked at; the others are null. New reference. */
json_t *fields_name(const struct subject *subject, uint32_t pid);
