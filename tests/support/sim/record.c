/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests read back: that a request arrived, from where, with which headers, and what it was told. Values
 * of headers are written for the listed ones only, since an unlisted one may hold a secret. */
#include "sim/record.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "sim/answer.h"

static const char *const method_names[METHOD_COUNT] = {
	[METHOD_GET] = "GET",         [METHOD_HEAD] = "HEAD",   [METHOD_PUT] = "PUT",
	[METHOD_OPTIONS] = "OPTIONS", [METHOD_OTHER] = "other",
};

static const struct {
	const char *name;
	bool secret; /* a digest instead of the value */
} logged_headers[] = {
	{"host", false},
	{"user-agent", false},
	{"accept", false},
	{"accept-encoding", false},
	{"connection", false},
	{"content-length", false},
	{"content-type", false},
	{"expect", false},
	{"forwarded", false},
	{"metadata", false},
	{"metadata-flavor", false},
	{"te", false},
	{"transfer-encoding", false},
	{"upgrade", false},
	{"via", false},
	{"x-aws-ec2-metadata-token-ttl-seconds", false},
	{"x-forwarded-for", false},
	{"x-forwarded-host", false},
	{"x-real-ip", false},
	{"authorization", true},
	{"x-aws-ec2-metadata-token", true},
};

void record_init(struct record *ret_record)
{
	*ret_record = (struct record){.log_fd = -1};
	(void)pthread_mutex_init(&ret_record->lock, NULL);
}

void record_done(struct record *record)
{
	for (size_t i = 0; i < RECORD_LINES; i++)
		free(record->lines[i]);
	if (record->log_fd >= 0)
		(void)close(record->log_fd);
}

int record_open_log(struct record *record, const char *path, struct error *err)
{
	record->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (record->log_fd < 0)
		return error_set(err, "%s: %s", path, strerror(errno));
	record->wants_lines = true;
	return 0;
}

void record_connection(struct record *record)
{
	(void)pthread_mutex_lock(&record->lock);
	record->connections++;
	(void)pthread_mutex_unlock(&record->lock);
}

static void write_digest(FILE *out, const char *secret)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(secret, strlen(secret), digest, NULL, EVP_sha256(), NULL) != 1)
		abort();
	(void)fputs("\"sha256:", out);
	for (int i = 0; i < 8; i++)
		(void)fprintf(out, "%02x", digest[i]);
	(void)fputc('"', out);
}

static void write_headers(FILE *out, const struct request *request)
{
	const char *separator = "";

	(void)fputs(",\"headers\":{", out);
	for (size_t i = 0; i < COUNT_OF(logged_headers); i++) {
		const char *value = request_header(request, logged_headers[i].name);

		if (value == NULL)
			continue;
		(void)fprintf(out, "%s\"%s\":", separator, logged_headers[i].name);
		if (logged_headers[i].secret)
			write_digest(out, value);
		else
			json_string(out, value);
		separator = ",";
	}
	/* As spelled, in order and with repetitions. */
	(void)fputs("},\"header_names\":[", out);
	for (size_t i = 0; i < request->header_count; i++) {
		(void)fputs(i > 0 ? "," : "", out);
		json_string(out, request->headers[i].name);
	}
	(void)fputc(']', out);
}

static void write_now(FILE *out)
{
	struct timespec now;
	char text[32];

	(void)clock_gettime(CLOCK_REALTIME, &now);
	time_iso(text, now.tv_sec);
	(void)fprintf(out, "%.19s.%06ldZ", text, now.tv_nsec / 1000);
}

