/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tells the service manager (sd_notify(3)), by NOTIFY_SOCKET; without one it does nothing. Never fails: who does not
 * listen is not waited for. Safe from any thread. */
void notify_send(const char *state);

/* How often the manager wants to hear WATCHDOG=1 (half of WATCHDOG_USEC, when that is meant for this process); -1:
 * never.
 */
int notify_watchdog_ms(void);

/* RELOADING=1 with the time that the manager wants to see. READY=1 must follow. */
void notify_reloading(void);
