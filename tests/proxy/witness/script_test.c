/* SPDX-License-Identifier: Apache-2.0 */

/* Which argument of an interpreter is its script, and what the kernel says of that file. */
#include "tests/common/unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "proxy/witness/script.h"

#define SH "/bin/dash"
#define PY "/usr/bin/python3.11"

/* Words of a command line, with a space between them; script NULL: none. */
static const struct {
	const char *name, *exe, *cmdline, *script;
} cases[] = {
	{"no interpreter", "/usr/bin/curl", "curl x", NULL},
	{"name like one", "/usr/bin/bashful", "bashful x", NULL},
	{"name in a folder", "/opt/bash/run", "run x", NULL},
	{"no path", "sh", "sh x", NULL},
	{"nothing", SH, "", NULL},
	{"alone", SH, "sh", NULL},
	{"script", SH, "sh /a", "/a"},
	{"script with arguments", SH, "sh /a -c b", "/a"},
	{"options first", SH, "sh -eu /a", "/a"},
	{"code", SH, "sh -c /a", NULL},
	{"code behind options", SH, "sh -ec /a", NULL},
	{"standard input", SH, "sh -s /a", NULL},
	{"standard input by its sign", SH, "sh - /a", NULL},
	{"value of an option", SH, "sh -o errexit /a", "/a"},
	{"option switched off", SH, "sh +o errexit /a", "/a"},
	{"end of options", SH, "sh -- -a", "-a"},
	{"end of everything", SH, "sh --", NULL},
	{"long option with a value", "/usr/bin/bash", "bash --rcfile /r /a", "/a"},
	{"long option without", "/usr/bin/bash", "bash --norc /a", "/a"},
	{"value missing", SH, "sh -o", NULL},
	{"python", PY, "python3 /a.py", "/a.py"},
	{"python, relative", PY, "python3 a.py", "a.py"},
	{"python, unbuffered", PY, "python3 -u /a.py", "/a.py"},
	{"python, module", PY, "python3 -m http.server", NULL},
	{"python, module in a cluster", PY, "python3 -Im http.server", NULL},
	{"python, code", PY, "python3 -c print(1) /a.py", NULL},
	{"python, warnings", PY, "python3 -W error /a.py", "/a.py"},
	{"python, warnings at once", PY, "python3 -Werror /a.py", "/a.py"},
	{"python, warnings that look like code", PY, "python3 -Wc /a.py", "/a.py"},
	{"pypy", "/opt/pypy3", "pypy3 /a.py", "/a.py"},
	{"perl", "/usr/bin/perl", "perl -w /a.pl", "/a.pl"},
	{"perl, code", "/usr/bin/perl", "perl -ne print /a", NULL},
	{"perl, include", "/usr/bin/perl5.36", "perl -I lib /a.pl", "/a.pl"},
	{"ruby", "/usr/bin/ruby3.1", "ruby -r json /a.rb", "/a.rb"},
	{"node", "/usr/bin/node", "node --inspect /a.js", "/a.js"},
	{"node, code", "/usr/bin/node", "node --eval 1 /a.js", NULL},
	{"node, require", "/usr/bin/node", "node --require ./x /a.js", "/a.js"},
	{"php", "/usr/bin/php8.2", "php -d a=b /a.php", "/a.php"},
	{"php, file", "/usr/bin/php", "php -f /a.php", "/a.php"},
	{"php, code", "/usr/bin/php", "php -r 1", NULL},
	{"java, jar", "/usr/lib/jvm/bin/java", "java -Xmx1g -cp /x -jar /a.jar b", "/a.jar"},
	{"java, jar missing", "/usr/bin/java", "java -jar", NULL},
	{"java, class", "/usr/bin/java", "java -cp /x Main -jar y", NULL},
	{"lua", "/usr/bin/lua5.4", "lua -l x /a.lua", "/a.lua"},
};

/* Spaces become NULs. */
static size_t to_cmdline(char to[static 256], const char *words)
{
	size_t length = strlen(words);
	memcpy(to, words, length + 1);
	for (size_t i = 0; i < length; i++)
		if (to[i] == ' ')
			to[i] = '\0';
	return length > 0 ? length + 1 : 0;
}

static void finds_the_argument(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char cmdline[256];
		size_t length = to_cmdline(cmdline, cases[i].cmdline);
		const char *found = script_argument(cases[i].exe, cmdline, length);
		if (cases[i].script == NULL)
			CHECK(cases[i].name, found == NULL);
		else
			CHECK_TEXT(cases[i].name, found, cases[i].script);
	}
}

static const struct {
	const char *name, *path;
	bool is_open, is_there;
} files[] = {
	{"held open", "open", true, true},
	{"not held open", "closed", false, true},
	{"by another path to it", "./sub/../open", true, true},
	{"not there", "missing", false, false},
	{"a folder", "sub", false, false},
	{"a pipe", "pipe", false, false},
};

/* A child that stands for the interpreter: in that folder, with that file open, until the pipe's end is closed. */
static pid_t start_interpreter(const char *folder, int *ret_end)
{
	int line[2], ready[2];
	char byte = 0;
	assert_int_equal(pipe2(line, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)close(line[1]);
		bool good = chdir(folder) == 0 && open("open", O_RDONLY) >= 0;
		(void)!write(ready[1], good ? "y" : "n", 1);
		_exit((int)read(line[0], &byte, 1));
	}
	(void)close(line[0]);
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	(void)close(ready[0]);
	*ret_end = line[1];
	return child;
}

static void says_what_the_kernel_knows(void **state)
{
	char folder[PATH_MAX], path[PATH_MAX], process[32];
	struct stat status;
	int end;
	(void)state;
	(void)unit_folder(folder);
	unit_write(unit_path(path, folder, "open"), "#", 1);
	assert_int_equal(stat(path, &status), 0);
	unit_write(unit_path(path, folder, "closed"), "#", 1);
	assert_int_equal(mkdir(unit_path(path, folder, "sub"), 0755), 0);
	assert_int_equal(mkfifo(unit_path(path, folder, "pipe"), 0644), 0); /* to open it would wait */
	pid_t child = start_interpreter(folder, &end);
	(void)snprintf(process, sizeof(process), "/proc/%d", (int)child);
	CLEANUP_FD int seen = open(process, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		CLEANUP_JSON json_t *relative = script_read(seen, files[i].path);
		CLEANUP_JSON json_t *absolute = script_read(seen, unit_path(path, folder, files[i].path));
		int64_t inode = 0;
		CHECK_TEXT(files[i].name, json_text_at(relative, "path"), path);
		CHECK(files[i].name, json_equal(relative, absolute));
		CHECK(files[i].name, json_int_at(relative, "inode", &inode) == files[i].is_there);
		CHECK(files[i].name, (json_text_at(relative, "device") != NULL) == files[i].is_there);
		CHECK(files[i].name, !files[i].is_open || inode == (int64_t)status.st_ino);
		CHECK_TEXT(files[i].name, json_text_at(relative, "known_by"),
		           files[i].is_open ? "descriptor" : "argument");
	}
	(void)close(end);
	assert_int_equal(waitpid(child, NULL, 0), child);
	unit_folder_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_argument),
		cmocka_unit_test(says_what_the_kernel_knows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
