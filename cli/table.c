/* SPDX-License-Identifier: Apache-2.0 */

/* Tables by libsmartcols. Columns that a narrow terminal has no room for are left out, not squeezed: half an
 * access key is worse than none. */
#include "cli/table.h"

#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/printable.h"
#include "common/clock.h"
#include "common/text.h"
#include "detector/suspects.h"

#define WIDEST_TERMINAL 10000
#define HEADING_BYTES 64
#define ID_SHOWN 8 /* digits: what every command takes for the whole (store/review.h) */

struct table {
	struct libscols_table *grid;
	struct columns columns; /* borrowed */
	struct table_look look;
	bool printed;
};

static void cleanup_grid(struct libscols_table **grid)
{
	if (*grid != NULL)
		scols_unref_table(*grid);
}

struct table_look table_look_at(FILE *stream)
{
	struct table_look look = {.stream = stream, .now_us = clock_now_us()};
	struct winsize size;
	const char *columns = getenv("COLUMNS"), *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
	uint64_t width;

	if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		look.width = size.ws_col;
	else if (columns != NULL && text_to_u64(columns, WIDEST_TERMINAL, &width))
		look.width = (size_t)width;
	else if (isatty(fileno(stream)))
		look.width = 80;
	look.colours = isatty(fileno(stream)) && (no_colour == NULL || no_colour[0] == '\0') &&
	               (terminal == NULL || strcmp(terminal, "dumb") != 0);
	return look;
}

MUST_USE static int no_memory(struct error *err)
{
	return error_set(err, ERROR_MEMORY, "no memory for a table");
}

