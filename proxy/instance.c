/* SPDX-License-Identifier: Apache-2.0 */

/* A copied state folder starts anew. Rows that come in before it is known whose the ledger is wait in the writer's
 * queue, so they end up in the right one; keys wait, since their fingerprints need the right host.key. */
#include "proxy/instance.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "proxy/config.h"
#include "proxy/gap_end.h"
#include "proxy/proxy.h"
#include "store/host_keys.h"
#include "store/state.h"

struct instance {
	struct proxy *proxy;
	char folder[PATH_MAX];
	char known[INSTANCE_BYTES];        /* what the folder says; "": nothing yet */
	char archive[STATE_ARCHIVE_BYTES]; /* where the state before was put, "" if nowhere */
	atomic_bool is_settled;

	pthread_mutex_t mutex; /* guards the proxy's host key */
	pthread_cond_t settled;
};

/* ---- the keys */

int instance_read_host_key(const struct settings *settings, struct secret_key *ret, struct error *err)
{
	char folder[PATH_MAX], path[PATH_MAX + 16];
	if (settings->fleet_key[0] != '\0')
		return secret_key_read(settings->fleet_key, ret, err) < 0 ? error_prefix(err, "[ledger] fleet_key") : 0;
	config_state_folder(settings, folder);
	(void)snprintf(path, sizeof(path), "%s/" HOST_KEY, folder);
	return secret_key_open(path, ret, err);
}

void instance_use_host_key(struct instance *instance, const struct secret_key *key)
{
	(void)pthread_mutex_lock(&instance->mutex);
	instance->proxy->host_key = *key;
	(void)pthread_mutex_unlock(&instance->mutex);
}

/* Reads them, or makes them where there are none. */
MUST_USE static int take_keys(struct instance *instance, struct error *err)
{
	CLEANUP_TOKEN_KEYS struct token_keys keys = {0};
	CLEANUP_KEY struct secret_key host_key = {0};
	struct proxy *proxy = instance->proxy;
	if (instance_read_host_key(&proxy->at_start, &host_key, err) < 0)
		return -1;
	instance_use_host_key(instance, &host_key);
	if (keyring_read(instance->folder, proxy->boot_id, &keys, err) < 0)
		return -1;
	if (proxy->keyring == NULL)
		return keyring_new(&keys, &proxy->keyring, err);
	keyring_replace(proxy->keyring, &keys);
	return 0;
}

struct secret_key instance_host_key(struct instance *instance)
{
	(void)pthread_mutex_lock(&instance->mutex);
	struct secret_key key = instance->proxy->host_key;
	(void)pthread_mutex_unlock(&instance->mutex);
	return key;
}

/* ---- deciding */

/* With ledger and journal closed. */
static int put_aside(void *context, struct error *err)
{
	struct instance *instance = context;
	return state_archive(instance->proxy->at_start.ledger_path, instance->known, clock_now_us(), instance->archive,
	                     err);
}

/* The first row of a ledger says whose it is, and where the one before has gone. */
static void release(struct instance *instance, const char *id, const char *before)
{
	struct error problem = {0};
	CLEANUP_JSON json_t *body = json_object();
	struct entry entry = {.kind = "instance", .at_us = clock_now_us(), .body = body};
	json_put_text(body, "instance_id", id);
	json_put_text(body, "previous", before[0] != '\0' ? before : NULL);
	json_put_text(body, "archive", instance->archive[0] != '\0' ? instance->archive : NULL);
	if (entry_id_make(entry.id, &problem) < 0)
		log_line(LOG_LEVEL_ERROR, "row_dropped", "reason=\"%s\"", problem.text);
	writer_release(instance->proxy->writer, problem.code == ERROR_NONE ? &entry : NULL);
}

static void settle(struct instance *instance)
{
	(void)pthread_mutex_lock(&instance->mutex);
	atomic_store(&instance->is_settled, true);
	(void)pthread_cond_broadcast(&instance->settled);
	(void)pthread_mutex_unlock(&instance->mutex);
	gap_end(instance->proxy->at_start.ledger_path, instance->proxy->writer);
}

