/* SPDX-License-Identifier: Apache-2.0 */

/* Walks over the sources for names, then over the digests in the order of their chains, so that of each chain only the
 * digest before is held. Digests come from where the logs are: nothing in them is believed before its signature holds.
 */
#include "detector/digests.h"

#include <string.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/json.h"
#include "common/text.h"
#include "detector/aws.h"
#include "detector/aws_answer.h"
#include "detector/inflate.h"
#include "detector/map.h"

#define DIGEST_FILE_BYTES ((size_t)64 << 20)
#define SIGNATURE_MAX 1024
#define LINES_MAX 100
#define STAMP "_YYYYMMDDTHHMMSSZ.json.gz"
#define TARGET "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListPublicKeys"

struct file {
	struct log_source *source;
	char *name; /* owned */
	bool is_listed;
};

struct files {
	struct file *list;
	size_t count, capacity;
};

struct public_key {
	char fingerprint[80], region[32];
	struct digest_key *key; /* NULL: asked for, and not to be had */
};

/* The digest before the one at hand. */
struct link {
	bool is_known;
	const char *name; /* of its file */
	size_t chain_length;
	int64_t end_us;
	char hash[DIGEST_HEX_BYTES];
	struct buffer text; /* that is signed */
	char fingerprint[80], region[32];
	bool is_open; /* its signature is not known yet */
};

struct check {
	const struct digests_options *options;
	struct digests_summary *summary;
	struct log_source **sources;
	struct files logs, digests;
	struct map by_name; /* base name of a log -> its index */
	struct map ends;    /* "ACCOUNT/REGION" -> index in end_us */
	int64_t *end_us;
	size_t end_count;
	struct public_key *keys;
	size_t key_count;
	struct inflate *inflate;
	struct link before;
	unsigned lines;
};

