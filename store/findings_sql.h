/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The SQL of store/findings.c, which alone includes this file: the tables, a run's temporary tables, and every
 * statement. Orders are always complete, so that equal uses give equal findings. */

/* clang-format off */

#define OF(path) "json_extract(body,'$." path "')"

#define FINDING_COLUMNS \
	"id, " OF("type") " AS type, " OF("severity") " AS severity," \
	" severity AS severity_rank, " OF("score") " AS score, " OF("confidence") " AS confidence, " \
	OF("access_key_id") " AS access_key_id, " OF("owner.account_id") " AS account_id, " \
	OF("owner.instance_id") " AS instance_id, " OF("owner.role") " AS role, " \
	OF("remote.account_id") " AS remote_account_id, " OF("remote.relation") " AS remote_relation, " \
	OF("remote.address") " AS remote_address, " OF("remote.vpc_endpoint_id") " AS vpc_endpoint_id, " \
	OF("rung") " AS rung, " OF("first_seen") " AS first_seen, " OF("last_seen") " AS last_seen," \
	" first_seen AS first_seen_us, last_seen AS last_seen_us, " OF("count") " AS count, body"

#define VIEW_FINDINGS "CREATE VIEW v_findings AS SELECT " FINDING_COLUMNS " FROM finding;"
#define VIEW_FINDINGS_STATE \
	"CREATE VIEW v_findings AS SELECT " FINDING_COLUMNS ", coalesce(state, 'new') AS state, at AS state_at_us" \
	" FROM finding LEFT JOIN review ON review.finding = finding.id;"

#define TABLE_LESSON \
	"CREATE TABLE lesson(kind TEXT NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(kind, body))" \
	"  WITHOUT ROWID;"

/* A file of version 1 that may not be written has no such tables: empty ones stand in, which hide nothing. */
static const char absent_tables[] =
	"CREATE TEMP TABLE review(finding TEXT PRIMARY KEY, state TEXT, at INTEGER, uses INTEGER) WITHOUT ROWID;"
	"CREATE TEMP TABLE note(id INTEGER PRIMARY KEY, finding TEXT, at INTEGER, by TEXT, state TEXT, text TEXT);"
	"CREATE TEMP VIEW v_findings AS SELECT " FINDING_COLUMNS ", 'new' AS state, NULL AS state_at_us FROM finding;";

static const char *const findings_migrations[] = {
	/* Which version of an event stands: of those with uses, and of addenda. */
	"CREATE TABLE event(id TEXT PRIMARY KEY, is_addendum INTEGER NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE facts(id INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE);"
	"CREATE TABLE use("
	"  finding TEXT NOT NULL, event TEXT NOT NULL, at INTEGER NOT NULL," /* microseconds since 1970, UTC */
	"  severity INTEGER NOT NULL, rung INTEGER NOT NULL, confidence INTEGER NOT NULL,"
	"  service TEXT NOT NULL, name TEXT NOT NULL, error TEXT NOT NULL, region TEXT NOT NULL,"
	"  user_agent TEXT NOT NULL, address TEXT NOT NULL, facts INTEGER NOT NULL REFERENCES facts(id),"
	"  PRIMARY KEY(finding, event)) WITHOUT ROWID;"
	"CREATE INDEX use_by_event ON use(event);"
	"CREATE TABLE finding("
	"  id TEXT PRIMARY KEY, severity INTEGER NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
	"  body TEXT NOT NULL) WITHOUT ROWID;" /* the JSON object of docs/findings.md */
	VIEW_FINDINGS,
	/* What people say of them: kept whatever the detector says later. `uses`: how many there were at that time. */
	"CREATE TABLE review(finding TEXT PRIMARY KEY, state TEXT NOT NULL, at INTEGER NOT NULL, uses INTEGER NOT NULL)"
	"  WITHOUT ROWID;"
	"CREATE TABLE note(id INTEGER PRIMARY KEY, finding TEXT NOT NULL, at INTEGER NOT NULL, by TEXT NOT NULL,"
	"  state TEXT NOT NULL, text TEXT NOT NULL);"
	"CREATE INDEX note_by_finding ON note(finding);"
	"DROP VIEW v_findings;"
	VIEW_FINDINGS_STATE,
	/* What the detector has learned of keys and addresses, for later runs: its own JSON. */
	TABLE_LESSON,
};

