/* SPDX-License-Identifier: Apache-2.0 */

/* Canonical request, string to sign, signature. What is signed is what is sent: the target that is built here goes on
 * the wire byte for byte, so that no library in between can have another opinion on how a plus sign is written. */
#include "detector/sigv4.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

#define PAIRS_MAX 32 /* of a query, or of headers: ours have at most ten */
#define SCOPE_BYTES 200

void sigv4_signature_done(struct sigv4_signature *signature)
{
	buffer_done(&signature->target);
	buffer_done(&signature->authorization);
}

int sigv4_encode(struct buffer *to, const char *text, bool keep_slashes, struct error *err)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		bool is_plain = isascii(c) && (isalnum(c) || strchr("-._~", c) != NULL || (c == '/' && keep_slashes));
		int result = is_plain ? buffer_append(to, text, 1, err) : buffer_printf(to, err, "%%%02X", c);
		if (result < 0)
			return -1;
	}
	return 0;
}

/* ---- the query, sorted by what it looks like encoded */

struct encoded {
	struct buffer name, value;
};

static int compare_encoded(const void *a, const void *b)
{
	const struct encoded *first = a, *second = b;
	int by_name = strcmp(first->name.bytes, second->name.bytes);
	return by_name != 0 ? by_name : strcmp(first->value.bytes, second->value.bytes);
}

MUST_USE static int encode_pairs(const struct sigv4_request *request, struct encoded *pairs, struct error *err)
{
	for (size_t i = 0; i < request->query_count; i++)
		if (buffer_append(&pairs[i].name, "", 0, err) < 0 || buffer_append(&pairs[i].value, "", 0, err) < 0 ||
		    sigv4_encode(&pairs[i].name, request->query[i].name, false, err) < 0 ||
		    sigv4_encode(&pairs[i].value, request->query[i].value, false, err) < 0)
			return -1;
	qsort(pairs, request->query_count, sizeof(*pairs), compare_encoded);
	return 0;
}

MUST_USE static int append_query(const struct sigv4_request *request, struct buffer *to, struct error *err)
{
	struct encoded pairs[PAIRS_MAX] = {0};
	if (request->query_count > PAIRS_MAX)
		return error_set(err, ERROR_LIMIT, "a query of more than %d parameters", PAIRS_MAX);
	int result = encode_pairs(request, pairs, err);
	for (size_t i = 0; i < request->query_count; i++) {
		if (result == 0)
			result = buffer_printf(to, err, "%s%s=%s", i > 0 ? "&" : "", pairs[i].name.bytes,
			                       pairs[i].value.bytes);
		buffer_done(&pairs[i].name);
		buffer_done(&pairs[i].value);
	}
	return result;
}

/* ---- headers */

struct header {
	char name[64];     /* in lower case */
	const char *value; /* as it is sent */
	size_t order;      /* of headers with one name, as they came */
};

static int compare_headers(const void *a, const void *b)
{
	const struct header *first = a, *second = b;
	int by_name = strcmp(first->name, second->name);
	return by_name != 0 ? by_name : (first->order > second->order) - (first->order < second->order);
}

struct headers {
	struct header list[PAIRS_MAX];
	size_t count;
};

MUST_USE static int add_header(struct headers *headers, const char *name, const char *value, struct error *err)
{
	if (headers->count == PAIRS_MAX || strlen(name) >= sizeof(headers->list[0].name))
		return error_set(err, ERROR_LIMIT, "too many headers, or a long one: %.40s", name);
	struct header *header = &headers->list[headers->count];
	*header = (struct header){.value = value, .order = headers->count++};
	for (size_t i = 0; name[i] != '\0'; i++)
		header->name[i] = (char)tolower((unsigned char)name[i]);
	return 0;
}

/* Without white space at both ends, and with one space for each run of them inside. */
MUST_USE static int append_trimmed(struct buffer *to, const char *value, struct error *err)
{
	bool is_start = true, was_space = false;
	for (; *value != '\0'; value++) {
		bool is_space = *value == ' ' || *value == '\t';
		if (!is_space) {
			if (was_space && !is_start && buffer_append(to, " ", 1, err) < 0)
				return -1;
			if (buffer_append(to, value, 1, err) < 0)
				return -1;
			is_start = false;
		}
		was_space = is_space;
	}
	return 0;
}

/* Of several headers with one name the values stand behind one another, with commas. */
MUST_USE static int append_headers(const struct headers *headers, struct buffer *lines, struct buffer *names,
                                   struct error *err)
{
	for (size_t i = 0; i < headers->count; i++) {
		const struct header *header = &headers->list[i];
		bool is_same = i > 0 && strcmp(header->name, headers->list[i - 1].name) == 0;
		bool is_last = i + 1 == headers->count || strcmp(header->name, headers->list[i + 1].name) != 0;
		if (!is_same && (buffer_printf(lines, err, "%s:", header->name) < 0 ||
		                 buffer_printf(names, err, "%s%s", i > 0 ? ";" : "", header->name) < 0))
			return -1;
		if ((is_same && buffer_append(lines, ",", 1, err) < 0) ||
		    append_trimmed(lines, header->value, err) < 0 ||
		    (is_last && buffer_append(lines, "\n", 1, err) < 0))
			return -1;
	}
	return 0;
}

