/* SPDX-License-Identifier: Apache-2.0 */

/* The ledger's tables. They only ever grow: a row is a fact as it was inserted, later facts are rows of their own
 * (`subject` names what they are about), and `chain` binds each row to all before it. What `body` holds, and the
 * views, which are an interface, stand in docs/ledger.md. */
#include "store/store.h"

#define DATE_OF(column)                                                                                                \
	"strftime('%Y-%m-%dT%H:%M:%S'," column "/1000000,'unixepoch')||printf('.%06dZ'," column "%1000000)"
#define OF(path) "json_extract(r.body,'$." path "')"
#define OF_ACTOR(path) "json_extract(a.body,'$." path "')"
#define LATEST(field)                                                                                                  \
	"coalesce((SELECT json_extract(o.body,'$." field "') FROM record o WHERE o.subject=r.id AND o.kind='outcome' " \
	"ORDER BY o.seq DESC LIMIT 1)," OF(field) ")"

static const char *const migrations[] =
	{
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
		"  kind TEXT NOT NULL,"      /* delivery, outcome, placement */
		"  subject TEXT,"            /* id of the row that this one is about */
		"  access_key_id TEXT,"
		"  actor INTEGER REFERENCES actor(id)," /* of body.process, for joins; not part of the chain */
		"  body TEXT NOT NULL,"                 /* canonical JSON; processes stand in it by their digest */
		"  chain BLOB NOT NULL);"               /* SHA-256 over the previous row's and this row's content */
		"CREATE UNIQUE INDEX record_by_id ON record(id);"
		"CREATE INDEX record_by_key ON record(access_key_id, at) WHERE access_key_id IS NOT NULL;"
		"CREATE INDEX record_by_subject ON record(subject) WHERE subject IS NOT NULL;"
		"CREATE INDEX record_by_kind ON record(kind, at);"
		"CREATE INDEX record_by_actor ON record(actor) WHERE actor IS NOT NULL;"

		"CREATE VIEW v_deliveries AS SELECT r.seq, r.id, " DATE_OF("r.at") " AS delivered_at, r.at AS at_us,"
										   " r.access_key_id, " OF("account_id") " AS account_id, " OF("role") " AS role, " OF("source") " AS source, " OF("path") " AS path, " OF("expires_at") " AS expires_at, " LATEST("outcome") " AS outcome, " LATEST("reason") " AS reason, " OF("client.address") " AS client_address, " OF("client.port") " AS "
																																															    "client_port,"
																																															    " " OF(
																																																    "clien"
																																																    "t."
																																																    "netn"
																																																    "s") " AS client_netns, " OF("attribution.grade") " AS grade, " OF("attribution.method") " AS method, " OF_ACTOR("pid") " AS pid, " OF_ACTOR("started_at") " AS started_at, " OF_ACTOR("uid") " AS uid, " OF_ACTOR("user") " AS user, " OF_ACTOR("exe") " AS exe, " OF_ACTOR("exe_sha256") " AS exe_sha256, " OF_ACTOR("cmdline") " AS cmdline, " OF_ACTOR("unit") " AS unit, " OF_ACTOR("container_id") " AS container_id, " OF_ACTOR("pod_uid") " AS pod_uid, " OF("user_agent") " AS user_agent, " OF("host.instance_id") " AS instance_id, " OF("host.account_id") " AS host_account_id, " OF("host.region") " AS region, r.actor AS actor, r.body AS body "
																																																																																																																										     "FROM record r LEFT JOIN actor a ON a.id=r.actor WHERE r.kind='delivery';"

																																																																																																																										     "CREATE VIEW v_keys AS SELECT access_key_id, account_id, role, source, instance_id, host_account_id, region,"
																																																																																																																										     " max(expires_at) AS expires_at, min(delivered_at) AS first_delivered_at, max(delivered_at) AS last_delivered_at,"
																																																																																																																										     " count(*) AS deliveries, count(DISTINCT actor) AS processes FROM v_deliveries"
																																																																																																																										     " WHERE access_key_id IS NOT NULL AND outcome <> 'refused' GROUP BY access_key_id;"

																																																																																																																										     "CREATE VIEW v_processes AS SELECT actor, pid, started_at, uid, user, exe, exe_sha256, cmdline, unit, container_id,"
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
