/* SPDX-License-Identifier: Apache-2.0 */

/* Results on their way out. JSON is written in ASCII with sorted keys: the same object is the same line everywhere, and
 * no terminal finds anything in it to obey. Each write is checked: a full disk must not look like an empty ledger. */
#include "cli/output.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cli/csv.h"
#include "cli/table.h"
#include "detector/output_form.h"

const char *const form_names[FORM_COUNT] = {
	[FORM_TABLE] = "table", [FORM_JSON] = "json", [FORM_JSONL] = "jsonl",         [FORM_CSV] = "csv",
	[FORM_ASFF] = "asff",   [FORM_OCSF] = "ocsf", [FORM_GUARDDUTY] = "guardduty", [FORM_TIMESKETCH] = "timesketch",
};

/* How each form is written: as one list, which Security Hub takes; else one object a line. Those of other tools first
 * make other objects of each. */
static const struct {
	bool is_list;
	const struct output_form *other;
} styles[FORM_COUNT] = {
	[FORM_JSON] = {.is_list = true},
	[FORM_ASFF] = {.is_list = true, .other = &output_asff},
	[FORM_OCSF] = {.other = &output_ocsf},
	[FORM_GUARDDUTY] = {.other = &output_guardduty},
	[FORM_TIMESKETCH] = {.other = &output_timesketch},
};

struct output {
	struct output_options options;
	struct table *table;
	struct buffer line;
	bool has_rows;
	bool abandoned;
};

/* `| head` is not an error. */
MUST_USE static int reader_is_gone(struct error *err)
{
	return error_set(err, ERROR_NONE, "the reader of the output is gone");
}

/* Says what a stream's failure was. A reader that has gone away gets no complaint. */
MUST_USE static int write_failed(struct error *err)
{
	if (errno == EPIPE)
		return reader_is_gone(err);
	return error_errno(err, "writing the output");
}

MUST_USE static int put(struct output *output, const char *bytes, size_t length, struct error *err)
{
	if (fwrite(bytes, 1, length, output->options.stream) == length)
		return 0;
	output->abandoned = errno == EPIPE;
	return write_failed(err);
}

MUST_USE static int put_text(struct output *output, const char *text, struct error *err)
{
	return put(output, text, strlen(text), err);
}

MUST_USE static int put_json(struct output *output, const json_t *object, struct error *err)
{
	CLEANUP_FREE char *line = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
	if (line == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a line of output");
	return put_text(output, line, err);
}

MUST_USE static int begin(struct output *output, struct error *err)
{
	struct table_look look;
	if (output->options.form == FORM_TABLE) {
		look = table_look_at(output->options.stream);
		look.steady = output->options.steady;
		return table_new(output->options.columns, &look, &output->table, err);
	}
	if (styles[output->options.form].is_list)
		return put_text(output, output->options.opening != NULL ? output->options.opening : "[", err);
	if (output->options.form == FORM_CSV) {
		if (csv_heading(&output->line, output->options.columns, err) < 0)
			return -1;
		return put(output, output->line.bytes, output->line.length, err);
	}
	return 0;
}

int output_open(const struct output_options *options, struct output **ret, struct error *err)
{
	CLEANUP_OUTPUT struct output *output = calloc(1, sizeof(*output));
	if (output == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the output");
	output->options = *options;
	if (begin(output, err) < 0)
		return -1;
	*ret = steal_pointer(&output);
	return 0;
}

MUST_USE static int put_object(struct output *output, const json_t *object, struct error *err)
{
	bool is_list = styles[output->options.form].is_list, is_first = !output->has_rows;
	output->has_rows = true;
	if (is_list && put_text(output, is_first ? "\n" : ",\n", err) < 0)
		return -1;
	if (put_json(output, object, err) < 0)
		return -1;
	return is_list ? 0 : put_text(output, "\n", err);
}

MUST_USE static int put_others(struct output *output, const struct output_form *form, const json_t *finding,
                               struct error *err)
{
	CLEANUP_JSON json_t *objects = json_array();
	if (form->make(finding, objects, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(objects); i++)
		if (put_object(output, json_array_get(objects, i), err) < 0)
			return -1;
	return 0;
}

int output_row(void *context, const json_t *object, struct error *err)
{
	struct output *output = context;
	const struct output_form *other = styles[output->options.form].other;
	if (other != NULL)
		return put_others(output, other, object, err);
	if (output->options.form == FORM_TABLE)
		return table_add(output->table, object, err);
	if (output->options.form != FORM_CSV)
		return put_object(output, object, err);
	buffer_clear(&output->line);
	if (csv_row(&output->line, output->options.columns, object, err) < 0)
		return -1;
	return put(output, output->line.bytes, output->line.length, err);
}

int output_flush(struct output *output, struct error *err)
{
	if (output->abandoned) /* seen by a row already: the stream does not say it twice */
		return reader_is_gone(err);
	if (output->table != NULL && table_print(output->table, err) < 0)
		return -1;
	if (output_finish(output->options.stream, err) == 0)
		return 0;
	output->abandoned = errno == EPIPE;
	return -1;
}

int output_close(struct output *output, struct error *err)
{
	CLEANUP_OUTPUT struct output *closing = output;
	if (styles[closing->options.form].is_list) {
		const char *end = closing->options.closing != NULL ? closing->options.closing : "]\n";
		if ((closing->has_rows && put_text(closing, "\n", err) < 0) || put_text(closing, end, err) < 0)
			return -1;
	}
	return output_flush(closing, err);
}

void output_drop(struct output *output)
{
	if (output == NULL)
		return;
	table_free(output->table);
	buffer_done(&output->line);
	free(output);
}

bool output_is_abandoned(const struct output *output)
{
	return output->abandoned;
}

int output_object(FILE *stream, const json_t *object, struct error *err)
{
	CLEANUP_FREE char *line = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
	if (line == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a line of output");
	if (fputs(line, stream) == EOF || fputc('\n', stream) == EOF)
		return write_failed(err);
	return 0;
}

/* Of a pipe: is nobody there to read it? */
static bool has_lost_reader(FILE *stream)
{
	struct pollfd watched = {.fd = fileno(stream), .events = POLLOUT};
	return poll(&watched, 1, 0) == 1 && (watched.revents & POLLERR) != 0;
}

int output_finish(FILE *stream, struct error *err)
{
	/* A stream that failed earlier (libsmartcols does not say so) has lost its reason: try for a new one. */
	bool failed = ferror(stream) != 0;
	errno = 0;
	if (fflush(stream) == 0 && !failed)
		return 0;
	if (errno == 0)
		errno = has_lost_reader(stream) ? EPIPE : EIO;
	return write_failed(err);
}
