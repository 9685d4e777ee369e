/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the table of paths into bytes to serve. Lists are derived from the paths, so none can name what is not
 * there. */
#include "sim/tree.h"

#include <string.h>

/* Room for each row and each of its parents. */
enum { NODES_LIMIT = 256, USER_DATA_LIMIT = 1 << 20, DOCUMENT_LIMIT = 1 << 20, SIGNATURE_BYTES = 128 };

static const char default_user_data[] = "#!/bin/sh\nprintf 'binary: \0\1\2\377\\n'\n\0tail";

struct build {
	struct tree tree;
	const struct settings *settings;
	const struct credential_sets *sets;
	time_t started;
};

static bool is_present(const struct settings *settings, enum condition when)
{
	switch (when) {
	case WHEN_ALWAYS:
		return true;
	case WHEN_ROLE:
		return settings->role[0] != '\0';
	case WHEN_EXTENDED:
		return settings->role[0] != '\0' && settings->extended;
	case WHEN_ECS:
		return settings->ecs;
	case WHEN_TAGS:
		return settings->tags;
	case WHEN_NO_TAGS:
		return !settings->tags;
	case WHEN_SPOT:
		return settings->spot != SPOT_NONE;
	case WHEN_PUBLIC_IP:
		return settings->public_ip[0] != '\0';
	case WHEN_IPV6:
		return settings->ipv6[0] != '\0';
	}
	return false;
}

/* "10.0.1.23" becomes "10-0-1-23". */
static void dashed(char ret[static 16], const char *address)
{
	(void)snprintf(ret, 16, "%s", address);
	for (char *at = ret; *at != '\0'; at++)
		if (*at == '.')
			*at = '-';
}

static void write_derived(FILE *out, const struct build *build, const char *name)
{
	char text[32];

	if (strcmp(name, "private-name") == 0) {
		dashed(text, build->settings->private_ip);
		(void)fprintf(out, "ip-%s.%s.compute.internal", text, build->settings->region);
	} else if (strcmp(name, "public-name") == 0) {
		dashed(text, build->settings->public_ip);
		(void)fprintf(out, "ec2-%s.%s.compute.amazonaws.com", text, build->settings->region);
	} else if (strcmp(name, "updated") == 0) {
		time_iso(text, build->sets->last_updated);
		(void)fputs(text, out);
	} else if (strcmp(name, "started") == 0) {
		time_iso(text, build->started);
		(void)fputs(text, out);
	} else {
		abort(); /* a misspelt name in the table of paths */
	}
}

static void write_name(FILE *out, const struct build *build, const char *name)
{
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];

		if (strcmp(setting->key, name) != 0)
			continue;
		if (setting->type == SETTING_TEXT)
			(void)fputs((const char *)build->settings + setting->offset, out);
		else
			(void)fputs(setting->choices[build->settings->spot], out);
		return;
	}
	write_derived(out, build, name);
}

/* A '<' opens a name only where a '>' follows within the length of one; XML does not come that close. */
static void expand(FILE *out, const struct build *build, const char *text)
{
	while (*text != '\0') {
		size_t name_length = *text == '<' ? strspn(text + 1, "abcdefghijklmnopqrstuvwxyz-6") : 0;
		char name[24];

		if (name_length == 0 || name_length >= sizeof(name) || text[1 + name_length] != '>') {
			(void)fputc(*text++, out);
			continue;
		}
		(void)snprintf(name, sizeof(name), "%.*s", (int)name_length, text + 1);
		write_name(out, build, name);
		text += name_length + 2;
	}
}

