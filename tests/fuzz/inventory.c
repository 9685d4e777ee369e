/* SPDX-License-Identifier: Apache-2.0 */

/* inventory.json and ip-ranges.json of any content: read, or refused with a word of why. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "detector/inventory.h"
#include "detector/ranges.h"
#include "tests/fuzz/fuzz.h"

static void ask(const struct inventory *inventory, const struct ranges *ranges)
{
	static const char *const texts[] = {"10.0.0.1", "203.0.113.7", "2001:db8::1", "::ffff:1.2.3.4", "0.0.0.0"};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct address address;
		struct range range;
		enum inventory_use use;
		MUST(address_parse(texts[i], &address));
		if (inventory != NULL) {
			(void)inventory_owner(inventory, &address);
			(void)inventory_is_trusted(inventory, &address);
			(void)inventory_use(inventory, "123456789012", &address, &use);
		}
		if (ranges != NULL && ranges_find(ranges, &address, &range))
			MUST(range.region != NULL && range.service != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	char path[64];
	struct inventory *inventory = NULL;
	struct ranges *ranges = NULL;
	struct error problem = {0};
	CLEANUP_FD int fd = memfd_create("input", MFD_CLOEXEC);
	MUST(fd >= 0 && write(fd, input, length) == (ssize_t)length);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (inventory_open(path, &inventory, &problem) < 0)
		MUST(problem.text[0] != '\0');
	if (ranges_open(path, &ranges, &problem) < 0)
		MUST(problem.text[0] != '\0');
	ask(inventory, ranges);
	inventory_free(inventory);
	ranges_free(ranges);
	return 0;
}
