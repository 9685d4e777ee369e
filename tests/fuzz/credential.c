/* SPDX-License-Identifier: Apache-2.0 */

/* credential_find: any body, and what it finds is well formed. */
#include <ctype.h>

#include "proxy/credential.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const struct secret_key key = {{1, 2, 3}};
	static const char member[] = "AccessKeyId";
	struct key keys[CREDENTIALS_MAX];
	struct error problem = {0};
	CLEANUP_FREE char *body = malloc(length > 0 ? length : 1); /* without a NUL behind it */
	MUST(body != NULL);
	memcpy(body, bytes, length);
	int count = credential_find(body, length, &key, keys, &problem);
	MUST(count >= -1 && count <= CREDENTIALS_MAX);
	MUST(count != -1 || problem.code == ERROR_LIMIT);
	MUST(count == 0 || memmem(body, length, member, strlen(member)) != NULL);
	for (int i = 0; i < count; i++) {
		size_t id = strnlen(keys[i].access_key_id, KEY_ID_BYTES);
		MUST(id >= 16 && id < KEY_ID_BYTES && strnlen(keys[i].role, ROLE_BYTES) < ROLE_BYTES);
		for (size_t k = 0; k < id; k++)
			MUST(isalnum((unsigned char)keys[i].access_key_id[k]) || keys[i].access_key_id[k] == '_');
		MUST(strlen(keys[i].account_id) == 0 || strspn(keys[i].account_id, "0123456789") == 12);
	}
	return 0;
}
