/* SPDX-License-Identifier: Apache-2.0 */

/* Addresses and prefixes as 128 bits, IPv4 mapped into IPv6. Log files and inventories are read with it, so what is
 * not exactly an address is none: nothing is repaired, nothing is guessed. */
#include "common/cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/array.h"
#include "common/text.h"

#define MAPPED_BITS 96
#define ADDRESS_BITS 128

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_mapped(const struct address *address)
{
	return memcmp(address->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool address_parse(const char *text, struct address *ret)
{
	struct address address = {{0}};
	if (inet_pton(AF_INET, text, address.bytes + sizeof(mapped_prefix)) == 1)
		memcpy(address.bytes, mapped_prefix, sizeof(mapped_prefix));
	else if (inet_pton(AF_INET6, text, address.bytes) != 1)
		return false;
	*ret = address;
	return true;
}

char *address_format(const struct address *address, char to[static ADDRESS_MAX_BYTES])
{
	bool mapped = is_mapped(address);
	/* Cannot fail: the family is known and the room is enough. */
	(void)inet_ntop(mapped ? AF_INET : AF_INET6, address->bytes + (mapped ? sizeof(mapped_prefix) : 0), to,
	                ADDRESS_MAX_BYTES);
	return to;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

#define V4(a, b, c, d)                                                                                                 \
	{                                                                                                              \
		{                                                                                                      \
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d                                           \
		}                                                                                                      \
	}

bool address_is_public(const struct address *address)
{
	static const struct cidr closed[] = {
		{V4(0, 0, 0, 0), MAPPED_BITS + 8},
		{V4(10, 0, 0, 0), MAPPED_BITS + 8},
		{V4(100, 64, 0, 0), MAPPED_BITS + 10},
		{V4(127, 0, 0, 0), MAPPED_BITS + 8},
		{V4(169, 254, 0, 0), MAPPED_BITS + 16},
		{V4(172, 16, 0, 0), MAPPED_BITS + 12},
		{V4(192, 168, 0, 0), MAPPED_BITS + 16},
		{V4(198, 18, 0, 0), MAPPED_BITS + 15},
		{V4(224, 0, 0, 0), MAPPED_BITS + 4},
		{V4(240, 0, 0, 0), MAPPED_BITS + 4},
		{{{0xfc}}, 7},
		{{{0xfe, 0x80}}, 10},
		{{{0xff}}, 8},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(closed); i++)
		if (cidr_contains(&closed[i], address))
			return false;
	/* ::, ::1 and the deprecated IPv4-compatible addresses. */
	static const struct cidr compatible = {{{0}}, MAPPED_BITS};
	return !cidr_contains(&compatible, address);
}

static bool has_bits_behind(const struct address *address, unsigned bits)
{
	for (unsigned i = bits; i < ADDRESS_BITS; i++)
		if ((address->bytes[i / 8] >> (7 - i % 8) & 1) != 0)
			return true;
	return false;
}

bool cidr_parse(const char *text, struct cidr *ret)
{
	char part[ADDRESS_MAX_BYTES];
	struct cidr cidr;
	uint64_t bits = ADDRESS_BITS;
	const char *slash = strchr(text, '/');
	size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
	if (length >= sizeof(part))
		return false;
	memcpy(part, text, length);
	part[length] = '\0';
	if (!address_parse(part, &cidr.address))
		return false;

	bool dotted = strchr(part, ':') == NULL;
	if (slash != NULL) {
		if ((slash[1] == '0' && slash[2] != '\0') || !text_to_u64(slash + 1, dotted ? 32 : ADDRESS_BITS, &bits))
			return false;
		bits += dotted ? MAPPED_BITS : 0;
	}
	if (has_bits_behind(&cidr.address, (unsigned)bits))
		return false;
	cidr.bits = (uint8_t)bits;
	*ret = cidr;
	return true;
}

char *cidr_format(const struct cidr *cidr, char to[static CIDR_MAX_BYTES])
{
	char text[ADDRESS_MAX_BYTES];
	bool dotted = cidr->bits >= MAPPED_BITS && is_mapped(&cidr->address);
	(void)snprintf(to, CIDR_MAX_BYTES, "%s/%d", address_format(&cidr->address, text),
	               dotted ? cidr->bits - MAPPED_BITS : cidr->bits);
	return to;
}

bool cidr_contains(const struct cidr *cidr, const struct address *address)
{
	size_t whole = cidr->bits / 8;
	if (memcmp(cidr->address.bytes, address->bytes, whole) != 0)
		return false;
	unsigned rest = cidr->bits % 8;
	if (rest == 0)
		return true;
	return (cidr->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

int cidr_set_add(struct cidr_set *set, const struct cidr *cidr, uint32_t value, struct error *err)
{
	if (array_reserve(&set->entries, sizeof(*set->entries), set->count, &set->capacity, "prefixes", err) < 0)
		return -1;
	set->entries[set->count++] = (struct cidr_entry){.cidr = *cidr, .value = value, .parent = CIDR_NO_PARENT};
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct cidr_entry *a = left, *b = right;
	int order = memcmp(a->cidr.address.bytes, b->cidr.address.bytes, sizeof(a->cidr.address.bytes));
	if (order == 0)
		order = (a->cidr.bits > b->cidr.bits) - (a->cidr.bits < b->cidr.bits);
	if (order == 0)
		order = (a->value > b->value) - (a->value < b->value);
	return order;
}

/* Prefixes either nest or are apart. In the order of their first addresses, wider ones first, whatever holds an entry
 * stands before it: the entry before it, or one of that entry's parents. */
void cidr_set_seal(struct cidr_set *set)
{
	if (set->count > 0)
		qsort(set->entries, set->count, sizeof(set->entries[0]), compare);
	for (uint32_t i = 1; i < set->count; i++) {
		uint32_t holder = i - 1;
		while (holder != CIDR_NO_PARENT &&
		       !cidr_contains(&set->entries[holder].cidr, &set->entries[i].cidr.address))
			holder = set->entries[holder].parent;
		set->entries[i].parent = holder;
	}
}

const struct cidr_entry *cidr_set_find(const struct cidr_set *set, const struct address *address)
{
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(set->entries[middle].cidr.address.bytes, address->bytes, sizeof(address->bytes)) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	const struct cidr_entry *found = low > 0 ? &set->entries[low - 1] : NULL;
	while (found != NULL && !cidr_contains(&found->cidr, address))
		found = cidr_set_parent(set, found);
	return found;
}

const struct cidr_entry *cidr_set_parent(const struct cidr_set *set, const struct cidr_entry *entry)
{
	return entry->parent != CIDR_NO_PARENT ? &set->entries[entry->parent] : NULL;
}

void cidr_set_done(struct cidr_set *set)
{
	free(set->entries);
	*set = (struct cidr_set){0};
}
