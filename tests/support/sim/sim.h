/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "sim/credentials.h"
#include "sim/record.h"
#include "sim/settings.h"
#include "sim/tokens.h"
#include "sim/tree.h"

/* The simulated instance. Request threads hold LOCK for reading while they decide and copy an answer; the main
 * thread alone changes what is below it. */
struct sim {
	pthread_rwlock_t lock;
	struct settings settings;
	struct credential_sets sets;
	struct tree tree;
	unsigned char token_key[TOKEN_KEY_BYTES];
	time_t started;
	int64_t rotated_ms; /* monotonic */
	int stop_fd;        /* becomes readable when waiting threads must give up */
	pthread_mutex_t throttle_lock;
	int64_t throttle_second;
	long throttle_count;
	struct record record;
};

MUST_USE int sim_init(struct sim *ret_sim, const struct settings *settings, struct error *err);
void sim_done(struct sim *sim);

/* The main thread's verbs: each leaves everything as it was when it fails. */
MUST_USE int sim_set(struct sim *sim, const char *key, const char *value, struct error *err);
MUST_USE int sim_rotate(struct sim *sim, struct error *err);
void sim_expire_tokens(struct sim *sim);

/* Milliseconds until credentials are due; -1: never. */
int sim_rotation_due_ms(const struct sim *sim);

/* Counts a request; false when it is one too many in this second. */
bool sim_admit(struct sim *sim, long limit);
