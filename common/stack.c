/* SPDX-License-Identifier: Apache-2.0 */

/* A frame of its own, as large as what is to be wiped. */
#include "common/stack.h"

#include <string.h>

__attribute__((noinline)) void stack_wipe(void)
{
	char frame[STACK_WIPED_BYTES];
	explicit_bzero(frame, sizeof(frame));
}
