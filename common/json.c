/* SPDX-License-Identifier: Apache-2.0 */

/* A thin layer over jansson: null means absent, fields are tables, texts are always valid UTF-8. */
#include "common/json.h"

#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/secret.h"
#include "common/text.h"

#define MEMBER_BYTES 48 /* a guess */
#define LINE_FLAGS (JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY)

int json_read(const char *bytes, size_t length, json_t **ret, struct error *err)
{
	json_error_t problem;
	json_t *value = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
	if (value == NULL)
		return error_set(err, ERROR_INPUT, "line %d, column %d: %s", problem.line, problem.column,
		                 problem.text);
	*ret = value;
	return 0;
}

int json_read_file(const char *path, json_t **ret, struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	if (buffer_read_file(&text, path, err) < 0)
		return -1;
	if (json_read(text.bytes, text.length, ret, err) < 0)
		return error_prefix(err, "%s", path);
	return 0;
}

char *json_line(const json_t *value)
{
	return json_dumps(value, LINE_FLAGS);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_bytes(const char *bytes, size_t length, void *buffer)
{
	struct error ignored;
	return buffer_append(buffer, bytes, length, &ignored);
}

char *json_line_with(const json_t *object, const char *name, const char *value)
{
	struct buffer line = {0};
	size_t count = 0;
	CLEANUP_FREE const char **names = calloc(json_object_size(object) + 1, sizeof(*names));
	struct error ignored;
	bool good = names != NULL &&
	            buffer_reserve(&line, strlen(value) + MEMBER_BYTES * json_object_size(object), &ignored) == 0;
	for (void *at = json_object_iter((json_t *)(uintptr_t)object); good && at != NULL;
	     at = json_object_iter_next((json_t *)(uintptr_t)object, at))
		if (strcmp(json_object_iter_key(at), name) != 0)
			names[count++] = json_object_iter_key(at);
	if (good) {
		names[count++] = name;
		qsort(names, count, sizeof(*names), by_name);
	}
	for (size_t i = 0; good && i < count; i++) {
		const json_t *member = names[i] != name ? json_object_get(object, names[i]) : NULL;
		good = buffer_printf(&line, &(struct error){0}, "%c\"%s\":", i == 0 ? '{' : ',', names[i]) == 0 &&
		       (member != NULL ? json_dump_callback(member, add_bytes, &line, LINE_FLAGS)
		                       : add_bytes(value, strlen(value), &line)) == 0;
	}
	if (good && add_bytes("}", 1, &line) == 0)
		return line.bytes;
	buffer_done(&line);
	return NULL;
}

const json_t *json_at(const json_t *value, const char *path)
{
	while (*path != '\0' && value != NULL) {
		char name[64];
		size_t length = strcspn(path, ".");
		if (length >= sizeof(name))
			return NULL;
		memcpy(name, path, length);
		name[length] = '\0';
		value = json_object_get(value, name);
		path += length;
		if (*path == '.')
			path++;
	}
	return json_is_null(value) ? NULL : value;
}

const char *json_text_at(const json_t *value, const char *path)
{
	return json_string_value(json_at(value, path));
}

bool json_int_at(const json_t *value, const char *path, int64_t *ret)
{
	const json_t *found = json_at(value, path);
	if (!json_is_integer(found))
		return false;
	*ret = json_integer_value(found);
	return true;
}

bool json_bool_at(const json_t *value, const char *path, bool *ret)
{
	const json_t *found = json_at(value, path);
	if (!json_is_boolean(found))
		return false;
	*ret = json_is_true(found);
	return true;
}

void json_put(json_t *object, const char *key, json_t *value)
{
	/* Fails only without memory; a missing field then shows in the line that is written. */
	(void)json_object_set_new(object, key, value != NULL ? value : json_null());
}

void json_put_text(json_t *object, const char *key, const char *text)
{
	json_put(object, key, text != NULL ? json_from_bytes(text, strlen(text)) : NULL);
}

void json_put_int(json_t *object, const char *key, int64_t number)
{
	json_put(object, key, json_integer(number));
}

void json_put_bool(json_t *object, const char *key, bool value)
{
	json_put(object, key, json_boolean(value));
}

void json_put_time(json_t *object, const char *key, int64_t time_us)
{
	char text[CLOCK_TEXT_BYTES];
	json_put_text(object, key, time_us != 0 ? clock_format(time_us, text) : NULL);
}

json_t *json_from_bytes(const char *bytes, size_t length)
{
	if (bytes == NULL)
		return json_null();
	json_t *value = json_stringn(bytes, length);
	if (value != NULL && memchr(bytes, '\0', length) == NULL)
		return value;
	json_decref(value);
	CLEANUP_FREE char *clean = text_to_utf8(bytes, length);
	return clean != NULL ? json_string(clean) : NULL;
}

void json_wipe_freed(void)
{
	json_set_alloc_funcs(secret_malloc, secret_free);
}
