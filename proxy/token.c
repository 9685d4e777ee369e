/* SPDX-License-Identifier: Apache-2.0 */

/* Making and checking tokens. Pure but for the nonce. */
#include "proxy/token.h"

#include <endian.h>
#include <string.h>

#include "common/text.h"

#define MAC_BYTES 24

struct __attribute__((packed)) wire {
	uint8_t marker[4];
	uint64_t ends_seconds; /* big endian */
	uint8_t nonce[4];
	uint8_t mac[MAC_BYTES];
};
_Static_assert(sizeof(struct wire) == 40, "a token is 40 bytes, 56 characters");

/* In base64 "AQAEA...", as EC2's tokens have started since 2020. */
static const uint8_t marker[4] = {0x01, 0x00, 0x04, 0x00};
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool token_parse_ttl(const char *text, int64_t *ret_seconds)
{
	uint64_t seconds;
	if (text == NULL || strlen(text) > 5 || !text_to_u64(text, TOKEN_TTL_MAX_SECONDS, &seconds) || seconds == 0)
		return false;
	*ret_seconds = (int64_t)seconds;
	return true;
}

/* 39 bytes become 52 characters, the 40th two and "==". */
static void encode(const struct wire *wire, char to[static TOKEN_TEXT_BYTES])
{
	const uint8_t *from = (const uint8_t *)wire;
	for (size_t i = 0; i < 39; i += 3) {
		uint32_t bits = (uint32_t)from[i] << 16 | (uint32_t)from[i + 1] << 8 | from[i + 2];
		for (int shift = 18; shift >= 0; shift -= 6)
			*to++ = alphabet[bits >> shift & 63];
	}
	*to++ = alphabet[from[39] >> 2];
	*to++ = alphabet[(from[39] & 3) << 4];
	*to++ = '=';
	*to++ = '=';
	*to = '\0';
}

static bool decode(const char *text, struct wire *ret)
{
	uint8_t *to = (uint8_t *)ret;
	uint32_t bits = 0;
	if (strlen(text) != TOKEN_TEXT_BYTES - 1 || strcmp(text + 54, "==") != 0)
		return false;
	for (size_t i = 0; i < 54; i++) {
		const char *found = strchr(alphabet, text[i]);
		if (found == NULL)
			return false;
		bits = bits << 6 | (uint32_t)(found - alphabet);
		if (i % 4 == 3) {
			*to++ = (uint8_t)(bits >> 16);
			*to++ = (uint8_t)(bits >> 8);
			*to++ = (uint8_t)bits;
			bits = 0;
		}
	}
	*to = (uint8_t)(bits >> 4);
	return (bits & 15) == 0; /* one spelling only */
}

MUST_USE static int mac_of(const struct secret_key *key, const struct wire *wire, const char *scope,
                           uint8_t ret[static MAC_BYTES], struct error *err)
{
	uint8_t mac[SECRET_MAC_BYTES];
	const struct secret_piece pieces[] = {
		{"token", 5},
		{wire, offsetof(struct wire, mac)},
		{scope, strlen(scope)},
	};
	if (secret_mac(key, pieces, ARRAY_LENGTH(pieces), mac, err) < 0)
		return -1;
	memcpy(ret, mac, MAC_BYTES);
	return 0;
}

int token_make(const struct secret_key *key, const char *scope, int64_t now_seconds, int64_t ttl_seconds,
               char ret[static TOKEN_TEXT_BYTES], struct error *err)
{
	struct wire wire = {.ends_seconds = htobe64((uint64_t)(now_seconds + ttl_seconds))};
	memcpy(wire.marker, marker, sizeof(marker));
	if (secret_random(wire.nonce, sizeof(wire.nonce), err) < 0 || mac_of(key, &wire, scope, wire.mac, err) < 0)
		return -1;
	encode(&wire, ret);
	return 0;
}

const char *token_refusal(enum token_verdict verdict)
{
	static const char *const reasons[] = {
		[TOKEN_GOOD] = NULL,
		[TOKEN_EXPIRED] = "token-expired",
		[TOKEN_MALFORMED] = "token-malformed",
		[TOKEN_STRANGE] = "token-out-of-scope",
	};
	return reasons[verdict];
}

enum token_verdict token_check(const struct secret_key *key, const char *scope, int64_t now_seconds, const char *text,
                               int64_t *ret_left)
{
	struct wire wire;
	struct error ignored;
	uint8_t mac[MAC_BYTES];
	if (!decode(text, &wire) || memcmp(wire.marker, marker, sizeof(marker)) != 0)
		return TOKEN_MALFORMED;
	if (mac_of(key, &wire, scope, mac, &ignored) < 0 || !secret_equal(mac, wire.mac, MAC_BYTES))
		return TOKEN_STRANGE;
	int64_t left = (int64_t)be64toh(wire.ends_seconds) - now_seconds;
	if (left <= 0 || left > TOKEN_TTL_MAX_SECONDS)
		return TOKEN_EXPIRED;
	*ret_left = left;
	return TOKEN_GOOD;
}

enum token_verdict token_check_keys(const struct token_keys *keys, const char *scope, int64_t now_seconds,
                                    const char *text, int64_t *ret_left)
{
	int64_t left = 0;
	enum token_verdict verdict = token_check(&keys->now, scope, now_seconds, text, &left);
	if (verdict == TOKEN_STRANGE && keys->previous_until > now_seconds) {
		verdict = token_check(&keys->previous, scope, now_seconds, text, &left);
		if (verdict == TOKEN_GOOD && now_seconds + left > keys->previous_until)
			verdict = TOKEN_STRANGE;
	}
	if (verdict == TOKEN_GOOD)
		*ret_left = left;
	return verdict;
}

void token_keys_done(struct token_keys *keys)
{
	explicit_bzero(keys, sizeof(*keys));
}
