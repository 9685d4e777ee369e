/* SPDX-License-Identifier: Apache-2.0 */

/* container_parse: what it says has the form of what it says it is, and stands in the text. */
#include "proxy/witness/container.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	struct container container;
	memset(&container, 'x', sizeof(container));
	container_parse(text, &container);
	size_t id = strnlen(container.container_id, sizeof(container.container_id));
	MUST(id < sizeof(container.container_id));
	MUST(id == 0 || id == 64 || (id > 33 && container.container_id[32] == '-'));
	MUST(strspn(container.container_id, "0123456789abcdef-") == id);
	MUST(id == 0 || strstr(text, container.container_id) != NULL);
	size_t uid = strnlen(container.pod_uid, sizeof(container.pod_uid));
	MUST(uid == 0 || uid == 36 || uid == 32); /* static pods have a digest */
	size_t unit = strnlen(container.unit, sizeof(container.unit));
	MUST(unit < sizeof(container.unit) && strpbrk(container.unit, "/\n") == NULL);
	MUST(unit == 0 || strstr(text, container.unit) != NULL);
	return 0;
}
