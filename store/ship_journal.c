/* SPDX-License-Identifier: Apache-2.0 */

/* journald's native protocol (systemd's JOURNAL_NATIVE_PROTOCOL): a datagram an entry, each field as its name, a
 * newline, the length of its value in 64 bits, little endian, the value, a newline. So no value can look like a field.
 */
#include "store/ship_journal.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "store/ship.h"

#define LOOK_MS 5000 /* how often it is looked whether there is a journal */

/* Never changed: whoever filters by one goes on to get what was asked for. */
static const struct message {
	const char *kind, *id;
} messages[] = {
	{"delivery", "b74041137b28410e876d81963d4a5ddc"},   {"outcome", "ec1716717e294ee8a1e13403ea79269d"},
	{"executable", "3c5f9d79f7c14283b17480b8a3b9208b"}, {"placement", "f2c24fa2821640c39191db9694d8e92c"},
	{"gap", "1420841f82ee4d31bec61d9428a9694d"},        {"instance", "a81c61632ea2424abfcb0f735bd938d0"},
	{"coverage", "9556dead48aa466dbee3cae36ef4531d"},   {"prune", "2440eef4a4df4767be81be477fa35ca1"},
};

/* Fields beside MESSAGE (the row's line) and MESSAGE_ID: where a value is known. */
static const struct field {
	const char *name, *path; /* in the body */
} fields[] = {
	{"KEYTRAIL_ACCESS_KEY_ID", "access_key_id"},
	{"KEYTRAIL_ACCOUNT_ID", "account_id"},
	{"KEYTRAIL_ROLE", "role"},
	{"KEYTRAIL_SOURCE", "source"},
	{"KEYTRAIL_PATH", "path"},
	{"KEYTRAIL_OUTCOME", "outcome"},
	{"KEYTRAIL_REASON", "reason"},
	{"KEYTRAIL_GRADE", "attribution.grade"},
	{"KEYTRAIL_CLIENT_ADDRESS", "client.address"},
	{"KEYTRAIL_INSTANCE_ID", "host.instance_id"},
	{"KEYTRAIL_INSTANCE_ID", "instance_id"},
	{"KEYTRAIL_EVENT", "event"},
};
/* The same of the process. */
static const struct field process_fields[] = {
	{"KEYTRAIL_PID", "pid"}, {"KEYTRAIL_UID", "uid"},   {"KEYTRAIL_USER", "user"},
	{"KEYTRAIL_EXE", "exe"}, {"KEYTRAIL_UNIT", "unit"}, {"KEYTRAIL_CONTAINER_ID", "container_id"},
};

struct ship_journal {
	struct sockaddr_un address;
	int fd;
	bool is_there, is_full, is_failing;
	int64_t look_at_ms;
	struct buffer entries; /* each its length (size_t), its datagram */
	uint64_t lost;
};

const char *ship_message_id(const char *kind)
{
	for (size_t i = 0; i < ARRAY_LENGTH(messages); i++)
		if (strcmp(messages[i].kind, kind) == 0)
			return messages[i].id;
	return NULL;
}

