/* SPDX-License-Identifier: Apache-2.0 */

/* What stands in a queue: objects whose names begin as they must, or nothing that is understood. */
#include "detector/queue.h"
#include "tests/fuzz/fuzz.h"

static int on_object(void *context, const struct queue_object *object, struct error *err)
{
	(void)err;
	MUST(strncmp(object->name, "s3://", 5) == 0 && strchr(object->name + 5, '/') != NULL);
	MUST(object->version != NULL);
	++*(size_t *)context;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	size_t count = 0;
	struct error problem = {0};
	int understood = queue_parse(text, length, on_object, &count, &problem);
	MUST(understood == 0 || understood == 1);
	MUST(count <= length);
	return 0;
}
