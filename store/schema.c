/* SPDX-License-Identifier: Apache-2.0 */

/* The ledger's tables. They only ever grow: a row is a fact as it was inserted, later facts are rows of their own
 * (`subject` names what they are about), and `chain` binds each row to all before it. What `body` holds, and the
 * views, which are an interface, stand in docs/ledger.md. */
#include "store/store.h"

#define DELIVERED_AT "strftime('%Y-%m-%dT%H:%M:%S',r.at/1000000,'unixepoch')||printf('.%06dZ',r.at%1000000)"

/* The latest that is known of a delivery: of its newest outcome, else of itself. */
#define OUTCOME_ROWS "FROM record o WHERE o.subject=r.id AND o.kind='outcome' ORDER BY o.seq DESC LIMIT 1"
#define LATEST_OUTCOME                                                                                                 \
	"coalesce((SELECT json_extract(o.body,'$.outcome') " OUTCOME_ROWS "),json_extract(r.body,'$.outcome'))"
#define LATEST_REASON                                                                                                  \
	"coalesce((SELECT json_extract(o.body,'$.reason') " OUTCOME_ROWS "),json_extract(r.body,'$.reason'))"

/* exe_file names one content of one file, so every such row says the same. */
#define DIGEST_OF_EXE                                                                                                  \
	"coalesce(json_extract(a.body,'$.exe_sha256'),"                                                                \
	"(SELECT json_extract(e.body,'$.exe_sha256') FROM record e WHERE e.kind='executable'"                          \
	" AND json_extract(e.body,'$.exe_file')=json_extract(a.body,'$.exe_file') LIMIT 1))"

static const char *const migrations[] = {
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"INSERT INTO meta VALUES('ledger_id', lower(hex(randomblob(16))));"

	/* A process as it was seen, stored once however many keys it received. */
	"CREATE TABLE actor("
	"  id INTEGER PRIMARY KEY,"
	"  digest BLOB NOT NULL UNIQUE," /* SHA-256 of body */
	"  body TEXT NOT NULL);"         /* canonical JSON */
	"CREATE INDEX actor_by_exe ON actor(json_extract(body,'$.exe'));"
	"CREATE INDEX actor_by_pid ON actor(json_extract(body,'$.pid'));"

	"CREATE TABLE record("
	"  seq INTEGER PRIMARY KEY," /* without gaps, from 1 */
	"  id TEXT NOT NULL,"        /* 16 hexadecimal digits */
	"  at INTEGER NOT NULL,"     /* microseconds since 1970, UTC */
	"  kind TEXT NOT NULL,"      /* delivery, outcome, placement, executable */
	"  subject TEXT,"            /* id of the row that this one is about */
	"  access_key_id TEXT,"
	"  actor INTEGER REFERENCES actor(id)," /* of body.process, for joins; not part of the chain */
	"  body TEXT NOT NULL,"                 /* canonical JSON; processes stand in it by their digest */
	"  chain BLOB NOT NULL);"               /* SHA-256 over the previous row's and this row's content */
	"CREATE UNIQUE INDEX record_by_id ON record(id);"
	"CREATE INDEX record_by_key ON record(access_key_id, at) WHERE access_key_id IS NOT NULL;"
	"CREATE INDEX record_by_subject ON record(subject) WHERE subject IS NOT NULL;"
	"CREATE INDEX record_by_kind ON record(kind, at);"
	"CREATE INDEX record_by_actor ON record(actor) WHERE actor IS NOT NULL;",

	/* 2: digests of executables that came late. Views are made anew by the last migration that changes them. */
	"DROP VIEW IF EXISTS v_processes; DROP VIEW IF EXISTS v_keys; DROP VIEW IF EXISTS v_deliveries;"
	"CREATE INDEX record_by_exe_file ON record(json_extract(body,'$.exe_file')) WHERE kind='executable';"

	"CREATE VIEW v_deliveries AS SELECT r.seq, r.id, " DELIVERED_AT " AS delivered_at, r.at AS at_us,"
	" r.access_key_id,"
	" json_extract(r.body,'$.account_id') AS account_id,"
	" json_extract(r.body,'$.role') AS role,"
	" json_extract(r.body,'$.source') AS source,"
	" json_extract(r.body,'$.path') AS path,"
	" json_extract(r.body,'$.expires_at') AS expires_at,"
	" " LATEST_OUTCOME " AS outcome,"
	" " LATEST_REASON " AS reason,"
	" json_extract(r.body,'$.client.address') AS client_address,"
	" json_extract(r.body,'$.client.port') AS client_port,"
	" json_extract(r.body,'$.client.netns') AS client_netns,"
	" json_extract(r.body,'$.attribution.grade') AS grade,"
	" json_extract(r.body,'$.attribution.method') AS method,"
	" json_extract(a.body,'$.pid') AS pid,"
	" json_extract(a.body,'$.started_at') AS started_at,"
	" json_extract(a.body,'$.uid') AS uid,"
	" json_extract(a.body,'$.user') AS user,"
	" json_extract(a.body,'$.exe') AS exe,"
	" " DIGEST_OF_EXE " AS exe_sha256,"
	" json_extract(a.body,'$.cmdline') AS cmdline,"
	" json_extract(a.body,'$.unit') AS unit,"
	" json_extract(a.body,'$.container_id') AS container_id,"
	" json_extract(a.body,'$.pod_uid') AS pod_uid,"
	" json_extract(r.body,'$.user_agent') AS user_agent,"
	" json_extract(r.body,'$.host.instance_id') AS instance_id,"
	" json_extract(r.body,'$.host.account_id') AS host_account_id,"
	" json_extract(r.body,'$.host.region') AS region,"
	" r.actor AS actor, r.body AS body"
	" FROM record r LEFT JOIN actor a ON a.id=r.actor WHERE r.kind='delivery';"

	"CREATE VIEW v_keys AS SELECT access_key_id, account_id, role, source, instance_id, host_account_id, region,"
	" max(expires_at) AS expires_at, min(delivered_at) AS first_delivered_at, max(delivered_at) AS "
	"last_delivered_at,"
	" count(*) AS deliveries, count(DISTINCT actor) AS processes FROM v_deliveries"
	" WHERE access_key_id IS NOT NULL AND outcome <> 'refused' GROUP BY access_key_id;"

	"CREATE VIEW v_processes AS SELECT actor, pid, started_at, uid, user, exe, exe_sha256, cmdline, unit, "
	"container_id,"
	" pod_uid, count(*) AS deliveries, count(DISTINCT access_key_id) AS keys, min(delivered_at) AS first_seen,"
	" max(delivered_at) AS last_seen FROM v_deliveries"
	" WHERE access_key_id IS NOT NULL AND outcome <> 'refused' AND actor IS NOT NULL GROUP BY actor;",
};

const struct schema ledger_schema = {
	.what = "ledger",
	.application_id = 0x4b54524c, /* "KTRL" */
	.migrations = migrations,
	.count = (int)ARRAY_LENGTH(migrations),
};
