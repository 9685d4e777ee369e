/* SPDX-License-Identifier: Apache-2.0 */

/* s3://BUCKET/PREFIX: lists with ListObjectsV2 and fetches into a file without a name, so that memory does not grow
 * with objects. Without a filter the list is flat, which is the fewest requests; with one, folders are entered one by
 * one down to those of a day, and what is not wanted is not listed. */
#include "detector/source_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/text.h"
#include "detector/aws.h"
#include "detector/aws_answer.h"
#include "detector/spool.h"

#define SCHEME "s3://"
#define DEPTH_MAX 24 /* of folders that are entered one by one; below, the list is flat */
#define BUCKET_BYTES 64
#define KEY_BYTES 1025
#define NAME_BYTES (sizeof(SCHEME) + BUCKET_BYTES + KEY_BYTES)

struct place {
	char bucket[BUCKET_BYTES];
	const char *key; /* in the name it was read from */
};

static bool is_bucket_name(const char *name)
{
	return text_starts(name, SCHEME);
}

MUST_USE static int read_name(const char *name, struct place *ret, struct error *err)
{
	const char *bucket = name + strlen(SCHEME);
	size_t length = strcspn(bucket, "/");
	if (length == 0 || length >= sizeof(ret->bucket) || strlen(name) >= NAME_BYTES)
		return error_set(err, ERROR_USAGE, "%.120s: expected s3://BUCKET/PREFIX", name);
	memcpy(ret->bucket, bucket, length);
	ret->bucket[length] = '\0';
	ret->key = bucket[length] == '/' ? bucket + length + 1 : "";
	return 0;
}

MUST_USE static int need_aws(const struct log_source *source, struct error *err)
{
	return source->options.aws != NULL
	               ? 0
	               : error_set(err, ERROR_USAGE, "%.120s: there is no access to AWS here", source->name);
}

/* ---- listing */

struct walk {
	struct log_source *source;
	const struct source_reader *reader;
	struct place place;
	unsigned depth;
};

/* "s3://BUCKET/KEY" of a key as the answer has it; false: it cannot be ours. */
static bool make_name(const struct walk *walk, const char *key, bool is_encoded, char to[static NAME_BYTES])
{
	int used = snprintf(to, NAME_BYTES, SCHEME "%s/", walk->place.bucket);
	if (strlen(key) >= 3 * KEY_BYTES)
		return false;
	char decoded[3 * KEY_BYTES];
	(void)text_copy(decoded, sizeof(decoded), key);
	return (!is_encoded || text_decode_form(decoded)) && text_copy(to + used, NAME_BYTES - (size_t)used, decoded);
}

/* Folders are objects of no bytes in some tools: their keys end in a slash. */
MUST_USE static int take_object(const struct walk *walk, const json_t *object, bool is_encoded, struct error *err)
{
	char name[NAME_BYTES], version[80] = "";
	const char *key = json_text_at(object, "Key"), *tag = json_text_at(object, "ETag");
	const char *size_text = json_text_at(object, "Size");
	uint64_t size = 0;
	if (key == NULL || !make_name(walk, key, is_encoded, name)) {
		walk->reader->unreadable(walk->reader->context, walk->source->name,
		                         "an object with a name that cannot be");
		return 0;
	}
	if (size_text != NULL)
		(void)!text_to_u64(size_text, UINT64_MAX, &size);
	if (tag != NULL)
		(void)text_copy(version, sizeof(version), tag[0] == '"' ? tag + 1 : tag);
	version[strcspn(version, "\"")] = '\0';
	if (name[strlen(name) - 1] == '/')
		return 0;
	const struct source_file file = {.source = walk->source, .name = name, .version = version, .size = size};
	return source_take(&file, walk->reader, err);
}

MUST_USE static int list_folder(const struct walk *walk, const char *prefix, struct error *err);

MUST_USE static int take_folder(const struct walk *walk, const json_t *entry, bool is_encoded, struct error *err)
{
	char name[NAME_BYTES];
	const char *prefix = json_text_at(entry, "Prefix");
	if (prefix == NULL || !make_name(walk, prefix, is_encoded, name)) {
		walk->reader->unreadable(walk->reader->context, walk->source->name,
		                         "a folder with a name that cannot be");
		return 0;
	}
	struct source_place place = source_place_of(name);
	/* Whole folders of others are not listed only to be counted. */
	if (place.kind == SOURCE_OTHER || (place.kind == SOURCE_DIGEST && walk->reader->digest == NULL)) {
		walk->reader->skipped(walk->reader->context, name);
		return 0;
	}
	if (!source_enters(walk->source, name, walk->reader))
		return 0;
	struct walk inner = *walk;
	inner.depth++;
	return list_folder(&inner, name + strlen(SCHEME) + strlen(walk->place.bucket) + 1, err);
}

/* One page; `token` is taken for the next one, "" behind the last. */
MUST_USE static int ask_page(const struct walk *walk, const char *prefix, bool is_flat, const char *token, json_t **ret,
                             struct error *err)
{
	struct sigv4_pair query[5] = {{"list-type", "2"}, {"encoding-type", "url"}, {"prefix", prefix}};
	struct aws_call call = {
		.service = "s3", .bucket = walk->place.bucket, .path = "/", .query = query, .query_count = 3};
	if (!is_flat)
		query[call.query_count++] = (struct sigv4_pair){"delimiter", "/"};
	if (token[0] != '\0')
		query[call.query_count++] = (struct sigv4_pair){"continuation-token", token};
	if (aws_ask(walk->source->options.aws, &call, ret, err) < 0)
		return error_prefix(err, SCHEME "%s/%s", walk->place.bucket, prefix);
	return 0;
}

