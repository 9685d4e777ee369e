/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/import_parts.h"
#include "store/lines.h"

/* A section: a run of rows of one ledger whose numbers follow each other. For store/import.c, which takes a file apart
 * into them, and store/import_section.c, which holds them to what the merged ledger holds already. */

struct section {
	bool is_open, has_head;
	char ledger_id[LINE_LEDGER_BYTES];
	int64_t origin, import;
	int64_t first, next;        /* numbers: of its first row, of the row to come */
	uint8_t link[DIGEST_BYTES]; /* in front of the row to come */
	bool has_link;
	uint8_t before[DIGEST_BYTES]; /* in front of the first one */
	bool has_before;
	int64_t connected;  /* rows up to this one are part of a segment, 0: none */
	int64_t held_until; /* the merged ledger holds rows up to this one already; 0: not this one */
	int64_t held_from;  /* and again from this one on; 0: no more */
	int64_t rows, known;
};

struct taking {
	struct importer *importer;
	const char *name;
	struct section section;
	struct import_result *result;
	struct lines *lines;
	int64_t uncommitted, begun_at_us;
	struct error *err;
};

/* Notes what is wrong with the line at hand. Always 0: that is a result. */
int import_refuse(struct taking *taking, enum import_fault fault, const struct line *line, const char *format, ...)
	PRINTF_LIKE(4, 5);

/* A section of that ledger whose first row has that number; `before` is the link in front of it, or NULL. Ends the one
 * before. */
MUST_USE int section_begin(struct taking *taking, const char *ledger_id, int64_t first, const uint8_t *before);
MUST_USE int section_end(struct taking *taking);

/* What came in since the last time becomes part of the ledger's segments. */
MUST_USE int section_connect(struct taking *taking);

/* What the merged ledger holds from that row on. */
MUST_USE int section_look_ahead(struct taking *taking, int64_t seq);

/* Is the ledger held under another instance's name? `line` is the head. Refuses. */
MUST_USE int section_check_instance(struct taking *taking, const struct line *line);

/* Is what stands in front of the section's first row what is held there? Refuses. */
MUST_USE int section_check_front(struct taking *taking, const struct line *line);

/* The row of that number as it is held. 1: there is one, with its link, and *ret_fits says whether its link follows
 * from `link` (NULL: nobody asks); 0 or -1. */
MUST_USE int section_held_row(struct taking *taking, int64_t seq, uint8_t ret[static DIGEST_BYTES], const uint8_t *link,
                              bool *ret_fits);
