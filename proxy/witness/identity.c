/* SPDX-License-Identifier: Apache-2.0 */

/* Reading /proc/PID. All of it is written by the process itself or by its kernel: texts are bounded and cleaned, and
 * only the kernel's own files (cgroup, ns, exe, status) are read, never what a process could have put somewhere. */
#include "proxy/witness/identity.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/text.h"
#include "proxy/witness/container.h"
#include "proxy/witness/procfs.h"
#include "proxy/witness/redact.h"
#include "store/settings.h"

#define CMDLINE_BYTES 4096 /* of a process; arguments behind are cut */
#define ANCESTOR_CMDLINE_BYTES 512
#define FILE_BYTES 16384 /* of any file in /proc/PID */

struct identity_reader {
	int64_t boot_us;
	long ticks_per_second;
	uint64_t mount_namespace, user_namespace;
	char redact[SETTINGS_TEXT_BYTES];
};

static uint64_t namespace_of(const char *process, const char *name)
{
	char path[64];
	struct stat status;
	(void)snprintf(path, sizeof(path), "/proc/%s/ns/%s", process, name);
	return stat(path, &status) == 0 ? status.st_ino : 0;
}

int identity_reader_new(const char *redact, struct identity_reader **ret, struct error *err)
{
	struct identity_reader *reader = calloc(1, sizeof(*reader));
	CLEANUP_BUFFER struct buffer text = {0};
	if (reader == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for reading processes");
	const char *boot = NULL;
	if (buffer_read_file(&text, "/proc/stat", err) == 0)
		boot = strstr(text.bytes, "\nbtime ");
	if (boot == NULL) {
		free(reader);
		return error_set(err, ERROR_SYSTEM, "/proc/stat does not say when the machine booted");
	}
	reader->boot_us = strtoll(boot + strlen("\nbtime "), NULL, 10) * CLOCK_SECOND_US;
	reader->ticks_per_second = sysconf(_SC_CLK_TCK);
	reader->mount_namespace = namespace_of("self", "mnt");
	reader->user_namespace = namespace_of("self", "user");
	(void)text_copy(reader->redact, sizeof(reader->redact), redact);
	*ret = reader;
	return 0;
}

void identity_reader_change(struct identity_reader *reader, const char *redact)
{
	(void)text_copy(reader->redact, sizeof(reader->redact), redact);
}

void identity_reader_free(struct identity_reader *reader)
{
	free(reader);
}

/* A file below the process's folder; false when it cannot be read. */
static bool read_file(int folder, const char *name, struct buffer *ret)
{
	char bytes[FILE_BYTES];
	struct error ignored;
	CLEANUP_FD int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
	return got >= 0 && buffer_append(ret, bytes, (size_t)got, &ignored) == 0;
}

/* The first number behind "Name:\t" in /proc/PID/status; -1: none. */
static int64_t status_number(const char *status, const char *name)
{
	const char *at = strstr(status, name);
	return at != NULL ? strtoll(at + strlen(name), NULL, 10) : -1;
}

static void put_arguments(json_t *object, const struct buffer *text, const char *patterns)
{
	json_t *arguments = json_array();
	const char *at = text->bytes, *end = text->bytes + text->length, *previous = NULL;
	char clean[CMDLINE_BYTES + 64];
	while (at < end && json_array_size(arguments) < 256) {
		size_t length = strnlen(at, (size_t)(end - at));
		(void)redact_argument(at, previous, patterns, clean, sizeof(clean));
		(void)json_array_append_new(arguments, json_from_bytes(clean, strlen(clean)));
		previous = at;
		at += length + 1;
	}
	json_put(object, "cmdline", arguments);
}

static void put_cmdline(const struct identity_reader *reader, int folder, size_t most, json_t *object)
{
	CLEANUP_BUFFER struct buffer text = {0};
	struct error ignored;
	if (!read_file(folder, "cmdline", &text))
		(void)buffer_append(&text, "", 0, &ignored);
	if (text.length > most)
		text.length = most;
	if (text.bytes != NULL)
		text.bytes[text.length] = '\0';
	put_arguments(object, &text, reader->redact);
}

static void put_exe(int folder, bool is_foreign, bool in_full, json_t *object)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX];
	struct stat status, named;
	ssize_t length = readlinkat(folder, "exe", path, sizeof(path) - 1);
	bool is_deleted = false;
	path[length > 0 ? length : 0] = '\0';
	bool known = fstatat(folder, "exe", &status, 0) == 0;
	/* The kernel's mark, unless a file of that very name is what runs. */
	if (length > (ssize_t)strlen(deleted) && strcmp(path + length - strlen(deleted), deleted) == 0) {
		is_deleted = !known || stat(path, &named) < 0 || named.st_dev != status.st_dev ||
		             named.st_ino != status.st_ino;
		if (is_deleted)
			path[(size_t)length - strlen(deleted)] = '\0';
	}
	json_put_text(object, "exe", length > 0 ? path : NULL);
	json_put(object, "exe_sha256", NULL);
	json_put_bool(object, "exe_foreign_mount", is_foreign);
	if (!in_full)
		return;
	json_put_bool(object, "exe_deleted", is_deleted);
	json_put(object, "exe_device",
	         known ? json_sprintf("%u:%u", major(status.st_dev), minor(status.st_dev)) : NULL);
	json_put(object, "exe_inode", known ? json_integer((json_int_t)status.st_ino) : NULL);
}

static void put_user(json_t *object, int64_t uid, bool is_ours)
{
	char bytes[2048];
	struct passwd entry, *found = NULL;
	/* A name means something only where our user database does. */
	if (is_ours && uid >= 0)
		(void)getpwuid_r((uid_t)uid, &entry, bytes, sizeof(bytes), &found);
	json_put_text(object, "user", found != NULL ? found->pw_name : NULL);
}