MUST_USE static int grid_new(const struct table_look *look, struct libscols_table **ret, struct error *err)
{
	CLEANUP(cleanup_grid) struct libscols_table *grid = scols_new_table();
	if (grid == NULL || scols_table_set_stream(grid, look->stream) < 0 ||
	    scols_table_enable_noencoding(grid, 1) < 0)
		return no_memory(err);
	(void)scols_table_enable_colors(grid, look->colours);
	/* libsmartcols looks at standard output by itself; the caller has already done so. */
	(void)scols_table_set_termforce(grid, look->width > 0 ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
	if (look->width > 0)
		(void)scols_table_set_termwidth(grid, look->width);
	*ret = steal_pointer(&grid);
	return 0;
}

static bool is_shown(const struct table *table, const struct column *column)
{
	size_t width = table->look.width != 0 ? table->look.width : SIZE_MAX;
	return column->heading != NULL && column->from_width <= width &&
	       (column->below_width == 0 || width < column->below_width);
}

int table_new(const struct columns *columns, const struct table_look *look, struct table **ret, struct error *err)
{
	struct table *table = calloc(1, sizeof(*table));
	if (table == NULL)
		return no_memory(err);
	*table = (struct table){.columns = *columns, .look = *look};
	if (grid_new(look, &table->grid, err) < 0) {
		table_free(table);
		return -1;
	}
	for (size_t i = 0; i < columns->count; i++) {
		const struct column *column = &columns->column[i];
		int flags = (column->kind == COLUMN_NUMBER || column->kind == COLUMN_PID || column->kind == COLUMN_AGO
		                     ? SCOLS_FL_RIGHT
		                     : 0) |
		            (column->wraps ? SCOLS_FL_WRAP : 0) |
		            (look->steady && column->width > 0 ? SCOLS_FL_STRICTWIDTH : 0);
		char heading[HEADING_BYTES];
		/* A column is never squeezed below its heading: a long one beside it must not take all of its room. */
		(void)snprintf(heading, sizeof(heading), "%-*s", column->wraps ? (int)column->width : 0,
		               column->heading != NULL ? column->heading : "");
		if (is_shown(table, column) &&
		    scols_table_new_column(table->grid, heading, look->steady ? (double)column->width : 0, flags) ==
		            NULL) {
			table_free(table);
			return no_memory(err);
		}
	}
	*ret = table;
	return 0;
}

/* Red: look here first. Yellow (libsmartcols' "brown": its "yellow" is too pale on white): weaker than it could be. */
static const char *verdict_colour(const char *word)
{
	static const struct {
		const char *word, *colour;
	} colours[] = {
		{"HIGH", "red"},     {"MEDIUM", "brown"}, {"refused", "brown"}, {"aborted", "brown"},
		{"shared", "brown"}, {"relay", "brown"},  {"cgroup", "brown"},  {"netns", "brown"},
		{"uid", "brown"},    {"gone", "red"},     {"none", "red"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(colours); i++)
		if (strcmp(colours[i].word, word) == 0)
			return colours[i].colour;
	return NULL;
}

/* Behind a process id that is not beyond doubt: the grade may have no room. */
MUST_USE static int add_doubt(const json_t *delivery, struct buffer *to, struct error *err)
{
	const char *grade = json_text_at(delivery, "attribution.grade");
	size_t holders = json_array_size(json_at(delivery, "holders"));
	if (holders > 1)
		return buffer_printf(to, err, "+%zu", holders - 1);
	return grade != NULL && strcmp(grade, "exact") != 0 ? buffer_printf(to, err, "?") : 0;
}

/* A finding that was closed and goes on must not look as if it were over. */
MUST_USE static int add_new_uses(const json_t *finding, struct buffer *to, struct error *err)
{
	int64_t count = 0;
	(void)json_int_at(finding, "new_uses", &count);
	return count > 0 ? buffer_printf(to, err, " +%lld", (long long)count) : 0;
}

/* Nobody is named who is only one of many. */
MUST_USE static int suspect_text(const json_t *finding, struct buffer *to, struct error *err)
{
	const json_t *first = suspects_first(finding);
	int64_t pid;
	size_t count = json_array_size(json_at(finding, "suspects"));
	if (first == NULL && suspects_note_of(finding) == SUSPECTS_NOBODY)
		return buffer_printf(to, err, "nobody in time");
	if (first == NULL)
		return count == 0 ? buffer_printf(to, err, "-") : buffer_printf(to, err, "one of several");
	if (printable_value(to, json_at(first, "process.exe"), err) < 0)
		return -1;
	return json_int_at(first, "process.pid", &pid) ? buffer_printf(to, err, " (%lld)", (long long)pid) : 0;
}

MUST_USE static int cell_text(const struct column *column, const json_t *object, int64_t now_us, struct buffer *to,
                              struct error *err)
{
	char ago[CLOCK_AGO_BYTES];
	int64_t at_us;
	const json_t *value = columns_value(object, column->path);
	if (value == NULL && column->otherwise != NULL)
		value = columns_value(object, column->otherwise);
	if (column->kind == COLUMN_TAIL && json_is_string(value)) {
		const char *dot = strrchr(json_string_value(value), '.');
		return printable_text(to, dot != NULL ? dot + 1 : json_string_value(value), err);
	}
	if (column->kind == COLUMN_ID && json_is_string(value)) {
		size_t digits = column->width > 0 ? column->width : ID_SHOWN;
		CLEANUP_FREE char *id = strndup(json_string_value(value), digits);
		return id == NULL ? no_memory(err) : printable_text(to, id, err);
	}
	if (column->kind == COLUMN_SUSPECT)
		return suspect_text(object, to, err);
	if (column->kind == COLUMN_COMMAND && json_array_size(value) > 0)
		return printable_command(to, value, err);
	if (column->kind == COLUMN_AGO && json_is_string(value) && clock_parse(json_string_value(value), &at_us))
		return buffer_append(to, ago, strlen(clock_ago(at_us, now_us, ago)), err);
	if (printable_value(to, value, err) < 0)
		return -1;
	if (column->kind == COLUMN_STATE)
		return add_new_uses(object, to, err);
	return column->kind == COLUMN_PID && value != NULL ? add_doubt(object, to, err) : 0;
}

int table_add(struct table *table, const json_t *object, struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	struct libscols_line *line = scols_table_new_line(table->grid, NULL);
	size_t shown = 0;
	if (line == NULL)
		return no_memory(err);
	for (size_t i = 0; i < table->columns.count; i++) {
		const struct column *column = &table->columns.column[i];
		if (!is_shown(table, column))
			continue;
		buffer_clear(&text);
		if (cell_text(column, object, table->look.now_us, &text, err) < 0)
			return -1;
		if (scols_line_set_data(line, shown, text.bytes) < 0)
			return no_memory(err);
		const char *colour = column->kind == COLUMN_VERDICT ? verdict_colour(text.bytes) : NULL;
		if (colour != NULL)
			(void)scols_cell_set_color(scols_line_get_cell(line, shown), colour);
		shown++;
	}
	return 0;
}

int table_print(struct table *table, struct error *err)
{
	if (scols_table_is_empty(table->grid))
		return 0;
	if (table->printed)
		(void)scols_table_enable_noheadings(table->grid, 1);
	int result = scols_print_table(table->grid);
	scols_table_remove_lines(table->grid);
	table->printed = true;
	return result < 0 ? error_set(err, ERROR_SYSTEM, "cannot print a table") : 0;
}

void table_free(struct table *table)
{
	if (table == NULL)
		return;
	if (table->grid != NULL)
		scols_unref_table(table->grid);
	free(table);
}
