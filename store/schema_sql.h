/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The SQL of store/schema.c; merged_schema.c takes the views from here. One macro a table or view. A statement's text
 * is part of the interface: `keytrail ledger verify` compares what stands in the file with what this program would
 * write, so what was released never changes by a byte. */

/* clang-format off */

/* ---- version 1 */

#define TABLE_META \
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;" \
	"INSERT INTO meta VALUES('ledger_id', lower(hex(randomblob(16))));"

#define ACTOR_INDICES \
	"CREATE INDEX actor_by_exe ON actor(json_extract(body,'$.exe'));" \
	"CREATE INDEX actor_by_pid ON actor(json_extract(body,'$.pid'));"

/* A process as it was seen, stored once however many keys it received. */
#define TABLE_ACTOR \
	"CREATE TABLE actor(" \
	"  id INTEGER PRIMARY KEY," \
	"  digest BLOB NOT NULL UNIQUE," /* SHA-256 of body */ \
	"  body TEXT NOT NULL);"         /* canonical JSON */ \
	ACTOR_INDICES

#define TABLE_RECORD \
	"CREATE TABLE record(" \
	"  seq INTEGER PRIMARY KEY,"            /* without gaps, from 1 */ \
	"  id TEXT NOT NULL,"                   /* 16 hexadecimal digits */ \
	"  at INTEGER NOT NULL,"                /* microseconds since 1970, UTC */ \
	"  kind TEXT NOT NULL,"                 /* delivery, outcome, placement, ...: docs/ledger.md */ \
	"  subject TEXT,"                       /* id of the row that this one is about */ \
	"  access_key_id TEXT," \
	"  actor INTEGER REFERENCES actor(id)," /* of body.process, for joins; not part of the chain */ \
	"  body TEXT NOT NULL,"                 /* canonical JSON; processes stand in it by their digest */ \
	"  chain BLOB NOT NULL);"               /* SHA-256 over the previous row's and this row's content */ \
	"CREATE UNIQUE INDEX record_by_id ON record(id);" \
	"CREATE INDEX record_by_key ON record(access_key_id, at) WHERE access_key_id IS NOT NULL;" \
	"CREATE INDEX record_by_subject ON record(subject) WHERE subject IS NOT NULL;" \
	"CREATE INDEX record_by_kind ON record(kind, at);" \
	"CREATE INDEX record_by_actor ON record(actor) WHERE actor IS NOT NULL;"

/* ---- version 2: digests of executables that came late. Views are made anew by the last version that changes them. */

#define DROP_VIEWS \
	"DROP VIEW IF EXISTS v_processes; DROP VIEW IF EXISTS v_keys; DROP VIEW IF EXISTS v_deliveries;"

#define INDEX_EXE_FILE \
	"CREATE INDEX record_by_exe_file ON record(json_extract(body,'$.exe_file')) WHERE kind='executable';"

#define DELIVERED_AT "strftime('%Y-%m-%dT%H:%M:%S',r.at/1000000,'unixepoch')||printf('.%06dZ',r.at%1000000)"

/* The latest that is known of a delivery: of its newest outcome, else of itself. */
#define LATEST(name) \
	"coalesce((SELECT json_extract(o.body,'$." name "') FROM record o" \
	" WHERE o.subject=r.id AND o.kind='outcome' ORDER BY o.seq DESC LIMIT 1),json_extract(r.body,'$." name "'))"

/* exe_file names one content of one file, so every such row says the same. */
#define DIGEST_OF_EXE \
	"coalesce(json_extract(a.body,'$.exe_sha256')," \
	"(SELECT json_extract(e.body,'$.exe_sha256') FROM record e WHERE e.kind='executable'" \
	" AND json_extract(e.body,'$.exe_file')=json_extract(a.body,'$.exe_file') LIMIT 1))"

#define OF_ROW(path, name)     " json_extract(r.body,'$." path "') AS " name ","
#define OF_PROCESS(path, name) " json_extract(a.body,'$." path "') AS " name ","

/* What of a row `r` and a process `a` both the view and HELD_DELIVERIES show, in this order: up to what only one kind of
 * ledger has. `latest` and `digest` are how it finds what came later. */
