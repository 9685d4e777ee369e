/* SPDX-License-Identifier: Apache-2.0 */

/* What the user is told beside the output. Standard output holds results and nothing else. */
#include "cli/complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 2048

/* What a terminal would obey: control characters of ASCII; those of U+0080 to U+009F; and what turns the direction of a
 * line around (U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069). */
static size_t obeyed(const unsigned char *at)
{
	if (at[0] < 0x20 || at[0] == 0x7f)
		return 1;
	if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
		return 2;
	if (at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xaa && at[2] <= 0xae)))
		return 3;
	return at[0] == 0xe2 && at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9 ? 3 : 0;
}

void complain_clean(char *text)
{
	while (*text != '\0') {
		size_t length = obeyed((const unsigned char *)text);
		memset(text, '?', length);
		text += length > 0 ? length : 1;
	}
}

void complain(const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	complain_clean(line);
	(void)fprintf(stderr, "keytrail: %s\n", line);
}
