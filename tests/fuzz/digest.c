/* SPDX-License-Identifier: Apache-2.0 */

/* A digest, out of a bucket that somebody else may write to: what is taken for one can be checked, and follows itself
 * in no way that leaves a gap behind its end. */
#include "detector/digests_chain.h"
#include "tests/fuzz/fuzz.h"

#define NAME "210987654321_CloudTrail-Digest_us-east-1_trail_us-east-1_20200914T010000Z.json.gz"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP(digests_digest_done) struct digests_digest digest = {0};
	CLEANUP_BUFFER struct buffer inside = {0};
	struct error problem = {0};
	struct digests_log log;
	size_t count = 0;
	MUST(buffer_append(&inside, (const char *)bytes, length, NULL) == 0);
	if (digests_digest_read(&inside, NAME, "00ff", &digest, &problem) < 0) {
		MUST(problem.text[0] != '\0');
		return 0;
	}
	MUST(digest.fingerprint != NULL && digest.text.length > 0 && digest.text.length <= length + 16);
	while (digests_digest_log(&digest, count, &log))
		count++;
	MUST(count <= length);
	const struct digests_before itself = {NAME, "00ff", digest.end_us};
	struct digests_step step = digests_chain_step(&itself, &digest, 0);
	MUST(digest.start_us > digest.end_us || step.gap_until_us == 0);
	MUST(!step.is_stray || !step.is_next);
	return 0;
}
