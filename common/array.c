/* SPDX-License-Identifier: Apache-2.0 */

/* Arrays that double. */
#include "common/array.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 16

int array_reserve(void *array, size_t size, size_t count, size_t *capacity, const char *what, struct error *err)
{
	void *old, *grown;
	if (count < *capacity)
		return 0;
	size_t wanted = *capacity > 0 ? *capacity * 2 : FIRST_CAPACITY;
	memcpy(&old, array, sizeof(old));
	grown = reallocarray(old, wanted, size);
	if (grown == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for %s", what);
	memcpy(array, &grown, sizeof(grown));
	*capacity = wanted;
	return 0;
}
