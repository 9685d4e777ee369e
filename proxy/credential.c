/* SPDX-License-Identifier: Apache-2.0 */

/* Credentials in a body: any JSON object with an AccessKeyId, at any depth. A body that names one and is no JSON we can
 * read is still recorded by its key id, without fingerprints: better a poor row than none. */
#include "proxy/credential.h"

#include <ctype.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"
#include "store/fingerprint.h"

#define DEPTH_MAX 64 /* deeper ones are found by their text */
static const char member[] = "AccessKeyId";

struct search {
	const struct secret_key *host_key;
	struct key *keys;
	int count;
};

static bool is_key_id(const char *text)
{
	size_t length = strlen(text);
	if (length < 16 || length >= KEY_ID_BYTES)
		return false;
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && *text != '_')
			return false;
	return true;
}

static int64_t time_of(const json_t *document, const char *name)
{
	int64_t time_us = 0;
	const char *text = json_text_at(document, name);
	if (text == NULL || !clock_parse(text, &time_us))
		return 0;
	return time_us;
}

static bool is_account(const char *text, size_t length)
{
	return length == ACCOUNT_BYTES - 1 && strspn(text, "0123456789") >= length;
}

/* As the document says it, by AccountId or arn:aws:iam::123456789012:role/NAME; else as the key id does. */
static void account_of(const json_t *document, const char *id, char ret[static ACCOUNT_BYTES])
{
	const char *account = json_text_at(document, "AccountId"), *arn = json_text_at(document, "RoleArn");
	for (int colon = 0; arn != NULL && colon < 4; colon++) {
		arn = strchr(arn, ':');
		arn = arn != NULL ? arn + 1 : NULL;
	}
	if (account != NULL && is_account(account, strlen(account)))
		(void)text_copy(ret, ACCOUNT_BYTES, account);
	else if (arn != NULL && is_account(arn, strcspn(arn, ":")))
		(void)snprintf(ret, ACCOUNT_BYTES, "%.12s", arn);
	else
		key_account(id, ret);
}

/* arn:aws:iam::123456789012:role/path/NAME -> NAME */
static void role_of(const json_t *document, char *ret, size_t size)
{
	const char *arn = json_text_at(document, "RoleArn");
	const char *slash = arn != NULL ? strrchr(arn, '/') : NULL;
	if (slash != NULL)
		(void)text_copy(ret, size, slash + 1);
}

MUST_USE static int take_document(struct search *search, const json_t *document, const char *id, struct error *err)
{
	CLEANUP_SECRET struct secret secret = {0}, token = {0};
	const char *secret_text = json_text_at(document, "SecretAccessKey"),
		   *token_text = json_text_at(document, "Token");
	if (search->count == CREDENTIALS_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d credentials in one answer", CREDENTIALS_MAX);

	struct key *key = &search->keys[search->count];
	*key = (struct key){.updated_at_us = time_of(document, "LastUpdated"),
	                    .expires_at_us = time_of(document, "Expiration")};
	(void)text_copy(key->access_key_id, sizeof(key->access_key_id), id);
	account_of(document, id, key->account_id);
	role_of(document, key->role, sizeof(key->role));
	if (secret_text != NULL && secret_set(&secret, secret_text, strlen(secret_text), err) < 0)
		return -1;
	if (token_text != NULL && secret_set(&token, token_text, strlen(token_text), err) < 0)
		return -1;
	key->has_secret = secret.length > 0;
	key->has_token = token.length > 0;
	if (fingerprint_make(search->host_key, id, &secret, &token, &key->fingerprint, err) < 0)
		return -1;
	search->count++;
	return 0;
}

MUST_USE static int walk(struct search *search, const json_t *value, int depth, struct error *err)
{
	const char *name;
	json_t *child;
	size_t index;
	if (depth > DEPTH_MAX)
		return 0;
	if (json_is_array(value)) {
		json_array_foreach (value, index, child)
			if (walk(search, child, depth + 1, err) < 0)
				return -1;
		return 0;
	}
	const char *id = json_text_at(value, member);
	if (id != NULL && is_key_id(id) && take_document(search, value, id, err) < 0)
		return -1;
	json_object_foreach ((json_t *)(uintptr_t)value, name, child)
		if (walk(search, child, depth + 1, err) < 0)
			return -1;
	return 0;
}

static bool is_known(const struct search *search, const char *id)
{
	for (int i = 0; i < search->count; i++)
		if (strcmp(search->keys[i].access_key_id, id) == 0)
			return true;
	return false;
}

/* The key id behind one mention of the member: `AccessKeyId" : "ASIA...`, `AccessKeyId=ASIA...`. */
MUST_USE static int take_mention(struct search *search, const char *from, const char *end, struct error *err)
{
	char id[KEY_ID_BYTES];
	size_t length = 0;
	while (from < end && memchr("\" :='\t", *from, 6) != NULL)
		from++;
	while (from + length < end && length < sizeof(id) - 1 && isalnum((unsigned char)from[length]))
		length++;
	memcpy(id, from, length);
	id[length] = '\0';
	if (!is_key_id(id) || !isalpha((unsigned char)id[0]) ||
	    strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != length || is_known(search, id))
		return 0;
	return take_document(search, NULL, id, err);
}

/* Every mention in a body that is no JSON, or hides its keys in some other way. */
MUST_USE static int take_mentions(struct search *search, const char *body, const char *end, struct error *err)
{
	const char *found;
	while (body < end && (found = memmem(body, (size_t)(end - body), member, sizeof(member) - 1)) != NULL) {
		body = found + sizeof(member) - 1;
		if (take_mention(search, body, end, err) < 0)
			return -1;
	}
	return 0;
}

int credential_find(const char *body, size_t length, const struct secret_key *host_key,
                    struct key keys[static CREDENTIALS_MAX], struct error *err)
{
	struct search search = {.host_key = host_key, .keys = keys};
	struct error no_json;
	CLEANUP_JSON json_t *tree = NULL;
	const char *found = length > 0 ? memmem(body, length, member, sizeof(member) - 1) : NULL;
	if (found == NULL && (length == 0 || memmem(body, length, "\\u00", 4) == NULL)) /* its letters may be escaped */
		return 0;
	int result = 0;
	if (json_read(body, length, &tree, &no_json) == 0)
		result = walk(&search, tree, 0, err);
	/* Mentions that the tree did not give: no JSON, too deep, a repeated member, a document inside of a text. */
	if (result == 0 && found != NULL)
		result = take_mentions(&search, found, body + length, err);
	return result < 0 ? -1 : search.count;
}
