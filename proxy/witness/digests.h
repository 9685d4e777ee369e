/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/digest.h"
#include "common/json.h"

/* SHA-256 of executables, made by a thread that nobody waits for: what is known is given at once, what is not is queued
 * and announced when it is there. Bounded in every way; what does not fit stays without a digest. Safe from any thread.
 */
struct digests;

#define DIGESTS_FILE_BYTES 128       /* of a file's name below, and its NUL */
#define DIGESTS_QUEUE_MAX 32         /* files that wait; each holds a descriptor */
#define DIGESTS_SIZE_MAX (256 << 20) /* larger executables are not read */
#define DIGESTS_BYTES_PER_SECOND (64 << 20)

/* One content of one file: "DEVICE:INODE:SIZE:MTIME:CTIME", times in nanoseconds since 1970. As the kernel keeps ctime,
 * a file whose content was changed has another name. Returns `to`. */
char *digests_file(const struct statx *status, char to[static DIGESTS_FILE_BYTES]);
/* Would both have the same name? */
bool digests_is_same_file(const struct statx *a, const struct statx *b);

MUST_USE int digests_new(struct digests **ret, struct error *err);
/* Ends the thread. Nobody may wait in digests_next any more. NULL is fine. */
void digests_free(struct digests *digests);

struct digests_query {
	const char *file; /* digests_file() of what `fd` names */
	const char *path; /* to be announced with it; NULL: unknown */
	int fd;           /* O_PATH, borrowed: a copy keeps the file, deleted or not */
	bool announce;    /* whoever asks stores the answer, and wants to be told when there is none yet */
};

/* True with the digest in hexadecimal, or false: not known (yet). Never waits for a disk. */
bool digests_find(struct digests *digests, const struct digests_query *query, char ret[static DIGEST_HEX_BYTES]);

/* Waits for the next digest that somebody wants to be told: {exe, exe_file, exe_sha256}. New reference; NULL: no
 * memory. */
json_t *digests_next(struct digests *digests);
