/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/secret.h"
#include "proxy/counts.h"
#include "proxy/current.h"
#include "proxy/executables.h"
#include "proxy/heartbeat.h"
#include "proxy/instance.h"
#include "proxy/keyring.h"
#include "proxy/parking.h"
#include "proxy/placement.h"
#include "proxy/upstream.h"
#include "proxy/witness/line.h"
#include "store/settings.h"
#include "store/writer.h"

/* What all exchanges share. Made once by main, read-only afterwards but for the counts. */

struct proxy {
	struct settings at_start;   /* for what only a restart changes (its policy is not here) */
	struct current *current;    /* for all else: taken once an exchange */
	struct secret_key host_key; /* read it with instance_host_key() */
	struct keyring *keyring;    /* of the tokens */
	char boot_id[40];           /* part of each token's scope: a token ends with the boot that it was made in */
	struct upstream *upstream;
	struct writer *writer;
	struct parking *parking; /* the workers' */
	struct instance *instance;
	struct placement *placement;
	struct heartbeat *heartbeat;
	struct executables *executables;
	int64_t started_us;
	char user[SETTINGS_TEXT_BYTES]; /* see struct identity */
	bool may_look;
	uint64_t netns; /* inode of our network namespace; 0: not known */
	struct counts counts;
};
