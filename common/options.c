/* SPDX-License-Identifier: Apache-2.0 */

/* The settings file: inih splits lines, this file decides. Nothing is guessed: what is not in the table is an error. */
#include "common/options.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/text.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf" /* editors of other systems begin a file with it */

struct load {
	const struct options *options;
	void *config;
	FILE *file;
	const char *path;
	unsigned line;
	unsigned named_line; /* of the heading of the named section that we are in; 0: in none */
	uint8_t *seen;       /* one flag a row of the table */
	struct error *err;
	bool failed;
};

static int complain(struct load *load, const struct error *problem)
{
	if (!load->failed)
		(void)error_set(load->err, ERROR_INPUT, "%s:%u: %s", load->path, load->line, problem->text);
	load->failed = true;
	return load->options->forgiving ? 0 : -1;
}

MUST_USE static int value_choice(const struct option_row *option, const char *value, int *ret, struct error *err)
{
	char names[128] = "";
	for (int i = 0; option->choices[i].name != NULL; i++) {
		if (strcmp(option->choices[i].name, value) == 0 && option->choices[i].unserved)
			return error_set(err, ERROR_INPUT, "[%s] %s = %s: not served by this version", option->section,
			                 option->key, value);
		if (strcmp(option->choices[i].name, value) == 0) {
			*ret = i;
			return 0;
		}
		size_t used = strlen(names);
		(void)snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? " | " : "", option->choices[i].name);
	}
	return error_set(err, ERROR_INPUT, "[%s] %s = %.60s: expected %s", option->section, option->key, value, names);
}

MUST_USE static int value_set(const struct option_row *option, const char *value, void *config, struct error *err)
{
	char *to = (char *)config + option->offset;
	uint64_t number;

	if (option->unserved_unless_default && strcmp(value, option->default_text) != 0)
		return error_set(err, ERROR_INPUT, "[%s] %s = %.60s: not served by this version", option->section,
		                 option->key, value);
	switch (option->type) {
	case OPTION_TEXT:
		if (option->is_valid != NULL && !option->is_valid(value))
			return error_set(err, ERROR_INPUT, "[%s] %s = %.60s: expected %s", option->section, option->key,
			                 value, option->expected);
		if (!text_copy(to, option->size, value))
			return error_set(err, ERROR_INPUT, "[%s] %s: longer than %zu bytes", option->section,
			                 option->key, option->size - 1);
		return 0;
	case OPTION_INT:
		if (!text_to_u64(value, (uint64_t)option->maximum, &number) || (int64_t)number < option->minimum)
			return error_set(err, ERROR_INPUT, "[%s] %s = %.60s: expected a whole number from %lld to %lld",
			                 option->section, option->key, value, (long long)option->minimum,
			                 (long long)option->maximum);
		*(int64_t *)(void *)to = (int64_t)number;
		return 0;
	case OPTION_CHOICE:
		return value_choice(option, value, (int *)(void *)to, err);
	}
	return error_set(err, ERROR_INPUT, "[%s] %s: unknown kind of option", option->section, option->key);
}

/* `allow "backup job"` -> section `allow`, name `backup job`. */
static bool split_named(const char *text, char *section, size_t section_size, char *name, size_t name_size)
{
	const char *quote = strchr(text, '"');
	size_t length = strlen(text);
	if (quote == NULL || text[length - 1] != '"' || quote == text + length - 1 || quote == text)
		return false;
	char head[64], inside[OPTIONS_LINE_BYTES + 1];
	if ((size_t)(quote - text) >= sizeof(head))
		return false;
	memcpy(head, text, (size_t)(quote - text));
	head[quote - text] = '\0';
	memcpy(inside, quote + 1, length - 2 - (size_t)(quote - text));
	inside[length - 2 - (size_t)(quote - text)] = '\0';
	return text_copy(section, section_size, text_trim(head)) && text_copy(name, name_size, inside);
}

MUST_USE static int take_setting(struct load *load, const char *section, const char *key, const char *value,
                                 struct error *err)
{
	const struct options *options = load->options;
	char head[64], name[OPTIONS_LINE_BYTES + 1];
	bool section_known = false;

	if (options->named != NULL && split_named(section, head, sizeof(head), name, sizeof(name)))
		return options->named(load->config, head, name, key, value, err);
	for (size_t i = 0; i < options->count; i++) {
		const struct option_row *option = &options->table[i];
		if (strcmp(option->section, section) != 0)
			continue;
		section_known = true;
		if (strcmp(option->key, key) != 0)
			continue;
		if (load->seen[i])
			return error_set(err, ERROR_INPUT, "[%s] %s: given twice", section, key);
		load->seen[i] = 1;
		return value_set(option, value, load->config, err);
	}
	if (section[0] == '\0')
		return error_set(err, ERROR_INPUT, "%.60s: a setting outside of any section", key);
	if (!section_known)
		return error_set(err, ERROR_INPUT, "[%.60s]: unknown section", section);
	return error_set(err, ERROR_INPUT, "[%s] %.60s: unknown setting", section, key);
}

static int on_setting(void *user, const char *section, const char *key, const char *value)
{
	struct load *load = user;
	struct error problem = {0};
	if (load->failed && !load->options->forgiving)
		return 0;
	if (take_setting(load, section, key, value, &problem) < 0)
		return complain(load, &problem) == 0;
	return 1;
}

/* A comment behind a value starts at `#` or `;` after white space. */
static void cut_comment(char *line)
{
	for (char *c = line; *c != '\0'; c++) {
		bool starts = c == line || c[-1] == ' ' || c[-1] == '\t';
		if (starts && (*c == '#' || *c == ';')) {
			*c = '\0';
			return;
		}
	}
}

