/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail ledger import: a line for each file, and one for each part of a machine's chain that is missing. A file that
 * does not fit keeps none of the others from being imported. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/columns.h"
#include "cli/complain.h"
#include "cli/ledger_verbs.h"
#include "store/import.h"

struct importing {
	struct importer *importer;
	struct output *output;
	int64_t rows, known, refused, missing;
};

static void cleanup_importer(struct importer **importer)
{
	importer_close(*importer);
}

static json_t *to_object(const char *file, const struct import_result *result)
{
	bool is_good = result->fault == IMPORT_GOOD;
	json_t *object = json_object();
	json_put_text(object, "kind", "import");
	json_put_text(object, "file", file);
	json_put_int(object, "ledgers", result->ledgers);
	json_put_int(object, "rows", result->rows);
	json_put_int(object, "known", result->known);
	json_put_text(object, "fault", is_good ? NULL : import_fault_names[result->fault]);
	json_put(object, "line", is_good ? NULL : json_integer(result->line));
	json_put_text(object, "ledger_id", result->ledger_id[0] != '\0' ? result->ledger_id : NULL);
	json_put(object, "seq", is_good || result->seq == 0 ? NULL : json_integer(result->seq));
	json_put_text(object, "id", result->id[0] != '\0' ? result->id : NULL);
	json_put_text(object, "detail", is_good ? NULL : result->detail);
	return object;
}

MUST_USE static int import_one(struct importing *importing, const char *path, struct error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct import_result result;
	CLEANUP_FD int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "%s", path);
	if (importer_take(importing->importer, path, fd, &result, err) < 0)
		return error_prefix(err, "%s", path);
	CLEANUP_JSON json_t *object = to_object(path, &result);
	importing->rows += result.rows;
	importing->known += result.known;
	importing->refused += result.fault != IMPORT_GOOD;
	return output_row(importing->output, object, err);
}

static int show_missing(void *context, const json_t *missing, struct error *err)
{
	struct importing *importing = context;
	CLEANUP_JSON json_t *object = json_deep_copy(missing);
	int64_t first = 0, last = 0;
	char text[96];
	(void)json_int_at(missing, "first_seq", &first);
	(void)json_int_at(missing, "last_seq", &last);
	(void)snprintf(text, sizeof(text), "row(s) %" PRId64 " to %" PRId64 " were never imported", first, last);
	json_put_text(object, "kind", "missing");
	json_put_text(object, "detail", text);
	importing->missing++;
	return output_row(importing->output, object, err);
}

/* Before anything is changed. */
MUST_USE static int check_files(const struct arguments *arguments, struct error *err)
{
	if (arguments->operand_count < 2)
		return error_set(err, ERROR_USAGE, "ledger import: no file, expected exports of machines' ledgers");
	for (int i = 1; i < arguments->operand_count; i++)
		if (strcmp(arguments->operands[i], "-") != 0 && access(arguments->operands[i], R_OK) < 0)
			return error_errno(err, "%s", arguments->operands[i]);
	return 0;
}

int ledger_import_run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP(cleanup_importer) struct importer *importer = NULL;
	CLEANUP_OUTPUT struct output *output = NULL;
	const struct output_options options = {.form = arguments->form, .columns = &columns_import, .stream = stdout};
	const char *into = arguments->into != NULL       ? arguments->into
	                   : arguments->ledger_count > 0 ? arguments->ledgers[0]
	                                                 : NULL;
	if (into == NULL)
		return error_set(err, ERROR_USAGE, "ledger import: expected --into LEDGER, the merged ledger");
	if (check_files(arguments, err) < 0 || importer_open(into, &importer, err) < 0 ||
	    output_open(&options, &output, err) < 0)
		return -1;
	struct importing importing = {.importer = importer, .output = output};
	for (int i = 1; i < arguments->operand_count; i++)
		if (import_one(&importing, arguments->operands[i], err) < 0)
			return -1;
	if (importer_missing(importer, show_missing, &importing, err) < 0 ||
	    output_close(steal_pointer(&output), err) < 0)
		return -1;
	complain("%d file(s): %" PRId64 " new row(s), %" PRId64 " known; %" PRId64 " refused, %" PRId64 " gap(s)",
	         arguments->operand_count - 1, importing.rows, importing.known, importing.refused, importing.missing);
	*ret = importing.refused > 0 ? STATUS_FOUND : importing.missing > 0 ? STATUS_INCOMPLETE : STATUS_FINE;
	return 0;
}
