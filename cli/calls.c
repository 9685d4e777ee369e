/* SPDX-License-Identifier: Apache-2.0 */

/* Calls summed up. Lists are short: a finding has at most 200 of them. */
#include "cli/calls.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int64_t number_at(const json_t *object, const char *path)
{
	int64_t number = 0;
	(void)json_int_at(object, path, &number);
	return number;
}

/* The entry of that name, made if it is not there. Borrowed. */
static json_t *entry_of(json_t *list, const char *field, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *is = json_text_at(json_array_get(list, i), field);
		if (is != NULL && strcmp(is, name) == 0)
			return json_array_get(list, i);
	}
	json_t *entry =
		json_pack("{s:o, s:i, s:i}", field, json_from_bytes(name, strlen(name)), "count", 0, "errors", 0);
	(void)json_array_append_new(list, entry);
	return entry;
}

static void add(json_t *entry, const json_t *call)
{
	json_put_int(entry, "count", number_at(entry, "count") + number_at(call, "count"));
	json_put_int(entry, "errors", number_at(entry, "errors") + number_at(call, "errors"));
}

static void take_call(json_t *services, const json_t *call)
{
	const char *service = json_text_at(call, "service"), *name = json_text_at(call, "name");
	json_t *of_service = entry_of(services, "service", service != NULL ? service : "");
	json_t *calls = json_object_get(of_service, "calls");
	if (calls == NULL) {
		calls = json_array();
		json_put(of_service, "calls", calls);
	}
	add(of_service, call);
	add(entry_of(calls, "name", name != NULL ? name : ""), call);
}

static int compare(const void *first, const void *second)
{
	const json_t *const *one = first, *const *other = second;
	int64_t more = number_at(*one, "count"), less = number_at(*other, "count");
	const char *field = json_at(*one, "service") != NULL ? "service" : "name";
	const char *name = json_text_at(*one, field), *other_name = json_text_at(*other, field);
	if (more != less)
		return more > less ? -1 : 1;
	return strcmp(name != NULL ? name : "", other_name != NULL ? other_name : "");
}

/* A list of the same entries in order. Steals. */
static json_t *sorted(json_t *list)
{
	size_t count = json_array_size(list);
	CLEANUP_FREE json_t **entries = calloc(count + 1, sizeof(*entries));
	json_t *ordered = json_array();
	for (size_t i = 0; i < count && entries != NULL; i++)
		entries[i] = json_array_get(list, i);
	if (entries != NULL)
		qsort(entries, count, sizeof(*entries), compare);
	for (size_t i = 0; i < count && entries != NULL; i++)
		(void)json_array_append(ordered, entries[i]);
	json_decref(list);
	return ordered;
}

json_t *calls_by_service(const json_t *findings)
{
	json_t *services = json_array();
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *calls = json_at(json_array_get(findings, i), "calls");
		for (size_t j = 0; j < json_array_size(calls); j++)
			take_call(services, json_array_get(calls, j));
	}
	for (size_t i = 0; i < json_array_size(services); i++) {
		json_t *service = json_array_get(services, i);
		json_put(service, "calls", sorted(json_incref(json_object_get(service, "calls"))));
	}
	return sorted(services);
}

int calls_line(const json_t *service, struct buffer *to, struct error *err)
{
	const json_t *calls = json_at(service, "calls");
	const char *name = json_text_at(service, "service");
	int64_t errors = number_at(service, "errors");
	if (buffer_printf(to, err, "%s %" PRId64, name != NULL ? name : "-", number_at(service, "count")) < 0 ||
	    (errors > 0 && buffer_printf(to, err, ", %" PRId64 " with errors", errors) < 0))
		return -1;
	for (size_t i = 0; i < json_array_size(calls); i++) {
		const json_t *call = json_array_get(calls, i);
		name = json_text_at(call, "name");
		if (buffer_printf(to, err, "%s %s %" PRId64, i == 0 ? ":" : ",", name != NULL ? name : "-",
		                  number_at(call, "count")) < 0)
			return -1;
	}
	return 0;
}
