/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/secret.h"
#include "store/model.h"

/* Credentials as they are found when they have leaked: JSON of the metadata service or the AWS CLI, a `credentials`
 * file, exports of a shell, or a lone secret, token or key id. Pure; what it fills holds secrets. */

struct leaked {
	char access_key_id[KEY_ID_BYTES]; /* "": not known */
	struct secret secret, token;      /* length 0: not known */
	bool is_lone;                     /* one word without a name: it stands as secret and as token */
};

#define LEAKED_MAX 16 /* in one input */

/* Finds them in `text` (no NUL in it). ERROR_INPUT when there are none, ERROR_LIMIT when there are more. */
MUST_USE int leaked_read(const char *text, size_t length, struct leaked ret[static LEAKED_MAX], size_t *ret_count,
                         struct error *err);

/* Wipes. */
void leaked_done(struct leaked *leaked, size_t count);
