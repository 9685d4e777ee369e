/* SPDX-License-Identifier: Apache-2.0 */

/* Finds and runs keytrail-redirect. It is run as root, so it is looked for in fixed places only: never in PATH. */
#include "cli/redirect.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>

#include "common/buffer.h"
#include "common/text.h"

#define SCRIPT "keytrail-redirect"
#define OUTPUT_MAX_BYTES (1 << 20)

static const char *const installed[] = {
	"/usr/sbin/" SCRIPT,
	"/usr/libexec/keytrail/" SCRIPT,
	"/usr/local/sbin/" SCRIPT,
	"/usr/local/libexec/keytrail/" SCRIPT,
};

/* TREE/build/PRESET/bin/keytrail -> TREE/iptables/keytrail-redirect. Anything else is no source tree. */
static bool in_tree(const char *program, char to[static PATH_MAX])
{
	char path[PATH_MAX], *slash[4];
	if (!text_copy(path, sizeof(path), program))
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(slash); i++) {
		slash[i] = strrchr(path, '/');
		if (slash[i] == NULL)
			return false;
		*slash[i] = '\0';
	}
	return strcmp(slash[1] + 1, "bin") == 0 && strcmp(slash[3] + 1, "build") == 0 &&
	       snprintf(to, PATH_MAX, "%s/iptables/" SCRIPT, path) < PATH_MAX && access(to, X_OK) == 0;
}

int redirect_find(const char *program, char ret[static PATH_MAX], struct error *err)
{
	if (in_tree(program, ret))
		return 0;
	for (size_t i = 0; i < ARRAY_LENGTH(installed); i++)
		if (access(installed[i], X_OK) == 0 && text_copy(ret, PATH_MAX, installed[i]))
			return 0;
	return error_set(err, ERROR_MISSING,
	                 SCRIPT ": not found, expected in /usr/sbin, /usr/libexec/keytrail or the source tree");
}

int redirect_self(char ret[static PATH_MAX], struct error *err)
{
	ssize_t length = readlink("/proc/self/exe", ret, PATH_MAX - 1);
	if (length < 0)
		return error_errno(err, "/proc/self/exe");
	ret[length] = '\0';
	return 0;
}

/* The child's side; does not return. Standard error is the user's. */
static void become_script(const char *program, const char *script, const char *settings, const char *verb, int output)
{
	static char name[] = SCRIPT, option[] = "-c";
	char *const with_settings[] = {name, option, settings != NULL ? strdup(settings) : NULL, strdup(verb), NULL};
	char *const without_settings[] = {name, strdup(verb), NULL};
	(void)signal(SIGPIPE, SIG_DFL);
	if (dup2(output, STDOUT_FILENO) < 0 || setenv(REDIRECT_PROGRAM, program, 1) != 0)
		_exit(127);
	(void)execv(script, settings != NULL ? with_settings : without_settings);
	_exit(127);
}

MUST_USE static int split_lines(char *text, json_t **ret, struct error *err)
{
	json_t *lines = json_array();
	char *rest = text, *line;
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			(void)json_array_append_new(lines, json_from_bytes(line, strlen(line)));
	if (lines == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the output of " SCRIPT);
	*ret = lines;
	return 0;
}

MUST_USE static int wait_for(pid_t child, int *ret_status, struct error *err)
{
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, "waiting for " SCRIPT);
	if (!WIFEXITED(status))
		return error_set(err, ERROR_SYSTEM, SCRIPT ": ended by signal %d", WTERMSIG(status));
	*ret_status = WEXITSTATUS(status);
	return 0;
}

int redirect_run(const char *settings, const char *verb, int *ret_status, json_t **ret_lines, struct error *err)
{
	char program[PATH_MAX], script[PATH_MAX];
	int ends[2], status = 0;
	if (redirect_self(program, err) < 0 || redirect_find(program, script, err) < 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "making a pipe");
	CLEANUP_FD int from = ends[0], to = ends[1];
	CLEANUP_BUFFER struct buffer text = {.limit = OUTPUT_MAX_BYTES};

	pid_t child = fork();
	if (child < 0)
		return error_errno(err, "starting %s", script);
	if (child == 0)
		become_script(program, script, settings, verb, to);
	(void)close(steal_fd(&to));
	int result = buffer_read_fd(&text, from, err);
	(void)close(steal_fd(&from));
	if (wait_for(child, &status, err) < 0 || result < 0)
		return -1;
	if (split_lines(text.bytes, ret_lines, err) < 0)
		return -1;
	*ret_status = status;
	return 0;
}
