/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/subject.h"
#include "common/clock.h"

/* Whose permissions have to end so that a key does. */
enum target_kind {
	TARGET_SESSION,  /* of a role */
	TARGET_USER,     /* an IAM user's key */
	TARGET_IDENTITY, /* the instance identity role's: EC2's own, nobody can attach a policy to it */
	TARGET_LOGIN,    /* an IAM user's password */
	TARGET_UNKNOWN,
	TARGET_KIND_COUNT,
};
extern const char *const target_kind_names[TARGET_KIND_COUNT];

#define TARGET_ID_MISSING "REPLACE_WITH_ROLE_ID"

/* Texts are borrowed; NULL where not known. */
struct target {
	enum target_kind kind;
	const char *key, *account, *role, *principal, *instance, *region, *user;
	bool is_derived;
	char user_id[200];          /* aws:userId of the session, or with TARGET_ID_MISSING in it */
	char now[CLOCK_TEXT_BYTES]; /* whole seconds, as IAM takes them */
};

/* The key that was delivered, or that was asked for. `finding` may be NULL. */
struct target target_root(const struct subject *subject, const json_t *finding, int64_t now_us);

/* One step of a lineage behind the first: a key, or a user with a password. */
struct target target_derived(const json_t *step, int64_t now_us);

/* Nothing but what AWS allows in names, and `more`: what else came from a log must not get into a policy. */
bool target_is_plain(const char *text, const char *more);
