/* SPDX-License-Identifier: Apache-2.0 */

/* Finding a process and its ancestors, and keeping hold of each while it is read: what is read stands in fields.c. */
#include "proxy/witness/identity.h"

#include <fcntl.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "proxy/witness/fields.h"
#include "proxy/witness/known.h"

#define ANCESTOR_BYTES 768 /* of a text, most of the time */

MUST_USE static int read_boot_time(int64_t *ret_us, struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	const char *boot = NULL;
	if (buffer_read_file(&text, "/proc/stat", err) == 0)
		boot = strstr(text.bytes, "\nbtime ");
	if (boot == NULL)
		return error_set(err, ERROR_SYSTEM, "/proc/stat does not say when the machine booted");
	*ret_us = strtoll(boot + strlen("\nbtime "), NULL, 10) * CLOCK_SECOND_US;
	return 0;
}

int identity_reader_new(const char *redact, struct digests *digests, struct identity_reader **ret, struct error *err)
{
	struct identity_reader *reader = calloc(1, sizeof(*reader));
	if (reader == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for reading processes");
	if (read_boot_time(&reader->boot_us, err) < 0 || known_new(&reader->known, err) < 0 ||
	    machine_open(&reader->machine, err) < 0) {
		known_free(reader->known);
		free(reader);
		return -1;
	}
	reader->ticks_per_second = sysconf(_SC_CLK_TCK);
	reader->memfd_device = exe_memfd_device();
	reader->digests = digests;
	(void)text_copy(reader->redact, sizeof(reader->redact), redact);
	*ret = reader;
	return 0;
}

void identity_reader_change(struct identity_reader *reader, const char *redact)
{
	(void)text_copy(reader->redact, sizeof(reader->redact), redact);
	known_forget(reader->known);
}

void identity_reader_free(struct identity_reader *reader)
{
	if (reader == NULL)
		return;
	known_free(reader->known);
	machine_close(&reader->machine);
	free(reader);
}

/* ---- reading */

/* False: no such process any more. */
static bool subject_open(const struct identity_reader *reader, uint32_t pid, struct subject *ret)
{
	char path[32];
	(void)snprintf(path, sizeof(path), "/proc/%u", pid);
	*ret = SUBJECT_NONE;
	ret->reader = reader;
	ret->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->folder < 0 || !machine_stat(ret->folder, &ret->stat))
		return false;
	ret->status = fields_status(ret->folder);
	return ret->status != NULL;
}

/* ---- ancestors */

/* What stands behind a name in an ancestor's text. Quotes within strings are escaped, and there are no objects in it:
 * this is a member's name and nothing else. */
static const char *member(const char *text, const char *name, size_t *ret_length)
{
	const char *at = strstr(text, name);
	at = at != NULL ? at + strlen(name) : "";
	*ret_length = strcspn(at, ",}");
	return at;
}

static bool is_same_process(const char *a, const char *b)
{
	static const char *const names[] = {",\"pid\":", ",\"started_at\":"};
	bool is_same = true;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		size_t length, other_length;
		const char *one = member(a, names[i], &length), *other = member(b, names[i], &other_length);
		is_same = is_same && length == other_length && memcmp(one, other, length) == 0;
	}
	return is_same;
}

static bool is_in(const json_t *list, const json_t *ancestor)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (is_same_process(json_string_value(json_array_get(list, i)), json_string_value(ancestor)))
			return true;
	return false;
}

/* Takes the reference over; NULL is none. */
static void add_ancestor(json_t *list, json_t *text)
{
	if (text != NULL && json_array_size(list) < ANCESTORS_MAX && !is_in(list, text))
		(void)json_array_append(list, text);
	json_decref(text);
}

/* *ret_text: all that is stored of it; NULL if it has ended meanwhile. False: there is none, or it is younger than its
 * child, and so only has the number of one that has ended. */
static bool read_ancestor(const struct identity_reader *reader, uint32_t pid, const char *known_by, uint64_t born_by,
                          struct machine_stat *ret, json_t **ret_text)
{
	CLEANUP_SUBJECT struct subject subject = SUBJECT_NONE;
	CLEANUP_JSON json_t *text = pid != 0 ? known_find(reader->known, pid, known_by, ret) : NULL;
	if (text != NULL && ret->start_ticks > born_by)
		return false;
	if (text == NULL) {
		if (pid == 0 || !subject_open(reader, pid, &subject) || subject.stat.start_ticks > born_by)
			return false;
		*ret = subject.stat;
		subject.is_stored = true;
		CLEANUP_JSON json_t *object = fields_read(&subject, pid);
		text = object != NULL ? known_text(object, known_by) : NULL;
		known_keep(reader->known, &subject, pid, object);
	}
	*ret_text = steal_pointer(&text);
	return true;
}

