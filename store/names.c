/* SPDX-License-Identifier: Apache-2.0 */

/* The words of store/model.h as text, and what can be read off an access key id. Pure. */
#include <stdio.h>
#include <string.h>

#include "store/model.h"

const char *const grade_names[GRADE_COUNT] = {
	[GRADE_NONE] = "none",     [GRADE_GONE] = "gone",   [GRADE_UID] = "uid",       [GRADE_NETNS] = "netns",
	[GRADE_CGROUP] = "cgroup", [GRADE_RELAY] = "relay", [GRADE_SHARED] = "shared", [GRADE_EXACT] = "exact",
};

const char *const outcome_names[OUTCOME_COUNT] = {
	[OUTCOME_RECORDED] = "recorded",
	[OUTCOME_DELIVERED] = "delivered",
	[OUTCOME_REFUSED] = "refused",
	[OUTCOME_ABORTED] = "aborted",
};

const char *const source_names[SOURCE_COUNT] = {
	[SOURCE_IMDS] = "imds", [SOURCE_IDENTITY] = "identity", [SOURCE_ECS] = "ecs",
	[SOURCE_EKS] = "eks",   [SOURCE_SELF] = "self",
};

int name_index(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

#define PREFIX_CHARACTERS 4 /* ASIA, AKIA */
#define KEY_ID_CHARACTERS 20
#define DECODED_CHARACTERS 10 /* the first 50 of the 80 bits; 48 are needed */

void key_account(const char *access_key_id, char ret[static ACCOUNT_BYTES])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint64_t bits = 0;
	ret[0] = '\0';
	if (strlen(access_key_id) != KEY_ID_CHARACTERS)
		return;
	for (int i = 0; i < KEY_ID_CHARACTERS; i++) {
		const char *found = strchr(alphabet, access_key_id[i]);
		if (found == NULL)
			return;
		if (i >= PREFIX_CHARACTERS && i < PREFIX_CHARACTERS + DECODED_CHARACTERS)
			bits = bits << 5 | (uint64_t)(found - alphabet);
	}
	uint64_t first48 = bits >> 2;
	if (first48 >> 47 == 0)
		return; /* the older generation does not hold an account */
	uint64_t account = (first48 & UINT64_C(0x7fffffffff80)) >> 7;
	if (account <= UINT64_C(999999999999))
		(void)snprintf(ret, ACCOUNT_BYTES, "%012llu", (unsigned long long)account);
}
