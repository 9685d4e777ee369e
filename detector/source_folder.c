/* SPDX-License-Identifier: Apache-2.0 */

/* Files and folders of this machine. What the user names is read whatever it is called. */
#include "detector/source_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buffer.h"
#include "common/text.h"

#define VERSION_BYTES 64

/* Names, not the order of the disk: the same folder gives the same run. */
static int compare(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void cleanup_fts(FTS **walk)
{
	if (*walk != NULL)
		(void)fts_close(*walk);
}

static struct source_file make_file(struct log_source *source, const char *path, const struct stat *status,
                                    char version[static VERSION_BYTES])
{
	version[0] = '\0';
	if (S_ISREG(status->st_mode))
		(void)snprintf(version, VERSION_BYTES, "%jd-%jd.%09ld", (intmax_t)status->st_size,
		               (intmax_t)status->st_mtim.tv_sec, status->st_mtim.tv_nsec);
	return (struct source_file){.source = source,
	                            .name = path,
	                            .version = version,
	                            .size = S_ISREG(status->st_mode) ? (uint64_t)status->st_size : 0};
}

MUST_USE static int take_entry(struct log_source *source, FTS *walk, FTSENT *entry, const struct source_reader *reader,
                               struct error *err)
{
	char version[VERSION_BYTES];
	struct source_file file;
	switch (entry->fts_info) {
	case FTS_D:
		if (entry->fts_level > 0 && !source_enters(source, entry->fts_path, reader))
			(void)fts_set(walk, entry, FTS_SKIP);
		return 0;
	case FTS_F:
		file = make_file(source, entry->fts_path, entry->fts_statp, version);
		return source_take(&file, reader, err);
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		reader->unreadable(reader->context, entry->fts_path, strerror(entry->fts_errno));
		return 0;
	case FTS_DP:
		return 0;
	default: /* sockets, loops, links to nowhere */
		reader->skipped(reader->context, entry->fts_path);
		return 0;
	}
}

MUST_USE static int walk_folder(struct log_source *source, const struct source_reader *reader, struct error *err)
{
	char *const names[] = {source->name, NULL};
	CLEANUP(cleanup_fts) FTS *walk = fts_open(names, FTS_LOGICAL | FTS_NOCHDIR, compare);
	FTSENT *entry;
	if (walk == NULL)
		return error_errno(err, "%s", source->name);
	while (errno = 0, (entry = fts_read(walk)) != NULL)
		if (take_entry(source, walk, entry, reader, err) < 0)
			return -1;
	return errno != 0 ? error_errno(err, "%s", source->name) : 0;
}

static bool is_path(const char *name)
{
	(void)name;
	return true;
}

static int each_path(struct log_source *source, const struct source_reader *reader, struct error *err)
{
	char version[VERSION_BYTES];
	struct stat status;
	if (stat(source->name, &status) < 0)
		return error_errno(err, "%s", source->name);
	if (S_ISDIR(status.st_mode))
		return walk_folder(source, reader, err);
	const struct source_file file = make_file(source, source->name, &status, version);
	return reader->file(reader->context, &file, err);
}

/* Whoever copies digests out of S3 loses their metadata: the signature may be put beside. */
static void read_signature(const char *name, char *signature)
{
	CLEANUP_FREE char *path = NULL;
	CLEANUP_BUFFER struct buffer text = {.limit = SOURCE_SIGNATURE_BYTES - 1};
	if (asprintf(&path, "%s.sig", name) >= 0 && buffer_read_file(&text, path, NULL) == 0 && text.bytes != NULL)
		(void)text_copy(signature, SOURCE_SIGNATURE_BYTES, text_trim(text.bytes));
}

static int fetch_path(const struct source_file *file, int *ret_fd, char *signature, struct error *err)
{
	*ret_fd = open(file->name, O_RDONLY | O_CLOEXEC);
	if (*ret_fd < 0)
		return error_errno(err, "cannot be opened");
	if (signature != NULL)
		read_signature(file->name, signature);
	return 0;
}

const struct source_backend source_folder = {is_path, each_path, fetch_path};
