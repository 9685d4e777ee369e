/* SPDX-License-Identifier: Apache-2.0 */

/* response_take: what is read does not depend on how the bytes are cut, and stays in its bounds. The first byte says
 * how: its lowest bit whether HEAD was asked, the rest how many bytes come at a time. */
#include "proxy/response.h"
#include "tests/fuzz/fuzz.h"

static bool feed(struct response *response, const char *bytes, size_t length, size_t step, bool is_head)
{
	struct response_reader reader;
	response_begin(&reader, response, is_head);
	for (size_t at = 0; at < length; at += step)
		if (response_take(&reader, bytes + at, length - at < step ? length - at : step, NULL) < 0)
			return false;
	return response_end(&reader, NULL) == 0;
}

static bool is_same(const struct buffer *a, const struct buffer *b)
{
	return a->length == b->length && (a->length == 0 || memcmp(a->bytes, b->bytes, a->length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_RESPONSE struct response whole = {0};
	CLEANUP_RESPONSE struct response cut = {0};
	if (length == 0)
		return 0;
	bool is_head = (bytes[0] & 1) != 0;
	size_t step = (size_t)(bytes[0] >> 1) + 1;
	CLEANUP_FREE char *text = malloc(length); /* without a NUL behind it */
	MUST(text != NULL);
	memcpy(text, bytes + 1, --length);
	bool good = feed(&whole, text, length, length + 1, is_head);
	MUST(good == feed(&cut, text, length, step, is_head));
	if (!good)
		return 0;
	MUST(whole.status == cut.status && whole.date_us == cut.date_us);
	MUST(is_same(&whole.head, &cut.head) && is_same(&whole.body, &cut.body));
	MUST(whole.status >= 200 && whole.status <= 999);
	MUST(whole.head.length >= 16 && whole.head.length + whole.body.length <= length);
	MUST(memcmp(whole.head.bytes, "HTTP/1.", 7) == 0);
	MUST(memmem(whole.head.bytes, whole.head.length, "\r\n\r\n", 4) == whole.head.bytes + whole.head.length - 4);
	MUST(!is_head || whole.body.length == 0);
	return 0;
}
