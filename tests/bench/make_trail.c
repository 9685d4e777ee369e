/* SPDX-License-Identifier: Apache-2.0 */

/* make_trail logs FOLDER MEGABYTES: CloudTrail of 5,000 keys as S3 would hold it, that much unpacked, and beside it
 * uses.tsv: key and event id of each use by the thief.
 * make_trail ledger FILE KEYS: a ledger that handed out the first KEYS of them.
 * make_trail receipts FILE KEYS: the same as JSON Lines, for engines that read no ledgers. */
#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/json.h"
#include "store/appender.h"
#include "tests/bench/trail.h"

#define TRAIL_KEYS 5000
#define SERVICE_PERCENT 10 /* records without a key */
#define STOLEN_EVERY 2000  /* about one use in so many is a thief's */
#define FILE_BYTES ((size_t)6 << 20)
#define RECORD_BYTES 4096
#define FIRST_SECOND 1795564800 /* 2026-11-25T00:00:00Z */
#define DAY_SECONDS 86400

struct maker {
	const char *folder;
	FILE *uses;
	struct libdeflate_compressor *compressor;
	char *text, *packed;
	size_t packed_bytes;
	uint64_t state;
};

MUST_USE static int make_folders(const char *path, struct error *err)
{
	CLEANUP_FREE char *copy = strdup(path);
	if (copy == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a path");
	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return error_errno(err, "%s", copy);
		*slash = '/';
	}
	return 0;
}

/* As S3 has it: account, region, day, and the time in the name. */
MUST_USE static FILE *open_log(const struct maker *maker, uint64_t number, const struct trail_key *key,
                               struct error *err)
{
	char path[1024];
	(void)snprintf(path, sizeof(path),
	               "%s/AWSLogs/o-abcdef1234/%s/CloudTrail/%s/2026/11/25/"
	               "%s_CloudTrail_%s_20261125T%02u%02uZ_%016llx.json.gz",
	               maker->folder, key->account_id, key->region_name, key->account_id, key->region_name,
	               (unsigned)(number / 12 % 24), (unsigned)(number % 12 * 5), (unsigned long long)number);
	if (make_folders(path, err) < 0)
		return NULL;
	FILE *file = fopen(path, "wb");
	if (file == NULL)
		(void)error_errno(err, "%s", path);
	return file;
}

static size_t fill_text(struct maker *maker, unsigned place)
{
	size_t length = (size_t)sprintf(maker->text, "{\"Records\":[");
	while (length < FILE_BYTES) {
		char id[40];
		struct trail_key key;
		uint64_t chance = trail_random(&maker->state);
		bool has_key = chance % 100 >= SERVICE_PERCENT, is_stolen = chance / 100 % STOLEN_EVERY == 0;
		unsigned of_place = TRAIL_ACCOUNTS * TRAIL_REGIONS;
		/* All keys of one account and region: those whose number leaves this remainder. */
		trail_key(place + trail_random(&maker->state) % (TRAIL_KEYS / of_place) * of_place, &key);
		int64_t second = FIRST_SECOND + (int64_t)(trail_random(&maker->state) % DAY_SECONDS);
		length += trail_record(has_key ? &key : NULL, is_stolen, second, &maker->state, maker->text + length,
		                       RECORD_BYTES, id);
		maker->text[length++] = ',';
		if (has_key && is_stolen)
			(void)fprintf(maker->uses, "%s\t%s\n", key.id, id);
	}
	memcpy(maker->text + length - 1, "]}", 2);
	return length + 1;
}

MUST_USE static int make_logs(struct maker *maker, uint64_t bytes, struct error *err)
{
	uint64_t made = 0;
	for (uint64_t number = 0; made < bytes; number++) {
		struct trail_key key;
		unsigned place = (unsigned)(number % (TRAIL_ACCOUNTS * TRAIL_REGIONS));
		trail_key(place, &key);
		size_t length = fill_text(maker, place);
		size_t packed = libdeflate_gzip_compress(maker->compressor, maker->text, length, maker->packed,
		                                         maker->packed_bytes);
		CLEANUP_FILE FILE *file = open_log(maker, number, &key, err);
		if (file == NULL)
			return -1;
		if (packed == 0 || fwrite(maker->packed, 1, packed, file) != packed)
			return error_errno(err, "cannot write");
		made += length;
	}
	return 0;
}