/* Sessions and issued keys live for hours, and the other record of a call comes soon. Of addresses, passages through
 * endpoints and uses the newest are kept. Times ahead of the clock keep nothing from being forgotten, nor make it so. */
#define HELD "kind IN ('held', 'quiet')"
#define PASSING "kind IN ('issue', 'half', 'session', 'passage', 'held', 'quiet', 'machine')"
#define PASSING_KEPT_US "(2*86400000000)"
#define NOT_AHEAD "at <= (strftime('%s', 'now') + 86400) * 1000000"
#define NEWEST(kind, most) \
	"DELETE FROM main.lesson WHERE kind='" kind "'" \
	"  AND (SELECT count(*) FROM main.lesson WHERE kind='" kind "') > " most " AND (at, body) < (SELECT at, body FROM main.lesson" \
	"  WHERE kind='" kind "' ORDER BY at DESC, body DESC LIMIT 1 OFFSET " most " - 1);"

/* The temporary tables are never rolled back: a run that fails is over. */
static const char run_tables[] =
	"PRAGMA temp.journal_mode = OFF; PRAGMA temp.cache_size = -16384; PRAGMA main.cache_size = -16384;"
	"CREATE TEMP TABLE run_event(id TEXT PRIMARY KEY, is_addendum INTEGER, version INTEGER,"
	"  is_stale INTEGER DEFAULT 0, is_input INTEGER) WITHOUT ROWID;"
	"CREATE TEMP TABLE run_facts(id INTEGER PRIMARY KEY, body TEXT UNIQUE);"
	"CREATE TEMP TABLE run_use(finding TEXT, event TEXT, at INTEGER, severity INTEGER, rung INTEGER,"
	"  confidence INTEGER, service TEXT, name TEXT, error TEXT, region TEXT, user_agent TEXT, address TEXT,"
	"  facts INTEGER, PRIMARY KEY(finding, event)) WITHOUT ROWID;"
	"CREATE INDEX temp.run_use_by_event ON run_use(event);"
	"CREATE TEMP TABLE run_lesson(kind TEXT, body TEXT, at INTEGER, PRIMARY KEY(kind, body)) WITHOUT ROWID;"
	"CREATE TEMP TABLE touched(finding TEXT PRIMARY KEY) WITHOUT ROWID;"
	"CREATE TEMP TABLE shown(finding TEXT PRIMARY KEY) WITHOUT ROWID;";

static const char forget_run[] =
	"DELETE FROM temp.run_use; DELETE FROM temp.run_event; DELETE FROM temp.run_facts;"
	"DELETE FROM temp.run_lesson WHERE " HELD ";";

enum statement {
	OLDER_VERSION, FORGET_USES, ADD_EVENT, CLEAR_EVENT, ADD_FACTS, ADD_USE, ADD_LESSON,
	ALL_TOUCHED, SUM, BEST, PUT_FINDING, DROP_FINDING, STATEMENT_COUNT
};

static const char *const statements[STATEMENT_COUNT] = {
	/* Is there a record of this event that stands above the one at hand? */
	[OLDER_VERSION] = "SELECT 1 FROM temp.run_event WHERE id=?1 AND (is_addendum, version) > (?2, ?3)",
	[FORGET_USES] = "DELETE FROM temp.run_use WHERE event=?1",
	[ADD_EVENT] = "INSERT OR REPLACE INTO temp.run_event(id, is_addendum, version, is_input) VALUES(?1, ?2, ?3,"
	              " max(?4, coalesce((SELECT is_input FROM temp.run_event WHERE id=?1), 0)))",
	/* Nothing is held against this event any more: of interest only if that very record was, in an earlier run. */
	[CLEAR_EVENT] = "INSERT OR IGNORE INTO temp.run_event(id, is_addendum, version, is_input)"
	                " SELECT ?1, 0, ?3, ?4 FROM main.event WHERE id=?1 AND is_addendum=0 AND version=?3",
	[ADD_FACTS] = "INSERT OR IGNORE INTO temp.run_facts(body) VALUES(?1)",
	[ADD_USE] = "INSERT OR REPLACE INTO temp.run_use VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,"
	            "(SELECT id FROM temp.run_facts WHERE body=?13))",
	[ADD_LESSON] = "INSERT OR IGNORE INTO temp.run_lesson(kind, body, at) VALUES(?1, ?2, ?3)",
	[ALL_TOUCHED] = "SELECT finding FROM temp.touched ORDER BY finding",
	[SUM] = "SELECT count(*), min(at), max(at), max(severity) FROM main.use WHERE finding=?1",
	[BEST] = "SELECT u.rung, u.confidence, f.body, u.event, u.service, u.name, u.error, u.user_agent, u.address, u.region"
	         " FROM main.use u JOIN main.facts f ON f.id=u.facts WHERE u.finding=?1"
	         " ORDER BY u.rung, u.at, u.event LIMIT 1",
	[PUT_FINDING] = "INSERT OR REPLACE INTO main.finding VALUES(?1,?2,?3,?4,?5)",
	[DROP_FINDING] = "DELETE FROM main.finding WHERE id=?1",
};