static void tell(struct check *check, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
static void tell(struct check *check, const char *name, const char *format, ...)
{
	if (check->lines++ >= LINES_MAX)
		return;
	struct error line;
	char text[400];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	(void)error_set(&line, ERROR_INPUT, "%.300s: %s", name, text);
	check->options->complain(check->options->context,
	                         check->lines == LINES_MAX ? "... and more that is not as it should be" : line.text);
}

static const char *base_of(const char *name)
{
	const char *slash = strrchr(name, '/');
	return slash != NULL ? slash + 1 : name;
}

/* ---- names */

MUST_USE static int add_file(struct files *files, const struct source_file *file, struct error *err)
{
	if (files->count == files->capacity) {
		size_t capacity = files->capacity > 0 ? files->capacity * 2 : 256;
		struct file *grown = reallocarray(files->list, capacity, sizeof(*grown));
		if (grown == NULL)
			return error_set(err, ERROR_MEMORY, "no memory for %zu names", capacity);
		files->list = grown;
		files->capacity = capacity;
	}
	char *name = strdup(file->name);
	if (name == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a name");
	files->list[files->count++] = (struct file){.source = file->source, .name = name};
	return 0;
}

/* Of two files with one name only the first can be what a digest speaks of. */
static int on_log(void *context, const struct source_file *file, struct error *err)
{
	struct check *check = context;
	struct map_entry entry;
	const char *base = base_of(file->name);
	if (add_file(&check->logs, file, err) < 0)
		return -1;
	return map_add(&check->by_name, base, strlen(base), (uint32_t)(check->logs.count - 1), &entry, err);
}

static int on_digest(void *context, const struct source_file *file, struct error *err)
{
	return add_file(&((struct check *)context)->digests, file, err);
}

static void on_skipped(void *context, const char *name)
{
	(void)context;
	(void)name;
}

static void on_unreadable(void *context, const char *name, const char *why)
{
	struct check *check = context;
	check->summary->gaps++;
	tell(check, name, "%s", why);
}

MUST_USE static int list_sources(struct check *check, struct error *err)
{
	const struct source_reader reader = {.file = on_log,
	                                     .digest = on_digest,
	                                     .skipped = on_skipped,
	                                     .unreadable = on_unreadable,
	                                     .context = check};
	check->sources = calloc(check->options->source_count, sizeof(struct log_source *));
	if (check->sources == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for sources");
	for (size_t i = 0; i < check->options->source_count; i++) {
		const char *name = check->options->sources[i];
		if (strcmp(name, "-") == 0)
			return error_set(err, ERROR_USAGE,
			                 "standard input has no digests: expected folders or s3://...");
		if (source_open(name, &check->options->from, &check->sources[i], err) < 0 ||
		    source_each(check->sources[i], &reader, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- public keys */

MUST_USE static int add_key(struct check *check, const char *fingerprint, const char *region, const char *value,
                            struct error *err)
{
	struct digest_key *key = NULL;
	if (value != NULL && digest_key_read(value, &key, err) < 0)
		return error_prefix(err, "public key %.40s", fingerprint);
	struct public_key *grown = reallocarray(check->keys, check->key_count + 1, sizeof(*grown));
	if (grown == NULL) {
		digest_key_free(key);
		return error_set(err, ERROR_MEMORY, "no memory for keys");
	}
	check->keys = grown;
	grown[check->key_count] = (struct public_key){.key = key};
	(void)text_copy(grown[check->key_count].fingerprint, sizeof(grown->fingerprint), fingerprint);
	(void)text_copy(grown[check->key_count].region, sizeof(grown->region), region);
	check->key_count++;
	return 0;
}

MUST_USE static int add_keys(struct check *check, const char *region, const json_t *answer, struct error *err)
{
	const json_t *entry;
	for (size_t i = 0; (entry = aws_answer_list(answer, "PublicKeyList", i)) != NULL; i++) {
		const char *value = json_text_at(entry, "Value"), *fingerprint = json_text_at(entry, "Fingerprint");
		if (value == NULL || fingerprint == NULL)
			return error_set(err, ERROR_INPUT, "public key %zu: expected Value and Fingerprint", i + 1);
		if (add_key(check, fingerprint, region, value, err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int read_keys(struct check *check, struct error *err)
{
	CLEANUP_JSON json_t *file = NULL;
	const char *path = check->options->public_keys;
	if (path == NULL)
		return check->options->from.aws != NULL ? 0
		                                        : error_set(err, ERROR_USAGE,
		                                                    "no public keys: expected --public-keys FILE, as "
		                                                    "`aws cloudtrail list-public-keys` "
		                                                    "prints them, or credentials to ask CloudTrail");
	if (json_read_file(path, &file, err) < 0)
		return -1;
	if (json_is_object(file) && add_keys(check, "", file, err) < 0)
		return error_prefix(err, "%s", path);
	for (size_t i = 0; i < json_array_size(file); i++)
		if (add_keys(check, "", json_array_get(file, i), err) < 0)
			return error_prefix(err, "%s", path);
	return check->key_count > 0 ? 0 : error_set(err, ERROR_INPUT, "%s: expected a PublicKeyList", path);
}

static const struct public_key *find_key(const struct check *check, const char *fingerprint, const char *region)
{
	for (size_t i = 0; i < check->key_count; i++)
		if (strcmp(check->keys[i].fingerprint, fingerprint) == 0 &&
		    (check->keys[i].region[0] == '\0' || strcmp(check->keys[i].region, region) == 0))
			return &check->keys[i];
	return NULL;
}

/* Each region has keys of its own. What is not to be had is remembered as that. */
MUST_USE static int ask_keys(struct check *check, const struct link *link, struct error *err)
{
	CLEANUP_JSON json_t *body = json_object();
	CLEANUP_JSON json_t *answer = NULL;
	json_put_int(body, "StartTime", link->end_us / CLOCK_SECOND_US - 2 * 3600);
	json_put_int(body, "EndTime", link->end_us / CLOCK_SECOND_US + 3600);
	CLEANUP_FREE char *text = json_line(body);
	const struct aws_call call = {.service = "cloudtrail",
	                              .region = link->region,
	                              .target = TARGET,
	                              .content_type = "application/x-amz-json-1.1",
	                              .body = text,
	                              .body_length = text != NULL ? strlen(text) : 0};
	if (text == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a request");
	if (aws_ask(check->options->from.aws, &call, &answer, err) < 0)
		return error_prefix(err, "CloudTrail ListPublicKeys in %s", link->region);
	return add_keys(check, link->region, answer, err);
}

MUST_USE static int get_key(struct check *check, const struct link *link, const struct digest_key **ret,
                            struct error *err)
{
	const struct public_key *key = find_key(check, link->fingerprint, link->region);
	if (key == NULL && check->options->public_keys == NULL) {
		if (ask_keys(check, link, err) < 0)
			return -1;
		key = find_key(check, link->fingerprint, link->region);
	}
	if (key == NULL && add_key(check, link->fingerprint, link->region, NULL, err) < 0)
		return -1;
	*ret = key != NULL ? key->key : NULL;
	return 0;
}

/* ---- signatures */

static size_t from_hex(const char *hex, uint8_t to[static SIGNATURE_MAX])
{
	size_t length = strlen(hex) / 2;
	if (strlen(hex) % 2 != 0 || length == 0 || length > SIGNATURE_MAX)
		return 0;
	for (size_t i = 0; i < length; i++) {
		unsigned byte;
		if (strspn(hex + 2 * i, "0123456789abcdefABCDEF") < 2 || sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return 0;
		to[i] = (uint8_t)byte;
	}
	return length;
}

MUST_USE static int verify(struct check *check, struct link *link, const char *signature, struct error *err)
{
	uint8_t bytes[SIGNATURE_MAX];
	const struct digest_key *key = NULL;
	size_t length = from_hex(signature, bytes);
	link->is_open = false;
	if (get_key(check, link, &key, err) < 0)
		return -1;
	if (key != NULL && length > 0 && digest_key_verifies(key, link->text.bytes, link->text.length, bytes, length)) {
		check->summary->digests++;
		return 0;
	}
	check->summary->digests_bad++;
	tell(check, link->name, "%s",
	     key == NULL ? "signed with a key that is not among CloudTrail's public keys"
	                 : "its signature does not hold");
	return 0;
}

/* ---- one digest */

struct reading {
	struct digest *digest;
	struct buffer *text; /* NULL: only the digest is wanted */
};

static int take_bytes(void *context, const struct window *window, size_t *ret_used, struct error *err)
{
	const struct reading *reading = context;
	*ret_used = window->length;
	if (digest_add(reading->digest, window->bytes, window->length, err) < 0)
		return -1;
	return reading->text != NULL ? buffer_append(reading->text, window->bytes, window->length, err) : 0;
}

/* The hash of what is inside, as CloudTrail computes it. */
MUST_USE static int hash_file(struct check *check, const struct file *file, char *signature, struct buffer *text,
                              char hash[static DIGEST_HEX_BYTES], struct error *err)
{
	CLEANUP_FD int fd = -1;
	uint8_t digest[DIGEST_BYTES];
	const struct source_file source = {.source = file->source, .name = file->name, .version = ""};
	struct reading reading = {.text = text};
	int result =
		signature != NULL ? source_fetch_digest(&source, &fd, signature, err) : source_fetch(&source, &fd, err);
	if (result < 0 || digest_new(&reading.digest, err) < 0)
		return -1;
	result = inflate_run(check->inflate, fd, take_bytes, &reading, err);
	if (result == 0)
		result = digest_take(reading.digest, digest, err);
	digest_free(reading.digest);
	if (result == 0)
		(void)digest_hex(digest, sizeof(digest), hash);
	return result;
}

static void check_log(struct check *check, const struct file *digest, const json_t *entry)
{
	const char *object = json_text_at(entry, "s3Object"), *wanted = json_text_at(entry, "hashValue");
	char hash[DIGEST_HEX_BYTES];
	struct error problem = {0};
	if (object == NULL || wanted == NULL) {
		check->summary->digests_bad++;
		tell(check, digest->name, "an entry without s3Object or hashValue");
		return;
	}
	struct source_place place = source_place_of(object);
	const char *base = base_of(object);
	if (!source_filter_takes(&check->options->from.filter, &place))
		return;
	uint32_t index = map_find(&check->by_name, base, strlen(base));
	if (index == MAP_NONE) {
		check->summary->logs_missing++;
		tell(check, base, "delivered by CloudTrail, and not there");
		return;
	}
	struct file *log = &check->logs.list[index];
	log->is_listed = true;
	if (hash_file(check, log, NULL, NULL, hash, &problem) < 0) {
		check->summary->logs_changed++;
		tell(check, log->name, "%s", problem.text);
	} else if (strcasecmp(hash, wanted) != 0) {
		check->summary->logs_changed++;
		tell(check, log->name, "changed since CloudTrail delivered it");
	} else {
		check->summary->logs++;
	}
}

/* Where the chain's part of the name ends. */
static size_t chain_length(const char *name)
{
	const char *base = base_of(name);
	size_t length = strlen(base), stamp = strlen(STAMP);
	return (size_t)(base - name) + (length > stamp ? length - stamp : 0);
}

static bool is_same_chain(const struct link *a, const struct link *b)
{
	const char *first = base_of(a->name), *second = base_of(b->name);
	size_t length = a->chain_length - (size_t)(first - a->name);
	return length == b->chain_length - (size_t)(second - b->name) && memcmp(first, second, length) == 0;
}

static void link_done(struct link *link)
{
	buffer_done(&link->text);
}

MUST_USE static int note_end(struct check *check, const struct link *link, const struct source_place *place,
                             struct error *err)
{
	char key[64];
	struct map_entry entry;
	(void)snprintf(key, sizeof(key), "%s/%s", place->account, place->region);
	if (map_add(&check->ends, key, strlen(key), (uint32_t)check->end_count, &entry, err) < 0)
		return -1;
	if (entry.value == check->end_count) {
		int64_t *grown = reallocarray(check->end_us, check->end_count + 1, sizeof(*grown));
		if (grown == NULL)
			return error_set(err, ERROR_MEMORY, "no memory for digests");
		check->end_us = grown;
		check->end_us[check->end_count++] = 0;
	}
	if (check->end_us[entry.value] < link->end_us)
		check->end_us[entry.value] = link->end_us;
	return 0;
}

/* ---- chains */

static void tell_gap(struct check *check, const char *name, int64_t from_us, int64_t until_us)
{
	char from[CLOCK_TEXT_BYTES], until[CLOCK_TEXT_BYTES];
	check->summary->gaps++;
	tell(check, name, "no digest speaks of the time from %s to %s", clock_format(from_us, from),
	     clock_format(until_us, until));
}

/* The end of a chain: what must there have been said up to here? */
static void end_chain(struct check *check)
{
	struct link *last = &check->before;
	int64_t wanted_us = check->options->from.filter.until_us, now_us = clock_now_us() - 2 * 3600 * CLOCK_SECOND_US;
	if (!last->is_known)
		return;
	if (last->is_open) {
		check->summary->unsigned_++;
		tell(check, last->name,
		     "its signature is not known: copy it from S3 with its metadata, or put it into %s.sig",
		     base_of(last->name));
	}
	if (wanted_us > now_us)
		wanted_us = now_us;
	if (wanted_us > 0 && last->end_us < wanted_us)
		tell_gap(check, last->name, last->end_us, wanted_us);
	link_done(last);
	*last = (struct link){0};
}

/* Does it follow the one before? What it says of that one's signature may be all that there is. */
MUST_USE static int join(struct check *check, const struct link *now, const json_t *document, int64_t start_us,
                         struct error *err)
{
	struct link *before = &check->before;
	const char *object = json_text_at(document, "previousDigestS3Object");
	const char *hash = json_text_at(document, "previousDigestHashValue");
	const char *signature = json_text_at(document, "previousDigestSignature");
	int64_t since_us = check->options->from.filter.since_us;
	if (!before->is_known) {
		if (since_us > 0 && start_us > since_us)
			tell_gap(check, now->name, since_us, start_us);
		return 0;
	}
	bool is_next = object != NULL && strcmp(base_of(object), base_of(before->name)) == 0;
	if (is_next && (hash == NULL || strcasecmp(hash, before->hash) != 0)) {
		check->summary->digests_bad++;
		tell(check, before->name, "changed since the next digest was made");
	}
	if (is_next && before->is_open && signature != NULL && verify(check, before, signature, err) < 0)
		return -1;
	if (start_us > before->end_us)
		tell_gap(check, now->name, before->end_us, start_us);
	else if (!is_next) {
		check->summary->digests_bad++;
		tell(check, now->name, "does not follow the digest before it");
	}
	return 0;
}

/* What AWS signs: the end, where it lies, its hash, and the signature before. */
MUST_USE static int make_text(struct link *link, const json_t *document, struct error *err)
{
	const char *end = json_text_at(document, "digestEndTime"), *bucket = json_text_at(document, "digestS3Bucket");
	const char *object = json_text_at(document, "digestS3Object");
	const char *signature = json_text_at(document, "previousDigestSignature");
	const char *fingerprint = json_text_at(document, "digestPublicKeyFingerprint");
	const char *algorithm = json_text_at(document, "digestSignatureAlgorithm");
	if (end == NULL || bucket == NULL || object == NULL || fingerprint == NULL || !clock_parse(end, &link->end_us))
		return error_set(err, ERROR_INPUT, "no digest of CloudTrail's");
	if (algorithm == NULL || strcmp(algorithm, "SHA256withRSA") != 0)
		return error_set(err, ERROR_INPUT, "signed with %.40s: expected SHA256withRSA",
		                 algorithm != NULL ? algorithm : "nothing");
	if (strcmp(base_of(object), base_of(link->name)) != 0)
		return error_set(err, ERROR_INPUT, "is the digest of another time or place, %.200s", base_of(object));
	(void)text_copy(link->fingerprint, sizeof(link->fingerprint), fingerprint);
	return buffer_printf(&link->text, err, "%s\n%s/%s\n%s\n%s", end, bucket, object, link->hash,
	                     signature != NULL ? signature : "null");
}

MUST_USE static int read_digest(struct check *check, const struct file *file, struct link *link, json_t **document,
                                int64_t *start_us, char signature[static SOURCE_SIGNATURE_BYTES], struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {.limit = DIGEST_FILE_BYTES};
	struct source_place place = source_place_of(file->name);
	link->name = file->name;
	link->chain_length = chain_length(file->name);
	(void)text_copy(link->region, sizeof(link->region), place.region);
	if (hash_file(check, file, signature, &text, link->hash, err) < 0 ||
	    json_read(text.bytes != NULL ? text.bytes : "", text.length, document, err) < 0 ||
	    make_text(link, *document, err) < 0)
		return -1;
	const char *start = json_text_at(*document, "digestStartTime");
	if (start == NULL || !clock_parse(start, start_us))
		return error_set(err, ERROR_INPUT, "digestStartTime: expected a time");
	return 0;
}

static void widen(struct digests_summary *summary, int64_t start_us, int64_t end_us)
{
	if (summary->from_us == 0 || start_us < summary->from_us)
		summary->from_us = start_us;
	if (end_us > summary->until_us)
		summary->until_us = end_us;
}

MUST_USE static int check_digest(struct check *check, const struct file *file, struct error *err)
{
	CLEANUP(link_done) struct link now = {.is_known = true, .is_open = true};
	CLEANUP_JSON json_t *document = NULL;
	char signature[SOURCE_SIGNATURE_BYTES];
	struct error problem = {0};
	int64_t start_us = 0;
	struct source_place place = source_place_of(file->name);
	int result = read_digest(check, file, &now, &document, &start_us, signature, &problem);
	if (check->before.is_known && !is_same_chain(&check->before, &now))
		end_chain(check);
	if (result < 0) {
		check->summary->digests_bad++;
		tell(check, file->name, "%s", problem.text);
		return 0;
	}
	if (join(check, &now, document, start_us, err) < 0 ||
	    (signature[0] != '\0' && verify(check, &now, signature, err) < 0))
		return -1;
	const json_t *entry;
	for (size_t i = 0; (entry = aws_answer_list(document, "logFiles", i)) != NULL; i++)
		check_log(check, file, entry);
	widen(check->summary, start_us, now.end_us);
	if (note_end(check, &now, &place, err) < 0)
		return -1;
	link_done(&check->before);
	check->before = now;
	now = (struct link){0};
	return 0;
}

static int compare_digests(const void *a, const void *b)
{
	const struct file *first = a, *second = b;
	return strcmp(base_of(first->name), base_of(second->name));
}

/* ---- logs that no digest names */

static void check_rest(struct check *check)
{
	for (size_t i = 0; i < check->logs.count; i++) {
		const struct file *log = &check->logs.list[i];
		if (log->is_listed)
			continue;
		struct source_place place = source_place_of(log->name);
		char key[64];
		(void)snprintf(key, sizeof(key), "%s/%s", place.account, place.region);
		uint32_t end = map_find(&check->ends, key, strlen(key));
		if (end != MAP_NONE && place.until_us > check->end_us[end]) {
			check->summary->logs_newer++;
			continue;
		}
		check->summary->logs_unlisted++;
		tell(check, log->name, "no digest names it");
	}
}

static void files_done(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->list[i].name);
	free(files->list);
}

static void check_done(struct check *check)
{
	for (size_t i = 0; check->sources != NULL && i < check->options->source_count; i++)
		source_close(check->sources[i]);
	free(check->sources);
	files_done(&check->logs);
	files_done(&check->digests);
	map_done(&check->by_name);
	map_done(&check->ends);
	free(check->end_us);
	for (size_t i = 0; i < check->key_count; i++)
		digest_key_free(check->keys[i].key);
	free(check->keys);
	link_done(&check->before);
	inflate_free(check->inflate);
}

int digests_verify(const struct digests_options *options, struct digests_summary *ret, struct error *err)
{
	struct digests_summary summary = {0};
	CLEANUP(check_done) struct check check = {.options = options, .summary = &summary};
	if (read_keys(&check, err) < 0 || inflate_new(&check.inflate, err) < 0 || list_sources(&check, err) < 0)
		return -1;
	if (check.digests.count > 0)
		qsort(check.digests.list, check.digests.count, sizeof(struct file), compare_digests);
	for (size_t i = 0; i < check.digests.count; i++)
		if (check_digest(&check, &check.digests.list[i], err) < 0)
			return -1;
	end_chain(&check);
	check_rest(&check);
	summary.is_complete = summary.digests > 0 && summary.digests_bad == 0 && summary.unsigned_ == 0 &&
	                      summary.gaps == 0 && summary.logs_changed == 0 && summary.logs_missing == 0 &&
	                      summary.logs_unlisted == 0;
	*ret = summary;
	return 0;
}
