/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The checksum of gzip, where this processor has an instruction that multiplies polynomials eight words at a time: a
 * check then takes a third of the time that libraries take that do not know it. */
bool inflate_crc_is_here(void);

/* CRC-32 as zlib's crc32 gives it from the start. Only where inflate_crc_is_here. Pure. */
uint32_t inflate_crc(const char *bytes, size_t length);
