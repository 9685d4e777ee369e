/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "common/secret.h"
#include "store/model.h"
#include "store/settings.h"

struct proxy;

/* Whose state is this? The id in the state folder is compared with the instance's own (store/state.h): the firmware's
 * at start, else the metadata service's as soon as it is read. If it is another one, the state is put aside, and
 * ledger, keys and chain begin anew. Until that is known nothing is written to the ledger, and no key leaves; but there
 * is nothing to compare in a folder that is nobody's yet, and there everything goes on at once. Opens the keys, too. */
struct instance;

/* Before any exchange; the writer is held until it is known whose the ledger is. */
MUST_USE int instance_open(struct proxy *proxy, struct instance **ret, struct error *err);
void instance_close(struct instance *instance);

/* What the metadata service says. May be called again and again; from one thread. */
void instance_learned(struct instance *instance, const char *id);

/* From any thread, without waiting. */
bool instance_is_known(const struct instance *instance);
/* Waits that long; false: it is still not known. */
bool instance_wait(struct instance *instance, int64_t ms);
/* The key of fingerprints as it is now; to be wiped. */
struct secret_key instance_host_key(struct instance *instance);

/* That key by these settings: the fleet's, which must be there, or host.key, which is made. To be wiped. */
MUST_USE int instance_read_host_key(const struct settings *settings, struct secret_key *ret, struct error *err);
/* Fingerprints are made with it from now on. */
void instance_use_host_key(struct instance *instance, const struct secret_key *key);
