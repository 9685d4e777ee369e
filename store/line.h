/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/buffer.h"
#include "common/json.h"
#include "store/chain.h"
#include "store/entry.h"
#include "store/members.h"

/* A row as one line of JSON: what log shippers get, what `ledger export` writes and `ledger import` reads
 * (docs/ledger.md). Processes stand in it in full. From a line that has `ledger_id`, `seq` and `link` the row comes
 * back byte for byte, so that its link can be computed anew; all but the texts of processes is covered by the link, and
 * those by their digests. */

#define LINE_FORMAT 1                    /* of exports; a higher one is refused */
#define LINE_BYTES_MAX (4 * 1024 * 1024) /* 33 processes of 70 KB, each longer than any that keytraild makes */
#define LINE_LEDGER_BYTES 33             /* 32 hexadecimal digits */
#define LINE_KIND_BYTES 33

/* Where a row stands; what is not known is left out. */
struct line_place {
	const char *ledger_id; /* NULL: not known */
	const uint8_t *link;   /* DIGEST_BYTES, or NULL */
};

/* The canonical text of the process behind a digest in hexadecimal (not terminated); NULL: it is not there. Lent. */
typedef const char *line_process(void *context, const char hex[static DIGEST_HEX_BYTES - 1]);

/* Appends the row's line, with the newline. seq 0: not known. */
MUST_USE int line_make(const struct chain_row *row, const struct line_place *place, line_process *process,
                       void *context, struct buffer *to, struct error *err);
/* The same with the body as a text within the line, and without processes: what nobody of us wrote. */
MUST_USE int line_make_raw(const struct chain_row *row, const struct line_place *place, struct buffer *to,
                           struct error *err);
MUST_USE int line_of_packed(const struct packed *packed, int64_t seq, const struct line_place *place, struct buffer *to,
                            struct error *err);

/* Does a line say it beside the body? A row whose body has such a name is written as a text. */
bool line_is_own_name(struct slice name, bool is_delivery);

enum line_what { LINE_ROW, LINE_HEAD, LINE_END };

struct line {
	enum line_what what;
	struct packed packed; /* of a row */
	int64_t seq;          /* 0: the line does not say */
	bool has_link;
	uint8_t link[DIGEST_BYTES];
	char ledger_id[LINE_LEDGER_BYTES]; /* "": the line does not say */
	json_t *tree;                      /* of the row's body; of a head or an end all of it */
};

/* Reads one line, also an object of the journal (`journalctl -o json`) that holds one. ERROR_INPUT: it is no JSON, or a
 * field is not of its type; which one stands in the text. Nothing is believed of it but its form. */
MUST_USE int line_take(const char *text, size_t length, struct line *ret, struct error *err);
void line_done(struct line *line);

/* May it stand in a ledger beside rows of others, without spoiling what is asked of all? ERROR_INPUT: a time beyond all
 * years, or processes that are not with it. */
MUST_USE int line_check(const struct line *line, struct error *err);
#define CLEANUP_LINE CLEANUP(line_done)
