/* SPDX-License-Identifier: Apache-2.0 */

/* The disk that forgets. These functions take the place of libc's in the test's process, for libsqlite3 too. A mutex
 * gives all that happens one order; contents are noted as they were written, nothing is read back. */
#undef _FORTIFY_SOURCE
#include "tests/store/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECTOR 512
#define FILES_MAX 64
#define NAMES_MAX 32
#define FDS_MAX 1024
#define FOLDER_FILE 0 /* the folder itself, as a file that can be synced */
#define NAME_BYTES 64
#define SHM_BYTES 32768

enum kind { WRITE, SIZE, SYNC, NAME, TOLD };
struct op {
	enum kind kind;
	int file; /* of NAME: -1: the name is gone */
	off_t at; /* of WRITE; of SIZE the size; of TOLD the number */
	size_t length;
	char *bytes; /* of WRITE, and the name of NAME */
};

#define PAGE 4096
#define PAGES_MAX 8192

/* A file in memory; of pages that nobody touched there are only zeros. */
struct content {
	char bytes[PAGES_MAX][PAGE];
	bool is_touched[PAGES_MAX];
	off_t size;
};
static struct content content;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool is_noting;
static char root[PATH_MAX];
static enum disk_lie lies;
static const char *failing;
static struct op *ops;
static size_t op_count, op_capacity, sync_count;
static int fd_file[FDS_MAX]; /* -1: not ours */
static char file_names[FILES_MAX][NAME_BYTES];
static off_t file_sizes[FILES_MAX];
static int file_count;
static struct {
	char name[NAME_BYTES];
	int file;
} names[NAMES_MAX];
static int name_count;

static void give_up(const char *why)
{
	(void)fprintf(stderr, "disk: %s\n", why);
	abort();
}

/* ---- noting */

static void note(struct op op, const void *bytes)
{
	if (op_count == op_capacity) {
		op_capacity = op_capacity * 2 + 1024;
		ops = realloc(ops, op_capacity * sizeof(*ops));
	}
	op.bytes = bytes != NULL ? malloc(op.length) : NULL;
	if (ops == NULL || (bytes != NULL && op.bytes == NULL))
		give_up("no memory");
	if (bytes != NULL)
		memcpy(op.bytes, bytes, op.length);
	ops[op_count++] = op;
}

static const char *name_below(const char *path)
{
	size_t length = strlen(root);
	if (!is_noting || strncmp(path, root, length) != 0)
		return NULL;
	return path[length] == '/' ? path + length + 1 : path[length] == '\0' ? "" : NULL;
}

static int find_name(const char *name)
{
	for (int i = 0; i < name_count; i++)
		if (strcmp(names[i].name, name) == 0)
			return i;
	return -1;
}

static void set_name(const char *name, int file)
{
	int i = find_name(name);
	if (i < 0) {
		i = name_count++;
		if (name_count > NAMES_MAX)
			give_up("too many names");
		(void)snprintf(names[i].name, NAME_BYTES, "%.*s", NAME_BYTES - 1, name);
	}
	names[i].file = file;
	note((struct op){.kind = NAME, .file = file, .length = strlen(name) + 1}, name);
}

static int new_file(const char *name, off_t size)
{
	if (file_count == FILES_MAX)
		give_up("too many files");
	(void)snprintf(file_names[file_count], NAME_BYTES, "%.*s", NAME_BYTES - 1, name);
	file_sizes[file_count] = size;
	return file_count++;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);
	return length >= tail && strcmp(text + length - tail, end) == 0;
}

static int file_of(int fd)
{
	return is_noting && fd >= 0 && fd < FDS_MAX ? fd_file[fd] : -1;
}

static void note_size(int file, off_t size)
{
	if (size != file_sizes[file])
		note((struct op){.kind = SIZE, .file = file, .at = size}, NULL);
	file_sizes[file] = size;
}

static void note_write(int file, const void *bytes, size_t length, off_t at)
{
	if (file == FOLDER_FILE || ends_with(file_names[file], "-shm"))
		return; /* what lies in shared memory is made anew after a cut */
	if (at + (off_t)length > file_sizes[file])
		note_size(file, at + (off_t)length);
	note((struct op){.kind = WRITE, .file = file, .at = at, .length = length}, bytes);
}

