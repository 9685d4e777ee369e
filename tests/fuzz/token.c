/* SPDX-License-Identifier: Apache-2.0 */

/* token_check and token_parse_ttl: of all texts only the one that was made is good. */
#include "proxy/token.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct secret_key key; /* of this run only: a token that an earlier one left in the seeds is no good */
	static char made[TOKEN_TEXT_BYTES];
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	int64_t left = -1, seconds = -1;

	if (made[0] == '\0')
		MUST(secret_random(key.bytes, sizeof(key.bytes), NULL) == 0 &&
		     token_make(&key, "scope", 1000, 21600, made, NULL) == 0);
	enum token_verdict verdict = token_check(&key, "scope", 1000, text, &left);
	MUST((verdict == TOKEN_GOOD) == (strcmp(text, made) == 0));
	MUST((left == -1) == (verdict != TOKEN_GOOD));

	/* Any 56 bytes laid over a good token: still it, or no good. */
	char changed[TOKEN_TEXT_BYTES];
	memcpy(changed, made, sizeof(changed));
	for (size_t i = 0; i < length && i < sizeof(changed) - 1; i++)
		if (text[i] != '\0' && text[i] != '.')
			changed[i] = text[i];
	MUST((token_check(&key, "scope", 1000, changed, &left) == TOKEN_GOOD) == (strcmp(changed, made) == 0));
	if (length > 0 && strcmp(text, "scope") != 0)
		MUST(token_check(&key, text, 1000, made, &left) == TOKEN_STRANGE);

	if (token_parse_ttl(text, &seconds))
		MUST(seconds >= 1 && seconds <= TOKEN_TTL_MAX_SECONDS && strspn(text, "0123456789") == strlen(text));
	return 0;
}
