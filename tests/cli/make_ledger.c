/* SPDX-License-Identifier: Apache-2.0 */

/* make_ledger LEDGER: appends rows to a ledger, through the writer that the daemon uses. Each line on standard input is
 * one row: {"kind", "at_us", "access_key_id", "subject", "id", "body"}. For tests that read ledgers. */
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "store/writer.h"

static void cleanup_writer(struct writer **writer)
{
	writer_close(*writer);
}

MUST_USE static int append(struct writer *writer, const char *line, struct error *err)
{
	CLEANUP_JSON json_t *row = NULL;
	if (json_read(line, strlen(line), &row, err) < 0)
		return -1;
	const char *id = json_text_at(row, "id"), *kind = json_text_at(row, "kind");
	struct entry entry = {
		.kind = kind != NULL ? kind : "delivery",
		.subject = json_text_at(row, "subject"),
		.access_key_id = json_text_at(row, "access_key_id"),
		.body = json_at(row, "body"),
	};
	(void)json_int_at(row, "at_us", &entry.at_us);
	if (id != NULL)
		(void)snprintf(entry.id, sizeof(entry.id), "%s", id);
	else if (entry_id_make(entry.id, err) < 0)
		return -1;
	return writer_append(writer, &entry, err);
}

MUST_USE static int fill(const char *path, struct error *err)
{
	CLEANUP(cleanup_writer) struct writer *writer = NULL;
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;
	struct writer_options options = {.path = path};
	if (writer_open(&options, &writer, err) < 0)
		return -1;
	while (getline(&line, &size, stdin) > 0)
		if (append(writer, line, err) < 0)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct error problem = {0};
	if (argc != 2) {
		(void)fprintf(stderr, "usage: make_ledger LEDGER < rows\n");
		return 2;
	}
	if (fill(argv[1], &problem) < 0) {
		(void)fprintf(stderr, "make_ledger: %s\n", problem.text);
		return 1;
	}
	return 0;
}
