/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"

/* What `keytrail watch` remembers: which files it has read, and what it has said about each finding. A file of its own
 * beside the findings; one watcher at a time. A handle belongs to one thread. */
struct checkpoint;

#define CHECKPOINT_ID_BYTES 16

struct checkpoint_id {
	uint8_t bytes[CHECKPOINT_ID_BYTES];
};

/* Makes the file (0640) if it does not exist. ERROR_USAGE when another watcher has it. */
MUST_USE int checkpoint_open(const char *path, struct checkpoint **ret, struct error *err);
void checkpoint_close(struct checkpoint *checkpoint);

/* A file by its name and version: other content is another file. */
MUST_USE int checkpoint_id_of(const char *name, const char *version, struct checkpoint_id *ret, struct error *err);

MUST_USE int checkpoint_has_read(struct checkpoint *checkpoint, const struct checkpoint_id *id, bool *ret,
                                 struct error *err);

/* Was this finding, as it now is, said already? */
MUST_USE int checkpoint_has_said(struct checkpoint *checkpoint, const char *finding,
                                 const uint8_t digest[static DIGEST_BYTES], bool *ret, struct error *err);

/* Notes gather, and become durable together, or not at all. */
MUST_USE int checkpoint_read(struct checkpoint *checkpoint, const struct checkpoint_id *id, struct error *err);
MUST_USE int checkpoint_said(struct checkpoint *checkpoint, const char *finding,
                             const uint8_t digest[static DIGEST_BYTES], struct error *err);
/* Files that were read not long ago: they are read once more together, since what one of them teaches (a key made of
 * another, an address that changed hands) may concern what was read before it. `at_us`: when it was read. */
MUST_USE int checkpoint_remember(struct checkpoint *checkpoint, const struct checkpoint_id *id, const char *name,
                                 int64_t at_us, struct error *err);
/* How many have been read since they were last read together, and how many are remembered. */
MUST_USE int checkpoint_count(struct checkpoint *checkpoint, int64_t *ret_apart, int64_t *ret_all, struct error *err);
/* The newest, `limit` at most, read since. */
MUST_USE int checkpoint_recent(struct checkpoint *checkpoint, int64_t since_us, int64_t limit,
                               int (*visit)(void *context, const struct checkpoint_id *id, const char *name,
                                            struct error *err),
                               void *context, struct error *err);
/* They have been read together; those read before are forgotten. */
MUST_USE int checkpoint_together(struct checkpoint *checkpoint, int64_t since_us, struct error *err);

MUST_USE int checkpoint_commit(struct checkpoint *checkpoint, struct error *err);

static inline void cleanup_checkpoint(struct checkpoint **checkpoint)
{
	checkpoint_close(*checkpoint);
}
#define CLEANUP_CHECKPOINT CLEANUP(cleanup_checkpoint)