/* `token` holds the session token as text, while it is needed. */
MUST_USE static int collect_headers(const struct sigv4_request *request, const struct aws_credentials *credentials,
                                    const struct sigv4_signature *signature, struct buffer *token,
                                    struct headers *headers, struct error *err)
{
	if (add_header(headers, "host", request->host, err) < 0 ||
	    add_header(headers, "x-amz-date", signature->date, err) < 0 ||
	    (request->with_content_hash &&
	     add_header(headers, "x-amz-content-sha256", signature->content_hash, err) < 0))
		return -1;
	if (credentials->session_token.length > 0 &&
	    (buffer_append(token, credentials->session_token.bytes, credentials->session_token.length, err) < 0 ||
	     add_header(headers, "x-amz-security-token", token->bytes, err) < 0))
		return -1;
	for (size_t i = 0; i < request->header_count; i++)
		if (add_header(headers, request->headers[i].name, request->headers[i].value, err) < 0)
			return -1;
	qsort(headers->list, headers->count, sizeof(headers->list[0]), compare_headers);
	return 0;
}

/* ---- signing */

MUST_USE static int hash_hex(const void *bytes, size_t length, char to[static DIGEST_HEX_BYTES], struct error *err)
{
	uint8_t digest[DIGEST_BYTES];
	if (digest_of(bytes != NULL ? bytes : "", length, digest, err) < 0)
		return -1;
	(void)digest_hex(digest, sizeof(digest), to);
	return 0;
}

/* The key that is good for one day, region and service, then the signature. */
MUST_USE static int make_signature(const struct sigv4_request *request, const struct aws_credentials *credentials,
                                   const char *day, const struct buffer *text, char to[static DIGEST_HEX_BYTES],
                                   struct error *err)
{
	const char *const steps[] = {day, request->region, request->service, "aws4_request"};
	CLEANUP_SECRET_BUFFER struct buffer first = {0};
	CLEANUP_KEY struct secret_key key;
	uint8_t mac[SECRET_MAC_BYTES];
	if (buffer_append(&first, "AWS4", 4, err) < 0 ||
	    buffer_append(&first, credentials->secret_key.bytes, credentials->secret_key.length, err) < 0 ||
	    secret_hmac(first.bytes, first.length, steps[0], strlen(steps[0]), key.bytes, err) < 0)
		return -1;
	for (size_t i = 1; i < ARRAY_LENGTH(steps); i++)
		if (secret_hmac(key.bytes, sizeof(key.bytes), steps[i], strlen(steps[i]), key.bytes, err) < 0)
			return -1;
	if (secret_hmac(key.bytes, sizeof(key.bytes), text->bytes, text->length, mac, err) < 0)
		return -1;
	(void)digest_hex(mac, sizeof(mac), to);
	return 0;
}

static void write_date(int64_t now_us, char to[static SIGV4_DATE_BYTES])
{
	time_t seconds = (time_t)(now_us / CLOCK_SECOND_US);
	struct tm tm;
	(void)gmtime_r(&seconds, &tm);
	(void)strftime(to, SIGV4_DATE_BYTES, "%Y%m%dT%H%M%SZ", &tm);
}

/* Fills everything but the authorization; `names`: the list of signed headers; `hash`: of the canonical request. */
MUST_USE static int canonicalise(const struct sigv4_request *request, const struct aws_credentials *credentials,
                                 struct sigv4_signature *signature, struct buffer *names,
                                 char hash[static DIGEST_HEX_BYTES], struct error *err)
{
	CLEANUP_SECRET_BUFFER struct buffer token = {0}, canonical = {0}, lines = {0};
	CLEANUP_BUFFER struct buffer query = {0};
	struct headers headers = {0};
	write_date(request->now_us, signature->date);
	if (hash_hex(request->body, request->body_length, signature->content_hash, err) < 0 ||
	    sigv4_encode(&signature->target, request->path, true, err) < 0 || buffer_append(&query, "", 0, err) < 0 ||
	    append_query(request, &query, err) < 0 ||
	    collect_headers(request, credentials, signature, &token, &headers, err) < 0 ||
	    append_headers(&headers, &lines, names, err) < 0 ||
	    buffer_printf(&canonical, err, "%s\n%s\n%s\n%s\n%s\n%s", request->method, signature->target.bytes,
	                  query.bytes, lines.bytes, names->bytes, signature->content_hash) < 0 ||
	    (query.length > 0 && buffer_printf(&signature->target, err, "?%s", query.bytes) < 0))
		return -1;
	return hash_hex(canonical.bytes, canonical.length, hash, err);
}

int sigv4_sign(const struct sigv4_request *request, const struct aws_credentials *credentials,
               struct sigv4_signature *ret, struct error *err)
{
	CLEANUP_SIGNATURE struct sigv4_signature signature = {0};
	CLEANUP_BUFFER struct buffer names = {0}, text = {0};
	char hash[DIGEST_HEX_BYTES], mac[DIGEST_HEX_BYTES], scope[SCOPE_BYTES], day[9];
	if (canonicalise(request, credentials, &signature, &names, hash, err) < 0)
		return -1;
	(void)snprintf(day, sizeof(day), "%.8s", signature.date);
	if (snprintf(scope, sizeof(scope), "%s/%s/%s/aws4_request", day, request->region, request->service) >=
	    SCOPE_BYTES)
		return error_set(err, ERROR_LIMIT, "region or service too long to sign: %.40s", request->region);
	if (buffer_printf(&text, err, "AWS4-HMAC-SHA256\n%s\n%s\n%s", signature.date, scope, hash) < 0 ||
	    make_signature(request, credentials, day, &text, mac, err) < 0 ||
	    buffer_printf(&signature.authorization, err,
	                  "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
	                  credentials->access_key_id, scope, names.bytes, mac) < 0)
		return -1;
	*ret = signature;
	signature = (struct sigv4_signature){0};
	return 0;
}
