/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Machines' ledgers and their exports, for the tests of merged ledgers. */
#include "common/clock.h"
#include "store/coverage.h"
#include "store/export.h"
#include "store/import.h"
#include "tests/store/rows.h"

#define MINUTE (60 * CLOCK_SECOND_US)
#define AT(minute) (ROWS_START + (minute)*MINUTE)

#define MACHINE_PRINT_KEY "0123456789abcdef"

static inline void machine_append(struct writer *writer, const char *kind, const char *subject, unsigned id, int minute,
                                  json_t *body)
{
	CLEANUP_JSON json_t *owned = body;
	const char *key = strcmp(kind, "delivery") == 0 ? json_text_at(body, "access_key_id") : NULL;
	struct entry entry = {
		.kind = kind, .subject = subject, .access_key_id = key, .at_us = AT(minute), .body = owned};
	(void)snprintf(entry.id, sizeof(entry.id), "%016x", id);
	assert_int_equal(writer_append(writer, &entry, NULL), 0);
}

static inline json_t *machine_beat(enum coverage_event event, const char *run, int minute)
{
	struct coverage_row row = {.event = event,
	                           .every_us = 10 * MINUTE,
	                           .redirect_whole = true,
	                           .redirect_checked_us = AT(minute) - MINUTE};
	(void)snprintf(row.run, sizeof(row.run), "%s", run);
	return coverage_to_body(&row);
}

/* One that was delivered at that minute, with late digest and outcome: three rows. */
static inline void machine_deliver(struct writer *writer, const char *instance, const char *key, unsigned id,
                                   int minute)
{
	char subject[ENTRY_ID_BYTES], print[DIGEST_HEX_BYTES];
	uint8_t digest[DIGEST_BYTES];
	const struct row row = {.key = key,
	                        .role = "web",
	                        .instance = instance,
	                        .pid = 100,
	                        .grade = "exact",
	                        .path = "/latest/meta-data/iam/security-credentials/web",
	                        .exe = "/usr/bin/curl",
	                        .container = "c0ffee"};
	json_t *body = rows_body(&row);
	json_put_text(json_object_get(body, "process"), "exe_file", "1:2:3:4:5");
	json_put(body, "holders", json_pack("[O]", json_object_get(body, "process")));
	assert_int_equal(digest_of(key, strlen(key), digest, NULL), 0);
	(void)digest_hex(digest, DIGEST_BYTES, print);
	json_put(body, "fingerprint",
	         json_pack("{s:s,s:s,s:s,s:s}", "key", MACHINE_PRINT_KEY, "secret", print, "token", print, "whole",
	                   print));
	(void)snprintf(subject, sizeof(subject), "%016x", id);
	machine_append(writer, "delivery", NULL, id, minute, body);
	machine_append(
		writer, "executable", NULL, id + 1, minute,
		json_pack("{s:s,s:s,s:s}", "exe", "/usr/bin/curl", "exe_file", "1:2:3:4:5", "exe_sha256", instance));
	machine_append(writer, "outcome", subject, id + 2, minute,
	               json_pack("{s:s,s:n}", "outcome", "delivered", "reason"));
}

#define MACHINE_ROWS 13

/* Ten minutes to an hour of a machine: instance, placement, start, a delivery of `key` at 15 and one at 25, beats and a
 * stop. */
static inline void machine_make(const char *path, const char *instance, const char *key)
{
	struct writer *writer = NULL;
	const struct writer_options options = {.path = path};
	assert_int_equal(writer_open(&options, &writer, NULL), 0);
	machine_append(writer, "instance", NULL, 1, 9,
	               json_pack("{s:s,s:n,s:n}", "instance_id", instance, "previous", "archive"));
	machine_append(writer, "placement", NULL, 2, 9,
	               json_pack("{s:s,s:s,s:[s]}", "instance_id", instance, "account_id", "123456789012", "addresses",
	                         "198.51.100.7"));
	machine_append(writer, "coverage", NULL, 3, 10, machine_beat(COVERAGE_START, "x", 10));
	machine_deliver(writer, instance, key, 0x10, 15);
	machine_append(writer, "coverage", NULL, 4, 20, machine_beat(COVERAGE_BEAT, "x", 20));
	machine_deliver(writer, instance, key, 0x20, 25);
	machine_append(writer, "coverage", NULL, 5, 30, machine_beat(COVERAGE_BEAT, "x", 30));
	machine_append(writer, "coverage", NULL, 6, 40, machine_beat(COVERAGE_BEAT, "x", 40));
	machine_append(writer, "coverage", NULL, 7, 50, machine_beat(COVERAGE_STOP, "x", 50));
	writer_close(writer);
}

/* What `ledger export` writes. The caller frees. */
static inline char *machine_export(const char *path, const struct anchor *since, struct anchor *ret_head)
{
	struct ledger *ledger = NULL;
	struct export_result result;
	struct error problem = {0};
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);
	assert_non_null(stream);
	if (ledger_open(path, &ledger, &problem) < 0 || ledger_export(ledger, since, stream, &result, &problem) < 0)
		fail_msg("%s: %s", path, problem.text);
	ledger_close(ledger);
	assert_int_equal(fclose(stream), 0);
	if (ret_head != NULL)
		*ret_head = result.head;
	return text;
}

/* Imports a text into the merged ledger at `path`. */
static inline struct import_result machine_import(const char *path, const char *text)
{
	struct importer *importer = NULL;
	struct import_result result = {0};
	struct error problem = {0};
	FILE *file = tmpfile();
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fflush(file), 0);
	(void)lseek(fileno(file), 0, SEEK_SET);
	if (importer_open(path, &importer, &problem) < 0 ||
	    importer_take(importer, "test.jsonl", fileno(file), &result, &problem) < 0)
		fail_msg("%s", problem.text);
	importer_close(importer);
	(void)fclose(file);
	return result;
}

static inline int machine_count_missing(void *context, const json_t *object, struct error *err)
{
	int64_t first = 0, last = 0;
	(void)err;
	assert_true(json_int_at(object, "first_seq", &first) && json_int_at(object, "last_seq", &last));
	*(int64_t *)context += last - first + 1;
	return 0;
}

/* Rows that are told to be missing. */
static inline int64_t machine_missing(const char *path)
{
	struct importer *importer = NULL;
	int64_t missing = 0;
	assert_int_equal(importer_open(path, &importer, NULL), 0);
	assert_int_equal(importer_missing(importer, machine_count_missing, &missing, NULL), 0);
	importer_close(importer);
	return missing;
}

/* "whole" or the fault. */
static inline const char *machine_verify(const char *path)
{
	struct ledger *ledger = NULL;
	struct audit audit;
	struct error problem = {0};
	if (ledger_open(path, &ledger, &problem) < 0 || audit_ledger(ledger, &audit, &problem) < 0)
		fail_msg("%s: %s", path, problem.text);
	ledger_close(ledger);
	if (audit.fault != AUDIT_WHOLE)
		print_message("%s\n", audit.detail);
	return audit_fault_names[audit.fault];
}
