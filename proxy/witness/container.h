/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which unit and which container a process belongs to, read off its control groups: the one thing about it that it
 * cannot forge without privileges. Pure. */

struct container {
	char unit[128];        /* "nginx.service", "session-3.scope"; "" if none */
	char container_id[65]; /* 64 hexadecimal digits (ECS on Fargate: 32 and a number); "" if none */
	char pod_uid[37];      /* a UUID with dashes, of static pods 32 digits; "" if none */
};

/* `text` is what /proc/PID/cgroup holds. Ids that contradict one another give none. */
void container_parse(const char *text, struct container *ret);
