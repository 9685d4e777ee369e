/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/json.h"

/* Who may have what: sections [allow "name"] and [deny "name"] in their order, the first one that matches decides, else
 * the default. Pure: facts in, verdict out, so that the daemon and `keytrail policy simulate` judge alike. Read-only
 * once built, then safe from any thread. NULL is a policy that allows everything. */
struct policy;

#define POLICY_SECTIONS_MAX 256  /* each is looked at for each request */
#define POLICY_NAME_BYTES 41     /* what inih keeps of a heading, without `allow ""` */
#define POLICY_DEFAULT "default" /* rule of a verdict that no section gave */
#define POLICY_NO_FAMILY "none"  /* family of an answer without credentials */

enum policy_key {
	POLICY_PATH,
	POLICY_FAMILY,
	POLICY_EXE,
	POLICY_UNIT,
	POLICY_CONTAINER,
	POLICY_UID,
	POLICY_GID,
	POLICY_KEY_COUNT,
};

struct policy_verdict {
	bool denies;
	const char *rule; /* name of the section, or POLICY_DEFAULT; borrowed. NULL: there is no policy */
};

/* ---- building one; errors are in words, without file and line */

struct policy *policy_new(void); /* allows by default; NULL: no memory */
void policy_free(struct policy *policy);
void policy_set_default(struct policy *policy, bool denies);
MUST_USE int policy_begin(struct policy *policy, bool denies, const char *name, struct error *err);
/* A condition of the section begun last: a list, any word of which may match. */
MUST_USE int policy_add(struct policy *policy, const char *key, const char *value, struct error *err);
/* Is the section begun last complete? */
MUST_USE int policy_end(const struct policy *policy, struct error *err);

/* ---- judging */

/* Facts of one process and its request, by key; NULL: not known, and then no condition on it holds. */
struct policy_facts {
	const char *fact[POLICY_KEY_COUNT];
};
struct policy_verdict policy_judge(const struct policy *policy, const struct policy_facts *facts);

/* Does the verdict depend on who asks? */
bool policy_needs_process(const struct policy *policy, const char *path, const char *family);

struct policy_request {
	const char *path;   /* canonical */
	const char *family; /* a name of source_names, or POLICY_NO_FAMILY */
	int64_t socket_uid; /* -1: not known */
	const json_t *seen; /* attribution{}, process{}|null, holders[], as in a row of the ledger; NULL: nothing */
};

/* Judges each process that holds the client's socket, and one of which nothing is known where not all of them are; one
 * that is refused refuses all. Gives that process (borrowed, NULL if it is not known). */
struct policy_verdict policy_judge_request(const struct policy *policy, const struct policy_request *request,
                                           const json_t **ret_process);
