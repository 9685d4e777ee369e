/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What all fuzz targets share. A target states what must hold for any input; MUST ends the run where it does not. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			(void)fprintf(stderr, "ERROR: %s:%d: not true: %s\n", __FILE__, __LINE__, #condition);         \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* The input as a text of its own, so that reading behind its end is seen. The caller frees. */
static inline char *fuzz_text(const uint8_t *bytes, size_t length)
{
	char *text = malloc(length + 1);
	MUST(text != NULL);
	memcpy(text, bytes, length);
	text[length] = '\0';
	return text;
}
