/* SPDX-License-Identifier: Apache-2.0 */

/* One bit an id, by a multiplied hash of characters that differ: the first of a key id say its kind and account, the
 * first of an instance id nothing. Sixteen bits an id let one in sixteen others through. */
#include "detector/sieve.h"

#define BITS_EACH 16
#define BITS_LEAST ((uint64_t)1 << 15) /* 4 KiB: near at hand in any processor */
#define BITS_MOST ((uint64_t)1 << 28)

int sieve_make(struct sieve *ret, size_t expected, struct error *err)
{
	uint64_t bits = BITS_LEAST;
	while (bits < expected * BITS_EACH && bits < BITS_MOST)
		bits *= 2;
	uint64_t *words = calloc((size_t)bits / 64, sizeof(*words));
	if (words == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for %zu keys", expected);
	*ret = (struct sieve){.words = words, .mask = bits - 1};
	return 0;
}

/* A place is the end of a hash: half as many places are the two halves over each other. */
void sieve_fit(struct sieve *sieve, size_t count)
{
	uint64_t bits = sieve->mask + 1;
	while (bits / 2 >= BITS_LEAST && bits / 2 >= count * BITS_EACH) {
		bits /= 2;
		for (uint64_t i = 0; i < bits / 64; i++)
			if (sieve->words[bits / 64 + i] != 0)
				sieve->words[i] |= sieve->words[bits / 64 + i];
	}
	uint64_t *smaller = realloc(sieve->words, (size_t)bits / 8);
	sieve->words = smaller != NULL ? smaller : sieve->words;
	sieve->mask = bits - 1;
}

void sieve_done(struct sieve *sieve)
{
	free(sieve->words);
	*sieve = (struct sieve){0};
}

static void add(struct sieve *sieve, const char *id, size_t at)
{
	if (strlen(id) < at + SIEVE_BYTES) {
		sieve->lets_all = true;
		return;
	}
	uint64_t place = sieve_place(sieve, id + at);
	(void)__atomic_fetch_or(&sieve->words[place / 64], UINT64_C(1) << place % 64, __ATOMIC_RELAXED);
}

void sieve_add_key(struct sieve *sieve, const char *id)
{
	add(sieve, id, SIEVE_KEY_AT);
}

void sieve_add_instance(struct sieve *sieve, const char *id)
{
	add(sieve, id, SIEVE_INSTANCE_AT);
}

void sieve_add_name(struct sieve *sieve, const char *name)
{
	add(sieve, name, 0);
}
