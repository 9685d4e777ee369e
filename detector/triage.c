/* SPDX-License-Identifier: Apache-2.0 */

/* The cheap question that is asked of every record before any parsing: is one of our keys or sessions named anywhere in
 * its bytes? Where in the record does not matter here; that is for the parser. Pure. */
#include "detector/triage.h"

#include <ctype.h>

#include "store/model.h"

#define INSTANCE_DIGITS_OLD 8
#define INSTANCE_DIGITS 17

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

size_t triage_instance_id(const char *at, const char *end)
{
	size_t digits = 0;
	if (end - at < 2 || at[0] != 'i' || at[1] != '-')
		return 0;
	for (const char *c = at + 2; c < end && ((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'f')); c++)
		digits++;
	if (digits != INSTANCE_DIGITS && digits != INSTANCE_DIGITS_OLD)
		return 0;
	const char *behind = at + 2 + digits;
	return behind < end && is_word(*behind) ? 0 : digits + 2;
}

bool triage_hint(const void *context, const char *at, const char *end)
{
	const struct triage *triage = context;
	if (*at == 'A') {
		size_t length = 0;
		while (length < KEY_ID_BYTES && at + length < end && is_word(at[length]))
			length++;
		return tracked_key(triage->tracked, at, length) != NULL;
	}
	size_t length = triage_instance_id(at + 1, end);
	if (length == 0)
		return false;
	return triage->every_session || tracked_instance(triage->tracked, at + 1, length) != NULL;
}
