/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/line.h"

/* Rows as entries of the system's journal, for store/ship.c, which alone includes this file. */
struct ship_journal;

MUST_USE int ship_journal_open(const char *socket, struct ship_journal **ret, struct error *err);
void ship_journal_close(struct ship_journal *journal);

/* Looked at again every few seconds. NULL: no. */
bool ship_journal_is_there(struct ship_journal *journal);

/* An entry for the row whose line is given, sent by the next flush, or forgotten by it. */
void ship_journal_add(struct ship_journal *journal, const struct packed *packed, int64_t seq,
                      const struct line_place *place, const char *line, size_t length);
void ship_journal_flush(struct ship_journal *journal, bool durable);
