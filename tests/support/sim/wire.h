/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/answer.h"

#define WIRE_HEAD_BYTES 2048

/* Gives errors the body that VARIANT gives them. */
void wire_fill_body(struct answer *answer, enum variant variant);

/* Writes status line and headers; LENGTH is the Content-Length to claim. Returns the number of bytes. */
size_t wire_head(char ret[static WIRE_HEAD_BYTES], const struct answer *answer, enum variant variant, time_t now,
                 size_t length);
