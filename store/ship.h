/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/appender.h"

/* Rows for log shippers: as lines of a file, and as entries of the system's journal (journald's native protocol). Used
 * by the writer's thread only, but for ship_reopen(). Nobody waits for what is shipped, and nothing of it is promised:
 * the ledger is the record. */
struct shipper;

#define SHIP_JOURNAL_SOCKET "/run/systemd/journal/socket"

struct ship_options {
	const char *jsonl;          /* NULL or "": no file */
	const char *journal_socket; /* NULL or "": no journal; one that is not there is passed over until it is */
};

/* -1 when the file cannot be opened. */
MUST_USE int ship_open(const struct ship_options *options, struct shipper **ret, struct error *err);
/* NULL is fine. */
void ship_close(struct shipper *shipper);

/* Hears of rows as they go into the database, and ships them once they are durable. */
struct appender_listener ship_listener(struct shipper *shipper);

/* A row that is durable elsewhere, and has no place in the chain yet. Shipped again when it has. */
void ship_row(struct shipper *shipper, const struct packed *packed);

/* Opens the file by its name again before the next row: it was renamed. Any thread. */
void ship_reopen(struct shipper *shipper);

/* The MESSAGE_ID of a kind of row; docs/ledger.md lists them. */
const char *ship_message_id(const char *kind);
