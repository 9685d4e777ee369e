/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/witness/fields.h"

/* Ancestors that were read before: above most processes that ask stand the same few. Nothing of the earlier reading is
 * believed. Each field's source is read again, by descriptors that are open already and mean that very process and no
 * later one of its number; what was made of it is used again only if all of it is the same. Safe from any thread. */
struct known;

#define KNOWN_BY_PARENT "parent"
#define KNOWN_MAX 64 /* processes; each holds four descriptors */

MUST_USE int known_new(struct known **ret, struct error *err);
void known_free(struct known *known);

/* Forgets all: what is made of the same text is another thing from now on. */
void known_forget(struct known *known);

/* An ancestor as known_text() of what fields_read() would give now, as a string; new reference. NULL: it is not known,
 * has ended, or something is not as it was. */
json_t *known_find(struct known *known, uint32_t pid, const char *known_by, struct machine_stat *ret);

/* The canonical text of an ancestor and how it is known, as a string; new reference. NULL: no memory. */
json_t *known_text(const json_t *object, const char *known_by);

/* Remembers what fields_read() has just made of it. Takes over what the subject holds; the object stays the caller's.
 */
void known_keep(struct known *known, struct subject *subject, uint32_t pid, json_t *object);
