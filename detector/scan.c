/* SPDX-License-Identifier: Apache-2.0 */

/* Which form of the scan runs: what follows from the bits is the same code, compiled for each. A test holds all of them
 * against a byte-by-byte one. */
#include "detector/scan.h"

#include "detector/scan_forms.h"

#if defined(__x86_64__)
static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("pclmul");
}

static bool has_avx512(void)
{
	return has_avx2() && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vbmi");
}
#else
#define scan_avx2 scan_portable
#define scan_avx512 scan_portable

static bool has_avx2(void)
{
	return false;
}

static bool has_avx512(void)
{
	return false;
}
#endif

const struct scan_form *scan_form(size_t i)
{
	switch (i) {
	case 0:
		return &scan_portable;
	case 1:
		return has_avx2() ? &scan_avx2 : &scan_portable;
	case 2:
		return has_avx512() ? &scan_avx512 : scan_form(1);
	default:
		return NULL;
	}
}

const struct scan_form *scan_best(void)
{
	return scan_form(2);
}
