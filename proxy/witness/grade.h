/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "store/model.h"

/* From evidence to a grade: never better than the evidence. Pure; docs/attribution.md has the same table in words. */
struct evidence {
	bool has_tuple;     /* the client's own view of the connection is known */
	bool has_looked;    /* sock_diag answered, each time that it was asked */
	bool is_output;     /* it came by way of OUTPUT, so its socket must lie in our namespace */
	bool is_found;      /* a socket has that tuple */
	bool is_ambiguous;  /* in two namespaces */
	bool is_alive;      /* the same socket (cookie, inode, namespace) was there again at the end */
	bool has_cgroup;    /* of the socket, and not the root of the hierarchy */
	size_t holders;     /* pinned, holding it at the end */
	bool is_complete;   /* every process was looked at */
	bool owner_differs; /* the holder seen at accept is not among them */
	bool is_relay;      /* a holder passes on traffic of others */
};

enum grade grade_of(const struct evidence *evidence);
