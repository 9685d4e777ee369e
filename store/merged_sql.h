/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The SQL of store/merged_schema.c, which alone includes this file: one ledger out of many (docs/ledger.md). Tables and
 * columns that a machine's own ledger has are called the same, so that one query reads both; `origin` keeps machines
 * apart. What can be computed from the rows (key, gap, origin_instance) is kept for queries that must not read them
 * all, and checked by `ledger verify`. */

/* clang-format off */

#define MERGED_META \
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;" \
	"INSERT INTO meta VALUES('merged_id', lower(hex(randomblob(16))));"

#define MERGED_ORIGIN \
	"CREATE TABLE origin(" \
	"  id INTEGER PRIMARY KEY," \
	"  ledger_id TEXT NOT NULL UNIQUE," \
	"  instance_id TEXT,"                    /* whose ledger it is, as its rows say; null: they do not */ \
	"  pruned_by INTEGER,"                   /* record.seq of the row of kind prune behind which its rows begin */ \
	"  covered_from INTEGER,"                /* the first moment that coverage is known of; null: none */ \
	"  covered_until INTEGER," \
	"  is_ended INTEGER NOT NULL DEFAULT 0);"/* its last row of coverage says `stop` */ \
	"CREATE TABLE origin_instance(" \
	"  instance_id TEXT NOT NULL, origin INTEGER NOT NULL, PRIMARY KEY(instance_id, origin)) WITHOUT ROWID;"

/* Rows without a gap between them. `before` is the link in front of the first one; null: nobody said. */
#define MERGED_SEGMENT \
	"CREATE TABLE segment(" \
	"  origin INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, before BLOB," \
	"  PRIMARY KEY(origin, first)) WITHOUT ROWID;"

/* Where rows came from, and when: a part of a file each. */
#define MERGED_IMPORT \
	"CREATE TABLE import(" \
	"  id INTEGER PRIMARY KEY, file TEXT NOT NULL, at INTEGER NOT NULL, origin INTEGER," \
	"  first INTEGER, last INTEGER, rows INTEGER NOT NULL DEFAULT 0, known INTEGER NOT NULL DEFAULT 0," \
	"  fault TEXT, detail TEXT);"

#define MERGED_ACTOR \
	"CREATE TABLE actor(" \
	"  id INTEGER PRIMARY KEY, origin INTEGER NOT NULL, digest BLOB NOT NULL, body TEXT NOT NULL," \
	"  UNIQUE(digest, origin));" \
	ACTOR_INDICES \
	"CREATE INDEX actor_by_container ON actor(json_extract(body,'$.container_id'))" \
	" WHERE json_extract(body,'$.container_id') IS NOT NULL;"

#define MERGED_RECORD \
	"CREATE TABLE record(" \
	"  seq INTEGER PRIMARY KEY,"             /* as it came in; not the machine's number */ \
	"  origin INTEGER NOT NULL," \
	"  origin_seq INTEGER,"                  /* the row's number in its machine's ledger; null: the line did not say */ \
	"  id TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT, access_key_id TEXT," \
	"  actor INTEGER," \
	"  given INTEGER NOT NULL,"              /* a key in it was not refused */ \
	"  body TEXT NOT NULL, chain BLOB, import INTEGER NOT NULL);" \
	"CREATE UNIQUE INDEX record_by_origin ON record(origin, origin_seq);" \
	"CREATE INDEX record_by_key ON record(access_key_id, at, given, actor) WHERE access_key_id IS NOT NULL;" \
	"CREATE INDEX record_by_subject ON record(subject) WHERE subject IS NOT NULL;" \
	"CREATE INDEX record_by_kind ON record(kind, at);" \
	"CREATE INDEX record_by_actor ON record(actor) WHERE actor IS NOT NULL;" \
	"CREATE INDEX record_of_kind ON record(origin, kind, origin_seq) WHERE kind NOT IN ('delivery','outcome');" \
	INDEX_EXE_FILE

/* Each key of each machine, also of rows that were refused. */
#define MERGED_KEY \
	"CREATE TABLE key(" \
	"  access_key_id TEXT NOT NULL, origin INTEGER NOT NULL, account_id, role, source, instance_id," \
	"  host_account_id, region, updated_at, expires_at, first_at INTEGER, last_at INTEGER," \
	"  deliveries INTEGER NOT NULL, secret TEXT, token TEXT, whole TEXT," \
	"  PRIMARY KEY(access_key_id, origin)) WITHOUT ROWID;" \
	"CREATE INDEX key_by_secret ON key(secret) WHERE secret IS NOT NULL;" \
	"CREATE INDEX key_by_token ON key(token) WHERE token IS NOT NULL;"