#define DELIVERY_COLUMNS(latest, digest) \
	"r.seq, r.id, " DELIVERED_AT " AS delivered_at, r.at AS at_us," \
	" r.access_key_id," \
	OF_ROW("account_id", "account_id") \
	OF_ROW("role", "role") \
	OF_ROW("source", "source") \
	OF_ROW("path", "path") \
	OF_ROW("expires_at", "expires_at") \
	" " latest("outcome") " AS outcome," \
	" " latest("reason") " AS reason," \
	OF_ROW("client.address", "client_address") \
	OF_ROW("client.port", "client_port") \
	OF_ROW("client.netns", "client_netns") \
	OF_ROW("attribution.grade", "grade") \
	OF_ROW("attribution.method", "method") \
	OF_PROCESS("pid", "pid") \
	OF_PROCESS("started_at", "started_at") \
	OF_PROCESS("uid", "uid") \
	OF_PROCESS("user", "user") \
	OF_PROCESS("exe", "exe") \
	" " digest " AS exe_sha256," \
	OF_PROCESS("cmdline", "cmdline") \
	OF_PROCESS("unit", "unit") \
	OF_PROCESS("container_id", "container_id") \
	OF_PROCESS("pod_uid", "pod_uid") \
	OF_ROW("user_agent", "user_agent") \
	OF_ROW("host.instance_id", "instance_id") \
	OF_ROW("host.account_id", "host_account_id") \
	OF_ROW("host.region", "region")

#define VIEW_DELIVERIES \
	"CREATE VIEW v_deliveries AS SELECT " DELIVERY_COLUMNS(LATEST, DIGEST_OF_EXE) \
	" r.actor AS actor, r.body AS body" \
	" FROM record r LEFT JOIN actor a ON a.id=r.actor WHERE r.kind='delivery';"

#define VIEW_KEYS \
	"CREATE VIEW v_keys AS SELECT access_key_id, account_id, role, source, instance_id, host_account_id, region," \
	" max(expires_at) AS expires_at, min(delivered_at) AS first_delivered_at, max(delivered_at) AS " \
	"last_delivered_at," \
	" count(*) AS deliveries, count(DISTINCT actor) AS processes FROM v_deliveries" \
	" WHERE access_key_id IS NOT NULL AND outcome <> 'refused' GROUP BY access_key_id;"

#define VIEW_PROCESSES \
	"CREATE VIEW v_processes AS SELECT actor, pid, started_at, uid, user, exe, exe_sha256, cmdline, unit, " \
	"container_id," \
	" pod_uid, count(*) AS deliveries, count(DISTINCT access_key_id) AS keys, min(delivered_at) AS first_seen," \
	" max(delivered_at) AS last_seen FROM v_deliveries" \
	" WHERE access_key_id IS NOT NULL AND outcome <> 'refused' AND actor IS NOT NULL GROUP BY actor;"

/* ---- version 3: who else is behind a row, so that a process can be forgotten with the last row that names it */

#define TABLE_HOLDER \
	"CREATE TABLE holder(" \
	"  record INTEGER NOT NULL,"            /* seq */ \
	"  actor INTEGER NOT NULL,"             /* of body.holders, but not body.process; not part of the chain */ \
	"  PRIMARY KEY(record, actor)) WITHOUT ROWID;" \
	"CREATE INDEX holder_by_actor ON holder(actor);"

#define FILL_HOLDER \
	"CREATE TEMP TABLE actor_hex(hex TEXT PRIMARY KEY, id INTEGER) WITHOUT ROWID;" \
	"INSERT INTO actor_hex SELECT lower(hex(digest)), id FROM actor;" \
	"INSERT OR IGNORE INTO holder SELECT r.seq, a.id FROM record r, json_each(r.body,'$.holders') h" \
	" JOIN temp.actor_hex a ON a.hex=h.value WHERE r.kind='delivery' AND a.id IS NOT r.actor;" \
	"DROP TABLE temp.actor_hex;"

/* Not in the file: v_deliveries once more for each further holder, with that one as its process. */
#define HELD_DELIVERIES \
	"SELECT " DELIVERY_COLUMNS(LATEST, DIGEST_OF_EXE) \
	" h.actor AS actor, r.body AS body" \
	" FROM holder h JOIN record r ON r.seq=h.record JOIN actor a ON a.id=h.actor WHERE r.kind='delivery'"
