/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/answer.h"

/* The agents of container hosts, which hand out credentials of tasks and pods: as amazon-ecs-agent and
 * eks-pod-identity-agent answer, Go's net/http heads included. */

/* What the agent that REQUEST asks would say. Reads SIM without changing it; the caller holds its lock. */
void agents_answer(const struct sim *sim, const struct request *request, struct answer *ret_answer);

/* 429 */
struct answer agents_throttled(void);

#define AGENTS_HEAD_BYTES 1024

/* The head of its answer; returns its length. */
size_t agents_head(char ret[static AGENTS_HEAD_BYTES], const struct request *request, const struct answer *answer,
                   time_t now, size_t length);
