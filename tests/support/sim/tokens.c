/* SPDX-License-Identifier: Apache-2.0 */
/* Session tokens in the shape of EC2's: 40 bytes, 56 characters of URL-safe base64 that begin with AQAEA. */
#include "sim/tokens.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "sim/util.h"

/* Four fixed bytes make the AQAEA, six hold the expiry, four make tokens of one millisecond differ, and the
 * rest is the HMAC. */
enum { PREFIX_BYTES = 4, EXPIRY_BYTES = 6, NONCE_BYTES = 4, MAC_AT = 14, TOKEN_BYTES = 40 };

static void token_mac(const unsigned char *key, const unsigned char *token,
                      unsigned char ret_mac[static EVP_MAX_MD_SIZE])
{
	if (HMAC(EVP_sha256(), key, TOKEN_KEY_BYTES, token, MAC_AT, ret_mac, NULL) == NULL)
		abort();
}

void tokens_new_key(unsigned char ret_key[static TOKEN_KEY_BYTES])
{
	random_bytes(ret_key, TOKEN_KEY_BYTES);
}

void tokens_issue(const unsigned char key[static TOKEN_KEY_BYTES], int64_t now_ms, long ttl_seconds,
                  char ret_token[static TOKEN_CHARACTERS + 1])
{
	unsigned char token[TOKEN_BYTES] = {0x01, 0x00, 0x04, 0x00};
	unsigned char mac[EVP_MAX_MD_SIZE];
	uint64_t expiry = (uint64_t)(now_ms + ttl_seconds * 1000);

	for (int i = 0; i < EXPIRY_BYTES; i++)
		token[PREFIX_BYTES + i] = (unsigned char)(expiry >> (8 * (EXPIRY_BYTES - 1 - i)));
	random_bytes(token + PREFIX_BYTES + EXPIRY_BYTES, NONCE_BYTES);

	token_mac(key, token, mac);
	(void)memcpy(token + MAC_AT, mac, TOKEN_BYTES - MAC_AT);
	base64(ret_token, token, TOKEN_BYTES, base64_url);
}

static int decode(const char *text, unsigned char ret_token[static TOKEN_BYTES + 2])
{
	unsigned int group = 0;

	if (strlen(text) != TOKEN_CHARACTERS || strcmp(text + TOKEN_CHARACTERS - 2, "==") != 0)
		return -1;
	for (int i = 0; i < TOKEN_CHARACTERS; i++) {
		const char *found = strchr(base64_url, text[i]);
		if (found == NULL && i < TOKEN_CHARACTERS - 2)
			return -1;
		group = group << 6 | (found != NULL ? (unsigned int)(found - base64_url) : 0);
		if (i % 4 != 3)
			continue;
		*ret_token++ = (unsigned char)(group >> 16);
		*ret_token++ = (unsigned char)(group >> 8);
		*ret_token++ = (unsigned char)group;
	}
	return 0;
}

long tokens_remaining(const unsigned char key[static TOKEN_KEY_BYTES], int64_t now_ms, const char *token)
{
	unsigned char bytes[TOKEN_BYTES + 2];
	unsigned char mac[EVP_MAX_MD_SIZE];
	int64_t expiry = 0;

	if (decode(token, bytes) != 0)
		return 0;
	token_mac(key, bytes, mac);
	if (CRYPTO_memcmp(mac, bytes + MAC_AT, TOKEN_BYTES - MAC_AT) != 0)
		return 0;

	for (int i = 0; i < EXPIRY_BYTES; i++)
		expiry = expiry << 8 | bytes[PREFIX_BYTES + i];
	return expiry > now_ms ? (long)((expiry - now_ms + 999) / 1000) : 0;
}
