/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever somebody found on a page or in a log: each credential in it has a part at least, and no text but its own. */
#include "cli/leaked.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	struct leaked found[LEAKED_MAX];
	struct error problem = {0};
	size_t count = 0, used = strlen(text);
	memset(found, 0, sizeof(found));
	if (leaked_read(text, used, found, &count, &problem) < 0) {
		MUST(problem.code == ERROR_INPUT || problem.code == ERROR_LIMIT);
		return 0;
	}
	MUST(count > 0 && count <= LEAKED_MAX);
	for (size_t i = 0; i < count; i++) {
		bool has_key = found[i].access_key_id[0] != '\0';
		MUST(memchr(found[i].access_key_id, '\0', sizeof(found[i].access_key_id)) != NULL);
		MUST(has_key || found[i].secret.length > 0 || found[i].token.length > 0);
		MUST(found[i].secret.length <= used && found[i].token.length <= used);
	}
	leaked_done(found, count);
	return 0;
}
