/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What functions that have returned left on the stack of this thread, spilled registers and libraries' scratch space
 * included, is overwritten: so far below the caller. Call it where whatever knew a secret has returned. */
#define STACK_WIPED_BYTES 65536 /* one request goes less than 40 KB deep */

void stack_wipe(void);
