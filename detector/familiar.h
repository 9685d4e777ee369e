/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "detector/glance.h"

/* Uses that were found to be nothing: who called, from where, by which endpoint. A record that says the very same
 * again, at a time for which that holds, is known to be nothing without being parsed. Exact: texts are compared byte by
 * byte. One a thread. */
struct familiar;

/* Holds texts of so many bytes; then it begins anew. */
MUST_USE int familiar_new(size_t bytes, struct familiar **ret, struct error *err);
void familiar_free(struct familiar *familiar);

/* Forgets all: what was learned may change any verdict. */
void familiar_clear(struct familiar *familiar);

/* What an equal use was, a small number of the caller's; -1: not known. */
int familiar_find(struct familiar *familiar, const struct glance *glance);

/* What an equal use was, by what `from` knows, which `to` knows from then on; -1: not known. */
int familiar_take(const struct familiar *from, const struct glance *glance, struct familiar *to);

/* A caller whose uses are known: its identity, by which it can be met before the record is read. */
struct familiar_caller {
	size_t length; /* of its identity */
	uint64_t hash;
	uint32_t start;
};

/* Does the text begin with the identity of such a caller, byte for byte? It has no line feeds. One of those that were
 * added or found last: there may be others. */
bool familiar_caller(const struct familiar *familiar, const char *bytes, size_t length, struct familiar_caller *ret);

/* familiar_find of a use whose identity that is. Nothing was added since. */
int familiar_find_by(const struct familiar *familiar, const struct familiar_caller *caller,
                     const struct glance *glance);

/* The use was `what`, and is so whenever it happens from `from_us` to before `until_us`; if that is never, nothing is
 * kept. */
void familiar_add(struct familiar *familiar, const struct glance *glance, int what, int64_t from_us, int64_t until_us);
