/* SPDX-License-Identifier: Apache-2.0 */
/* The state of the simulated instance and the ways in which it changes. Everything is prepared outside the lock
 * and swapped in under it, so that a change never stalls requests that a benchmark is timing. */
#include "sim/sim.h"

#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>

static void swap_in(struct sim *sim, const struct settings *settings, const struct credential_sets *sets,
                    const struct tree *tree)
{
	struct tree old = sim->tree;

	(void)pthread_rwlock_wrlock(&sim->lock);
	sim->settings = *settings;
	sim->sets = *sets;
	sim->tree = *tree;
	(void)pthread_rwlock_unlock(&sim->lock);
	tree_done(&old);
}

int sim_init(struct sim *ret_sim, const struct settings *settings, struct error *err)
{
	*ret_sim = (struct sim){
		.settings = *settings,
		.started = time(NULL),
		.rotated_ms = monotonic_ms(),
		.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	if (ret_sim->stop_fd < 0)
		return error_set(err, "eventfd: %m");

	(void)pthread_rwlock_init(&ret_sim->lock, NULL);
	(void)pthread_mutex_init(&ret_sim->throttle_lock, NULL);
	record_init(&ret_sim->record);
	tokens_new_key(ret_sim->token_key);
	credentials_rotate(&ret_sim->sets, settings->account, ret_sim->started, settings->key_lifetime);
	return tree_build(&ret_sim->tree, settings, &ret_sim->sets, ret_sim->started, err);
}

void sim_done(struct sim *sim)
{
	tree_done(&sim->tree);
	record_done(&sim->record);
	if (sim->stop_fd >= 0)
		(void)close(sim->stop_fd);
}

int sim_set(struct sim *sim, const char *key, const char *value, struct error *err)
{
	struct settings settings = sim->settings;
	struct credential_sets sets = sim->sets;
	struct tree tree;

	if (settings_set(&settings, key, value, err) != 0)
		return -1;
	/* A key id names its account: another account means other keys. */
	if (strcmp(settings.account, sim->settings.account) != 0) {
		credentials_rotate(&sets, settings.account, time(NULL), settings.key_lifetime);
		sim->rotated_ms = monotonic_ms();
	}
	if (tree_build(&tree, &settings, &sets, sim->started, err) != 0)
		return -1;
	swap_in(sim, &settings, &sets, &tree);
	return 0;
}

int sim_rotate(struct sim *sim, struct error *err)
{
	struct credential_sets sets;
	struct tree tree;

	/* First: a document that cannot be read again must not be tried in a tight loop. */
	sim->rotated_ms = monotonic_ms();
	credentials_rotate(&sets, sim->settings.account, time(NULL), sim->settings.key_lifetime);
	if (tree_build(&tree, &sim->settings, &sets, sim->started, err) != 0)
		return -1;
	swap_in(sim, &sim->settings, &sets, &tree);
	return 0;
}

void sim_expire_tokens(struct sim *sim)
{
	(void)pthread_rwlock_wrlock(&sim->lock);
	tokens_new_key(sim->token_key);
	(void)pthread_rwlock_unlock(&sim->lock);
}

int sim_rotation_due_ms(const struct sim *sim)
{
	if (sim->settings.rotate_seconds == 0)
		return -1;

	int64_t due = sim->rotated_ms + sim->settings.rotate_seconds * 1000 - monotonic_ms();
	return due < 0 ? 0 : due > INT_MAX ? INT_MAX : (int)due;
}

bool sim_admit(struct sim *sim, long limit)
{
	if (limit == 0)
		return true;

	int64_t second = monotonic_ms() / 1000;
	(void)pthread_mutex_lock(&sim->throttle_lock);
	if (sim->throttle_second != second) {
		sim->throttle_second = second;
		sim->throttle_count = 0;
	}
	bool admitted = ++sim->throttle_count <= limit;
	(void)pthread_mutex_unlock(&sim->throttle_lock);
	return admitted;
}
