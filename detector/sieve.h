/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/error.h"

/* Which key ids, instance ids and names of calls can be of interest at all, told by eight of their characters and one
 * look into memory: the question before the question, asked of every id in every record. It may say yes wrongly, never
 * no. Ids may be added while others look. */
struct sieve {
	uint64_t *words;
	uint64_t mask;
	bool lets_all; /* any: without a ledger, or when an id too short to be told so is among them */
};

/* For about so many ids. */
MUST_USE int sieve_make(struct sieve *ret, size_t expected, struct error *err);
void sieve_done(struct sieve *sieve);

/* Gives back what so many ids do not need, when fewer came than were expected. Before others look. */
void sieve_fit(struct sieve *sieve, size_t count);

void sieve_add_key(struct sieve *sieve, const char *id);
void sieve_add_instance(struct sieve *sieve, const char *id);
void sieve_add_name(struct sieve *sieve, const char *name);

#define SIEVE_KEY_AT 12     /* of a key id: behind the account */
#define SIEVE_INSTANCE_AT 2 /* of an instance id: behind i- */
#define SIEVE_BYTES 8

static inline uint64_t sieve_place(const struct sieve *sieve, const char *at)
{
	uint64_t word;
	memcpy(&word, at, SIEVE_BYTES);
	return (le64toh(word) * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & sieve->mask;
}

/* `at`: the eight characters. */
static inline bool sieve_holds(const struct sieve *sieve, const char *at)
{
	uint64_t place = sieve_place(sieve, at);
	return sieve->lets_all || (__atomic_load_n(&sieve->words[place / 64], __ATOMIC_RELAXED) >> place % 64 & 1) != 0;
}

/* Is `"eventName":"` behind its `tN` written as CloudTrail writes it, with a name that was not added? */
static inline bool sieve_is_other_name(const struct sieve *sieve, const char *at)
{
	static const char before[] = {'t', 'N', 'a', 'm', 'e', '"', ':', '"'};
	return at[2] != 'a' || (memcmp(at, before, sizeof(before)) == 0 && !sieve_holds(sieve, at + sizeof(before)));
}

/* `at`: a hint of the scan. Where does what was added begin, if it may be there at all? A key id, or the `:` or `/`
 * before an instance id, or the tail of eventName or of NetworkActivity, which always may. NULL: nothing. Two bytes in
 * front of `at` are read, and 24 from there on. */
static inline const char *sieve_find(const struct sieve *sieve, const char *at)
{
	switch (at[0]) {
	case 'I':
		return at[1] == 'A' && at[-2] == 'A' && sieve_holds(sieve, at - 2 + SIEVE_KEY_AT) ? at - 2 : NULL;
	case 'i':
		return at[1] == '-' && (at[-1] == ':' || at[-1] == '/') && sieve_holds(sieve, at + SIEVE_INSTANCE_AT)
		               ? at - 1
		               : NULL;
	case 't':
		return at[1] == 'N' && !sieve_is_other_name(sieve, at) ? at : NULL;
	case 'k':
		return at[1] == 'A' && at[2] == 'c' ? at : NULL;
	default:
		return NULL;
	}
}