MUST_USE static int take_page(const struct walk *walk, const json_t *page, struct error *err)
{
	const char *encoding = json_text_at(page, "EncodingType");
	bool is_encoded = encoding != NULL && strcmp(encoding, "url") == 0;
	const json_t *entry;
	for (size_t i = 0; (entry = aws_answer_list(page, "Contents", i)) != NULL; i++)
		if (take_object(walk, entry, is_encoded, err) < 0)
			return -1;
	for (size_t i = 0; (entry = aws_answer_list(page, "CommonPrefixes", i)) != NULL; i++)
		if (take_folder(walk, entry, is_encoded, err) < 0)
			return -1;
	return 0;
}

static int list_folder(const struct walk *walk, const char *prefix, struct error *err)
{
	CLEANUP_BUFFER struct buffer token = {0};
	struct source_place place = source_place_of(prefix);
	bool is_flat = source_filter_is_open(&walk->source->options.filter) || place.is_day || walk->depth >= DEPTH_MAX;
	if (buffer_append(&token, "", 0, err) < 0)
		return -1;
	do {
		CLEANUP_JSON json_t *page = NULL;
		if (ask_page(walk, prefix, is_flat, token.bytes != NULL ? token.bytes : "", &page, err) < 0 ||
		    take_page(walk, page, err) < 0)
			return -1;
		const char *next = json_text_at(page, "NextContinuationToken");
		const char *is_cut = json_text_at(page, "IsTruncated");
		buffer_clear(&token);
		if (is_cut != NULL && strcmp(is_cut, "true") == 0 && next == NULL)
			return error_set(err, ERROR_INPUT, "%s: a list that goes on, without a token",
			                 walk->source->name);
		if (next != NULL && buffer_append(&token, next, strlen(next), err) < 0)
			return -1;
	} while (token.length > 0);
	return 0;
}

/* Is there an object of exactly this name? */
MUST_USE static int is_object(const struct walk *walk, bool *ret, struct error *err)
{
	CLEANUP_JSON json_t *page = NULL;
	char name[NAME_BYTES];
	const struct sigv4_pair query[] = {
		{"list-type", "2"}, {"encoding-type", "url"}, {"max-keys", "1"}, {"prefix", walk->place.key}};
	const struct aws_call call = {
		.service = "s3", .bucket = walk->place.bucket, .path = "/", .query = query, .query_count = 4};
	if (aws_ask(walk->source->options.aws, &call, &page, err) < 0)
		return error_prefix(err, "%s", walk->source->name);
	const json_t *first = aws_answer_list(page, "Contents", 0);
	const char *key = json_text_at(first, "Key");
	*ret = key != NULL && make_name(walk, key, json_text_at(page, "EncodingType") != NULL, name) &&
	       strcmp(name, walk->source->name) == 0;
	if (key == NULL)
		return error_set(err, ERROR_MISSING, "%s: there is nothing of this name", walk->source->name);
	return 0;
}

/* A name that ends as a file's is an object; any other is a folder, unless there is an object of this very name. */
static int each_object(struct log_source *source, const struct source_reader *reader, struct error *err)
{
	struct walk walk = {.source = source, .reader = reader};
	char prefix[KEY_BYTES + 1];
	if (need_aws(source, err) < 0 || read_name(source->name, &walk.place, err) < 0)
		return -1;
	const char *key = walk.place.key != NULL ? walk.place.key : "";
	size_t length = strlen(key);
	bool is_one = source_is_log_name(key), is_folder = length == 0 || key[length - 1] == '/';
	if (!is_one && !is_folder && is_object(&walk, &is_one, err) < 0)
		return -1;
	const struct source_file file = {.source = source, .name = source->name, .version = ""};
	if (is_one)
		return reader->file(reader->context, &file, err);
	if (snprintf(prefix, sizeof(prefix), "%s%s", key, is_folder ? "" : "/") >= (int)sizeof(prefix))
		return error_set(err, ERROR_USAGE, "%.120s...: longer than a key can be", source->name);
	return list_folder(&walk, prefix, err);
}

/* ---- fetching */

static int fetch_object(const struct source_file *file, int *ret_fd, char *signature, struct error *err)
{
	CLEANUP_ANSWER struct aws_http_answer answer = {0};
	CLEANUP_FD int fd = -1;
	struct place place;
	char path[KEY_BYTES + 1];
	if (need_aws(file->source, err) < 0 || read_name(file->name, &place, err) < 0 || (fd = spool_file(err)) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "/%s", place.key);
	const struct aws_call call = {.service = "s3", .bucket = place.bucket, .path = path, .sink = fd};
	if (aws_send(file->source->options.aws, &call, &answer, err) < 0)
		return -1;
	if (signature != NULL)
		(void)aws_http_header(&answer, "x-amz-meta-signature", signature, SOURCE_SIGNATURE_BYTES);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(err, "temporary file");
	*ret_fd = steal_fd(&fd);
	return 0;
}

const struct source_backend source_bucket = {is_bucket_name, each_object, fetch_object};
