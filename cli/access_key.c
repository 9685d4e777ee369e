/* SPDX-License-Identifier: Apache-2.0 */

/* The one gate for access key ids that users and foreign findings bring in. */
#include "cli/access_key.h"

#include <string.h>

#define SHORTEST 16
#define LONGEST 128

static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
static const char pattern[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_*?";

bool access_key_is_valid(const char *text)
{
	size_t length = strlen(text);
	return length >= SHORTEST && length <= LONGEST && strspn(text, word) == length;
}

bool access_key_is_valid_pattern(const char *text)
{
	size_t length = strlen(text);
	if (strpbrk(text, "*?") == NULL)
		return access_key_is_valid(text);
	return length <= LONGEST && strspn(text, pattern) == length;
}
