/* SPDX-License-Identifier: Apache-2.0 */

/* What the user is told beside the output. Standard output holds results and nothing else. */
#include "cli/complain.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES 2048

void complain(const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	for (char *c = line; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	(void)fprintf(stderr, "keytrail: %s\n", line);
}
