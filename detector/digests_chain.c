/* SPDX-License-Identifier: Apache-2.0 */

/* Digests come from where the logs are: whoever changed those may have written these. */
#include "detector/digests_chain.h"

#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/text.h"
#include "detector/aws_answer.h"

#define STAMP "_YYYYMMDDTHHMMSSZ.json.gz"

static bool is_file_of(const char *object, const char *name)
{
	return strcmp(text_base(object), text_base(name)) == 0;
}

/* What AWS signs: the end, where it lies, its hash, and the signature before. */
MUST_USE static int make_text(struct digests_digest *digest, const char *name, const char *hash, struct error *err)
{
	const json_t *json = digest->json;
	const char *end = json_text_at(json, "digestEndTime"), *bucket = json_text_at(json, "digestS3Bucket");
	const char *object = json_text_at(json, "digestS3Object");
	const char *algorithm = json_text_at(json, "digestSignatureAlgorithm");
	const char *signature = digest->before_signature;
	if (end == NULL || bucket == NULL || object == NULL || digest->fingerprint == NULL ||
	    !clock_parse(end, &digest->end_us))
		return error_set(err, ERROR_INPUT, "no digest of CloudTrail's");
	if (algorithm == NULL || strcmp(algorithm, "SHA256withRSA") != 0)
		return error_set(err, ERROR_INPUT, "signed with %.40s: expected SHA256withRSA",
		                 algorithm != NULL ? algorithm : "nothing");
	if (!is_file_of(object, name))
		return error_set(err, ERROR_INPUT, "is the digest of another time or place, %.200s", text_base(object));
	return buffer_printf(&digest->text, err, "%s\n%s/%s\n%s\n%s", end, bucket, object, hash,
	                     signature != NULL ? signature : "null");
}

int digests_digest_read(const struct buffer *inside, const char *name, const char *hash, struct digests_digest *ret,
                        struct error *err)
{
	CLEANUP(digests_digest_done) struct digests_digest digest = {0};
	if (json_read(inside->bytes != NULL ? inside->bytes : "", inside->length, &digest.json, err) < 0)
		return -1;
	digest.fingerprint = json_text_at(digest.json, "digestPublicKeyFingerprint");
	digest.before_object = json_text_at(digest.json, "previousDigestS3Object");
	digest.before_hash = json_text_at(digest.json, "previousDigestHashValue");
	digest.before_signature = json_text_at(digest.json, "previousDigestSignature");
	if (make_text(&digest, name, hash, err) < 0)
		return -1;
	const char *start = json_text_at(digest.json, "digestStartTime");
	if (start == NULL || !clock_parse(start, &digest.start_us))
		return error_set(err, ERROR_INPUT, "digestStartTime: expected a time");
	*ret = digest;
	digest = (struct digests_digest){0};
	return 0;
}

void digests_digest_done(struct digests_digest *digest)
{
	json_decref(digest->json);
	buffer_done(&digest->text);
	*digest = (struct digests_digest){0};
}

bool digests_digest_log(const struct digests_digest *digest, size_t index, struct digests_log *ret)
{
	const json_t *entry = aws_answer_list(digest->json, "logFiles", index);
	if (entry == NULL)
		return false;
	*ret = (struct digests_log){.object = json_text_at(entry, "s3Object"),
	                            .hash = json_text_at(entry, "hashValue")};
	return true;
}

/* Where the chain's part of a name ends. */
static size_t chain_length(const char *base)
{
	size_t length = strlen(base), stamp = strlen(STAMP);
	return length > stamp ? length - stamp : 0;
}

bool digests_chain_is_same(const char *first, const char *second)
{
	const char *a = text_base(first), *b = text_base(second);
	size_t length = chain_length(a);
	return length == chain_length(b) && memcmp(a, b, length) == 0;
}

struct digests_step digests_chain_step(const struct digests_before *before, const struct digests_digest *now,
                                       int64_t since_us)
{
	struct digests_step step = {0};
	int64_t from_us = before != NULL ? before->end_us : since_us;
	if (now->start_us > from_us && (before != NULL || since_us > 0)) {
		step.gap_from_us = from_us;
		step.gap_until_us = now->start_us;
	}
	if (before == NULL)
		return step;
	step.is_next = now->before_object != NULL && is_file_of(now->before_object, before->name);
	step.is_changed = step.is_next && (now->before_hash == NULL || strcasecmp(now->before_hash, before->hash) != 0);
	step.is_stray = !step.is_next && step.gap_until_us == 0;
	return step;
}
