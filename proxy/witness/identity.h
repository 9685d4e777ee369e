/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "proxy/witness/digests.h"

/* Everything that is stored of a process, as the JSON object `process` of docs/ledger.md. Bounded, redacted, valid
 * UTF-8. Pinned: its folder in /proc is kept open while it is read, so that a pid used again meanwhile is never
 * described as the other process. Safe from any thread. */

#define ANCESTORS_MAX 8

struct identity_reader; /* what is the same for all processes of a boot: clock, machine's namespaces, patterns */

/* `redact`: further patterns, kept. `digests`: borrowed; NULL: no executable gets a digest. */
MUST_USE int identity_reader_new(const char *redact, struct digests *digests, struct identity_reader **ret,
                                 struct error *err);
/* Other patterns. While nobody reads with it. */
void identity_reader_change(struct identity_reader *reader, const char *redact);
void identity_reader_free(struct identity_reader *reader);

/* NULL: no such process any more (or not that one). New reference. Without ancestors (when most that is read is thrown
 * away again) only its parent is named, by pid, start and comm, and no digest that comes late is announced. Each of its
 * `ancestors` is folded: not an object, but the canonical text of one. */
json_t *identity_read(const struct identity_reader *reader, uint32_t pid, uint64_t start_ticks, bool with_ancestors);

/* The canonical text of such a process, its ancestors unfolded. Heap text, the caller frees; NULL: no memory. */
MUST_USE char *identity_line(const json_t *process);

/* The same process, read earlier, had a parent that it has not now: puts it back in, ahead of whoever has adopted it.
 */
void identity_keep_parent(json_t *process, const json_t *earlier);

/* Is this executable one that is known to pass on traffic for others? By its name only: a hint, not a proof. */
bool identity_is_forwarder(const json_t *process);
