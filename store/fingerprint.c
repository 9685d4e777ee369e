/* SPDX-License-Identifier: Apache-2.0 */

/* What the ledger keeps of a secret. */
#include "store/fingerprint.h"

#include <stdio.h>
#include <string.h>

#define PIECE(text)                                                                                                    \
	{                                                                                                              \
		(text), sizeof(text) - 1                                                                               \
	}

int fingerprint_make(const struct secret_key *host_key, const char *access_key_id, const struct secret *secret,
                     const struct secret *token, struct fingerprint *ret, struct error *err)
{
	struct fingerprint made = {0};
	uint8_t of_key[SECRET_MAC_BYTES];
	char hex[DIGEST_HEX_BYTES];
	const struct secret_piece name[] = {PIECE("key")};
	const struct secret_piece of_secret[] = {PIECE("secret"), {secret->bytes, secret->length}};
	const struct secret_piece of_token[] = {PIECE("token"), {token->bytes, token->length}};
	const struct secret_piece of_whole[] = {
		PIECE("whole"),
		{access_key_id, strlen(access_key_id)},
		{secret->bytes, secret->length},
		{token->bytes, token->length},
	};
	if (secret_mac(host_key, of_secret, ARRAY_LENGTH(of_secret), made.secret, err) < 0 ||
	    secret_mac(host_key, of_token, ARRAY_LENGTH(of_token), made.token, err) < 0 ||
	    secret_mac(host_key, of_whole, ARRAY_LENGTH(of_whole), made.whole, err) < 0 ||
	    secret_mac(host_key, name, ARRAY_LENGTH(name), of_key, err) < 0)
		return -1;
	(void)snprintf(made.key, sizeof(made.key), "%.16s", digest_hex(of_key, DIGEST_BYTES, hex));
	*ret = made;
	return 0;
}
