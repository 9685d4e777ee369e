/* SPDX-License-Identifier: Apache-2.0 */

/* inflate -> records (triage) -> familiar, or event -> judge. A file that cannot be read costs that file and a line.
 * Records that say the same again as one that was nothing are counted and not parsed. */
#include "detector/reader.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "detector/familiar.h"
#include "detector/records.h"

#define FAMILIAR_BYTES ((size_t)32 << 20) /* of all readers together */
#define FAMILIAR_LEAST ((size_t)1 << 20)

struct reader {
	struct pass *pass;
	struct inflate *inflate;
	struct familiar *familiar;
	scan_outline_function *outline;
	struct records records;
	struct passed passed;    /* of it */
	struct reading *reading; /* the one at hand */
	uint64_t told_bytes;     /* of it, in pass->done_bytes */
};

/* ---- a file and what is said of it */

struct reading *reading_new(const struct source_file *file, const char *title)
{
	struct reading *reading = calloc(1, sizeof(*reading));
	if (reading == NULL)
		return NULL;
	reading->fd = -1;
	if (file != NULL) {
		reading->file = *file;
		reading->file.version = strdup(file->version);
	}
	reading->file.name = strdup(title);
	reading->title = file != NULL && strcmp(title, "-") == 0 ? "standard input" : reading->file.name;
	if (reading->file.name == NULL || (file != NULL && reading->file.version == NULL)) {
		reading_free(reading);
		return NULL;
	}
	return reading;
}

static void free_text(const char *text)
{
	free((void *)(uintptr_t)text);
}

void reading_free(struct reading *reading)
{
	if (reading == NULL)
		return;
	for (size_t i = 0; i < READING_LINES; i++)
		free(reading->lines[i]);
	free_text(reading->file.name);
	free_text(reading->file.version);
	if (reading->fd >= 0)
		(void)close(reading->fd);
	free(reading);
}

void reading_complain(struct reading *reading, const char *line)
{
	unsigned number = reading->line_count++;
	if (number < READING_LINES)
		reading->lines[number] = strdup(number < READING_LINES - 1 ? line : "... and more in this file");
}

static void complain_file(struct reading *reading, const char *why)
{
	struct error line;
	(void)error_set(&line, ERROR_INPUT, "%s: %s", reading->title, why);
	reading->counts.files_unreadable++;
	reading_complain(reading, line.text);
}

static void complain_record(void *context, uint64_t number, uint64_t offset, const char *expected)
{
	struct reading *reading = ((struct reader *)context)->reading;
	struct error line;
	(void)error_set(&line, ERROR_INPUT, "%s: record %llu, at byte %llu: expected %s", reading->title,
	                (unsigned long long)number, (unsigned long long)offset, expected);
	reading->counts.records_malformed++;
	reading_complain(reading, line.text);
}

/* ---- what is familiar */

/* What one reader found out, the others need not. */
static void note_familiar(struct reader *reader, const struct glance *glance, const struct judged *judged)
{
	struct pass *pass = reader->pass;
	familiar_add(reader->familiar, glance, judged->verdict, judged->from_us, judged->until_us);
	if (pass->familiar == NULL)
		return;
	(void)pthread_mutex_lock(&pass->familiar_lock);
	familiar_add(pass->familiar, glance, judged->verdict, judged->from_us, judged->until_us);
	(void)pthread_mutex_unlock(&pass->familiar_lock);
}

static int find_familiar(struct reader *reader, const struct glance *glance)
{
	struct pass *pass = reader->pass;
	int known = familiar_find(reader->familiar, glance);
	if (known >= 0 || pass->familiar == NULL)
		return known;
	(void)pthread_mutex_lock(&pass->familiar_lock);
	known = familiar_take(pass->familiar, glance, reader->familiar);
	(void)pthread_mutex_unlock(&pass->familiar_lock);
	return known;
}

/* ---- one record */

MUST_USE static int judge(struct reader *reader, const struct record *record, const struct event *event,
                          const struct glance *glance, struct error *err)
{
	struct pass *pass = reader->pass;
	judge_settle(pass->judge, &reader->passed, &reader->reading->counts);
	(void)pthread_mutex_lock(&pass->lock);
	int result = judge_event(pass->judge, event, record->bytes, record->length, err);
	const struct judged judged = pass->judge->last;
	(void)pthread_mutex_unlock(&pass->lock);
	if (result == 0 && glance != NULL && judged.is_nothing && !judged.is_of_call)
		note_familiar(reader, glance, &judged);
	return result;
}

MUST_USE static int learn(struct pass *pass, const struct record *record, const struct event *event, struct error *err)
{
	if (!pass->learns)
		return 0;
	(void)pthread_mutex_lock(&pass->lock);
	int result = learned_take(pass->learned, record->bytes, record->length, event, err);
	(void)pthread_mutex_unlock(&pass->lock);
	return result;
}

MUST_USE static int parse(struct reader *reader, const struct record *record, const struct glance *glance,
                          struct error *err)
{
	struct event event;
	if (!event_read(record->bytes, record->length, &event)) {
		complain_record(reader, record->number, record->offset, "a whole JSON object");
		return 0;
	}
	if (learn(reader->pass, record, &event, err) < 0)
		return -1;
	if (!judge_is_ours(reader->pass->judge, &event))
		return 0;
	if (event.at_us == 0) {
		complain_record(reader, record->number, record->offset, "a time in eventTime or @timestamp");
		return 0;
	}
	return judge(reader, record, &event, glance, err);
}

