/* SPDX-License-Identifier: Apache-2.0 */

/* Packing of rows: JSON trees in, canonical texts out. Processes are taken out of the body and named by digest, so
 * that a process that fetches credentials a thousand times is stored once. */
#include "store/entry.h"

#include <string.h>

#include "common/secret.h"

int entry_id_make(char ret[static ENTRY_ID_BYTES], struct error *err)
{
	uint8_t bytes[(ENTRY_ID_BYTES - 1) / 2];
	if (secret_random(bytes, sizeof(bytes), err) < 0)
		return -1;
	(void)digest_hex(bytes, sizeof(bytes), ret);
	return 0;
}

/* Puts a process into the list unless it is there already, taking the text over; gives its digest as JSON text. */
MUST_USE static int actor_add(struct packed *packed, char *process, json_t **ret_name, struct error *err)
{
	char hex[DIGEST_HEX_BYTES];
	uint8_t digest[DIGEST_BYTES];
	CLEANUP_FREE char *body = process;
	if (body == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a process");
	if (digest_of(body, strlen(body), digest, err) < 0)
		return -1;

	size_t i = 0;
	while (i < packed->actor_count && memcmp(packed->actors[i].digest, digest, DIGEST_BYTES) != 0)
		i++;
	if (i == ENTRY_ACTORS_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d processes in one row", ENTRY_ACTORS_MAX);
	if (i == packed->actor_count) {
		memcpy(packed->actors[i].digest, digest, DIGEST_BYTES);
		packed->actors[i].body = steal_pointer(&body);
		packed->actor_count++;
	}
	*ret_name = json_string(digest_hex(digest, DIGEST_BYTES, hex));
	return *ret_name != NULL ? 0 : error_set(err, ERROR_MEMORY, "no memory for a digest");
}

MUST_USE static int name_holder(struct packed *packed, char *holder, json_t *names, struct error *err)
{
	json_t *name;
	if (actor_add(packed, holder, &name, err) < 0)
		return -1;
	return json_array_append_new(names, name) == 0 ? 0 : error_set(err, ERROR_MEMORY, "no memory for a holder");
}

/* Replaces the body's trees. */
MUST_USE static int name_trees(struct packed *packed, const json_t *from, json_t *body, struct error *err)
{
	const json_t *process = json_at(from, "process"), *holders = json_at(from, "holders");
	json_t *name;
	if (json_is_object(process)) {
		if (actor_add(packed, json_line(process), &name, err) < 0)
			return -1;
		packed->has_process = true;
		json_put(body, "process", name);
	}
	if (json_is_array(holders)) {
		json_t *names = json_array();
		json_put(body, "holders", names);
		for (size_t i = 0; i < json_array_size(holders); i++)
			if (name_holder(packed, json_line(json_array_get(holders, i)), names, err) < 0)
				return -1;
	}
	return 0;
}

/* The same of texts. The process, which is nearly always a holder too, is hashed once. */
MUST_USE static int name_texts(struct packed *packed, const struct entry_actors *actors, json_t *body,
                               struct error *err)
{
	json_t *names = json_array(), *name = NULL;
	packed->has_process = actors->process >= 0;
	if (packed->has_process && actor_add(packed, strdup(actors->processes[actors->process]), &name, err) < 0) {
		json_decref(names);
		return -1;
	}
	json_put(body, "process", name);
	json_put(body, "holders", names);
	for (size_t i = 0; i < actors->holders; i++) {
		bool is_process = (int)i == actors->process;
		if (is_process ? json_array_append(names, name) < 0
		               : name_holder(packed, strdup(actors->processes[i]), names, err) < 0)
			return is_process ? error_set(err, ERROR_MEMORY, "no memory for a holder") : -1;
	}
	return 0;
}

MUST_USE static int pack_body(struct packed *packed, const struct entry *entry, struct error *err)
{
	/* A shallow copy is enough: only two members are replaced. json_copy does not change what it copies. */
	CLEANUP_JSON json_t *body = json_object();
	if (body == NULL || json_object_update(body, (json_t *)(uintptr_t)entry->body) < 0)
		return error_set(err, ERROR_MEMORY, "no memory for a row");
	int result = entry->actors != NULL ? name_texts(packed, entry->actors, body, err)
	                                   : name_trees(packed, entry->body, body, err);
	if (result < 0)
		return -1;
	packed->body = entry->actors != NULL ? json_line_with(body, "attribution", entry->actors->attribution)
	                                     : json_line(body);
	return packed->body != NULL ? 0 : error_set(err, ERROR_MEMORY, "no memory for a row");
}

static char *copy_or_null(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

int packed_make(const struct entry *entry, struct packed *ret, struct error *err)
{
	struct packed packed = {
		.kind = strdup(entry->kind),
		.id = strdup(entry->id),
		.subject = copy_or_null(entry->subject),
		.access_key_id = copy_or_null(entry->access_key_id),
		.at_us = entry->at_us,
	};
	int result = packed.kind != NULL && packed.id != NULL ? 0 : error_set(err, ERROR_MEMORY, "no memory for a row");
	if (result == 0)
		result = pack_body(&packed, entry, err);
	if (result < 0)
		packed_done(&packed);
	else
		*ret = packed;
	return result;
}

void packed_done(struct packed *packed)
{
	free(packed->kind);
	free(packed->id);
	free(packed->subject);
	free(packed->access_key_id);
	free(packed->body);
	for (size_t i = 0; i < packed->actor_count; i++)
		free(packed->actors[i].body);
	*packed = (struct packed){0};
}

char *packed_to_line(const struct packed *packed)
{
	CLEANUP_JSON json_t *line = json_object();
	json_t *actors = json_array();
	json_put_text(line, "kind", packed->kind);
	json_put_text(line, "id", packed->id);
	json_put_text(line, "subject", packed->subject);
	json_put_text(line, "access_key_id", packed->access_key_id);
	json_put_int(line, "at", packed->at_us);
	json_put_text(line, "body", packed->body);
	json_put_bool(line, "has_process", packed->has_process);
	for (size_t i = 0; i < packed->actor_count; i++)
		(void)json_array_append_new(actors, json_string(packed->actors[i].body));
	json_put(line, "actors", actors);
	return json_line(line);
}

MUST_USE static int read_line(const json_t *line, struct packed *packed, struct error *err)
{
	const json_t *actors = json_at(line, "actors");
	const char *kind = json_text_at(line, "kind"), *id = json_text_at(line, "id"),
		   *body = json_text_at(line, "body");
	if (kind == NULL || id == NULL || body == NULL || !json_int_at(line, "at", &packed->at_us) ||
	    json_array_size(actors) > ENTRY_ACTORS_MAX)
		return error_set(err, ERROR_INPUT, "not a journalled row");
	packed->kind = strdup(kind);
	packed->id = strdup(id);
	packed->body = strdup(body);
	packed->subject = copy_or_null(json_text_at(line, "subject"));
	packed->access_key_id = copy_or_null(json_text_at(line, "access_key_id"));
	(void)json_bool_at(line, "has_process", &packed->has_process);
	for (size_t i = 0; i < json_array_size(actors); i++) {
		const char *actor = json_string_value(json_array_get(actors, i));
		struct packed_actor *to = &packed->actors[i];
		if (actor == NULL)
			return error_set(err, ERROR_INPUT, "not a journalled row");
		to->body = strdup(actor);
		packed->actor_count++;
		if (to->body == NULL || digest_of(actor, strlen(actor), to->digest, err) < 0)
			return error_set(err, ERROR_MEMORY, "no memory for a process");
	}
	bool complete = packed->kind != NULL && packed->id != NULL && packed->body != NULL;
	return complete ? 0 : error_set(err, ERROR_MEMORY, "no memory for a row");
}

int packed_from_line(const char *line, size_t length, struct packed *ret, struct error *err)
{
	CLEANUP_JSON json_t *tree = NULL;
	struct packed packed = {0};
	if (json_read(line, length, &tree, err) < 0)
		return -1;
	if (read_line(tree, &packed, err) < 0) {
		packed_done(&packed);
		return -1;
	}
	*ret = packed;
	return 0;
}
