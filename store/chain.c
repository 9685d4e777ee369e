/* SPDX-License-Identifier: Apache-2.0 */

/* The chain's canonical form. Lengths stand in front of texts, so that no two different rows hash alike. */
#include "store/chain.h"

#include <endian.h>
#include <string.h>

#include "common/buffer.h"

#define ABSENT UINT64_MAX /* the length of a null */

MUST_USE static int add_number(struct buffer *form, uint64_t number, struct error *err)
{
	uint64_t big_endian = htobe64(number);
	return buffer_append(form, &big_endian, sizeof(big_endian), err);
}

MUST_USE static int add_text(struct buffer *form, const char *text, struct error *err)
{
	if (text == NULL)
		return add_number(form, ABSENT, err);
	if (add_number(form, strlen(text), err) < 0)
		return -1;
	return buffer_append(form, text, strlen(text), err);
}

int chain_genesis(const char *ledger_id, uint8_t ret[static DIGEST_BYTES], struct error *err)
{
	CLEANUP_BUFFER struct buffer form = {0};
	if (add_text(&form, "keytrail ledger 1", err) < 0 || add_text(&form, ledger_id, err) < 0)
		return -1;
	return digest_of(form.bytes, form.length, ret, err);
}

int chain_next(const uint8_t previous[static DIGEST_BYTES], const struct chain_row *row,
               uint8_t ret[static DIGEST_BYTES], struct error *err)
{
	CLEANUP_BUFFER struct buffer form = {0};
	const char *const texts[] = {row->id, row->kind, row->subject, row->access_key_id, row->body};

	if (buffer_append(&form, previous, DIGEST_BYTES, err) < 0 || add_number(&form, (uint64_t)row->seq, err) < 0 ||
	    add_number(&form, (uint64_t)row->at_us, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (add_text(&form, texts[i], err) < 0)
			return -1;
	return digest_of(form.bytes, form.length, ret, err);
}
