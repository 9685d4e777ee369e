/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/instance.h"
#include "proxy/stock.h"
#include "proxy/upstream.h"
#include "store/writer.h"

/* Where the instance is: account, region, id, addresses, VPC, read from IMDS by the daemon itself, kept in the ledger
 * with time bounds (a row each time it changes). Uses of its keys from there are at home. A thread of its own; reads no
 * path that holds a secret. */
struct placement;

MUST_USE int placement_start(struct upstream *upstream, struct writer *writer, struct instance *instance,
                             int witness_fd, struct placement **ret, struct error *err);
void placement_stop(struct placement *placement);

/* {instance_id, account_id, region}, nulls while unknown. Waits a moment (PLACEMENT_WAIT_MS at most, once) when nothing
 * is known yet: the first delivery of a boot should not lack it. New reference. */
#define PLACEMENT_WAIT_MS 300
json_t *placement_host(struct placement *placement);

/* The same without waiting, for `status`; NULL: nothing is known. New reference. */
json_t *placement_known(struct placement *placement);

/* Read it again soon: something may have changed. */
void placement_refresh(struct placement *placement);
