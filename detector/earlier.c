/* SPDX-License-Identifier: Apache-2.0 */

/* A file's name in CloudTrail's own layout says when it was delivered, and nothing in it is younger. Of other names
 * nothing is known, so they always may. */
#include "detector/earlier.h"

#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/text.h"
#include "detector/source_layout.h"

#define FILE_KIND "file"

int earlier_note(struct findings *findings, const char *name, int64_t now_us, struct error *err)
{
	CLEANUP_JSON json_t *row = json_object();
	CLEANUP_FREE char *path = name[0] != '/' && strstr(name, "://") == NULL ? realpath(name, NULL) : NULL;
	bool is_stdin = strcmp(name, "-") == 0;
	if (text_starts(name, "/proc/self/")) /* ours alone: what LookupEvents answered */
		return 0;
	json_put_text(row, "name", is_stdin ? NULL : path != NULL ? path : name);
	json_put_int(row, "until", source_place_of(name).until_us);
	if (is_stdin)
		json_put_int(row, "read", now_us);
	return findings_lesson_put(findings, FILE_KIND, row, now_us, err);
}

struct listing {
	struct earlier *to;
	int64_t since_us;
};

static int take(void *context, const json_t *row, struct error *err)
{
	const struct listing *listing = context;
	struct earlier *to = listing->to;
	const char *name = json_text_at(row, "name");
	int64_t until_us = 0;
	(void)json_int_at(row, "until", &until_us);
	to->lost += name == NULL ? 1 : 0;
	if (name == NULL || (until_us != 0 && until_us < listing->since_us))
		return 0;
	if (array_reserve(&to->names, sizeof(*to->names), to->count, &to->capacity, "files of earlier runs", err) < 0)
		return -1;
	to->names[to->count] = strdup(name);
	if (to->names[to->count] == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a name");
	to->count++;
	return 0;
}

int earlier_list(struct findings *findings, int64_t since_us, struct earlier *ret, struct error *err)
{
	struct listing listing = {ret, since_us};
	return findings_lessons_of_others(findings, FILE_KIND, take, &listing, err);
}

void earlier_done(struct earlier *earlier)
{
	for (size_t i = 0; i < earlier->count; i++)
		free(earlier->names[i]);
	free(earlier->names);
	*earlier = (struct earlier){0};
}
