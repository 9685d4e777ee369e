/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"

/* START HERE: the words that the proxy, the ledger, the detector and the command line share. Plain values; nothing
 * in here owns memory. Times are microseconds since 1970 in UTC, 0 where unknown. The JSON forms of a delivery and a
 * finding, with all their fields, are documented in docs/ledger.md and docs/findings.md. */

#define KEY_ID_BYTES 129 /* IAM allows 16 to 128 characters (API reference: AccessKey) */
#define ACCOUNT_BYTES 13 /* 12 digits and NUL; "" where unknown */
#define ROLE_BYTES 129
#define INSTANCE_BYTES 33 /* i- and 8 or 17 hexadecimal digits, with room */
#define REGION_BYTES 33
#define ADDRESS_TEXT_BYTES 46

/* How much is known of who asked. Ordered: more evidence, greater value. Definitions: docs/attribution.md. */
enum grade {
	GRADE_NONE,   /* nothing is known */
	GRADE_GONE,   /* the client had closed its socket when it was looked for */
	GRADE_UID,    /* the user that made the socket */
	GRADE_NETNS,  /* the network namespace, by source address */
	GRADE_CGROUP, /* the control group that the socket was made in */
	GRADE_RELAY,  /* a process that passes traffic on for others */
	GRADE_SHARED, /* several processes hold the socket: all are named */
	GRADE_EXACT,  /* one process, pinned, still holding the socket */
	GRADE_COUNT,
};

enum outcome {
	OUTCOME_RECORDED,  /* durable on disk, answer not finished */
	OUTCOME_DELIVERED, /* the socket took the last byte of the answer */
	OUTCOME_REFUSED,   /* the client got a refusal of ours, or nothing */
	OUTCOME_ABORTED,   /* the client or the proxy went away before the last byte */
	OUTCOME_COUNT,
};

/* Where a credential document came from. */
enum source {
	SOURCE_IMDS,     /* a role, by the instance metadata service */
	SOURCE_IDENTITY, /* the instance identity role, identity-credentials/ec2 */
	SOURCE_ECS,      /* a task's role, 169.254.170.2 or iam-ecs-* */
	SOURCE_EKS,      /* a pod's role, 169.254.170.23 */
	SOURCE_SELF,     /* fetched by the daemon for itself */
	SOURCE_COUNT,
};

/* Names as they stand in JSON and in the database; tables indexed by the enums above, defined in store/names.c. */
extern const char *const grade_names[GRADE_COUNT];
extern const char *const outcome_names[OUTCOME_COUNT];
extern const char *const source_names[SOURCE_COUNT];

/* Index of a name in such a table, -1 if it is not in it. */
int name_index(const char *const *names, int count, const char *name);

#define FINGERPRINT_KEY_BYTES 17 /* 16 hexadecimal digits and NUL */

/* Keyed digests (HMAC-SHA256 under host.key) of what must not be stored. See store/fingerprint.h. */
struct fingerprint {
	char key[FINGERPRINT_KEY_BYTES]; /* which key that was: its own digest's beginning */
	uint8_t secret[DIGEST_BYTES];
	uint8_t token[DIGEST_BYTES];
	uint8_t whole[DIGEST_BYTES]; /* key id, secret and token together */
};

/* What a credential document says of itself, without its secrets. */
struct key {
	char access_key_id[KEY_ID_BYTES];
	char account_id[ACCOUNT_BYTES]; /* the document's own, else encoded in the key id (key_account()): evidence */
	char role[ROLE_BYTES];
	int64_t updated_at_us;
	int64_t expires_at_us;
	bool has_secret, has_token; /* without them there is nothing to take a fingerprint of */
	struct fingerprint fingerprint;
};

/* The account that an access key id of the newer generation encodes (facts: bits 1 to 40 behind the prefix), or ""
 * for older generations and for what is no key id. Never the caller's account. */
void key_account(const char *access_key_id, char ret[static ACCOUNT_BYTES]);
