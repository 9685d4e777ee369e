/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#define TOKEN_KEY_BYTES 32
#define TOKEN_CHARACTERS 56

/* Tokens carry their own expiry and an HMAC over it: any number may live at once and none is stored.
 * Forgetting all of them is drawing a new key. */
void tokens_new_key(unsigned char ret_key[static TOKEN_KEY_BYTES]);

void tokens_issue(const unsigned char key[static TOKEN_KEY_BYTES], int64_t now_ms, long ttl_seconds,
                  char ret_token[static TOKEN_CHARACTERS + 1]);

/* Seconds that are left, rounded up; 0 when expired or not one of ours. */
long tokens_remaining(const unsigned char key[static TOKEN_KEY_BYTES], int64_t now_ms, const char *token);
