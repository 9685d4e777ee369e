/* SPDX-License-Identifier: Apache-2.0 */

/* Finding the files. What the user names is read whatever it is called; what lies in folders only if its name says that
 * it is CloudTrail's, because such folders hold digests, insights and manifests beside the logs. */
#include "detector/source.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), wanted = strlen(end);
	return length > wanted && strcmp(text + length - wanted, end) == 0;
}

static bool is_log_name(const char *name)
{
	static const char *const endings[] = {".json", ".jsonl", ".json.gz", ".jsonl.gz"};
	for (size_t i = 0; i < ARRAY_LENGTH(endings); i++)
		if (ends_with(name, endings[i]))
			return true;
	return false;
}

static bool is_other_folder(const char *name)
{
	return strcmp(name, "CloudTrail-Digest") == 0 || strcmp(name, "CloudTrail-Insight") == 0;
}

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

/* Within a folder of digests everything counts as skipped: fts_number is handed down. */
MUST_USE static int take_entry(FTSENT *entry, const struct source_reader *reader, struct error *err)
{
	if (entry->fts_parent != NULL)
		entry->fts_number = entry->fts_parent->fts_number;
	switch (entry->fts_info) {
	case FTS_D:
		if (is_other_folder(entry->fts_name))
			entry->fts_number = 1;
		return 0;
	case FTS_F:
		if (entry->fts_number == 0 && is_log_name(entry->fts_name))
			return reader->file(reader->context, entry->fts_path, (uint64_t)entry->fts_statp->st_size, err);
		reader->skipped(reader->context, entry->fts_path);
		return 0;
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

MUST_USE static int walk_folder(const char *name, const struct source_reader *reader, struct error *err)
{
	CLEANUP_FREE char *copy = strdup(name);
	char *const names[] = {copy, NULL};
	CLEANUP(cleanup_fts) FTS *walk = NULL;
	FTSENT *entry;
	if (copy == NULL || (walk = fts_open(names, FTS_LOGICAL | FTS_NOCHDIR, compare)) == NULL)
		return error_errno(err, "%s", name);
	while (errno = 0, (entry = fts_read(walk)) != NULL)
		if (take_entry(entry, reader, err) < 0)
			return -1;
	return errno != 0 ? error_errno(err, "%s", name) : 0;
}

int source_each(const char *name, const struct source_reader *reader, struct error *err)
{
	struct stat status;
	if (strcmp(name, "-") == 0)
		return reader->file(reader->context, name, 0, err);
	if (stat(name, &status) < 0)
		return error_errno(err, "%s", name);
	if (S_ISDIR(status.st_mode))
		return walk_folder(name, reader, err);
	return reader->file(reader->context, name, S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0, err);
}
