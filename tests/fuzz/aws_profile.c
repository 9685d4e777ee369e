/* SPDX-License-Identifier: Apache-2.0 */

/* AWS's shared files: texts that end, secrets within their bounds, whatever the file holds; and a command's words. */
#include "detector/aws_profile.h"
#include "detector/aws_process.h"
#include "tests/fuzz/fuzz.h"

static void split(const char *process)
{
	CLEANUP_FREE char *line = strdup(process);
	char *words[AWS_PROCESS_WORDS + 1];
	struct error problem = {0};
	size_t length = strlen(process), count = 0, used = 0;
	if (line == NULL || aws_process_split(line, words, &problem) < 0) {
		MUST(problem.text[0] != '\0');
		return;
	}
	for (; words[count] != NULL; count++)
		used += strlen(words[count]);
	MUST(count > 0 && count <= AWS_PROCESS_WORDS && used <= length);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	for (int is_config = 0; is_config < 2; is_config++) {
		CLEANUP_FREE char *text = fuzz_text(bytes, length);
		CLEANUP_PROFILE struct aws_profile profile = {.name = "p"};
		struct error problem = {0};
		if (aws_profile_parse(text, is_config != 0, &profile, &problem) < 0)
			MUST(problem.code != ERROR_NONE && problem.text[0] != '\0');
		MUST(strnlen(profile.access_key_id, sizeof(profile.access_key_id)) < sizeof(profile.access_key_id));
		MUST(strnlen(profile.region, sizeof(profile.region)) < sizeof(profile.region));
		MUST(strnlen(profile.unserved, sizeof(profile.unserved)) < sizeof(profile.unserved));
		MUST(profile.secret_key.length <= SECRET_MAX_BYTES && profile.session_token.length <= SECRET_MAX_BYTES);
		split(profile.process);
		MUST(profile.exists || profile.access_key_id[0] == '\0');
	}
	return 0;
}
