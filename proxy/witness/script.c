/* SPDX-License-Identifier: Apache-2.0 */

/* Command lines of interpreters, by a table of their options. */
#include "proxy/witness/script.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/text.h"
#include "proxy/witness/machine.h"

#define DESCRIPTORS_MAX 256 /* looked at in search of the script */

struct interpreter {
	const char *names;         /* globs, space-separated */
	const char *code_letters;  /* -c: the program is in the arguments, or comes from elsewhere: no file */
	const char *code_words;    /* the same as long options, space-separated */
	const char *value_letters; /* the next argument belongs to the option */
	const char *value_words;
	const char *file_words; /* the next argument is the file */
};

static const struct interpreter interpreters[] = {
	{"sh bash rbash dash ash ksh ksh93 mksh zsh", "cs", "", "oO", "--rcfile --init-file", ""},
	{"python python2* python3* pypy*", "cm", "", "WX", "--check-hash-based-pycs", ""},
	{"perl perl5*", "eE", "", "I", "", ""},
	{"ruby ruby2* ruby3*", "e", "", "rIE", "", ""},
	{"node nodejs", "ep", "--eval --print", "rC", "--require --import --loader --conditions", ""},
	{"php php7* php8*", "rBR", "--run", "cdz", "--php-ini --define", "-f --file"},
	{"lua lua5* luajit*", "e", "", "l", "", ""},
	{"tclsh tclsh8* wish* expect Rscript", "ce", "", "", "", ""},
	{"java", "", "", "", "-cp -classpath --class-path -p --module-path --add-modules", "-jar"},
};

static const struct interpreter *interpreter_of(const char *exe)
{
	const char *name = strrchr(exe, '/');
	for (size_t i = 0; name != NULL && i < ARRAY_LENGTH(interpreters); i++)
		if (text_glob_any(interpreters[i].names, name + 1))
			return &interpreters[i];
	return NULL;
}

/* In `-Ic`, the first letter that takes something decides; what stands behind it is its value. */
static char deciding_letter(const struct interpreter *interpreter, const char *option, bool *ret_is_last)
{
	if (interpreter->code_letters[0] == '\0' || option[1] == '-')
		return '\0';
	for (const char *letter = option + 1; *letter != '\0'; letter++)
		if (strchr(interpreter->code_letters, *letter) != NULL ||
		    strchr(interpreter->value_letters, *letter) != NULL) {
			*ret_is_last = letter[1] == '\0';
			return *letter;
		}
	return '\0';
}

static const char *next_of(const char *argument, const char *end)
{
	const char *next = argument + strnlen(argument, (size_t)(end - argument)) + 1;
	return next < end ? next : NULL;
}

const char *script_argument(const char *exe, const char *cmdline, size_t length)
{
	const struct interpreter *interpreter = interpreter_of(exe);
	const char *end = cmdline + length, *at = length > 0 ? next_of(cmdline, end) : NULL;
	/* java runs a file only when told which; the others take the first argument that is no option. */
	bool needs_option = interpreter != NULL && interpreter->code_letters[0] == '\0';
	for (; interpreter != NULL && at != NULL; at = next_of(at, end)) {
		bool is_last = false;
		if (text_glob_any(interpreter->file_words, at))
			return next_of(at, end);
		if ((at[0] != '-' && at[0] != '+') || at[1] == '\0')
			return needs_option || at[0] == '-' || at[0] == '\0' ? NULL : at;
		if (strcmp(at, "--") == 0)
			return needs_option ? NULL : next_of(at, end);
		char letter = deciding_letter(interpreter, at, &is_last);
		if (text_glob_any(interpreter->code_words, at) ||
		    (letter != '\0' && strchr(interpreter->code_letters, letter) != NULL))
			return NULL;
		if (text_glob_any(interpreter->value_words, at) || (letter != '\0' && is_last))
			at = next_of(at, end);
		if (at == NULL)
			break;
	}
	return NULL;
}

/* Does the process hold that very file open? */
static bool is_open(int folder, const struct statx *file)
{
	int fd = openat(folder, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	bool found = false;
	struct dirent *entry;
	struct statx status;
	if (list == NULL && fd >= 0)
		(void)close(fd);
	for (int i = 0; list != NULL && !found && i < DESCRIPTORS_MAX && (entry = readdir(list)) != NULL; i++)
		found = entry->d_name[0] != '.' && machine_statx(dirfd(list), entry->d_name, &status) &&
		        status.stx_ino == file->stx_ino && status.stx_dev_major == file->stx_dev_major &&
		        status.stx_dev_minor == file->stx_dev_minor;
	if (list != NULL)
		(void)closedir(list);
	return found;
}

/* What the process calls it, made absolute by its working folder. False: too long. */
static bool full_path(int folder, const char *argument, char to[static PATH_MAX])
{
	ssize_t length = argument[0] == '/' ? 0 : readlinkat(folder, "cwd", to, PATH_MAX - 1);
	if (length < 0)
		return false;
	if (argument[0] != '/' && length > 1)
		to[length++] = '/';
	return text_copy(to + length, (size_t)(PATH_MAX - length), argument);
}

json_t *script_read(int folder, const char *argument)
{
	char path[PATH_MAX];
	struct statx status;
	json_t *object = json_object();
	bool has_path = full_path(folder, argument, path);
	CLEANUP_FD int root = openat(folder, "root", O_PATH | O_CLOEXEC);
	CLEANUP_FD int fd = has_path && root >= 0 ? machine_lookup(root, path) : -1;
	bool known = fd >= 0 && machine_statx(fd, "", &status) && S_ISREG(status.stx_mode);
	const char *name = has_path ? path : argument;
	json_put(object, "path", json_from_bytes(name, strlen(name)));
	json_put(object, "device", known ? json_sprintf("%u:%u", status.stx_dev_major, status.stx_dev_minor) : NULL);
	json_put(object, "inode", known ? json_integer((json_int_t)status.stx_ino) : NULL);
	json_put_text(object, "known_by", known && is_open(folder, &status) ? "descriptor" : "argument");
	return object;
}