static void note_sync(int file)
{
	static const char *const lied_to[] = {[DISK_LIES_WAL] = "-wal", [DISK_LIES_JOURNAL] = "journal"};
	sync_count++;
	if ((lies == DISK_LIES_FOLDER && file == FOLDER_FILE) ||
	    ((lies == DISK_LIES_WAL || lies == DISK_LIES_JOURNAL) && ends_with(file_names[file], lied_to[lies])))
		return;
	note((struct op){.kind = SYNC, .file = file}, NULL);
}

/* ---- in the place of libc's */

static int open_noted(const char *path, int flags, mode_t mode)
{
	(void)pthread_mutex_lock(&mutex);
	const char *name = name_below(path);
	bool was_there = syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (fd >= FDS_MAX)
		give_up("too many descriptors");
	if (fd >= 0) {
		fd_file[fd] = -1;
		if (name != NULL && name[0] == '\0') {
			fd_file[fd] = FOLDER_FILE;
		} else if (name != NULL) {
			if (!was_there)
				set_name(name, new_file(name, 0));
			int i = find_name(name);
			if (i < 0 || names[i].file < 0)
				give_up("a file that nobody made");
			fd_file[fd] = names[i].file;
			if ((flags & O_TRUNC) != 0)
				note_size(names[i].file, 0);
		}
	}
	(void)pthread_mutex_unlock(&mutex);
	return fd;
}