static int take_record(void *context, const struct record *record, struct error *err)
{
	struct reader *reader = context;
	struct pass *pass = reader->pass;
	struct reading *reading = reader->reading;
	struct glance glance;
	reading->counts.records++;
	if (!record->is_suspect && !pass->setup->triage.everything)
		return 0;
	bool is_plain = !pass->is_thorough && glance_read(reader->outline, record->bytes, record->length, &glance);
	int known = is_plain ? find_familiar(reader, &glance) : -1;
	if (known >= 0 && judge_pass(pass->judge, &glance, known, &reader->passed, &reading->counts))
		return 0;
	if (parse(reader, record, is_plain && known < 0 ? &glance : NULL, &reading->failure) == 0)
		return 0;
	return error_set(err, reading->failure.code, "%s", reading->failure.text);
}

/* One that says the same again, told by its caller before the rest of it is looked at. */
static size_t pass_known(void *context, const char *at, size_t length)
{
	struct reader *reader = context;
	struct familiar_caller caller;
	struct glance glance;
	size_t ends = 0;
	if (length < GLANCE_HEAD_BYTES || !glance_has_head(at) ||
	    !familiar_caller(reader->familiar, at + GLANCE_HEAD_BYTES, length - GLANCE_HEAD_BYTES, &caller) ||
	    !glance_go_on(reader->outline, at, length, caller.length, &glance, &ends))
		return 0;
	struct detect_summary *counts = &reader->reading->counts;
	int known = familiar_find_by(reader->familiar, &caller, &glance);
	if (known < 0 || !judge_pass(reader->pass->judge, &glance, known, &reader->passed, counts))
		return 0;
	counts->records++;
	return ends;
}

/* ---- one file */

static int take_window(void *context, const struct window *window, size_t *ret_used, struct error *err)
{
	struct reader *reader = context;
	if (atomic_load(&reader->pass->has_failed)) /* elsewhere: what is read now is for nobody */
		return error_set(err, ERROR_INPUT, "the run is over");
	if (window->is_full)
		records_drop(&reader->records);
	if (records_feed(&reader->records, window->bytes, window->length, window->is_last, ret_used, err) < 0)
		return -1;
	reader->reading->counts.bytes += *ret_used;
	atomic_fetch_add(&reader->pass->done_bytes, window->file_bytes - reader->told_bytes);
	reader->told_bytes = window->file_bytes;
	return 0;
}

/* Each reader's, and that of what they share. */
static size_t familiar_bytes(size_t readers)
{
	size_t bytes = FAMILIAR_BYTES / (readers > 1 ? readers + 1 : 1);
	return bytes > FAMILIAR_LEAST ? bytes : FAMILIAR_LEAST;
}

int pass_open(struct pass *pass, size_t readers, struct error *err)
{
	inflate_budget_init(&pass->budget);
	return readers > 1 ? familiar_new(familiar_bytes(readers), &pass->familiar, err) : 0;
}

void pass_begin(struct pass *pass)
{
	if (pass->familiar != NULL)
		familiar_clear(pass->familiar);
}

void pass_close(struct pass *pass)
{
	familiar_free(pass->familiar);
	pass->familiar = NULL;
}

int reader_new(struct pass *pass, size_t of, struct reader **ret, struct error *err)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	if (reader == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a reader");
	reader->pass = pass;
	reader->outline = scan_best()->outline;
	if (inflate_new_within(&pass->budget, INFLATE_KEPT_BYTES / of, &reader->inflate, err) < 0 ||
	    familiar_new(familiar_bytes(of), &reader->familiar, err) < 0) {
		reader_free(reader);
		return -1;
	}
	*ret = reader;
	return 0;
}

void reader_free(struct reader *reader)
{
	if (reader == NULL)
		return;
	inflate_free(reader->inflate);
	familiar_free(reader->familiar);
	free(reader);
}

void reader_begin(struct reader *reader)
{
	familiar_clear(reader->familiar);
}

void reader_run(struct reader *reader, struct reading *reading)
{
	const struct triage *triage = &reader->pass->setup->triage;
	const struct records_reader to = {take_record,
	                                  complain_record,
	                                  triage_hint,
	                                  reader,
	                                  triage,
	                                  &triage->sieve,
	                                  reader->pass->is_thorough ? NULL : pass_known};
	struct error problem = {0};
	if (reading->file.source == NULL || atomic_load(&reader->pass->has_failed))
		return;
	reader->reading = reading;
	reader->told_bytes = 0;
	if (reading->fd < 0 && source_fetch(&reading->file, &reading->fd, &problem) < 0) {
		complain_file(reading, problem.text);
		return;
	}
	records_begin(&reader->records, &to);
	int result = inflate_run(reader->inflate, reading->fd, take_window, reader, &problem);
	judge_settle(reader->pass->judge, &reader->passed, &reading->counts);
	if (reading->file.size > reader->told_bytes)
		atomic_fetch_add(&reader->pass->done_bytes, reading->file.size - reader->told_bytes);
	(void)close(reading->fd);
	reading->fd = -1;
	if (reading->failure.code != ERROR_NONE)
		atomic_store(&reader->pass->has_failed, true);
	else if (result < 0)
		complain_file(reading, problem.text);
	else if (reader->records.is_given_up)
		reading->counts.files_unreadable++; /* the records' complaint said why */
	else
		reading->counts.files++;
	reading->is_read = reading->counts.files > 0;
}
