/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the detector's tests share: cmocka's own includes, files in a folder of their own, and ledgers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"
#include "store/writer.h"

#define UNUSED __attribute__((unused))

#define OTRF_FILE TEST_DATA "/cloudtrail/otrf/ec2_proxy_s3_exfiltration.jsonl"
#define OTRF_KEY "ASIA5FLZVX4OPVKKVBMX"
#define OTRF_INSTANCE "i-0317f6c6b66ae9c40"
#define OTRF_ACCOUNT "123456789123"

/* A folder that is removed at the end of the group; also the working folder of none. */
static char support_folder[] = "/tmp/keytrail-test-XXXXXX";

UNUSED static int support_setup(void **state)
{
	(void)state;
	return mkdtemp(support_folder) != NULL ? 0 : -1;
}

static int support_remove(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

UNUSED static int support_teardown(void **state)
{
	(void)state;
	return nftw(support_folder, support_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* "FOLDER/name"; the last few results stay valid. */
UNUSED static const char *support_path(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % ARRAY_LENGTH(paths)];
	(void)snprintf(path, sizeof(paths[0]), "%s/%s", support_folder, name);
	return path;
}

UNUSED static const char *support_write(const char *name, const void *bytes, size_t length)
{
	const char *path = support_path(name);
	CLEANUP_FILE FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	return path;
}

UNUSED static const char *support_write_text(const char *name, const char *text)
{
	return support_write(name, text, strlen(text));
}

UNUSED static int64_t support_time(const char *text)
{
	int64_t time_us;
	assert_true(clock_parse(text, &time_us));
	return time_us;
}

UNUSED static json_t *support_json(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);
	assert_non_null(value);
	return value;
}

struct support_row {
	const char *at, *kind, *key;
	const char *body; /* JSON */
};

/* Rows by the writer that the daemon uses. */
UNUSED static const char *support_ledger(const char *name, const struct support_row *rows, size_t count)
{
	const char *path = support_path(name);
	const struct writer_options options = {.path = path};
	struct writer *writer;
	struct error err = {0};
	if (writer_open(&options, &writer, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < count; i++) {
		CLEANUP_JSON json_t *body = support_json(rows[i].body);
		struct entry entry = {.kind = rows[i].kind, .access_key_id = rows[i].key, .body = body};
		entry.at_us = support_time(rows[i].at);
		assert_int_equal(entry_id_make(entry.id, &err), 0);
		if (writer_append(writer, &entry, &err) < 0)
			fail_msg("%s", err.text);
	}
	writer_close(writer);
	return path;
}

/* A delivery to one process; `extra` is more members, each with a comma before it. */
#define SUPPORT_PROCESS(pid, exe)                                                                                      \
	"{\"pid\":" #pid ",\"started_at\":\"2020-09-14T00:00:00.000000Z\",\"uid\":33,\"user\":\"www-data\","           \
	"\"exe\":\"" exe "\",\"ancestors\":[]}"
#define SUPPORT_DELIVERY(key, process, agent)                                                                          \
	"{\"access_key_id\":\"" key "\",\"role\":\"web\",\"source\":\"imds\",\"outcome\":\"delivered\","               \
	"\"expires_at\":\"2020-09-14T07:10:27.000000Z\",\"path\":\"/x\",\"user_agent\":\"" agent "\","                 \
	"\"attribution\":{\"grade\":\"exact\",\"method\":\"m\",\"evidence\":[]},\"client\":{\"address\":\"127.0.0."    \
	"1\"},"                                                                                                        \
	"\"process\":" process ",\"holders\":[],"                                                                      \
	"\"host\":{\"instance_id\":\"" OTRF_INSTANCE "\",\"account_id\":\"" OTRF_ACCOUNT                               \
	"\",\"region\":\"us-east-1\"}}"
#define SUPPORT_PLACEMENT(addresses)                                                                                   \
	"{\"account_id\":\"" OTRF_ACCOUNT "\",\"region\":\"us-east-1\",\"instance_id\":\"" OTRF_INSTANCE "\","         \
	"\"addresses\":[" addresses "],\"vpc_ids\":[\"vpc-1\"],\"owner_ids\":[\"" OTRF_ACCOUNT "\"]}"