/* The state becomes that of `id`: another's is put aside, nobody's is taken. */
MUST_USE static int become(struct instance *instance, const char *id, struct error *err)
{
	char before[INSTANCE_BYTES];
	bool was_settled = atomic_load(&instance->is_settled);
	(void)text_copy(before, sizeof(before), instance->known);
	if (before[0] != '\0' &&
	    (writer_reopen(instance->proxy->writer, put_aside, instance, err) < 0 || take_keys(instance, err) < 0))
		return -1;
	if (state_instance_write(instance->folder, id, err) < 0)
		return -1;
	(void)text_copy(instance->known, sizeof(instance->known), id);
	log_line(before[0] != '\0' ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "instance", "id=%s previous=%s archive=%s",
	         id, before[0] != '\0' ? before : "none", instance->archive[0] != '\0' ? instance->archive : "none");
	release(instance, id, before);
	if (!was_settled)
		settle(instance);
	return 0;
}

void instance_learned(struct instance *instance, const char *id)
{
	struct error problem = {0};
	bool is_same = id != NULL && strcmp(id, instance->known) == 0;
	bool is_settled = atomic_load(&instance->is_settled);
	if (id == NULL || !state_is_instance_id(id) || (is_same && is_settled))
		return;
	if (is_same) {
		writer_release(instance->proxy->writer, NULL);
		settle(instance);
	} else if (is_settled && instance->known[0] != '\0') {
		log_line(LOG_LEVEL_WARNING, "instance_differs",
		         "id=%s state=%s effect=\"a restart puts the state aside\"", id, instance->known);
	} else if (become(instance, id, &problem) < 0) {
		log_line(LOG_LEVEL_ERROR, "state_not_put_aside", "reason=\"%s\"", problem.text);
	}
}

/* ---- waiting */

bool instance_is_known(const struct instance *instance)
{
	return atomic_load_explicit(&instance->is_settled, memory_order_acquire);
}

bool instance_wait(struct instance *instance, int64_t ms)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	placement_refresh(instance->proxy->placement); /* it may be asleep between two attempts */
	(void)pthread_mutex_lock(&instance->mutex);
	while (!atomic_load(&instance->is_settled) &&
	       pthread_cond_timedwait(&instance->settled, &instance->mutex, &until) != ETIMEDOUT)
		continue;
	bool known = atomic_load(&instance->is_settled);
	(void)pthread_mutex_unlock(&instance->mutex);
	return known;
}

/* ---- opening */

MUST_USE static int open_parts(struct instance *instance, struct error *err)
{
	char firmware[INSTANCE_BYTES];
	config_state_folder(&instance->proxy->at_start, instance->folder);
	if (state_instance_read(instance->folder, instance->known, err) < 0)
		return -1;
	state_instance_of_firmware(STATE_FIRMWARE, firmware);
	if (firmware[0] != '\0' && strcmp(firmware, instance->known) != 0)
		return instance->known[0] == '\0' && take_keys(instance, err) < 0 ? -1
		                                                                  : become(instance, firmware, err);
	if (take_keys(instance, err) < 0)
		return -1;
	if (firmware[0] != '\0')
		instance_learned(instance, firmware);
	else if (instance->known[0] == '\0') {
		writer_release(instance->proxy->writer, NULL);
		settle(instance);
	}
	return 0;
}

int instance_open(struct proxy *proxy, struct instance **ret, struct error *err)
{
	struct instance *instance = calloc(1, sizeof(*instance));
	if (instance == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the instance");
	instance->proxy = proxy;
	(void)pthread_mutex_init(&instance->mutex, NULL);
	(void)pthread_cond_init(&instance->settled, NULL);
	if (open_parts(instance, err) < 0) {
		instance_close(instance);
		return -1;
	}
	*ret = instance;
	return 0;
}

void instance_close(struct instance *instance)
{
	if (instance == NULL)
		return;
	(void)pthread_mutex_destroy(&instance->mutex);
	(void)pthread_cond_destroy(&instance->settled);
	free(instance);
}