#define USE_SAID "u.finding, u.at, u.severity, u.rung, u.confidence, f.body"
#define RUN_USES \
	"SELECT " USE_SAID " FROM temp.run_use u JOIN temp.run_facts f ON f.id=u.facts WHERE u.event=run_event.id"
#define STORED_USES "SELECT " USE_SAID " FROM main.use u JOIN main.facts f ON f.id=u.facts WHERE u.event=run_event.id"

static const char merge[] =
	"BEGIN IMMEDIATE;"
	"INSERT OR IGNORE INTO main.lesson SELECT kind, body, at FROM temp.run_lesson WHERE kind<>'file';"
	"INSERT OR REPLACE INTO main.lesson SELECT kind, body, at FROM temp.run_lesson WHERE kind='file';"
	"DELETE FROM main.lesson WHERE " PASSING
	"  AND at < (SELECT max(at) FROM main.lesson WHERE " PASSING " AND " NOT_AHEAD ") - " PASSING_KEPT_US ";"
	"DELETE FROM main.lesson WHERE kind='file' AND at < (SELECT max(at) FROM main.lesson WHERE kind='file') - " PASSING_KEPT_US ";"
	NEWEST("claim", "250000") NEWEST("passage", "250000") NEWEST("file", "20000") NEWEST("held", "10000") NEWEST("quiet", "10000")
	NEWEST("machine", "10000")
	"UPDATE temp.run_event SET is_stale=1 WHERE (is_addendum, version) <"
	"  (SELECT is_addendum, version FROM main.event e WHERE e.id=run_event.id);"
	"DELETE FROM temp.run_use WHERE event IN (SELECT id FROM temp.run_event WHERE is_stale);"
	/* What was looked at again with the same result is as if it had not been. */
	"DELETE FROM temp.run_event WHERE NOT is_input"
	"  AND NOT EXISTS(" RUN_USES " EXCEPT " STORED_USES ") AND NOT EXISTS(" STORED_USES " EXCEPT " RUN_USES ");"
	"DELETE FROM temp.run_use WHERE event NOT IN (SELECT id FROM temp.run_event);"
	"INSERT OR IGNORE INTO temp.shown SELECT finding FROM temp.run_use u WHERE NOT EXISTS"
	"  (SELECT 1 FROM main.use m WHERE m.finding=u.finding AND m.event=u.event);"
	"INSERT OR IGNORE INTO temp.touched SELECT finding FROM main.use WHERE event IN"
	"  (SELECT id FROM temp.run_event WHERE NOT is_stale);"
	"INSERT OR IGNORE INTO temp.touched SELECT finding FROM temp.run_use;"
	"DELETE FROM main.use WHERE event IN (SELECT id FROM temp.run_event WHERE NOT is_stale);"
	"DELETE FROM main.event WHERE id IN (SELECT id FROM temp.run_event WHERE NOT is_stale);"
	"INSERT INTO main.event SELECT id, is_addendum, version FROM temp.run_event WHERE NOT is_stale"
	"  AND (is_addendum OR id IN (SELECT event FROM temp.run_use));"
	"INSERT OR IGNORE INTO main.facts(body) SELECT body FROM temp.run_facts"
	"  WHERE id IN (SELECT facts FROM temp.run_use) ORDER BY id;"
	"INSERT INTO main.use SELECT finding, event, at, severity, rung, confidence, service, name, error, region,"
	"  user_agent, address, f.id FROM temp.run_use u JOIN temp.run_facts r ON r.id=u.facts"
	"  JOIN main.facts f ON f.body=r.body;"
	"INSERT OR IGNORE INTO temp.shown SELECT finding FROM main.use WHERE event IN"
	"  (SELECT id FROM temp.run_event WHERE is_input);";
