/* SPDX-License-Identifier: Apache-2.0 */

/* The one error type of the project. It trusts nobody's text: what arguments bring in is made printable here, once. */
#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static void make_printable(char *text)
{
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
}

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
	if (err == NULL)
		return -1;

	va_list arguments;
	va_start(arguments, format);
	err->code = code;
	(void)vsnprintf(err->text, sizeof(err->text), format, arguments);
	va_end(arguments);
	make_printable(err->text);
	return -1;
}

int error_errno(struct error *err, const char *format, ...)
{
	int number = errno;
	if (err == NULL)
		return -1;

	char reason[128];
	va_list arguments;
	va_start(arguments, format);
	err->code = number == ENOENT ? ERROR_MISSING : ERROR_SYSTEM;
	int used = vsnprintf(err->text, sizeof(err->text), format, arguments);
	va_end(arguments);
	if (used >= 0 && (size_t)used < sizeof(err->text))
		(void)snprintf(err->text + used, sizeof(err->text) - (size_t)used, ": %s",
		               strerror_r(number, reason, sizeof(reason)));
	make_printable(err->text);
	return -1;
}

int error_prefix(struct error *err, const char *format, ...)
{
	if (err == NULL)
		return -1;

	char below[sizeof(err->text)];
	memcpy(below, err->text, sizeof(below));
	below[sizeof(below) - 1] = '\0';
	va_list arguments;
	va_start(arguments, format);
	int used = vsnprintf(err->text, sizeof(err->text), format, arguments);
	va_end(arguments);
	size_t left = used >= 0 && (size_t)used < sizeof(err->text) ? sizeof(err->text) - (size_t)used : 0;
	if (left > 2) /* cut where it does not fit */
		(void)snprintf(err->text + used, left, ": %.*s", (int)left - 3, below);
	make_printable(err->text);
	return -1;
}
