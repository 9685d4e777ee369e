/* SPDX-License-Identifier: Apache-2.0 */

/* What the ledger keeps of a secret. */
#include "store/fingerprint.h"

#include <string.h>

#define PIECE(text)                                                                                                    \
	{                                                                                                              \
		(text), sizeof(text) - 1                                                                               \
	}

int fingerprint_make(const struct secret_key *host_key, const char *access_key_id, const struct secret *secret,
                     const struct secret *token, struct fingerprint *ret, struct error *err)
{
	struct fingerprint made;
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
	    secret_mac(host_key, of_whole, ARRAY_LENGTH(of_whole), made.whole, err) < 0)
		return -1;
	*ret = made;
	return 0;
}
