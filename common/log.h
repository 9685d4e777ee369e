/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/cleanup.h"

/* Lines on stderr: `<N>level event key=value ...`, N being the priority that the journal reads. One line per decision;
 * values that came from outside are escaped by the caller's %s going through here; never a secret. Thread-safe. */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above this level are not written. Default LOG_LEVEL_INFO. Set before threads start. */
void log_set_level(enum log_level level);

/* `event` is one lower-case word with underscores; `format` gives the key=value pairs and may be "". */
void log_line(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);
