/* SPDX-License-Identifier: Apache-2.0 */

/* What is stored of a process, field by field. All of it is written by the process itself or by its kernel: texts are
 * bounded and cleaned, and only the kernel's own files (cgroup, ns, exe, stat, status) are read, never what a process
 * could have put somewhere. */
#include "proxy/witness/fields.h"

#include <fcntl.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "proxy/witness/container.h"
#include "proxy/witness/redact.h"
#include "proxy/witness/script.h"

#define CMDLINE_BYTES 4096 /* of a process; arguments behind are cut */
#define ANCESTOR_CMDLINE_BYTES 512
#define ARGUMENTS_MAX 256
#define TOKEN_BYTES 256  /* looked ahead, so that a token at the end is seen whole */
#define FILE_BYTES 16384 /* of any file in /proc/PID */

/* A file below the process's folder; false when it cannot be read. */
static bool read_file(int folder, const char *name, struct buffer *ret)
{
	char bytes[FILE_BYTES];
	struct error ignored;
	CLEANUP_FD int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
	bool is_read = got >= 0 && buffer_append(ret, bytes, (size_t)got, &ignored) == 0;
	if (got > 0)
		explicit_bzero(bytes, (size_t)got);
	return is_read;
}

/* The name in the first line cannot look like another one: the kernel escapes newlines. */
const char *fields_line(const char *status, const char *name)
{
	const char *at = strstr(status, name);
	return at != NULL ? at + strlen(name) : NULL;
}

/* The n-th number of such a line, from 0; -1: none. */
static int64_t status_number(const char *status, const char *name, int n)
{
	const char *at = fields_line(status, name);
	for (; at != NULL && n > 0; n--) {
		at += strspn(at, "0123456789");
		at = *at == '\t' ? at + 1 : NULL;
	}
	return at != NULL && *at >= '0' && *at <= '9' ? strtoll(at, NULL, 10) : -1;
}

static json_t *number_or_null(int64_t number)
{
	return number >= 0 ? json_integer(number) : NULL;
}

/* ---- its numbers */

/* The pid that it has in its own pid namespace: the last of NSpid; -1: it is in ours. */
static int64_t inner_pid(const char *status)
{
	int64_t pid = -1;
	for (int n = 1; status_number(status, "\nNSpid:\t", n) >= 0; n++)
		pid = status_number(status, "\nNSpid:\t", n);
	return pid;
}

/* A uid as its own user namespace shows it; -1: not mapped there. Lines of uid_map: inside, outside, how many. */
static int64_t inner_uid(int folder, int64_t uid)
{
	CLEANUP_BUFFER struct buffer map = {0};
	long long inside, outside, count;
	if (!read_file(folder, "uid_map", &map) || map.bytes == NULL)
		return -1;
	for (const char *line = map.bytes; line != NULL; line = strchr(line, '\n')) {
		line += strspn(line, "\n");
		if (sscanf(line, "%lld %lld %lld", &inside, &outside, &count) != 3)
			break;
		if (uid >= outside && uid - outside < count)
			return inside + (uid - outside);
	}
	return -1;
}

/* Names mean something only where the machine's list of users holds: in its user namespace, with its own /etc/passwd.
 */
static bool has_our_users(const struct subject *subject)
{
	struct statx ours;
	if (subject->is_foreign_user)
		return false;
	if (!subject->is_foreign)
		return true;
	CLEANUP_FD int list = machine_lookup(subject->reader->machine.root, "/etc/passwd");
	CLEANUP_FD int root = openat(subject->folder, "root", O_PATH | O_CLOEXEC);
	return list >= 0 && root >= 0 && machine_statx(list, "", &ours) && machine_shows(root, "/etc/passwd", &ours);
}

static void put_user(struct subject *subject, int64_t uid, json_t *object)
{
	subject->user_of = uid >= 0 && has_our_users(subject) ? uid : -1;
	bool has_name = subject->user_of >= 0 && users_name(subject->reader->machine.root, (uid_t)uid, subject->user);
	if (!has_name)
		subject->user[0] = '\0';
	json_put_text(object, "user", has_name ? subject->user : NULL);
}

static void put_login_uid(int folder, json_t *object)
{
	CLEANUP_BUFFER struct buffer text = {0};
	int64_t uid = read_file(folder, "loginuid", &text) ? strtoll(text.bytes, NULL, 10) : UINT32_MAX;
	json_put(object, "login_uid", uid != UINT32_MAX ? json_integer(uid) : NULL); /* (uid_t)-1: never logged in */
}

