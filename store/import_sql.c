/* SPDX-License-Identifier: Apache-2.0 */

/* The importer's statements. */
#include "store/import_parts.h"
#include "store/merged_coverage.h"
#include "store/store.h"

/* clang-format off */
static const char *const sqls[IMPORT_SQL_COUNT] = {
	[IMPORT_ORIGIN_FIND] = "SELECT id FROM origin WHERE ledger_id=?1",
	[IMPORT_ORIGIN_ADD] = "INSERT INTO origin(ledger_id) VALUES(?1)",
	/* ?2 becomes the ledger's instance if it has none; the row is there if it has another one. */
	[IMPORT_ORIGIN_INSTANCE] = "UPDATE origin SET instance_id=?2 WHERE id=?1 AND instance_id IS NULL",
	[IMPORT_INSTANCE_ADD] = "INSERT OR IGNORE INTO origin_instance(instance_id, origin) VALUES(?2, ?1)",
	[IMPORT_ROW_FIND] = "SELECT seq, chain, at, id, kind, subject, access_key_id, body FROM record WHERE origin=?1 AND origin_seq=?2",
	[IMPORT_ROW_ADD] = "INSERT INTO record(origin, origin_seq, id, at, kind, subject, access_key_id, actor, given, body, chain, import)"
		" VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
	[IMPORT_HOLDER] = "INSERT INTO holder(record, actor) VALUES(?1,?2)",
	[IMPORT_ACTOR_FIND] = "SELECT id FROM actor WHERE digest=?2 AND origin=?1",
	[IMPORT_ACTOR_ADD] = "INSERT INTO actor(origin, digest, body) VALUES(?1,?2,?3)",
	[IMPORT_KEY] = "INSERT INTO key(access_key_id, origin, account_id, role, source, instance_id, host_account_id, region,"
		" updated_at, expires_at, first_at, last_at, deliveries, secret, token, whole)"
		" VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?11,?12,?13,?14,?15) ON CONFLICT(access_key_id, origin) DO UPDATE SET"
		" expires_at=max(coalesce(expires_at,excluded.expires_at),coalesce(excluded.expires_at,expires_at)),"
		" first_at=min(coalesce(first_at,excluded.first_at),coalesce(excluded.first_at,first_at)),"
		" last_at=max(coalesce(last_at,excluded.last_at),coalesce(excluded.last_at,last_at)),"
		" deliveries=deliveries+excluded.deliveries",
	[IMPORT_SEGMENT_AT] = "SELECT last FROM segment WHERE origin=?1 AND first<=?2 AND last>=?2 ORDER BY first DESC LIMIT 1",
	[IMPORT_SEGMENT_NEXT] = "SELECT first FROM segment WHERE origin=?1 AND first>?2 ORDER BY first LIMIT 1",
	/* All that touch ?2 to ?3, together: from, to, and the link in front. */
	[IMPORT_SEGMENT_JOIN] = "SELECT min(first), max(last), (SELECT before FROM segment WHERE origin=?1 AND first=(SELECT min(first)"
		" FROM segment WHERE origin=?1 AND first<=?3+1 AND last>=?2-1)) FROM segment WHERE origin=?1 AND first<=?3+1 AND last>=?2-1",
	[IMPORT_SEGMENT_DROP] = "DELETE FROM segment WHERE origin=?1 AND first<=?3+1 AND last>=?2-1",
	[IMPORT_SEGMENT_ADD] = "INSERT INTO segment(origin, first, last, before) VALUES(?1,?2,?3,?4)",
	[IMPORT_BEGUN] = "INSERT INTO import(file, at, origin) VALUES(?1,?2,?3)",
	[IMPORT_ENDED] = "UPDATE import SET first=?2, last=?3, rows=?4, known=?5, fault=?6, detail=?7 WHERE id=?1",
	[IMPORT_FIRST] = "SELECT min(first) FROM segment WHERE origin=?1",
	/* The machine itself says that what is in front of its first row here was forgotten. */
	[IMPORT_PRUNED_BY] = "UPDATE origin SET pruned_by=(SELECT r.seq FROM record r JOIN segment s ON s.origin=?1 AND s.first=?2"
		" WHERE r.origin=?1 AND r.kind='prune' AND r.kind " MERGED_RARE " AND json_extract(r.body,'$.through')=?2-1"
		" AND json_extract(r.body,'$.chain')=coalesce(lower(hex(s.before)),'') LIMIT 1) WHERE id=?1",
	/* Coverage from the row before ?2 to the one behind ?3. */
	[IMPORT_COVERAGE_ROWS] = "SELECT origin_seq, at, body FROM record WHERE origin=?1 AND kind='coverage' AND origin_seq>=coalesce("
		"(SELECT max(origin_seq) FROM record WHERE origin=?1 AND kind='coverage' AND origin_seq<?2),0) AND origin_seq<=coalesce("
		"(SELECT min(origin_seq) FROM record WHERE origin=?1 AND kind='coverage' AND origin_seq>?3),?3) ORDER BY origin_seq",
	[IMPORT_HAS_HOLE] = "SELECT 1 WHERE NOT EXISTS(SELECT 1 FROM segment WHERE origin=?1 AND first<=?2 AND last>=?3)",
	[IMPORT_GAP_DROP] = "DELETE FROM gap WHERE origin=?1 AND seq=?2",
	[IMPORT_GAP_ADD] = "INSERT OR REPLACE INTO gap(origin, seq, from_us, until_us, reason) VALUES(?1,?2,?3,?4,?5)",
	[IMPORT_COVERED_FIRST] = "SELECT origin_seq, at, body FROM record WHERE origin=?1 AND kind='coverage' AND kind " MERGED_RARE
		" AND origin_seq IS NOT NULL ORDER BY origin_seq LIMIT 1",
	[IMPORT_COVERED_LAST] = "SELECT origin_seq, at, body FROM record WHERE origin=?1 AND kind='coverage' AND kind " MERGED_RARE
		" ORDER BY origin_seq DESC LIMIT 1",
	[IMPORT_COVERED] = "UPDATE origin SET covered_from=?2, covered_until=?3, is_ended=?4 WHERE id=?1",
	[IMPORT_CARRIED] = MERGED_CARRIED_SQL,
};
/* clang-format on */

int import_prepare(struct importer *importer, struct error *err)
{
	for (int i = 0; i < IMPORT_SQL_COUNT; i++)
		if (sqlite3_prepare_v3(importer->db, sqls[i], -1, SQLITE_PREPARE_PERSISTENT, &importer->statements[i],
		                       NULL) != SQLITE_OK)
			return store_error(importer->db, importer->path, err);
	return 0;
}

int import_run(struct importer *importer, enum import_sql which, int64_t *ret, struct error *err)
{
	sqlite3_stmt *statement = importer->statements[which];
	int code = sqlite3_step(statement), result = 0;
	int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		result = store_error(importer->db, importer->path, err);
	(void)sqlite3_reset(statement);
	(void)sqlite3_clear_bindings(statement);
	if (result == 0 && ret != NULL)
		*ret = value;
	return result;
}