static void put_cgroup(int folder, json_t *object)
{
	CLEANUP_BUFFER struct buffer text = {0};
	struct container container = {0};
	const char *unified = NULL;
	if (read_file(folder, "cgroup", &text)) {
		container_parse(text.bytes, &container);
		unified = strncmp(text.bytes, "0::", 3) == 0 ? text.bytes : strstr(text.bytes, "\n0::");
	}
	if (unified != NULL)
		unified += strspn(unified, "\n") + 3;
	json_put(object, "cgroup", unified != NULL ? json_from_bytes(unified, strcspn(unified, "\n")) : NULL);
	json_put_text(object, "unit", container.unit[0] != '\0' ? container.unit : NULL);
	json_put_text(object, "container_id", container.container_id[0] != '\0' ? container.container_id : NULL);
	json_put_text(object, "pod_uid", container.pod_uid[0] != '\0' ? container.pod_uid : NULL);
}

static void put_login_uid(int folder, json_t *object)
{
	CLEANUP_BUFFER struct buffer text = {0};
	int64_t uid = read_file(folder, "loginuid", &text) ? strtoll(text.bytes, NULL, 10) : UINT32_MAX;
	json_put(object, "login_uid", uid != UINT32_MAX ? json_integer(uid) : NULL); /* (uid_t)-1: never logged in */
}

static void put_comm(const char *status, json_t *object)
{
	/* The kernel escapes backslash and newline here, so the first line is the name. */
	const char *name = strncmp(status, "Name:\t", 6) == 0 ? status + 6 : "";
	json_put(object, "comm", json_from_bytes(name, strcspn(name, "\n")));
}

/* One process without its ancestors. *ret_parent: its parent's pid. */
static json_t *read_one(const struct identity_reader *reader, uint32_t pid, uint64_t start_ticks, bool in_full,
                        uint32_t *ret_parent)
{
	char name[16], path[32];
	uint64_t start;
	CLEANUP_BUFFER struct buffer status = {0};
	(void)snprintf(name, sizeof(name), "%u", pid);
	(void)snprintf(path, sizeof(path), "/proc/%u", pid);
	CLEANUP_FD int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* pins: reads fail once it has ended */
	if (folder < 0 || !procfs_start(pid, &start) || start != start_ticks || !read_file(folder, "status", &status))
		return NULL;

	bool is_foreign = namespace_of(name, "mnt") != reader->mount_namespace;
	bool is_ours = !is_foreign && namespace_of(name, "user") == reader->user_namespace;
	int64_t uid = status_number(status.bytes, "\nUid:\t"), parent = status_number(status.bytes, "\nPPid:\t");
	json_t *object = json_object();
	json_put_int(object, "pid", pid);
	json_put_time(object, "started_at",
	              reader->boot_us + (int64_t)start_ticks * CLOCK_SECOND_US / reader->ticks_per_second);
	json_put_int(object, "uid", uid);
	put_user(object, uid, is_ours);
	put_comm(status.bytes, object);
	put_exe(folder, is_foreign, in_full, object);
	put_cmdline(reader, folder, in_full ? CMDLINE_BYTES : ANCESTOR_CMDLINE_BYTES, object);
	put_cgroup(folder, object);
	if (in_full) {
		json_put_int(object, "gid", status_number(status.bytes, "\nGid:\t"));
		json_put_int(object, "netns", (int64_t)namespace_of(name, "net"));
		put_login_uid(folder, object);
	}
	*ret_parent = parent > 0 ? (uint32_t)parent : 0;
	if (procfs_start(pid, &start) && start == start_ticks)
		return object;
	json_decref(object);
	return NULL;
}

json_t *identity_read(const struct identity_reader *reader, uint32_t pid, uint64_t start_ticks, bool with_ancestors)
{
	uint32_t parent = 0;
	json_t *process = read_one(reader, pid, start_ticks, true, &parent);
	json_t *ancestors = json_array();
	for (int i = 0; process != NULL && with_ancestors && i < ANCESTORS_MAX && parent != 0; i++) {
		uint64_t start;
		uint32_t next = 0;
		json_t *ancestor = procfs_start(parent, &start) ? read_one(reader, parent, start, false, &next) : NULL;
		if (ancestor == NULL)
			break;
		(void)json_array_append_new(ancestors, ancestor);
		parent = next;
	}
	if (process != NULL)
		json_put(process, "ancestors", ancestors);
	else
		json_decref(ancestors);
	return process;
}

bool identity_is_forwarder(const json_t *process)
{
	static const char *const known[] = {"slirp4netns",  "passt",        "pasta",   "pasta.avx2", "passt.avx2",
	                                    "envoy",        "socat",        "haproxy", "sshd",       "rootlesskit",
	                                    "rootlessport", "docker-proxy", "conmon",  "vpnkit",     "gvproxy",
	                                    "gost",         "microsocks",   "dante",   "sockd"};
	const char *exe = json_text_at(process, "exe");
	const char *name = exe != NULL ? strrchr(exe, '/') : NULL;
	for (size_t i = 0; name != NULL && i < ARRAY_LENGTH(known); i++)
		if (strcmp(name + 1, known[i]) == 0)
			return true;
	if (name == NULL || strcmp(name + 1, "ssh") != 0)
		return false;
	/* ssh relays only when told to. */
	const json_t *cmdline = json_at(process, "cmdline");
	for (size_t i = 1; i < json_array_size(cmdline); i++) {
		const char *argument = json_string_value(json_array_get(cmdline, i));
		if (argument != NULL && argument[0] == '-' && argument[1] != '-' && strpbrk(argument, "DLRw") != NULL)
			return true;
	}
	return false;
}
