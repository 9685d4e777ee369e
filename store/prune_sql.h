/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The statements of store/prune.c, which alone includes this file. ?1 is the last row of the prefix, unless said. */

/* clang-format off */

enum sql {
	SQL_PREFIX, SQL_LINK, SQL_PLACEMENT, SQL_COVERAGE, SQL_CARRIED, SQL_EXECUTABLES, SQL_ACTORS,
	SQL_DROP_HOLDERS, SQL_DROP_ROWS, SQL_DROP_ACTOR, SQL_NOTE, SQL_COUNT
};

static const char *const sqls[SQL_COUNT] = {
	/* The oldest rows with their times, but not the newest row of all. ?1: how many. */
	[SQL_PREFIX] = "SELECT seq, at FROM record WHERE seq<(SELECT max(seq) FROM record) ORDER BY seq LIMIT ?1",
	[SQL_LINK] = "SELECT chain FROM record WHERE seq=?1",
	/* What was in force at the cut: the prefix is short, so it is walked (+: by number), and what is older stands in the row
	 * of the pruning before. */
	[SQL_PLACEMENT] = "SELECT at, body FROM record WHERE seq<=?1 AND +kind='placement' ORDER BY seq DESC LIMIT 1",
	[SQL_COVERAGE] = "SELECT at, body FROM record WHERE seq<=?1 AND +kind='coverage' ORDER BY seq DESC LIMIT 1",
	[SQL_CARRIED] = "SELECT r.body FROM meta m JOIN record r ON r.seq=m.value WHERE m.name='pruned_by'",
	/* Digests that came late, of processes that rows still name. */
	[SQL_EXECUTABLES] = ("SELECT e.body FROM record e WHERE e.seq<=?1 AND +e.kind='executable' AND EXISTS(SELECT 1 FROM actor a"
		" WHERE json_extract(a.body,'$.exe')=json_extract(e.body,'$.exe')"
		" AND json_extract(a.body,'$.exe_file')=json_extract(e.body,'$.exe_file')"
		" AND json_extract(a.body,'$.exe_sha256') IS NULL"
		" AND EXISTS(SELECT 1 FROM record r WHERE r.actor=a.id AND r.seq>?1))"),
	[SQL_ACTORS] = ("SELECT actor FROM record WHERE seq<=?1 AND actor IS NOT NULL UNION SELECT actor FROM holder WHERE record<=?1"),
	[SQL_DROP_HOLDERS] = "DELETE FROM holder WHERE record<=?1",
	[SQL_DROP_ROWS] = "DELETE FROM record WHERE seq<=?1",
	/* ?1: the process */
	[SQL_DROP_ACTOR] = ("DELETE FROM actor WHERE id=?1 AND NOT EXISTS(SELECT 1 FROM record WHERE actor=?1)"
		" AND NOT EXISTS(SELECT 1 FROM holder WHERE actor=?1)"),
	/* ?1: last row pruned, ?2: its link in hexadecimal, ?3: the row that says so */
	[SQL_NOTE] = "INSERT OR REPLACE INTO meta(name,value) VALUES('pruned_seq',?1),('pruned_chain',?2),('pruned_by',?3)",
};
