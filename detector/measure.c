/* SPDX-License-Identifier: Apache-2.0 */

/* A walk of its own over all sources: it asks for sizes, and opens no file. */
#include "detector/measure.h"

static int add_size(void *context, const struct source_file *file, struct error *err)
{
	uint64_t *total = context;
	(void)err;
	*total += file->size;
	return 0;
}

static void ignore_file(void *context, const char *path)
{
	(void)context;
	(void)path;
}

static void ignore_loss(void *context, const char *path, const char *why)
{
	(void)context;
	(void)path;
	(void)why;
}

uint64_t measure_sources(const char *const *names, size_t count, const struct source_options *from)
{
	uint64_t total = 0;
	const struct source_reader reader = {
		.file = add_size, .skipped = ignore_file, .unreadable = ignore_loss, .context = &total};
	for (size_t i = 0; i < count; i++) {
		CLEANUP_SOURCE struct log_source *source = NULL;
		if (source_open(names[i], from, &source, NULL) == 0)
			(void)source_each(source, &reader, NULL);
	}
	return total;
}