int ship_journal_open(const char *path, struct ship_journal **ret, struct error *err)
{
	struct ship_journal *journal = calloc(1, sizeof(*journal));
	if (journal == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the journal");
	journal->address.sun_family = AF_UNIX;
	journal->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (journal->fd < 0 || strlen(path) >= sizeof(journal->address.sun_path)) {
		(void)error_errno(err, "the journal's socket %.100s", path);
		ship_journal_close(journal);
		return -1;
	}
	memcpy(journal->address.sun_path, path, strlen(path));
	*ret = journal;
	return 0;
}

void ship_journal_close(struct ship_journal *journal)
{
	if (journal == NULL)
		return;
	if (journal->fd >= 0)
		(void)close(journal->fd);
	buffer_done(&journal->entries);
	free(journal);
}

bool ship_journal_is_there(struct ship_journal *journal)
{
	if (journal == NULL)
		return false;
	int64_t now_ms = clock_monotonic_ms();
	if (now_ms >= journal->look_at_ms) {
		journal->is_there = access(journal->address.sun_path, W_OK) == 0;
		journal->look_at_ms = now_ms + LOOK_MS;
	}
	return journal->is_there;
}

/* ---- an entry */

MUST_USE static int put(struct buffer *to, const char *name, const char *value, size_t length)
{
	uint64_t little = htole64(length);
	return buffer_append(to, name, strlen(name), NULL) < 0 || buffer_append(to, "\n", 1, NULL) < 0 ||
	                       buffer_append(to, &little, sizeof(little), NULL) < 0 ||
	                       buffer_append(to, value, length, NULL) < 0 || buffer_append(to, "\n", 1, NULL) < 0
	               ? -1
	               : 0;
}

MUST_USE static int put_text(struct buffer *to, const char *name, const char *value)
{
	return value != NULL ? put(to, name, value, strlen(value)) : 0;
}

MUST_USE static int put_fields(struct buffer *to, const char *text, const struct field *wanted, size_t count)
{
	CLEANUP_JSON json_t *tree = NULL;
	if (json_read(text, strlen(text), &tree, NULL) < 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_at(tree, wanted[i].path);
		char number[24];
		(void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		if (put_text(to, wanted[i].name, json_is_integer(value) ? number : json_string_value(value)) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int put_entry(struct buffer *to, const struct packed *packed, int64_t seq,
                              const struct line_place *place, const char *message, size_t length)
{
	char number[24];
	(void)snprintf(number, sizeof(number), "%lld", (long long)seq);
	if (put(to, "MESSAGE", message, length) < 0 || put_text(to, "MESSAGE_ID", ship_message_id(packed->kind)) < 0 ||
	    put_text(to, "PRIORITY", "6") < 0 || put_text(to, "SYSLOG_IDENTIFIER", "keytraild") < 0 ||
	    put_text(to, "KEYTRAIL_KIND", packed->kind) < 0 || put_text(to, "KEYTRAIL_ID", packed->id) < 0 ||
	    put_text(to, "KEYTRAIL_SUBJECT", packed->subject) < 0 ||
	    put_text(to, "KEYTRAIL_LEDGER_ID", place->ledger_id) < 0 ||
	    put_text(to, "KEYTRAIL_SEQ", seq > 0 ? number : NULL) < 0 ||
	    put_fields(to, packed->body, fields, ARRAY_LENGTH(fields)) < 0)
		return -1;
	return packed->has_process
	               ? put_fields(to, packed->actors[0].body, process_fields, ARRAY_LENGTH(process_fields))
	               : 0;
}

void ship_journal_add(struct ship_journal *journal, const struct packed *packed, int64_t seq,
                      const struct line_place *place, const char *line, size_t length)
{
	CLEANUP_BUFFER struct buffer entry = {0};
	size_t before = journal->entries.length;
	if (!ship_journal_is_there(journal))
		return;
	if (put_entry(&entry, packed, seq, place, line, length) < 0 ||
	    buffer_append(&journal->entries, &entry.length, sizeof(entry.length), NULL) < 0 ||
	    buffer_append(&journal->entries, entry.bytes, entry.length, NULL) < 0) {
		journal->entries.length = before;
		journal->lost++;
	}
}

/* ---- sending */

/* Of a row that is too large for a datagram only that it is there: the ledger has it. */
static ssize_t send_one(struct ship_journal *journal, const char *bytes, size_t length)
{
	static const char message[] = "MESSAGE\n";
	const struct sockaddr *to = (const struct sockaddr *)&journal->address;
	ssize_t sent = sendto(journal->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL, to, sizeof(journal->address));
	if (sent >= 0 || errno != EMSGSIZE)
		return sent;
	CLEANUP_BUFFER struct buffer shorter = {0};
	uint64_t size;
	memcpy(&size, bytes + sizeof(message) - 1, sizeof(size));
	size_t behind = sizeof(message) - 1 + sizeof(size) + (size_t)le64toh(size) + 1;
	if (put_text(&shorter, "MESSAGE", "A row that is too large for the journal: see the ledger") < 0 ||
	    put_text(&shorter, "KEYTRAIL_TOO_LARGE", "1") < 0 ||
	    buffer_append(&shorter, bytes + behind, length - behind, NULL) < 0) {
		errno = ENOMEM;
		return -1;
	}
	return sendto(journal->fd, shorter.bytes, shorter.length, MSG_DONTWAIT | MSG_NOSIGNAL, to,
	              sizeof(journal->address));
}

void ship_journal_flush(struct ship_journal *journal, bool durable)
{
	int failed = 0;
	for (size_t at = 0; durable && at < journal->entries.length;) {
		size_t length;
		memcpy(&length, journal->entries.bytes + at, sizeof(length));
		at += sizeof(length);
		if (send_one(journal, journal->entries.bytes + at, length) < 0) {
			failed = errno;
			journal->lost++;
		}
		at += length;
	}
	if (failed != 0 && !journal->is_failing)
		log_line(LOG_LEVEL_WARNING, "journald_failed", "socket=%s reason=\"%s\"", journal->address.sun_path,
		         strerror(failed));
	if (durable && journal->entries.length > 0)
		journal->is_failing = failed != 0;
	buffer_clear(&journal->entries);
}