/* What is not covered between a row of coverage and the one before it. */
#define MERGED_GAP \
	"CREATE TABLE gap(" \
	"  origin INTEGER NOT NULL, seq INTEGER NOT NULL, from_us INTEGER NOT NULL, until_us INTEGER NOT NULL," \
	"  reason TEXT NOT NULL, PRIMARY KEY(origin, seq)) WITHOUT ROWID;"

/* +: by the subject, of which there are few rows, and never by the machine, of which there are thousands. */
#define LATEST_THERE(name) \
	"coalesce((SELECT json_extract(o.body,'$." name "') FROM record o" \
	" WHERE o.subject=r.id AND +o.origin=r.origin AND +o.kind='outcome' ORDER BY +o.origin_seq DESC LIMIT 1)," \
	"json_extract(r.body,'$." name "'))"

#define DIGEST_THERE \
	"coalesce(json_extract(a.body,'$.exe_sha256')," \
	"(SELECT json_extract(e.body,'$.exe_sha256') FROM record e WHERE e.kind='executable'" \
	" AND json_extract(e.body,'$.exe_file')=json_extract(a.body,'$.exe_file') AND +e.origin=r.origin LIMIT 1))"

#define MERGED_DELIVERY_COLUMNS DELIVERY_COLUMNS(LATEST_THERE, DIGEST_THERE)

#define OF_ORIGIN \
	" r.body AS body, r.given AS given, r.origin AS origin, r.origin_seq AS origin_seq," \
	" (SELECT g.ledger_id FROM origin g WHERE g.id=r.origin) AS ledger_id"

#define MERGED_VIEW_DELIVERIES \
	"CREATE VIEW v_deliveries AS SELECT " MERGED_DELIVERY_COLUMNS " r.actor AS actor," OF_ORIGIN \
	" FROM record r LEFT JOIN actor a ON a.id=r.actor WHERE r.kind='delivery';"

/* As HELD_DELIVERIES. */
#define MERGED_HELD_DELIVERIES \
	"SELECT " MERGED_DELIVERY_COLUMNS " h.actor AS actor," OF_ORIGIN \
	" FROM holder h JOIN record r ON r.seq=h.record JOIN actor a ON a.id=h.actor WHERE r.kind='delivery'"

/* What SQLite's planner goes by: the proportions of a fleet, not those of whatever came in first. So the same query takes
 * the same way over one machine's rows and over ten thousand's (tests/store/merged_plan_test.c). */
#define MERGED_PROPORTIONS \
	"ANALYZE;" \
	"INSERT INTO sqlite_stat1(tbl, idx, stat) VALUES" \
	"('record','record_by_origin','20000000 2000 1')," \
	"('record','record_by_key','10000000 50 2 2 1')," \
	"('record','record_by_subject','10000000 1')," \
	"('record','record_by_kind','20000000 4000000 2')," \
	"('record','record_by_actor','10000000 10')," \
	"('record','record_of_kind','2000000 200 50 1')," \
	"('record','record_by_exe_file','100000 100')," \
	"('actor','sqlite_autoindex_actor_1','1000000 2 1')," \
	"('actor','actor_by_exe','1000000 10000')," \
	"('actor','actor_by_pid','1000000 50')," \
	"('actor','actor_by_container','200000 10')," \
	"('key','key','200000 1 1')," \
	"('key','key_by_secret','200000 1')," \
	"('key','key_by_token','200000 1')," \
	"('origin','sqlite_autoindex_origin_1','10000 1')," \
	"('origin_instance','origin_instance','10000 1 1')," \
	"('segment','segment','10000 1 1')," \
	"('gap','gap','100000 10 1');"

/* ---- version 2: who else is behind a row (TABLE_HOLDER) */

#define MERGED_FILL_HOLDER \
	"CREATE TEMP TABLE actor_hex(hex TEXT, origin INTEGER, id INTEGER, PRIMARY KEY(hex, origin)) WITHOUT ROWID;" \
	"INSERT INTO actor_hex SELECT lower(hex(digest)), origin, id FROM actor;" \
	"INSERT OR IGNORE INTO holder SELECT r.seq, a.id FROM record r, json_each(r.body,'$.holders') h" \
	" JOIN temp.actor_hex a ON a.hex=h.value AND a.origin=r.origin WHERE r.kind='delivery' AND a.id IS NOT r.actor;" \
	"DROP TABLE temp.actor_hex;" \
	"INSERT INTO sqlite_stat1(tbl, idx, stat) VALUES('holder','holder','100000 2 1'),('holder','holder_by_actor','100000 2');"