/* The leader of a session, and upwards. */
static void add_leader(const struct identity_reader *reader, uint32_t leader, uint64_t born_by, json_t *list)
{
	const char *known_by = "session";
	struct machine_stat stat;
	json_t *ancestor;
	for (uint32_t pid = leader; json_array_size(list) < ANCESTORS_MAX;) {
		if (!read_ancestor(reader, pid, known_by, born_by, &stat, &ancestor))
			return;
		add_ancestor(list, ancestor);
		known_by = KNOWN_BY_PARENT;
		pid = stat.parent;
		born_by = stat.start_ticks;
	}
}

/* The leader of a process's session is itself or an ancestor: sessions are inherited, and never joined. So a line of
 * parents that leaves the session without having met its leader has lost somebody in between, and goes on with whoever
 * adopted the rest: the leader, if it lives, stands before that one. */
static json_t *ancestors_of(const struct identity_reader *reader, uint32_t own_pid, const struct machine_stat *own)
{
	json_t *list = json_array(), *ancestor;
	bool expects_leader = own->session != 0 && own->session != own_pid;
	uint64_t born_by = own->start_ticks;
	struct machine_stat stat;
	for (uint32_t pid = own->parent; json_array_size(list) < ANCESTORS_MAX;) {
		if (!read_ancestor(reader, pid, KNOWN_BY_PARENT, born_by, &stat, &ancestor))
			break;
		if (expects_leader && stat.session != own->session)
			add_leader(reader, own->session, born_by, list);
		expects_leader &= pid != own->session && stat.session == own->session;
		add_ancestor(list, ancestor);
		pid = stat.parent;
		born_by = stat.start_ticks;
	}
	return list;
}

/* Its parent by number and name only: enough to tell, should it be gone before the answer. */
static json_t *name_parent(const struct identity_reader *reader, const struct machine_stat *child)
{
	CLEANUP_SUBJECT struct subject parent = SUBJECT_NONE;
	json_t *list = json_array();
	if (child->parent != 0 && subject_open(reader, child->parent, &parent) &&
	    parent.stat.start_ticks <= child->start_ticks) {
		CLEANUP_JSON json_t *named = fields_name(&parent, child->parent);
		add_ancestor(list, known_text(named, "accept"));
	}
	return list;
}

json_t *identity_read(const struct identity_reader *reader, uint32_t pid, uint64_t start_ticks, bool with_ancestors)
{
	CLEANUP_SUBJECT struct subject subject = SUBJECT_NONE;
	if (!subject_open(reader, pid, &subject) || subject.stat.start_ticks != start_ticks)
		return NULL;
	subject.is_main = true;
	subject.is_stored = with_ancestors;
	json_t *process = fields_read(&subject, pid);
	if (process != NULL)
		json_put(process, "ancestors",
		         with_ancestors ? ancestors_of(reader, pid, &subject.stat)
		                        : name_parent(reader, &subject.stat));
	return process;
}

char *identity_line(const json_t *process)
{
	const json_t *ancestors = json_at(process, "ancestors");
	CLEANUP_BUFFER struct buffer list = {0};
	struct error ignored;
	int result = buffer_reserve(&list, ANCESTORS_MAX * ANCESTOR_BYTES, &ignored);
	if (result == 0)
		result = buffer_append(&list, "[", 1, &ignored);
	for (size_t i = 0; result == 0 && i < json_array_size(ancestors); i++) {
		const json_t *text = json_array_get(ancestors, i);
		if (i > 0)
			result = buffer_append(&list, ",", 1, &ignored);
		if (result == 0)
			result = buffer_append(&list, json_string_value(text), json_string_length(text), &ignored);
	}
	if (result == 0)
		result = buffer_append(&list, "]", 1, &ignored);
	return result == 0 ? json_line_with(process, "ancestors", list.bytes) : NULL;
}

void identity_keep_parent(json_t *process, const json_t *earlier)
{
	json_t *ancestors = json_object_get(process, "ancestors");
	json_t *parent = json_array_get(json_object_get(earlier, "ancestors"), 0);
	if (parent == NULL || is_in(ancestors, parent))
		return;
	if (json_array_size(ancestors) == ANCESTORS_MAX)
		(void)json_array_remove(ancestors, ANCESTORS_MAX - 1);
	(void)json_array_insert(ancestors, 0, parent);
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
