/* SPDX-License-Identifier: Apache-2.0 */

/* The operator wrote the command into a file of their own, so it is run as whoever runs this program. It may ask them
 * something on the terminal: standard input and error stay theirs. */
#include "detector/aws_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "detector/aws_http.h"

#define LONGEST_MS (5 * 60 * 1000)
#define SLICE_MS 100

/* ---- words */

/* One word; *at moves behind it. False: a quote that nothing ends. */
static bool take_word(char **at)
{
	char *to = *at, quote = '\0';
	for (; **at != '\0' && (quote != '\0' || strchr(" \t", **at) == NULL); ++*at) {
		char c = **at;
		bool is_escape = c == '\\' && quote != '\'' && (*at)[1] != '\0';
		if (is_escape && (quote == '\0' || strchr("\"\\", (*at)[1]) != NULL))
			*to++ = *++*at;
		else if (quote == '\0' && (c == '"' || c == '\''))
			quote = c;
		else if (quote != '\0' && c == quote)
			quote = '\0';
		else
			*to++ = c;
	}
	bool is_last = **at == '\0';
	*to = '\0';
	*at += is_last ? 0 : 1;
	return quote == '\0';
}

int aws_process_split(char *line, char *words[static AWS_PROCESS_WORDS + 1], struct error *err)
{
	size_t count = 0;
	for (char *at = line + strspn(line, " \t"); *at != '\0'; at += strspn(at, " \t")) {
		if (count == AWS_PROCESS_WORDS)
			return error_set(err, ERROR_LIMIT, "a command of more than %d words", AWS_PROCESS_WORDS);
		words[count++] = at;
		if (!take_word(&at))
			return error_set(err, ERROR_INPUT, "a quote that nothing ends");
	}
	words[count] = NULL;
	return count > 0 ? 0 : error_set(err, ERROR_INPUT, "expected a command");
}

/* ---- running */

MUST_USE static int start(char *const *words, int out, pid_t *ret, struct error *err)
{
	posix_spawn_file_actions_t actions;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	int problem = posix_spawnp(ret, words[0], &actions, NULL, words, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	errno = problem;
	return problem == 0 ? 0 : error_errno(err, "%s", words[0]);
}

MUST_USE static int read_all(int fd, const struct aws_http *http, struct buffer *to, struct error *err)
{
	char bytes[4096];
	int64_t until_ms = clock_monotonic_ms() + LONGEST_MS;
	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		if (aws_http_is_stopped(http) || clock_monotonic_ms() > until_ms)
			return error_set(err, ERROR_INPUT, "it did not end");
		if (poll(&ready, 1, SLICE_MS) <= 0)
			continue;
		ssize_t got = read(fd, bytes, sizeof(bytes));
		if (got < 0 && errno == EINTR)
			continue;
		int result = got > 0 ? buffer_append(to, bytes, (size_t)got, err) : 0;
		explicit_bzero(bytes, sizeof(bytes));
		if (got < 0)
			return error_errno(err, "reading what it prints");
		if (result < 0 || got == 0)
			return result;
	}
}

MUST_USE static int end(pid_t child, bool is_wanted, struct error *err)
{
	int status = 0;
	if (!is_wanted)
		(void)kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (is_wanted && WIFEXITED(status) && WEXITSTATUS(status) != 0)
		return error_set(err, ERROR_INPUT, "it ended with status %d", WEXITSTATUS(status));
	if (is_wanted && WIFSIGNALED(status))
		return error_set(err, ERROR_INPUT, "it was ended by signal %d", WTERMSIG(status));
	return 0;
}

int aws_process_run(const char *line, const struct aws_http *http, struct buffer *ret, struct error *err)
{
	CLEANUP_FREE char *copy = strdup(line);
	CLEANUP_FD int from = -1, to = -1;
	char *words[AWS_PROCESS_WORDS + 1];
	int ends[2];
	pid_t child;
	if (copy == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a command");
	if (aws_process_split(copy, words, err) < 0 || words[0] == NULL)
		return -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "a pipe");
	from = ends[0];
	to = ends[1];
	if (start(words, to, &child, err) < 0)
		return -1;
	(void)close(to);
	to = -1;
	ret->limit = AWS_PROCESS_BYTES;
	int result = read_all(from, http, ret, err);
	if (end(child, result == 0, result == 0 ? err : NULL) < 0)
		return -1;
	return result < 0 ? -1 : buffer_append(ret, "", 0, err);
}
