/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of sources, and what all of them do alike: which of the files that they come across are read. What lies in
 * folders is read only if its name says that it is CloudTrail's, because such folders hold digests, insights and
 * manifests beside the logs. */
#include "detector/source_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const struct source_backend *const backends[] = {&source_stdin, &source_bucket, &source_folder};

int source_open(const char *name, const struct source_options *options, struct log_source **ret, struct error *err)
{
	size_t i = 0;
	while (i + 1 < ARRAY_LENGTH(backends) && !backends[i]->is_mine(name))
		i++; /* the last one takes anything */
	struct log_source *source = calloc(1, sizeof(*source));
	if (source == NULL || (source->name = strdup(name)) == NULL) {
		source_close(source);
		return error_set(err, ERROR_MEMORY, "no memory for a source");
	}
	source->backend = backends[i];
	source->options = *options;
	*ret = source;
	return 0;
}

void source_close(struct log_source *source)
{
	if (source == NULL)
		return;
	free(source->name);
	free(source);
}

int source_each(struct log_source *source, const struct source_reader *reader, struct error *err)
{
	return source->backend->each(source, reader, err);
}

int source_fetch(const struct source_file *file, int *ret_fd, struct error *err)
{
	return file->source->backend->fetch(file, ret_fd, NULL, err);
}

int source_fetch_digest(const struct source_file *file, int *ret_fd, char signature[static SOURCE_SIGNATURE_BYTES],
                        struct error *err)
{
	signature[0] = '\0';
	return file->source->backend->fetch(file, ret_fd, signature, err);
}

static void leave_out(const struct source_reader *reader, const char *name)
{
	if (reader->outside != NULL)
		reader->outside(reader->context, name);
}

int source_take(const struct source_file *file, const struct source_reader *reader, struct error *err)
{
	struct source_place place = source_place_of(file->name);
	bool is_wanted = source_is_log_name(file->name) && place.kind != SOURCE_OTHER;
	if (!is_wanted || (place.kind == SOURCE_DIGEST && reader->digest == NULL))
		reader->skipped(reader->context, file->name);
	else if (!source_filter_takes(&file->source->options.filter, &place))
		leave_out(reader, file->name);
	else if (place.kind == SOURCE_DIGEST)
		return reader->digest(reader->context, file, err);
	else
		return reader->file(reader->context, file, err);
	return 0;
}

bool source_enters(const struct log_source *source, const char *folder, const struct source_reader *reader)
{
	struct source_place place = source_place_of(folder);
	if (source_filter_takes(&source->options.filter, &place))
		return true;
	leave_out(reader, folder);
	return false;
}

/* ---- standard input */

static bool is_stdin(const char *name)
{
	return strcmp(name, "-") == 0;
}

static int each_stdin(struct log_source *source, const struct source_reader *reader, struct error *err)
{
	const struct source_file file = {.source = source, .name = source->name, .version = ""};
	return reader->file(reader->context, &file, err);
}

static int fetch_stdin(const struct source_file *file, int *ret_fd, char *signature, struct error *err)
{
	(void)file;
	(void)signature;
	*ret_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return *ret_fd >= 0 ? 0 : error_errno(err, "standard input");
}

const struct source_backend source_stdin = {is_stdin, each_stdin, fetch_stdin};