/* Nobody can verify these, but they must stay the same while the instance does: seeded with what they are for. */
static void write_signature(FILE *out, const char *path, const char *instance_id)
{
	unsigned char bytes[SIGNATURE_BYTES];
	char text[SIGNATURE_BYTES * 2];
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

	for (const char *at = path; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
	for (const char *at = instance_id; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		hash = (hash ^ i) * UINT64_C(1099511628211);
		bytes[i] = (unsigned char)(hash >> 32);
	}
	base64(text, bytes, sizeof(bytes), base64_standard);
	for (size_t at = 0; text[at] != '\0'; at += strnlen(text + at, 64))
		(void)fprintf(out, "%s%.64s", at > 0 ? "\n" : "", text + at);
}

static void write_set(FILE *out, const struct build *build, enum source source, enum delivery delivery)
{
	static const struct {
		enum family family;
		enum document document;
	} shapes[] = {
		[SOURCE_ROLE] = {FAMILY_ROLE, DOCUMENT_ROLE},
		[SOURCE_EXTENDED] = {FAMILY_ROLE, DOCUMENT_EXTENDED},
		[SOURCE_IDENTITY] = {FAMILY_IDENTITY, DOCUMENT_ROLE},
		[SOURCE_TASK_APPLICATION] = {FAMILY_TASK_APPLICATION, DOCUMENT_TASK},
		[SOURCE_TASK_EXECUTION] = {FAMILY_TASK_EXECUTION, DOCUMENT_TASK},
	};
	const struct settings *settings = build->settings;

	if ((source == SOURCE_ROLE || source == SOURCE_EXTENDED) && settings->role_error[0] != '\0')
		credentials_write_error(out, settings->role_error, settings->role, build->sets->last_updated);
	else
		credentials_write(out, build->sets, shapes[source].family, delivery, shapes[source].document,
		                  settings->account);
}

static int write_body(const struct build *build, const struct path_row *row, enum delivery delivery,
                      struct blob *ret_blob, struct error *err)
{
	const char *file = row->source == SOURCE_USER_DATA ? build->settings->user_data
	                   : row->source == SOURCE_ROLE    ? build->settings->credentials
	                                                   : "";
	if (*file != '\0')
		return blob_read(file, USER_DATA_LIMIT, ret_blob, err);

	FILE *out = open_memstream(&ret_blob->data, &ret_blob->bytes);
	if (out == NULL)
		return error_set(err, "out of memory");

	switch (row->source) {
	case SOURCE_TEXT:
	case SOURCE_LIST:
		expand(out, build, row->text);
		break;
	case SOURCE_ROLE:
	case SOURCE_EXTENDED:
	case SOURCE_IDENTITY:
	case SOURCE_TASK_APPLICATION:
	case SOURCE_TASK_EXECUTION:
		write_set(out, build, row->source, delivery);
		break;
	case SOURCE_USER_DATA:
		(void)fwrite(default_user_data, 1, sizeof(default_user_data) - 1, out);
		break;
	case SOURCE_SIGNATURE:
		write_signature(out, row->path, build->settings->instance_id);
		break;
	}
	return fclose(out) == 0 ? 0 : error_set(err, "out of memory");
}

static struct node *find_unsorted(struct tree *tree, const char *path, size_t length)
{
	for (size_t i = 0; i < tree->count; i++)
		if (strncmp(tree->nodes[i].path, path, length) == 0 && tree->nodes[i].path[length] == '\0')
			return &tree->nodes[i];
	return NULL;
}

static struct node *add_node(struct tree *tree, const char *path, size_t length)
{
	if (tree->count == NODES_LIMIT)
		abort(); /* the table of paths has outgrown its bound */

	struct node *node = &tree->nodes[tree->count++];
	*node = (struct node){.path = strndup(path, length)};
	if (node->path == NULL)
		abort();
	return node;
}

/* One more line in a directory's list, unless the list came with its row. */
static void list_child(struct node *directory, const char *name, size_t length, bool is_directory)
{
	struct blob *list = &directory->body[DELIVERY_V1];

	if (directory->listed)
		return;
	char *grown = realloc(list->data, list->bytes + length + 3);

	if (grown == NULL)
		abort();
	list->data = grown;
	list->bytes += (size_t)sprintf(grown + list->bytes, "%s%.*s%s", list->bytes > 0 ? "\n" : "", (int)length, name,
	                               is_directory ? "/" : "");
}

/* Makes the directories above PATH and enters each new child in its parent's list. */
static void add_parents(struct tree *tree, const char *path, bool is_directory)
{
	const char *name = path;

	for (const char *slash; (slash = strchr(name, '/')) != NULL; name = slash + 1) {
		size_t parent_length = name == path ? 0 : (size_t)(name - path - 1);
		size_t length = (size_t)(slash - path);

		if (find_unsorted(tree, path, length) != NULL)
			continue;
		add_node(tree, path, length)->directory = true;
		if (parent_length > 0)
			list_child(find_unsorted(tree, path, parent_length), name, (size_t)(slash - name), true);
	}
	if (name != path)
		list_child(find_unsorted(tree, path, (size_t)(name - path - 1)), name, strlen(name), is_directory);
}

static int add_row(struct build *build, const struct path_row *row, struct error *err)
{
	CLEANUP_BLOB struct blob path = {0};
	FILE *out = open_memstream(&path.data, &path.bytes);

	if (out == NULL)
		return error_set(err, "out of memory");
	expand(out, build, row->path);
	(void)fclose(out);

	if (!row->hidden)
		add_parents(&build->tree, path.data, row->source == SOURCE_LIST);

	struct node *node = add_node(&build->tree, path.data, path.bytes);
	node->directory = row->source == SOURCE_LIST;
	node->listed = row->source == SOURCE_LIST;
	node->binary = row->source == SOURCE_USER_DATA;
	node->split = row->source >= SOURCE_ROLE && row->source <= SOURCE_TASK_EXECUTION;
	node->rotates = node->split;
	for (int delivery = 0; delivery < (node->split ? DELIVERY_COUNT : 1); delivery++) {
		struct blob *body = &node->body[delivery];
		if (write_body(build, row, (enum delivery)delivery, body, err) != 0)
			return -1;
		if (node->split)
			credentials_find_key(body->data, node->access_key_id[delivery]);
	}
	return 0;
}

static int compare_nodes(const void *left, const void *right)
{
	return strcmp(((const struct node *)left)->path, ((const struct node *)right)->path);
}

static int compare_path(const void *path, const void *node)
{
	return strcmp(path, ((const struct node *)node)->path);
}

int tree_build(struct tree *ret_tree, const struct settings *settings, const struct credential_sets *sets,
               time_t started, struct error *err)
{
	struct build build = {.settings = settings, .sets = sets, .started = started};

	build.tree.nodes = calloc(NODES_LIMIT, sizeof(struct node));
	if (build.tree.nodes == NULL)
		return error_set(err, "out of memory");

	for (size_t i = 0; i < paths_count; i++) {
		if (!is_present(settings, paths[i].when))
			continue;
		if (add_row(&build, &paths[i], err) != 0) {
			tree_done(&build.tree);
			return -1;
		}
	}
	qsort(build.tree.nodes, build.tree.count, sizeof(struct node), compare_nodes);
	*ret_tree = build.tree;
	return 0;
}

void tree_done(struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		free(tree->nodes[i].path);
		for (int delivery = 0; delivery < DELIVERY_COUNT; delivery++)
			blob_done(&tree->nodes[i].body[delivery]);
	}
	free(tree->nodes);
	*tree = (struct tree){0};
}

const struct node *tree_find(const struct tree *tree, const char *path)
{
	return bsearch(path, tree->nodes, tree->count, sizeof(struct node), compare_path);
}
