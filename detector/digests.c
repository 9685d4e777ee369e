/* SPDX-License-Identifier: Apache-2.0 */

/* THE PIPELINE of a check: names of all files -> digests in the order of their chains, so that of each chain only the
 * one before is held -> the logs that each names -> logs that none names. Digests come from where the logs are: nothing
 * in them is believed before its signature holds.
 */
#include "detector/digests.h"

#include <string.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/text.h"
#include "detector/digests_chain.h"
#include "detector/digests_files.h"
#include "detector/digests_keys.h"
#include "detector/inflate.h"
#include "detector/map.h"

#define DIGEST_FILE_BYTES ((size_t)64 << 20)
#define LINES_MAX 100

/* A digest that was read. */
struct link {
	const char *name; /* of its file; NULL: there is none */
	struct digests_digest digest;
	char hash[DIGEST_HEX_BYTES];
	char region[32];
	bool is_open; /* its signature is not known yet */
};

struct check {
	const struct digests_options *options;
	struct digests_summary *summary;
	struct digests_files files;
	struct map ends; /* "ACCOUNT/REGION" -> index in end_us */
	int64_t *end_us;
	size_t end_count;
	struct digests_keys *keys;
	struct inflate *inflate;
	struct link before; /* the one at hand, in its chain */
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

static void on_unreadable(void *context, const char *name, const char *why)
{
	struct check *check = context;
	check->summary->gaps++;
	tell(check, name, "%s", why);
}

/* ---- one file */

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
MUST_USE static int hash_file(struct check *check, const struct digests_file *file, char *signature,
                              struct buffer *text, char hash[static DIGEST_HEX_BYTES], struct error *err)
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

static void check_log(struct check *check, const struct digests_file *digest, const struct digests_log *entry)
{
	char hash[DIGEST_HEX_BYTES];
	struct error problem = {0};
	if (entry->object == NULL || entry->hash == NULL) {
		check->summary->digests_bad++;
		tell(check, digest->name, "an entry without s3Object or hashValue");
		return;
	}
	struct source_place place = source_place_of(entry->object);
	const char *base = text_base(entry->object);
	if (!source_filter_takes(&check->options->from.filter, &place))
		return;
	struct digests_file *log = digests_files_log(&check->files, base);
	if (log == NULL) {
		check->summary->logs_missing++;
		tell(check, base, "delivered by CloudTrail, and not there");
		return;
	}
	log->is_listed = true;
	if (hash_file(check, log, NULL, NULL, hash, &problem) < 0) {
		check->summary->logs_changed++;
		tell(check, log->name, "%s", problem.text);
	} else if (strcasecmp(hash, entry->hash) != 0) {
		check->summary->logs_changed++;
		tell(check, log->name, "changed since CloudTrail delivered it");
	} else {
		check->summary->logs++;
	}
}

/* ---- one digest */

static void link_done(struct link *link)
{
	digests_digest_done(&link->digest);
	*link = (struct link){0};
}

MUST_USE static int verify(struct check *check, struct link *link, const char *signature, struct error *err)
{
	enum digests_signature verdict;
	const struct digests_signed what = {.bytes = link->digest.text.bytes,
	                                    .length = link->digest.text.length,
	                                    .fingerprint = link->digest.fingerprint,
	                                    .region = link->region,
	                                    .end_us = link->digest.end_us};
	link->is_open = false;
	if (digests_keys_verify(check->keys, &what, signature, &verdict, err) < 0)
		return -1;
	if (verdict == DIGESTS_SIGNATURE_GOOD) {
		check->summary->digests++;
		return 0;
	}
	check->summary->digests_bad++;
	tell(check, link->name, "%s",
	     verdict == DIGESTS_SIGNATURE_NO_KEY ? "signed with a key that is not among CloudTrail's public keys"
	                                         : "its signature does not hold");
	return 0;
}

MUST_USE static int note_end(struct check *check, const struct source_place *place, int64_t until_us, struct error *err)
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
	if (check->end_us[entry.value] < until_us)
		check->end_us[entry.value] = until_us;
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
	if (last->name == NULL)
		return;
	if (last->is_open) {
		check->summary->unsigned_++;
		tell(check, last->name,
		     "its signature is not known: copy it from S3 with its metadata, or put it into %s.sig",
		     text_base(last->name));
	}
	if (wanted_us > now_us)
		wanted_us = now_us;
	if (wanted_us > 0 && last->digest.end_us < wanted_us)
		tell_gap(check, last->name, last->digest.end_us, wanted_us);
	link_done(last);
}