static void put_numbers(struct subject *subject, json_t *object)
{
	int64_t uid = status_number(subject->status, "\nUid:\t", 0);
	json_put(object, "uid", number_or_null(uid));
	put_user(subject, uid, object);
	if (!subject->is_main)
		return;
	json_put(object, "effective_uid", number_or_null(status_number(subject->status, "\nUid:\t", 1)));
	json_put(object, "gid", number_or_null(status_number(subject->status, "\nGid:\t", 0)));
	json_put(object, "ns_pid", number_or_null(inner_pid(subject->status)));
	json_put(object, "ns_uid", number_or_null(subject->is_foreign_user ? inner_uid(subject->folder, uid) : -1));
	json_put(object, "netns", json_integer((json_int_t)machine_namespace(subject->folder, "net")));
	put_login_uid(subject->folder, object);
}

/* ---- its texts */

/* Does a whole argument hold one, whatever is stored of it? */
static bool is_secret(const struct subject *subject, const char *argument, const char *previous)
{
	char clean[FILE_BYTES + 64];
	return redact_argument(argument, previous, subject->reader->redact, clean, sizeof(clean));
}

/* What remains of `most` bytes after this argument is in. Cut only once secrets are out: half a token is none that
 * would be recognised. */
static size_t put_argument(struct subject *subject, json_t *arguments, const char *argument, const char *previous,
                           size_t most)
{
	char ahead[CMDLINE_BYTES + TOKEN_BYTES], clean[CMDLINE_BYTES + TOKEN_BYTES + 64];
	bool is_whole =
		text_copy(ahead, most + TOKEN_BYTES < sizeof(ahead) ? most + TOKEN_BYTES : sizeof(ahead), argument);
	subject->has_secret |= redact_argument(ahead, previous, subject->reader->redact, clean, sizeof(clean)) ||
	                       (!is_whole && is_secret(subject, argument, previous));
	explicit_bzero(ahead, strlen(ahead));
	size_t length = strnlen(clean, most);
	(void)json_array_append_new(arguments, json_from_bytes(clean, length));
	return most - length;
}

static void put_arguments(struct subject *subject, size_t most, json_t *object)
{
	json_t *arguments = json_array();
	const char *at = subject->cmdline.bytes, *previous = NULL;
	const char *end = at != NULL ? at + subject->cmdline.length : NULL;
	for (; at < end; at += strnlen(at, (size_t)(end - at)) + 1) {
		if (most > 0 && json_array_size(arguments) < ARGUMENTS_MAX)
			most = put_argument(subject, arguments, at, previous, most - 1);
		else
			subject->has_secret = subject->has_secret || is_secret(subject, at, previous);
		previous = at;
	}
	json_put(object, "cmdline", arguments);
}

static json_t *script_of(const struct subject *subject, const char *exe, const struct buffer *cmdline)
{
	char clean[FILE_BYTES + 64];
	const char *argument = cmdline->bytes != NULL ? script_argument(exe, cmdline->bytes, cmdline->length) : NULL;
	if (argument == NULL || redact_argument(argument, NULL, subject->reader->redact, clean, sizeof(clean)))
		return NULL;
	return script_read(subject->folder, argument);
}

static void put_exe(const struct subject *subject, json_t *object)
{
	const struct exe *exe = &subject->exe;
	const struct digests_query query = {.file = exe->file,
	                                    .path = exe->path[0] != '\0' ? exe->path : NULL,
	                                    .fd = exe->fd,
	                                    .announce = subject->is_stored};
	char digest[DIGEST_HEX_BYTES];
	bool known = exe->fd >= 0;
	bool has_digest =
		known && subject->reader->digests != NULL && digests_find(subject->reader->digests, &query, digest);
	json_put(object, "exe", exe->path[0] != '\0' ? json_from_bytes(exe->path, strlen(exe->path)) : NULL);
	json_put_text(object, "exe_file", known ? exe->file : NULL);
	json_put_text(object, "exe_sha256", has_digest ? digest : NULL);
	json_put(object, "exe_foreign_mount", known ? json_boolean(exe->is_foreign) : NULL);
	if (!subject->is_main)
		return;
	json_put(object, "exe_deleted", known ? json_boolean(exe->is_deleted) : NULL);
	json_put(object, "exe_memfd", known ? json_boolean(exe->is_memfd) : NULL);
	json_put(object, "exe_device",
	         known ? json_sprintf("%u:%u", exe->status.stx_dev_major, exe->status.stx_dev_minor) : NULL);
	json_put(object, "exe_inode", known ? json_integer((json_int_t)exe->status.stx_ino) : NULL);
}

