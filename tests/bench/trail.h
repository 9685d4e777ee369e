/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A synthetic organisation of instances, for scripts/bench detect: everything follows from the number of a key, so that
 * the logs, the ledgers and what other engines are told agree without being read back. */

#define TRAIL_ACCOUNTS 50
#define TRAIL_REGIONS 4

struct trail_key {
	unsigned account, region; /* which of them */
	char id[24], account_id[16], region_name[16], instance_id[24], role[32], role_id[24];
	char private_address[16], egress_address[16], endpoint_id[32], vpc_network[20];
};

/* 64 random bits that follow from the state. */
uint64_t trail_random(uint64_t *state);

void trail_key(uint64_t number, struct trail_key *ret);

/* Of the machine that stolen keys are used on. */
#define TRAIL_THIEF_ACCOUNT "666677778888"
#define TRAIL_THIEF_ENDPOINT "vpce-0bad0bad0bad0bad0"
#define TRAIL_THIEF_ADDRESS "198.51.100.66"

/* One record of this key (NULL: of a service, without a key) as JSON, without anything behind it: its length. A stolen
 * key's call comes from the thief. The text of the event's id is put into `ret_id`. */
size_t trail_record(const struct trail_key *key, bool is_stolen, int64_t second, uint64_t *state, char *to, size_t size,
                    char ret_id[static 40]);
