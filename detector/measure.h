/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/source.h"

/* How many bytes lie in the sources, for a progress bar alone: what cannot be looked at is reported when it is read. */
uint64_t measure_sources(const char *const *names, size_t count, const struct source_options *from);
