/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "common/buffer.h"
#include "proxy/witness/exe.h"
#include "proxy/witness/identity.h"
#include "proxy/witness/machine.h"
#include "proxy/witness/users.h"
#include "store/settings.h"

/* Between identity.c, which finds processes and pins them, and fields.c, which reads what is stored of one. */

struct identity_reader {
	int64_t boot_us;
	long ticks_per_second;
	struct machine machine;
	uint64_t memfd_device;
	struct digests *digests; /* borrowed, may be NULL */
	struct known *known;     /* ancestors */
	char redact[SETTINGS_TEXT_BYTES];
};

#define KNOWN_FILE_BYTES 4096 /* of a file in /proc/PID that is compared with what it was */

/* One that is being read, and what was read of it. */
struct subject {
	const struct identity_reader *reader;
	int folder; /* in /proc; pins: reads fail once it has ended; -1: none */
	struct machine_stat stat;
	char *status;         /* text of /proc/PID/status; owned */
	bool is_main;         /* else an ancestor, of which less is kept */
	bool is_stored;       /* what is read is likely to be kept */
	bool is_foreign;      /* in another mount namespace than the machine's */
	bool is_foreign_user; /* in another user namespace */
	struct exe exe;
	struct buffer cmdline, cgroup; /* as they are: the first may hold secrets, and is wiped */
	bool has_secret;               /* something was, or would be, taken out of the command line */
	int64_t user_of; /* the uid that `user` is the name of, "" if it has none; -1: names mean nothing there */
	char user[USERS_NAME_BYTES];
};

#define SUBJECT_NONE ((struct subject){.folder = -1, .exe = {.fd = -1}, .user_of = -1})

void subject_done(struct subject *subject);
#define CLEANUP_SUBJECT CLEANUP(subject_done)

/* Text of its `status`; the caller frees. NULL: it has ended. */
char *fields_status(int folder);

/* What stands behind "\nName:\t" in that; NULL: no such line. */
const char *fields_line(const char *status, const char *name);

/* Everything that is known of it but its ancestors. New reference; NULL: it has ended. */
json_t *fields_read(struct subject *subject, uint32_t pid);

/* The same fields, but only pid, start, uid and comm are looked at; the others are null. New reference. */
json_t *fields_name(const struct subject *subject, uint32_t pid);
