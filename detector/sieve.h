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

/* May what was added begin at a hint of the scan? A key id at `at`, an instance id behind the `:` or `/` there, the
 * name of a call behind the tail of eventName; the tail of NetworkActivity always may. Up to 24 bytes are read. */
static inline bool sieve_may_begin(const struct sieve *sieve, const char *at)
{
	switch (at[0]) {
	case 'A':
		return at[2] == 'I' && at[3] == 'A' && sieve_holds(sieve, at + SIEVE_KEY_AT);
	case ':':
	case '/':
		return at[1] == 'i' && at[2] == '-' && sieve_holds(sieve, at + 1 + SIEVE_INSTANCE_AT);
	case 't':
		return at[1] == 'N' && !sieve_is_other_name(sieve, at);
	case 'k':
		return at[1] == 'A' && at[2] == 'c';
	default:
		return false;
	}
}
