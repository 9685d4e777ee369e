/* SPDX-License-Identifier: Apache-2.0 */

/* request_split: of any head that is found good, the texts lie in it, end in it, and are one line each. */
#include "proxy/request.h"
#include "proxy/screen.h"
#include "tests/fuzz/fuzz.h"

static void check(const char *bytes, size_t length, const char *text)
{
	if (text == NULL)
		return;
	MUST(text >= bytes && text < bytes + length);
	MUST(memchr(text, '\0', (size_t)(bytes + length - text)) != NULL);
	MUST(strpbrk(text, "\r\n") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = malloc(length > 0 ? length : 1); /* without a NUL behind it */
	struct request request;
	MUST(text != NULL);
	memcpy(text, bytes, length);
	struct screen screen = screen_head(text, length);
	if (screen.verdict != SCREEN_GOOD)
		return 0;
	request_split(text, screen.head_bytes, &request);
	MUST(request.method != NULL && request.method[0] != '\0' && request.target != NULL &&
	     request.target[0] != '\0');
	MUST(strpbrk(request.method, " /") == NULL && strchr(request.target, ' ') == NULL);
	const char *const texts[] = {request.method, request.target,     request.host,         request.token,
	                             request.ttl,    request.user_agent, request.authorization};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		check(text, screen.head_bytes, texts[i]);
	return 0;
}
