/* SPDX-License-Identifier: Apache-2.0 */

/* Straight from the kernel, which zeroes what it gives. That it may use large pages is advice, and nothing without. */
#include "detector/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)
#define LARGE_PAGE ((size_t)2 << 20)

static size_t whole(size_t bytes, size_t page)
{
	return (bytes + page - 1) / page * page;
}

/* Only what begins at a multiple of a large page can be one. */
void *pages_new(size_t bytes)
{
	size_t spare = bytes >= LARGE_PAGE ? LARGE_PAGE : 0, size = whole(bytes, PAGE);
	/* cppcheck-suppress invalidFunctionArg; what is anonymous has no descriptor */
	char *area = mmap(NULL, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		return NULL;
	if (spare == 0)
		return area;
	size_t before = whole((uintptr_t)area, LARGE_PAGE) - (uintptr_t)area;
	if (before > 0)
		(void)munmap(area, before);
	if (before < spare)
		(void)munmap(area + before + size, spare - before);
	(void)madvise(area + before, size, MADV_HUGEPAGE);
	/* cppcheck-suppress deallocret; that part is kept */
	return area + before;
}

void pages_free(void *pages, size_t bytes)
{
	if (pages != NULL)
		(void)munmap(pages, whole(bytes, PAGE));
}
