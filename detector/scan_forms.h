/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/scan.h"

/* The forms of the scan. scan.c chooses. */

extern const struct scan_form scan_portable;

#if defined(__x86_64__)
extern const struct scan_form scan_avx2, scan_avx512;
#endif
