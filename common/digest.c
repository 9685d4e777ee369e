/* SPDX-License-Identifier: Apache-2.0 */

/* SHA-256, and signatures over it, by OpenSSL's EVP interface. */
#include "common/digest.h"

#include <openssl/evp.h>
#include <string.h>

struct digest {
	EVP_MD_CTX *context;
};

int digest_of(const void *bytes, size_t length, uint8_t ret[static DIGEST_BYTES], struct error *err)
{
	if (EVP_Digest(bytes, length, ret, NULL, EVP_sha256(), NULL) != 1)
		return error_set(err, ERROR_SYSTEM, "SHA-256 failed");
	return 0;
}

int digest_new(struct digest **ret, struct error *err)
{
	struct digest *digest = calloc(1, sizeof(*digest));
	if (digest == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a digest");
	digest->context = EVP_MD_CTX_new();
	if (digest->context == NULL || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1) {
		digest_free(digest);
		return error_set(err, ERROR_SYSTEM, "SHA-256 is not available");
	}
	*ret = digest;
	return 0;
}

int digest_add(struct digest *digest, const void *bytes, size_t length, struct error *err)
{
	if (EVP_DigestUpdate(digest->context, bytes, length) != 1)
		return error_set(err, ERROR_SYSTEM, "SHA-256 failed");
	return 0;
}

int digest_take(struct digest *digest, uint8_t ret[static DIGEST_BYTES], struct error *err)
{
	if (EVP_DigestFinal_ex(digest->context, ret, NULL) != 1 ||
	    EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1)
		return error_set(err, ERROR_SYSTEM, "SHA-256 failed");
	return 0;
}

void digest_free(struct digest *digest)
{
	if (digest == NULL)
		return;
	EVP_MD_CTX_free(digest->context);
	free(digest);
}

char *digest_hex(const uint8_t *bytes, size_t length, char *to)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < length; i++) {
		to[2 * i] = digits[bytes[i] >> 4];
		to[2 * i + 1] = digits[bytes[i] & 15];
	}
	to[2 * length] = '\0';
	return to;
}

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	char small = (char)(digit | 0x20);
	return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

bool digest_from_hex(const char *hex, uint8_t ret[static DIGEST_BYTES])
{
	uint8_t bytes[DIGEST_BYTES];
	if (strlen(hex) != DIGEST_HEX_BYTES - 1)
		return false;
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(ret, bytes, sizeof(bytes));
	return true;
}

/* ---- signatures of others */

#define KEY_TEXT_BYTES 4096 /* of a key of 16,384 bits */

struct digest_key {
	EVP_PKEY *key;
};

int digest_key_read(const char *base64, struct digest_key **ret, struct error *err)
{
	uint8_t der[KEY_TEXT_BYTES];
	const uint8_t *at = der;
	size_t text_length = strlen(base64), padding = 0;
	while (padding < 2 && padding < text_length && base64[text_length - 1 - padding] == '=')
		padding++;
	int length =
		text_length < KEY_TEXT_BYTES ? EVP_DecodeBlock(der, (const uint8_t *)base64, (int)text_length) : -1;
	if (length <= (int)padding)
		return error_set(err, ERROR_INPUT, "expected an RSA public key in base64");
	struct digest_key *key = calloc(1, sizeof(*key));
	if (key == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a key");
	key->key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, length - (long)padding);
	if (key->key == NULL) {
		free(key);
		return error_set(err, ERROR_INPUT, "expected an RSA public key");
	}
	*ret = key;
	return 0;
}

void digest_key_free(struct digest_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->key);
	free(key);
}

bool digest_key_verifies(const struct digest_key *key, const void *bytes, size_t length, const uint8_t *signature,
                         size_t signature_length)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool holds = context != NULL && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->key) == 1 &&
	             EVP_DigestVerify(context, signature, signature_length, bytes, length) == 1;
	EVP_MD_CTX_free(context);
	return holds;
}