/* Does it follow the one before? What it says of that one's signature may be all that there is. */
MUST_USE static int join(struct check *check, const struct link *now, struct error *err)
{
	struct link *before = &check->before;
	const struct digests_before last = {before->name, before->hash, before->digest.end_us};
	const struct digests_step step = digests_chain_step(before->name != NULL ? &last : NULL, &now->digest,
	                                                    check->options->from.filter.since_us);
	const char *signature = now->digest.before_signature;
	if (step.is_changed) {
		check->summary->digests_bad++;
		tell(check, before->name, "changed since the next digest was made");
	}
	if (step.is_next && before->is_open && signature != NULL && verify(check, before, signature, err) < 0)
		return -1;
	if (step.gap_until_us != 0)
		tell_gap(check, now->name, step.gap_from_us, step.gap_until_us);
	if (step.is_stray) {
		check->summary->digests_bad++;
		tell(check, now->name, "does not follow the digest before it");
	}
	return 0;
}

MUST_USE static int read_digest(struct check *check, const struct digests_file *file, struct link *link,
                                char signature[static SOURCE_SIGNATURE_BYTES], struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {.limit = DIGEST_FILE_BYTES};
	if (hash_file(check, file, signature, &text, link->hash, err) < 0)
		return -1;
	return digests_digest_read(&text, file->name, link->hash, &link->digest, err);
}

static void widen(struct digests_summary *summary, int64_t start_us, int64_t end_us)
{
	if (summary->from_us == 0 || start_us < summary->from_us)
		summary->from_us = start_us;
	if (end_us > summary->until_us)
		summary->until_us = end_us;
}

MUST_USE static int check_digest(struct check *check, const struct digests_file *file, struct error *err)
{
	CLEANUP(link_done) struct link now = {.name = file->name, .is_open = true};
	char signature[SOURCE_SIGNATURE_BYTES];
	struct error problem = {0};
	struct source_place place = source_place_of(file->name);
	(void)text_copy(now.region, sizeof(now.region), place.region);
	int result = read_digest(check, file, &now, signature, &problem);
	if (check->before.name != NULL && !digests_chain_is_same(check->before.name, now.name))
		end_chain(check);
	if (result < 0) {
		check->summary->digests_bad++;
		tell(check, file->name, "%s", problem.text);
		return 0;
	}
	if (join(check, &now, err) < 0 || (signature[0] != '\0' && verify(check, &now, signature, err) < 0))
		return -1;
	struct digests_log log;
	for (size_t i = 0; digests_digest_log(&now.digest, i, &log); i++)
		check_log(check, file, &log);
	widen(check->summary, now.digest.start_us, now.digest.end_us);
	if (note_end(check, &place, now.digest.end_us, err) < 0)
		return -1;
	link_done(&check->before);
	check->before = now;
	now = (struct link){0};
	return 0;
}

/* ---- logs that no digest names */

static void check_rest(struct check *check)
{
	for (size_t i = 0; i < check->files.logs.count; i++) {
		const struct digests_file *log = &check->files.logs.list[i];
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

static void check_done(struct check *check)
{
	digests_files_close(&check->files);
	map_done(&check->ends);
	free(check->end_us);
	digests_keys_close(check->keys);
	link_done(&check->before);
	inflate_free(check->inflate);
}

int digests_verify(const struct digests_options *options, struct digests_summary *ret, struct error *err)
{
	struct digests_summary summary = {0};
	CLEANUP(check_done) struct check check = {.options = options, .summary = &summary};
	const struct digests_places places = {.names = options->sources,
	                                      .count = options->source_count,
	                                      .from = &options->from,
	                                      .unreadable = on_unreadable,
	                                      .context = &check};
	if (digests_keys_open(options->public_keys, options->from.aws, &check.keys, err) < 0 ||
	    inflate_new(&check.inflate, err) < 0 || digests_files_open(&check.files, &places, err) < 0)
		return -1;
	for (size_t i = 0; i < check.files.digests.count; i++)
		if (check_digest(&check, &check.files.digests.list[i], err) < 0)
			return -1;
	end_chain(&check);
	check_rest(&check);
	summary.is_complete = summary.digests > 0 && summary.digests_bad == 0 && summary.unsigned_ == 0 &&
	                      summary.gaps == 0 && summary.logs_changed == 0 && summary.logs_missing == 0 &&
	                      summary.logs_unlisted == 0;
	*ret = summary;
	return 0;
}