MUST_USE static int run_logs(const char *folder, uint64_t megabytes, struct error *err)
{
	char path[1024];
	struct maker maker = {.folder = folder, .compressor = libdeflate_alloc_compressor(6), .state = 1};
	maker.packed_bytes = libdeflate_gzip_compress_bound(maker.compressor, FILE_BYTES + RECORD_BYTES);
	maker.text = malloc(FILE_BYTES + RECORD_BYTES * 2);
	maker.packed = malloc(maker.packed_bytes);
	(void)snprintf(path, sizeof(path), "%s/uses.tsv", folder);
	if (make_folders(path, err) < 0)
		return -1;
	maker.uses = fopen(path, "w");
	int result = maker.uses != NULL && maker.text != NULL && maker.packed != NULL
	                     ? make_logs(&maker, megabytes << 20, err)
	                     : error_errno(err, "%s", path);
	if (maker.uses != NULL && fclose(maker.uses) != 0)
		result = error_errno(err, "%s", path);
	libdeflate_free_compressor(maker.compressor);
	free(maker.text);
	free(maker.packed);
	return result;
}

/* ---- ledgers */

MUST_USE static int append(struct appender *appender, const char *kind, const char *key_id, json_t *body,
                           struct error *err)
{
	CLEANUP_JSON json_t *owned = body;
	struct entry entry = {
		.kind = kind, .access_key_id = key_id, .at_us = (FIRST_SECOND - 7200) * CLOCK_SECOND_US, .body = owned};
	struct packed packed;
	if (entry_id_make(entry.id, err) < 0 || packed_make(&entry, &packed, err) < 0)
		return -1;
	int result = appender_insert(appender, &packed, err);
	packed_done(&packed);
	return result;
}

MUST_USE static int add_key(struct appender *appender, uint64_t number, struct error *err)
{
	struct trail_key key;
	trail_key(number, &key);
	json_t *delivery =
		json_pack("{s:s,s:s,s:s,s:s,s:s,s:{s:s,s:s,s:s}}", "access_key_id", key.id, "role", key.role, "source",
	                  "imds", "outcome", "delivered", "expires_at", "2026-11-26T04:00:00.000000Z", "host",
	                  "instance_id", key.instance_id, "account_id", key.account_id, "region", key.region_name);
	json_t *placement =
		json_pack("{s:s,s:s,s:s,s:[s,s,s],s:[s],s:[s]}", "account_id", key.account_id, "region",
	                  key.region_name, "instance_id", key.instance_id, "addresses", key.private_address,
	                  key.egress_address, key.vpc_network, "vpc_ids", "vpc-1", "owner_ids", key.account_id);
	if (append(appender, "placement", NULL, placement, err) < 0) {
		json_decref(delivery);
		return -1;
	}
	return append(appender, "delivery", key.id, delivery, err);
}

MUST_USE static int run_ledger(const char *path, uint64_t keys, struct error *err)
{
	struct appender *appender;
	if (appender_open(path, &appender, err) < 0)
		return -1;
	int result = appender_begin(appender, err);
	for (uint64_t i = 0; i < keys && result == 0; i++)
		result = add_key(appender, i, err);
	if (result == 0)
		result = appender_commit(appender, err);
	appender_close(appender);
	return result;
}

MUST_USE static int run_receipts(const char *path, uint64_t keys, struct error *err)
{
	CLEANUP_FILE FILE *file = fopen(path, "w");
	if (file == NULL)
		return error_errno(err, "%s", path);
	for (uint64_t i = 0; i < keys; i++) {
		struct trail_key key;
		trail_key(i, &key);
		(void)fprintf(file,
		              "{\"access_key_id\":\"%s\",\"account_id\":\"%s\",\"private_address\":\"%s\","
		              "\"egress_address\":\"%s\"}\n",
		              key.id, key.account_id, key.private_address, key.egress_address);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const char *path, uint64_t number, struct error *err);
	} modes[] = {{"logs", run_logs}, {"ledger", run_ledger}, {"receipts", run_receipts}};
	struct error problem = {0};
	for (size_t i = 0; argc == 4 && i < ARRAY_LENGTH(modes); i++) {
		if (strcmp(argv[1], modes[i].name) != 0)
			continue;
		if (modes[i].run(argv[2], strtoull(argv[3], NULL, 10), &problem) == 0)
			return 0;
		(void)fprintf(stderr, "make_trail: %s\n", problem.text);
		return 1;
	}
	(void)fprintf(stderr, "usage: make_trail logs FOLDER MEGABYTES | ledger FILE KEYS | receipts FILE KEYS\n");
	return 2;
}