int open(const char *path, int flags, ...)
{
	va_list more;
	va_start(more, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
	va_end(more);
	return open_noted(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list more;
	va_start(more, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
	va_end(more);
	return open_noted(path, flags, mode);
}

int close(int fd)
{
	(void)pthread_mutex_lock(&mutex);
	if (fd >= 0 && fd < FDS_MAX)
		fd_file[fd] = -1;
	int result = (int)syscall(SYS_close, fd);
	(void)pthread_mutex_unlock(&mutex);
	return result;
}

static ssize_t pwrite_noted(int fd, const void *bytes, size_t length, off_t at)
{
	(void)pthread_mutex_lock(&mutex);
	int file = file_of(fd);
	ssize_t written = -1;
	if (file > 0 && failing != NULL && ends_with(file_names[file], failing))
		errno = ENOSPC;
	else
		written = syscall(SYS_pwrite64, fd, bytes, length, at);
	if (file >= 0 && written > 0)
		note_write(file, bytes, (size_t)written, at);
	(void)pthread_mutex_unlock(&mutex);
	return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
	return pwrite_noted(fd, bytes, length, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at)
{
	return pwrite_noted(fd, bytes, length, at);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	off_t at = file_of(fd) > 0 ? lseek(fd, 0, SEEK_CUR) : -1;
	ssize_t written = syscall(SYS_write, fd, bytes, length);
	if (at >= 0 && written > 0) {
		(void)pthread_mutex_lock(&mutex);
		note_write(file_of(fd), bytes, (size_t)written, at);
		(void)pthread_mutex_unlock(&mutex);
	}
	return written;
}

static int ftruncate_noted(int fd, off_t size)
{
	(void)pthread_mutex_lock(&mutex);
	int result = (int)syscall(SYS_ftruncate, fd, size);
	if (result == 0 && file_of(fd) > 0)
		note_size(file_of(fd), size);
	(void)pthread_mutex_unlock(&mutex);
	return result;
}

int ftruncate(int fd, off_t size)
{
	return ftruncate_noted(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	return ftruncate_noted(fd, size);
}

static int allocate_noted(int fd, off_t at, off_t length)
{
	(void)pthread_mutex_lock(&mutex);
	int result = syscall(SYS_fallocate, fd, 0, at, length) < 0 ? errno : 0;
	if (result == 0 && file_of(fd) > 0 && at + length > file_sizes[file_of(fd)])
		note_size(file_of(fd), at + length);
	(void)pthread_mutex_unlock(&mutex);
	return result;
}

int posix_fallocate(int fd, off_t at, off_t length)
{
	return allocate_noted(fd, at, length);
}

int posix_fallocate64(int fd, off64_t at, off64_t length)
{
	return allocate_noted(fd, at, length);
}

static int sync_noted(long call, int fd)
{
	(void)pthread_mutex_lock(&mutex);
	int file = file_of(fd);
	/* What is noted is what counts; the real disk need not be waited for. */
	int result = file >= 0 ? 0 : (int)syscall(call, fd);
	if (file >= 0)
		note_sync(file);
	(void)pthread_mutex_unlock(&mutex);
	return result;
}

int fsync(int fd)
{
	return sync_noted(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_noted(SYS_fdatasync, fd);
}

int unlink(const char *path)
{
	(void)pthread_mutex_lock(&mutex);
	const char *name = name_below(path);
	int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
	if (result == 0 && name != NULL)
		set_name(name, -1);
	(void)pthread_mutex_unlock(&mutex);
	return result;
}

int rename(const char *from, const char *to)
{
	(void)pthread_mutex_lock(&mutex);
	const char *old = name_below(from), *new = name_below(to);
	int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
	if (result == 0 && old != NULL && new != NULL) {
		int file = names[find_name(old)].file;
		set_name(new, file);
		set_name(old, -1);
	}
	(void)pthread_mutex_unlock(&mutex);
	return result;
}

/* ---- beginning and ending */

static void load(const char *name)
{
	char path[PATH_MAX + NAME_MAX], page[PAGE];
	static const char zeros[PAGE];
	struct stat status;
	ssize_t got = 0;
	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
	if (fd < 0 || fstat(fd, &status) < 0)
		give_up(path);
	int file = new_file(name, 0);
	note_size(file, status.st_size);
	for (off_t at = 0; (got = pread(fd, page, PAGE, at)) > 0; at += got)
		if (memcmp(page, zeros, (size_t)got) != 0)
			note_write(file, page, (size_t)got, at);
	note((struct op){.kind = SYNC, .file = file}, NULL);
	set_name(name, file);
	(void)syscall(SYS_close, fd);
}

void disk_begin(const char *folder)
{
	disk_end();
	for (int fd = 0; fd < FDS_MAX; fd++)
		fd_file[fd] = -1;
	(void)snprintf(root, sizeof(root), "%s", folder);
	file_count = 0;
	(void)new_file("", 0);
	DIR *files = opendir(folder);
	const struct dirent *entry;
	while (files != NULL && (entry = readdir(files)) != NULL)
		if (entry->d_name[0] != '.' && !ends_with(entry->d_name, "-shm"))
			load(entry->d_name);
		else if (ends_with(entry->d_name, "-shm"))
			set_name(entry->d_name, new_file(entry->d_name, 0));
	if (files == NULL || closedir(files) < 0)
		give_up(folder);
	note((struct op){.kind = SYNC, .file = FOLDER_FILE}, NULL);
	is_noting = true;
}

void disk_end(void)
{
	is_noting = false;
	lies = DISK_HONEST;
	failing = NULL;
	for (size_t i = 0; i < op_count; i++)
		free(ops[i].bytes);
	free(ops);
	ops = NULL;
	op_count = op_capacity = sync_count = 0;
	name_count = 0;
}

void disk_lie(enum disk_lie lie)
{
	lies = lie;
}

void disk_fail(const char *suffix)
{
	(void)pthread_mutex_lock(&mutex);
	failing = suffix;
	(void)pthread_mutex_unlock(&mutex);
}

size_t disk_told(unsigned number)
{
	(void)pthread_mutex_lock(&mutex);
	note((struct op){.kind = TOLD, .at = number}, NULL);
	size_t moment = op_count;
	(void)pthread_mutex_unlock(&mutex);
	return moment;
}

size_t disk_moments(void)
{
	return op_count;
}

size_t disk_syncs(void)
{
	return sync_count;
}

void disk_each_told(size_t moment, void (*take)(void *context, unsigned number), void *context)
{
	for (size_t i = 0; i < moment; i++)
		if (ops[i].kind == TOLD)
			take(context, (unsigned)ops[i].at);
}

/* ---- the cut */

static char *at_offset(off_t at)
{
	if (at / PAGE >= PAGES_MAX)
		give_up("too large a file");
	content.is_touched[at / PAGE] = true;
	return &content.bytes[at / PAGE][at % PAGE];
}

static void clear(void)
{
	for (int i = 0; i < PAGES_MAX; i++)
		if (content.is_touched[i])
			memset(content.bytes[i], 0, PAGE);
	memset(content.is_touched, 0, sizeof(content.is_touched));
	content.size = 0;
}

/* A new size; what was beyond a smaller one is zeros when it grows again. */
static void resize(off_t size)
{
	for (off_t at = size; at < content.size; at = (at / PAGE + 1) * PAGE)
		if (content.is_touched[at / PAGE])
			memset(at_offset(at), 0, (size_t)(PAGE - at % PAGE));
	content.size = size;
}

/* The part of a write that lies in one sector. */
static void write_sector(const struct op *op, off_t sector)
{
	off_t from = sector * SECTOR > op->at ? sector * SECTOR : op->at, end = op->at + (off_t)op->length;
	off_t until = (sector + 1) * SECTOR < end ? (sector + 1) * SECTOR : end;
	if (from < until)
		memcpy(at_offset(from), op->bytes + (from - op->at), (size_t)(until - from));
}

/* How the unsynced part fares. */
enum fate { FATE_LOST, FATE_TORN, FATE_MIXED, FATE_KEPT, FATE_COUNT };

/* Each sector of an unsynced write is there or not, whatever became of the others. */
static void apply(const struct op *op, bool is_whole, uint64_t (*chance)(void))
{
	if (op->kind == SIZE && (is_whole || chance() % 2 == 0))
		resize(op->at);
	if (op->kind != WRITE)
		return;
	for (off_t sector = op->at / SECTOR; sector * SECTOR < op->at + (off_t)op->length; sector++)
		if (is_whole || chance() % 2 == 0)
			write_sector(op, sector);
}

/* The file as it is after the cut, in `content`. */
static void cut_file(int file, size_t moment, enum fate fate, uint64_t (*chance)(void))
{
	size_t synced = 0, last = 0;
	for (size_t i = 0; i < moment; i++) {
		if (ops[i].file != file || ops[i].kind == TOLD || ops[i].kind == NAME)
			continue;
		synced = ops[i].kind == SYNC ? i + 1 : synced;
		last = ops[i].kind == WRITE ? i : last;
	}
	clear();
	for (size_t i = 0; i < moment; i++) {
		bool is_kept = i < synced || fate == FATE_KEPT || (fate == FATE_TORN && i != last);
		if (ops[i].file == file && ops[i].kind != TOLD && (is_kept || fate != FATE_LOST))
			apply(&ops[i], is_kept, chance);
	}
}

/* Names are a journal of their own: up to some moment after the last sync of the folder. */
static size_t cut_names(size_t moment, enum fate fate, uint64_t (*chance)(void))
{
	size_t synced = 0;
	for (size_t i = 0; i < moment; i++)
		if (ops[i].kind == SYNC && ops[i].file == FOLDER_FILE)
			synced = i + 1;
	if (fate == FATE_KEPT)
		return moment;
	return fate == FATE_LOST ? synced : synced + (size_t)(chance() % (moment - synced + 1));
}

static void write_out(const char *folder, const char *name)
{
	char path[PATH_MAX + NAME_BYTES];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	bool good = fd >= 0;
	for (off_t page = 0; good && page * PAGE < content.size; page++)
		if (content.is_touched[page])
			good = syscall(SYS_pwrite64, fd, content.bytes[page], PAGE, page * PAGE) == PAGE;
	if (!good || syscall(SYS_ftruncate, fd, content.size) < 0)
		give_up(path);
	(void)syscall(SYS_close, fd);
}

void disk_cut(size_t moment, uint64_t (*chance)(void), const char *folder)
{
	struct {
		const char *name;
		int file;
	} there[NAMES_MAX];
	int count = 0;
	enum fate fate = (enum fate)(chance() % FATE_COUNT);
	size_t named = cut_names(moment, fate, chance);
	for (size_t i = 0; i < named; i++) {
		int at = 0;
		if (ops[i].kind != NAME)
			continue;
		while (at < count && strcmp(there[at].name, ops[i].bytes) != 0)
			at++;
		there[at].name = ops[i].bytes;
		there[at].file = ops[i].file;
		count += at == count;
	}
	for (int i = 0; i < count; i++) {
		if (there[i].file < 0)
			continue;
		cut_file(there[i].file, moment, fate, chance);
		for (off_t at = 0; ends_with(there[i].name, "-shm") && at < SHM_BYTES; at++)
			*at_offset(at) = (char)chance(); /* anything may stand there */
		content.size = ends_with(there[i].name, "-shm") ? SHM_BYTES : content.size;
		write_out(folder, there[i].name);
	}
}
