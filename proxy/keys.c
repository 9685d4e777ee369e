/* SPDX-License-Identifier: Apache-2.0 */

/* No key without a fingerprint that is this instance's own. */
#include "proxy/keys.h"

#define INSTANCE_WAIT_MS 2000 /* for the metadata service to say where we are: it has just answered */

MUST_USE static int find(struct instance *instance, const struct buffer *body, struct key keys[static CREDENTIALS_MAX],
                         struct error *err)
{
	struct secret_key host_key = instance_host_key(instance);
	int count = credential_find(body->bytes, body->length, &host_key, keys, err);
	secret_key_done(&host_key);
	return count;
}

int keys_find(struct instance *instance, const struct response *answer, struct key keys[static CREDENTIALS_MAX],
              const char **ret_reason, struct error *err)
{
	bool is_known = instance_is_known(instance);
	int count = find(instance, &answer->body, keys, err);
	/* Their fingerprints may be of another instance's key. */
	if (count > 0 && !is_known) {
		if (!instance_wait(instance, INSTANCE_WAIT_MS)) {
			*ret_reason = "instance-unknown";
			return -1;
		}
		count = find(instance, &answer->body, keys, err);
	}
	if (count < 0)
		*ret_reason = "credential-unreadable";
	return count;
}
