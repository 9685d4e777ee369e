/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>
#include <time.h>

#include "sim/settings.h"

#define KEY_ID_CHARACTERS 20
#define CREDENTIALS_SEED_BYTES 32
#define CREDENTIALS_LABEL_BYTES 8192

enum family { FAMILY_ROLE, FAMILY_IDENTITY, FAMILY_TASK_APPLICATION, FAMILY_TASK_EXECUTION, FAMILY_COUNT };

/* IMDSv1 and IMDSv2 callers get different credentials (ec2:RoleDelivery 1.0 and 2.0). */
enum delivery { DELIVERY_V1, DELIVERY_V2, DELIVERY_COUNT };

struct credentials {
	char access_key_id[KEY_ID_CHARACTERS + 1];
	char secret[41];
	char token[1097];
};

struct credential_sets {
	struct credentials of[FAMILY_COUNT][DELIVERY_COUNT];
	time_t last_updated;
	time_t expiration;
	unsigned char seed[CREDENTIALS_SEED_BYTES]; /* of what the agents hand out */
};

/* Which document of a set: the same key is served in three shapes. */
enum document { DOCUMENT_ROLE, DOCUMENT_EXTENDED, DOCUMENT_TASK };

/* Draws new keys for every family; each AccessKeyId encodes ACCOUNT as EC2's own do. */
void credentials_rotate(struct credential_sets *ret_sets, const char *account, time_t now, long lifetime);

/* The credentials of one task or pod: the same for the same label until the seed changes. LABEL is shorter than
 * CREDENTIALS_LABEL_BYTES. */
void credentials_derive(struct credentials *ret, const unsigned char seed[static CREDENTIALS_SEED_BYTES],
                        const char *label, const char *account);

/* Writes the document exactly as the service spaces it: no newline at the end. */
void credentials_write(FILE *out, const struct credential_sets *sets, enum family family, enum delivery delivery,
                       enum document document, const char *account);

/* Writes the error document that the service gives with status 200. */
void credentials_write_error(FILE *out, const char *code, const char *role, time_t now);

/* Finds the AccessKeyId in any document; RET is empty when there is none. */
void credentials_find_key(const char *document, char ret[static 129]);
