/* SPDX-License-Identifier: Apache-2.0 */

/* All the logging there is. Control bytes are escaped here, whoever sent them. */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 2048 /* one write(2) below PIPE_BUF, so that lines of threads never mix */

static enum log_level chosen_level = LOG_LEVEL_INFO;

static const struct {
	int priority; /* of syslog(3), as sd-daemon(3) reads it from stderr */
	const char *name;
} levels[] = {
	[LOG_LEVEL_ERROR] = {3, "error"}, [LOG_LEVEL_WARNING] = {4, "warning"}, [LOG_LEVEL_NOTICE] = {5, "notice"},
	[LOG_LEVEL_INFO] = {6, "info"},   [LOG_LEVEL_DEBUG] = {7, "debug"},
};

void log_set_level(enum log_level level)
{
	chosen_level = level;
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
	if (level > chosen_level)
		return;

	int saved_errno = errno;
	char line[LINE_BYTES];
	int used = snprintf(line, sizeof(line), "<%d>%s %s ", levels[level].priority, levels[level].name, event);
	va_list arguments;
	va_start(arguments, format);
	int more = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, arguments);
	va_end(arguments);
	size_t length = strlen(line);
	if (more <= 0 && length > 0)
		length--;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[length] = '\n';
	/* Nobody to tell when stderr is gone. */
	ssize_t written = write(STDERR_FILENO, line, length + 1);
	(void)written;
	errno = saved_errno;
}
