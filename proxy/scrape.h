/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/proxy.h"

/* `[metrics] listen`: a socket that answers GET /metrics, and nothing else, with the text of proxy/metrics.h. One
 * thread, one request a connection; whoever is slow is given up after 2 s. */
struct scrape;

/* *ret is NULL when nothing is to be served. */
MUST_USE int scrape_start(struct proxy *proxy, int witness_fd, struct scrape **ret, struct error *err);

/* Waits for the client being answered, 2 s at most. NULL is fine. */
void scrape_stop(struct scrape *scrape);
