/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"

#define SEND_TIMEOUT_MS 10000 /* for a whole answer; nobody reads 1 MB slower than that for long */

/* Writes all of it to a connected socket and ends our direction. False: the client went away, or reads too slowly.
 * "Delivered" means that the socket took the last byte. */
bool send_all(int fd, const struct buffer *bytes);

/* The same until `deadline_ms` of clock_monotonic_ms(). */
bool send_until(int fd, const struct buffer *bytes, int64_t deadline_ms);
/* The same of what is left behind *sent. */
bool send_rest(int fd, const struct buffer *bytes, size_t *sent, int64_t deadline_ms);

/* The same without waiting. */
enum sending { SENDING_DONE, SENDING_WAITS, SENDING_FAILED };
MUST_USE enum sending send_now(int fd, const struct buffer *bytes, size_t *sent);

/* Lets what is sent from now on travel `hops` network hops; below 1: leaves it as it is. IMDS limits the answer to a
 * PUT so; ours starts one hop later. */
void send_limit_hops(int fd, int family, int hops);
