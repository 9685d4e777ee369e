/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* JSON for settings, ledger objects and findings (never for bulk CloudTrail: as a tree it reads 25 MB/s). The only
 * header that includes jansson.h. One rule everywhere: null is the same as absent. Trees belong to one thread. */

static inline void cleanup_json(json_t **value)
{
	json_decref(*value);
}
#define CLEANUP_JSON CLEANUP(cleanup_json)

/* Parses one text; ERROR_INPUT says line and column. Duplicate keys are refused. */
MUST_USE int json_read(const char *bytes, size_t length, json_t **ret, struct error *err);
MUST_USE int json_read_file(const char *path, json_t **ret, struct error *err);

/* One line, keys sorted, no white space, ASCII not forced: the canonical form that chains and ids are made of.
 * Heap text, the caller frees; NULL when out of memory. */
MUST_USE char *json_line(const json_t *value);

/* The same of an object with one more member, whose value is such a text already; in place of its own of that name, if
 * there is one. `name` is plain. */
MUST_USE char *json_line_with(const json_t *object, const char *name, const char *value);

/* What stands at a dotted path ("userIdentity.sessionContext"); NULL when absent, null, or of another type. Borrowed.
 */
const json_t *json_at(const json_t *value, const char *path);
const char *json_text_at(const json_t *value, const char *path);
bool json_int_at(const json_t *value, const char *path, int64_t *ret);
bool json_bool_at(const json_t *value, const char *path, bool *ret);

/* Builders that write null for NULL, so that a named field is always present. They steal nothing but `value`, and
 * report running out of memory as -1 of json_object_set_new. */
void json_put_text(json_t *object, const char *key, const char *text);
void json_put_int(json_t *object, const char *key, int64_t number);
void json_put_bool(json_t *object, const char *key, bool value);
void json_put_time(json_t *object, const char *key, int64_t time_us); /* 0 becomes null */
void json_put(json_t *object, const char *key, json_t *value);        /* steals; NULL becomes null */

/* A string from untrusted bytes: what is not UTF-8 becomes \xNN. NULL gives null. */
json_t *json_from_bytes(const char *bytes, size_t length);

/* From now on JSON trees wipe what they free: for programs that read secrets. Call before the first tree is made. */
void json_wipe_freed(void);
