/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Internet addresses, prefixes, and sets of prefixes with a longest match. Plain values; a set is built by one thread
 * and may then be read by any. */

/* IPv4 stands as IPv4-mapped IPv6, so that 192.0.2.1 and ::ffff:192.0.2.1 are the same address. */
struct address {
	uint8_t bytes[16];
};

struct cidr {
	struct address address; /* bits behind the prefix are 0 */
	uint8_t bits;           /* 0 to 128; an IPv4 prefix has 96 more than it is written with */
};

#define ADDRESS_MAX_BYTES 46 /* longest text and its NUL */
#define CIDR_MAX_BYTES 50

/* Strict: no leading zeros, no octet above 255, no white space, no zone, no port. *ret is untouched otherwise. */
MUST_USE bool address_parse(const char *text, struct address *ret);

/* The canonical text, IPv4 dotted. Returns `to`. */
char *address_format(const struct address *address, char to[static ADDRESS_MAX_BYTES]);

bool address_equal(const struct address *a, const struct address *b);

/* May this address reach AWS over the internet? Not so: private, shared (100.64/10), loopback, link-local, unique
 * local, benchmarking (198.18/15), multicast, reserved. Documentation prefixes count as public. */
bool address_is_public(const struct address *address);

/* A prefix, or an address alone. Bits set behind the prefix are refused, since they are mostly a slip of the pen. */
MUST_USE bool cidr_parse(const char *text, struct cidr *ret);
char *cidr_format(const struct cidr *cidr, char to[static CIDR_MAX_BYTES]);

bool cidr_contains(const struct cidr *cidr, const struct address *address);

struct cidr_entry {
	struct cidr cidr;
	uint32_t value;
	uint32_t parent; /* index of the next wider entry that holds this one, or CIDR_NO_PARENT */
};
#define CIDR_NO_PARENT UINT32_MAX

struct cidr_set {
	struct cidr_entry *entries;
	size_t count, capacity;
};

/* Adds in any order; then seal once before the first find. The same prefix may be added several times. */
MUST_USE int cidr_set_add(struct cidr_set *set, const struct cidr *cidr, uint32_t value, struct error *err);
void cidr_set_seal(struct cidr_set *set);

/* The longest prefix that holds the address, or NULL. Of equal prefixes the one with the greatest value; the others
 * follow as its parents. */
const struct cidr_entry *cidr_set_find(const struct cidr_set *set, const struct address *address);
const struct cidr_entry *cidr_set_parent(const struct cidr_set *set, const struct cidr_entry *entry);

void cidr_set_done(struct cidr_set *set);
