/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The unified hierarchy of control groups (version 2), also where it is mounted beside the old ones. */

/* The root of the whole hierarchy, for reading; -1: it is not mounted here, or only a part of it. The caller closes it.
 */
int groups_open(void);

/* Processes that are in that very group now: how many of them are in `pids`. 0 also when there is no such group, or it
 * must not be asked (which needs CAP_DAC_READ_SEARCH). `root`: of groups_open(). */
size_t groups_members(int root, uint64_t id, uint32_t *pids, size_t most);