static char *format_line(const struct sockaddr *peer, const struct request *request, const struct answer *answer)
{
	char *line = NULL;
	size_t bytes = 0;
	char address[INET6_ADDRSTRLEN] = "", port[8] = "0";
	socklen_t peer_bytes = peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	FILE *out = open_memstream(&line, &bytes);

	if (out == NULL)
		abort();
	(void)getnameinfo(peer, peer_bytes, address, sizeof(address), port, sizeof(port),
	                  NI_NUMERICHOST | NI_NUMERICSERV);

	(void)fputs("{\"time\":\"", out);
	write_now(out);
	(void)fprintf(out,
	              "\",\"service\":\"%s\",\"peer\":\"%s\",\"port\":%s,\"method\":", service_names[request->service],
	              address, port);
	json_string(out, request->method_name);
	(void)fputs(",\"target\":", out);
	json_string(out, request->raw_target);
	(void)fputs(",\"version\":", out);
	json_string(out, request->version);
	write_headers(out, request);
	(void)fprintf(out, ",\"body_bytes\":%zu,\"status\":%d,\"access_key_id\":", request->body_bytes,
	              answer != NULL ? answer->status : 0);
	if (answer != NULL && answer->access_key_id[0] != '\0')
		json_string(out, answer->access_key_id);
	else
		(void)fputs("null", out);
	(void)fputs("}\n", out);
	if (fclose(out) != 0)
		abort();
	return line;
}

void record_request(struct record *record, const struct sockaddr *peer, const struct request *request,
                    const struct answer *answer)
{
	int status = answer != NULL ? answer->status : 0;
	char *line = record->wants_lines ? format_line(peer, request, answer) : NULL;

	/* One write a line: O_APPEND keeps lines whole, also with several writers. */
	if (line != NULL && record->log_fd >= 0 && write(record->log_fd, line, strlen(line)) != (ssize_t)strlen(line))
		(void)fprintf(stderr, "imds-sim: log: %s\n", strerror(errno));

	(void)pthread_mutex_lock(&record->lock);
	record->counts[request->method][status]++;
	if (line != NULL) {
		line[strlen(line) - 1] = '\0';
		free(record->lines[record->next_line]);
		record->lines[record->next_line] = line;
		record->next_line = (record->next_line + 1) % RECORD_LINES;
	}
	(void)pthread_mutex_unlock(&record->lock);
}

void record_reset(struct record *record)
{
	(void)pthread_mutex_lock(&record->lock);
	record->connections = 0;
	(void)memset(record->counts, 0, sizeof(record->counts));
	for (size_t i = 0; i < RECORD_LINES; i++) {
		free(record->lines[i]);
		record->lines[i] = NULL;
	}
	record->next_line = 0;
	(void)pthread_mutex_unlock(&record->lock);
}

void record_write_counters(struct record *record, FILE *out)
{
	unsigned long by_method[METHOD_COUNT] = {0}, by_status[RECORD_STATUSES] = {0}, total = 0;
	const char *separator = "";

	(void)pthread_mutex_lock(&record->lock);
	(void)fprintf(out, "{\"connections\":%lu,\"by_method_and_status\":{", record->connections);
	for (int method = 0; method < METHOD_COUNT; method++) {
		for (int status = 0; status < RECORD_STATUSES; status++) {
			unsigned long count = record->counts[method][status];

			if (count == 0)
				continue;
			by_method[method] += count;
			by_status[status] += count;
			total += count;
			(void)fprintf(out, "%s\"%s %d\":%lu", separator, method_names[method], status, count);
			separator = ",";
		}
	}
	(void)pthread_mutex_unlock(&record->lock);

	(void)fprintf(out, "},\"requests\":%lu,\"by_method\":{", total);
	for (int method = 0; method < METHOD_COUNT; method++)
		(void)fprintf(out, "%s\"%s\":%lu", method > 0 ? "," : "", method_names[method], by_method[method]);
	(void)fputs("},\"by_status\":{", out);
	separator = "";
	for (int status = 0; status < RECORD_STATUSES; status++) {
		if (by_status[status] == 0)
			continue;
		(void)fprintf(out, "%s\"%d\":%lu", separator, status, by_status[status]);
		separator = ",";
	}
	(void)fputs("}}", out);
}

void record_write_lines(struct record *record, FILE *out)
{
	const char *separator = "";

	(void)fputc('[', out);
	(void)pthread_mutex_lock(&record->lock);
	for (size_t i = 0; i < RECORD_LINES; i++) {
		const char *line = record->lines[(record->next_line + i) % RECORD_LINES];

		if (line == NULL)
			continue;
		(void)fprintf(out, "%s%s", separator, line);
		separator = ",";
	}
	(void)pthread_mutex_unlock(&record->lock);
	(void)fputc(']', out);
}
