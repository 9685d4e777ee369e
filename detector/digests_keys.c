/* SPDX-License-Identifier: Apache-2.0 */

/* Keys are few: one for each region and some years, looked through as a list. */
#include "detector/digests_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/json.h"
#include "common/text.h"
#include "detector/aws.h"
#include "detector/aws_answer.h"

#define SIGNATURE_MAX 1024
#define TARGET "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListPublicKeys"

struct public_key {
	char fingerprint[80], region[32]; /* "": of any region */
	struct digest_key *key;           /* NULL: asked for, and not to be had */
};

struct digests_keys {
	struct aws *aws; /* NULL: they are all known */
	struct public_key *list;
	size_t count;
};

MUST_USE static int add_key(struct digests_keys *keys, const char *fingerprint, const char *region, const char *value,
                            struct error *err)
{
	struct digest_key *key = NULL;
	if (value != NULL && digest_key_read(value, &key, err) < 0)
		return error_prefix(err, "public key %.40s", fingerprint);
	struct public_key *grown = reallocarray(keys->list, keys->count + 1, sizeof(*grown));
	if (grown == NULL) {
		digest_key_free(key);
		return error_set(err, ERROR_MEMORY, "no memory for keys");
	}
	keys->list = grown;
	struct public_key *added = &grown[keys->count++];
	*added = (struct public_key){.key = key};
	(void)text_copy(added->fingerprint, sizeof(added->fingerprint), fingerprint);
	(void)text_copy(added->region, sizeof(added->region), region);
	return 0;
}

MUST_USE static int add_list(struct digests_keys *keys, const char *region, const json_t *answer, struct error *err)
{
	const json_t *entry;
	for (size_t i = 0; (entry = aws_answer_list(answer, "PublicKeyList", i)) != NULL; i++) {
		const char *value = json_text_at(entry, "Value"), *fingerprint = json_text_at(entry, "Fingerprint");
		if (value == NULL || fingerprint == NULL)
			return error_set(err, ERROR_INPUT, "public key %zu: expected Value and Fingerprint", i + 1);
		if (add_key(keys, fingerprint, region, value, err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int read_file(struct digests_keys *keys, const char *path, struct error *err)
{
	CLEANUP_JSON json_t *file = NULL;
	if (json_read_file(path, &file, err) < 0)
		return -1;
	if (json_is_object(file) && add_list(keys, "", file, err) < 0)
		return error_prefix(err, "%s", path);
	for (size_t i = 0; i < json_array_size(file); i++)
		if (add_list(keys, "", json_array_get(file, i), err) < 0)
			return error_prefix(err, "%s", path);
	return keys->count > 0 ? 0 : error_set(err, ERROR_INPUT, "%s: expected a PublicKeyList", path);
}

int digests_keys_open(const char *path, struct aws *aws, struct digests_keys **ret, struct error *err)
{
	if (path == NULL && aws == NULL)
		return error_set(err, ERROR_USAGE,
		                 "no public keys: expected --public-keys FILE, as `aws cloudtrail list-public-keys` "
		                 "prints them, or credentials to ask CloudTrail");
	CLEANUP_DIGESTS_KEYS struct digests_keys *keys = calloc(1, sizeof(*keys));
	if (keys == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for keys");
	keys->aws = path == NULL ? aws : NULL;
	if (path != NULL && read_file(keys, path, err) < 0)
		return -1;
	*ret = steal_pointer(&keys);
	return 0;
}

void digests_keys_close(struct digests_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < keys->count; i++)
		digest_key_free(keys->list[i].key);
	free(keys->list);
	free(keys);
}

static const struct public_key *find(const struct digests_keys *keys, const struct digests_signed *what)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strcmp(keys->list[i].fingerprint, what->fingerprint) == 0 &&
		    (keys->list[i].region[0] == '\0' || strcmp(keys->list[i].region, what->region) == 0))
			return &keys->list[i];
	return NULL;
}

MUST_USE static int ask(struct digests_keys *keys, const struct digests_signed *what, struct error *err)
{
	CLEANUP_JSON json_t *body = json_object();
	CLEANUP_JSON json_t *answer = NULL;
	json_put_int(body, "StartTime", what->end_us / CLOCK_SECOND_US - 2 * 3600);
	json_put_int(body, "EndTime", what->end_us / CLOCK_SECOND_US + 3600);
	CLEANUP_FREE char *text = json_line(body);
	const struct aws_call call = {.service = "cloudtrail",
	                              .region = what->region,
	                              .target = TARGET,
	                              .content_type = "application/x-amz-json-1.1",
	                              .body = text,
	                              .body_length = text != NULL ? strlen(text) : 0};
	if (text == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a request");
	if (aws_ask(keys->aws, &call, &answer, err) < 0)
		return error_prefix(err, "CloudTrail ListPublicKeys in %s", what->region);
	return add_list(keys, what->region, answer, err);
}

MUST_USE static int get_key(struct digests_keys *keys, const struct digests_signed *what, const struct digest_key **ret,
                            struct error *err)
{
	const struct public_key *key = find(keys, what);
	if (key == NULL && keys->aws != NULL) {
		if (ask(keys, what, err) < 0)
			return -1;
		key = find(keys, what);
	}
	if (key == NULL && add_key(keys, what->fingerprint, what->region, NULL, err) < 0)
		return -1;
	*ret = key != NULL ? key->key : NULL;
	return 0;
}

static size_t from_hex(const char *hex, uint8_t to[static SIGNATURE_MAX])
{
	size_t length = strlen(hex) / 2;
	if (strlen(hex) % 2 != 0 || length == 0 || length > SIGNATURE_MAX)
		return 0;
	for (size_t i = 0; i < length; i++) {
		unsigned byte;
		if (strspn(hex + 2 * i, "0123456789abcdefABCDEF") < 2 || sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return 0;
		to[i] = (uint8_t)byte;
	}
	return length;
}

int digests_keys_verify(struct digests_keys *keys, const struct digests_signed *what, const char *signature,
                        enum digests_signature *ret, struct error *err)
{
	uint8_t bytes[SIGNATURE_MAX];
	const struct digest_key *key = NULL;
	size_t length = from_hex(signature, bytes);
	if (get_key(keys, what, &key, err) < 0)
		return -1;
	if (key == NULL)
		*ret = DIGESTS_SIGNATURE_NO_KEY;
	else if (length > 0 && digest_key_verifies(key, what->bytes, what->length, bytes, length))
		*ret = DIGESTS_SIGNATURE_GOOD;
	else
		*ret = DIGESTS_SIGNATURE_BAD;
	return 0;
}
