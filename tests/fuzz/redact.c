/* SPDX-License-Identifier: Apache-2.0 */

/* redact_argument: bounded, the same in every size up to its cut, and no token is left. The input is three lines: the
 * argument, the one before it, patterns. */
#include <ctype.h>

#include "proxy/witness/redact.h"
#include "tests/fuzz/fuzz.h"

static bool has_token(const char *text)
{
	for (const char *at = text; (at = strstr(at, "AQAE")) != NULL; at++)
		if (strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=") >= 40)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	char *rest = text, *argument = strsep(&rest, "\n");
	const char *previous = rest != NULL ? strsep(&rest, "\n") : NULL;
	const char *patterns = rest != NULL ? rest : "";
	size_t room = strlen(argument) * 11 + 32; /* a byte becomes at most "[redacted]" */
	CLEANUP_FREE char *whole = malloc(room);
	MUST(whole != NULL);
	bool any = redact_argument(argument, previous, patterns, whole, room);
	MUST(strnlen(whole, room) < room - 1);
	MUST(any ? strstr(whole, REDACTED) != NULL : strcmp(whole, argument) == 0);
	MUST(!has_token(whole));
	for (size_t size = 1; size < 24; size++) {
		CLEANUP_FREE char *cut = malloc(size);
		MUST(cut != NULL);
		(void)redact_argument(argument, previous, patterns, cut, size);
		MUST(strnlen(cut, size) < size && strncmp(cut, whole, strlen(cut)) == 0);
	}
	return 0;
}
