/* SPDX-License-Identifier: Apache-2.0 */

/* Only names are read here, and kept: what is in the files is another's business. */
#include "detector/digests_files.h"

#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/text.h"

/* What a walk is for. */
struct walk {
	struct digests_files *files;
	const struct digests_places *places;
};

MUST_USE static int add_file(struct digests_list *list, const struct source_file *file, struct error *err)
{
	if (array_reserve(&list->list, sizeof(*list->list), list->count, &list->capacity, "names", err) < 0)
		return -1;
	char *name = strdup(file->name);
	if (name == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a name");
	list->list[list->count++] = (struct digests_file){.source = file->source, .name = name};
	return 0;
}

static int on_log(void *context, const struct source_file *file, struct error *err)
{
	const struct walk *walk = context;
	struct digests_files *files = walk->files;
	const char *base = text_base(file->name);
	if (add_file(&files->logs, file, err) < 0)
		return -1;
	return map_add(&files->by_name, base, strlen(base), (uint32_t)(files->logs.count - 1), NULL, err);
}

static int on_digest(void *context, const struct source_file *file, struct error *err)
{
	const struct walk *walk = context;
	return add_file(&walk->files->digests, file, err);
}

static void on_skipped(void *context, const char *name)
{
	(void)context;
	(void)name;
}

static void on_unreadable(void *context, const char *name, const char *why)
{
	const struct walk *walk = context;
	walk->places->unreadable(walk->places->context, name, why);
}

/* A name begins with its chain, and ends in the time. */
static int compare_digests(const void *a, const void *b)
{
	const struct digests_file *first = a, *second = b;
	return strcmp(text_base(first->name), text_base(second->name));
}

int digests_files_open(struct digests_files *files, const struct digests_places *places, struct error *err)
{
	struct walk walk = {.files = files, .places = places};
	const struct source_reader reader = {.file = on_log,
	                                     .digest = on_digest,
	                                     .skipped = on_skipped,
	                                     .unreadable = on_unreadable,
	                                     .context = &walk};
	*files = (struct digests_files){.sources = calloc(places->count, sizeof(struct log_source *))};
	if (files->sources == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for sources");
	for (size_t i = 0; i < places->count; i++) {
		struct log_source **source = &files->sources[files->source_count];
		if (strcmp(places->names[i], "-") == 0)
			return error_set(err, ERROR_USAGE,
			                 "standard input has no digests: expected folders or s3://...");
		if (source_open(places->names[i], places->from, source, err) < 0)
			return -1;
		files->source_count++;
		if (source_each(*source, &reader, err) < 0)
			return -1;
	}
	if (files->digests.count > 0)
		qsort(files->digests.list, files->digests.count, sizeof(struct digests_file), compare_digests);
	return 0;
}

static void list_done(struct digests_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->list[i].name);
	free(list->list);
}

void digests_files_close(struct digests_files *files)
{
	for (size_t i = 0; i < files->source_count; i++)
		source_close(files->sources[i]);
	free(files->sources);
	list_done(&files->logs);
	list_done(&files->digests);
	map_done(&files->by_name);
	*files = (struct digests_files){0};
}

struct digests_file *digests_files_log(const struct digests_files *files, const char *base)
{
	uint32_t index = map_find(&files->by_name, base, strlen(base));
	return index != MAP_NONE ? &files->logs.list[index] : NULL;
}
