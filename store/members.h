/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Cutting canonical JSON (one line, names in order, no white space) into its members without building a tree. Pure;
 * what is within a value is not looked at. */
struct slice {
	const char *bytes;
	size_t length;
};
struct member {
	struct slice name, value; /* the name without its quotes; the value as it stands there */
};

#define MEMBERS_MAX 96

struct slice slice_of(const char *text);
/* As memcmp, a shorter text before a longer one that it begins. */
int slice_compare(struct slice a, struct slice b);
bool slice_is(struct slice slice, const char *text);

/* Behind the value that begins at `at`; NULL: it has no end. */
const char *member_value_end(const char *at, const char *end);

/* The members of an object; -1: it is not written so, or has more than MEMBERS_MAX. */
int members_split(struct slice text, struct member members[static MEMBERS_MAX]);