/* What runs, and with which arguments. */
static void put_program(struct subject *subject, json_t *object)
{
	const size_t most = subject->is_main ? CMDLINE_BYTES : ANCESTOR_CMDLINE_BYTES;
	(void)exe_read(&subject->reader->machine, subject->folder, subject->is_foreign, subject->reader->memfd_device,
	               &subject->exe);
	put_exe(subject, object);
	if (!read_file(subject->folder, "cmdline", &subject->cmdline))
		buffer_clear(&subject->cmdline);
	put_arguments(subject, most, object);
	if (subject->is_main)
		json_put(object, "script", script_of(subject, subject->exe.path, &subject->cmdline));
}

static void put_cgroup(struct subject *subject, json_t *object)
{
	struct container container = {0};
	const char *unified = NULL, *text = NULL;
	if (read_file(subject->folder, "cgroup", &subject->cgroup))
		text = subject->cgroup.bytes;
	if (text != NULL) {
		container_parse(text, &container);
		unified = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	}
	if (unified != NULL)
		unified += strspn(unified, "\n") + 3;
	json_put(object, "cgroup", unified != NULL ? json_from_bytes(unified, strcspn(unified, "\n")) : NULL);
	json_put_text(object, "unit", container.unit[0] != '\0' ? container.unit : NULL);
	json_put_text(object, "container_id", container.container_id[0] != '\0' ? container.container_id : NULL);
	json_put_text(object, "pod_uid", container.pod_uid[0] != '\0' ? container.pod_uid : NULL);
}

/* ---- all of it */

void subject_done(struct subject *subject)
{
	if (subject->folder >= 0)
		(void)close(subject->folder);
	free(subject->status);
	exe_done(&subject->exe);
	buffer_wipe_done(&subject->cmdline);
	buffer_done(&subject->cgroup);
	*subject = SUBJECT_NONE;
}

char *fields_status(int folder)
{
	CLEANUP_BUFFER struct buffer text = {0};
	return read_file(folder, "status", &text) ? steal_pointer(&text.bytes) : NULL;
}

static void put_name(const struct subject *subject, uint32_t pid, json_t *object)
{
	const struct identity_reader *reader = subject->reader;
	const char *name = strncmp(subject->status, "Name:\t", 6) == 0 ? subject->status + 6 : "";
	json_put_int(object, "pid", pid);
	json_put_time(object, "started_at",
	              reader->boot_us +
	                      (int64_t)subject->stat.start_ticks * CLOCK_SECOND_US / reader->ticks_per_second);
	/* The kernel escapes backslash and newline here, so the first line is the name. */
	json_put(object, "comm", json_from_bytes(name, strcspn(name, "\n")));
}

json_t *fields_read(struct subject *subject, uint32_t pid)
{
	const struct machine *machine = &subject->reader->machine;
	struct machine_stat again;
	json_t *object = json_object();
	subject->is_foreign = machine_namespace(subject->folder, "mnt") != machine->mount_namespace;
	subject->is_foreign_user = machine_namespace(subject->folder, "user") != machine->user_namespace;
	put_name(subject, pid, object);
	put_numbers(subject, object);
	put_program(subject, object);
	put_cgroup(subject, object);
	if (machine_stat(subject->folder, &again))
		return object;
	json_decref(object);
	return NULL;
}

json_t *fields_name(const struct subject *subject, uint32_t pid)
{
	static const char *const unknown[] = {"user",   "exe",  "exe_file",     "exe_sha256", "exe_foreign_mount",
	                                      "cgroup", "unit", "container_id", "pod_uid"};
	json_t *object = json_object();
	put_name(subject, pid, object);
	json_put(object, "uid", number_or_null(status_number(subject->status, "\nUid:\t", 0)));
	json_put(object, "cmdline", json_array());
	for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++)
		json_put(object, unknown[i], NULL);
	return object;
}