/* A named section ends where the next section starts, and with the file. */
MUST_USE static int end_named(struct load *load, struct error *err)
{
	unsigned line = load->line;
	if (load->named_line == 0 || load->options->named_end == NULL)
		return 0;
	load->line = load->named_line;
	load->named_line = 0;
	if (load->options->named_end(load->config, err) < 0)
		return -1;
	load->line = line;
	return 0;
}

/* inih reports settings, not headings: one that nobody knows is found here, also when nothing follows it. */
MUST_USE static int check_heading(struct load *load, const char *text, struct error *err)
{
	const struct options *options = load->options;
	char section[64], name[OPTIONS_LINE_BYTES + 1], inside[OPTIONS_LINE_BYTES + 1];
	size_t length = strlen(text);
	if (end_named(load, err) < 0)
		return -1;
	if (text[length - 1] != ']')
		return error_set(err, ERROR_INPUT, "%.60s: unknown section", text);
	memcpy(inside, text + 1, length - 2);
	inside[length - 2] = '\0';
	if (options->named != NULL && split_named(inside, section, sizeof(section), name, sizeof(name))) {
		load->named_line = load->line;
		return options->named(load->config, section, name, NULL, NULL, err);
	}
	for (size_t i = 0; i < options->count; i++)
		if (strcmp(options->table[i].section, inside) == 0)
			return 0;
	return error_set(err, ERROR_INPUT, "%.60s: unknown section", text);
}

MUST_USE static int check_line(struct load *load, const char *text, struct error *err)
{
	if (strlen(text) > OPTIONS_LINE_BYTES)
		return error_set(err, ERROR_INPUT, "a line of more than %d bytes", OPTIONS_LINE_BYTES);
	if (text[0] == '[')
		return check_heading(load, text, err);
	/* To inih, a colon ends the key as well; to those who read the file next to us it does not. */
	if (text[0] != '\0' && text[strcspn(text, "=:")] != '=')
		return error_set(err, ERROR_INPUT, "%.60s: expected `key = value`", text);
	return 0;
}

/* inih's reader: hands over one line at a time, so that the handler knows where it is. Indentation is dropped: it
 * would mean "continued" to inih and nothing to a user. */
static char *read_line(char *to, int size, void *stream)
{
	struct load *load = stream;
	struct error problem = {0};
	CLEANUP_FREE char *line = NULL;
	size_t capacity = 0;
	ssize_t got = load->failed && !load->options->forgiving ? -1 : getline(&line, &capacity, load->file);
	if (got < 0)
		return NULL;
	load->line++;
	if (strlen(line) != (size_t)got) {
		(void)error_set(&problem, ERROR_INPUT, "a NUL byte");
		if (complain(load, &problem) < 0)
			return NULL;
		line[0] = '\0';
	}
	bool has_mark = load->line == 1 && text_starts(line, BYTE_ORDER_MARK);
	char *start = line + (has_mark ? strlen(BYTE_ORDER_MARK) : 0);
	cut_comment(start);
	const char *text = text_trim(start);
	if (check_line(load, text, &problem) < 0) {
		if (complain(load, &problem) < 0)
			return NULL;
		/* A heading that nobody knows is still the end of the section before. */
		if (text[0] != '[' || strlen(text) > OPTIONS_LINE_BYTES)
			text = "";
	}
	(void)snprintf(to, (size_t)size, "%s\n", text);
	return to;
}

int options_load(const struct options *options, const char *path, void *config, struct error *err)
{
	for (size_t i = 0; i < options->count; i++)
		if (value_set(&options->table[i], options->table[i].default_text, config, err) < 0)
			return error_prefix(err, "built-in default");
	if (path == NULL)
		return 0;

	CLEANUP_FILE FILE *file = fopen(path, "re");
	struct stat status;
	CLEANUP_FREE uint8_t *seen = calloc(options->count, 1);
	if (file == NULL)
		return error_errno(err, "%s", path);
	if (fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode))
		return error_set(err, ERROR_INPUT, "%s: expected a file, it is a folder", path);
	if (seen == NULL)
		return error_set(err, ERROR_MEMORY, "%s: no memory", path);
	struct load load = {.options = options, .config = config, .file = file, .path = path, .seen = seen, .err = err};
	struct error problem = {0};
	int line = ini_parse_stream(read_line, &load, on_setting, &load);
	if (!load.failed && line == 0 && end_named(&load, &problem) < 0)
		(void)complain(&load, &problem);
	if (load.failed && !options->forgiving)
		return -1;
	if (ferror(file)) {
		errno = EIO;
		return error_errno(err, "%s", path);
	}
	if (line != 0 && !options->forgiving)
		return error_set(err, ERROR_INPUT, "%s:%d: expected `[section]` or `key = value`", path, line);
	return 0;
}

static bool is_same(const struct option_row *option, const void *a, const void *b)
{
	const char *left = (const char *)a + option->offset, *right = (const char *)b + option->offset;
	switch (option->type) {
	case OPTION_TEXT:
		return strcmp(left, right) == 0;
	case OPTION_INT:
		return *(const int64_t *)(const void *)left == *(const int64_t *)(const void *)right;
	case OPTION_CHOICE:
		return *(const int *)(const void *)left == *(const int *)(const void *)right;
	}
	return true;
}

const struct option_row *options_fixed_change(const struct options *options, const void *a, const void *b)
{
	for (size_t i = 0; i < options->count; i++)
		if (options->table[i].at_start_only && !is_same(&options->table[i], a, b))
			return &options->table[i];
	return NULL;
}
