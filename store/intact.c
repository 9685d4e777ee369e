/* SPDX-License-Identifier: Apache-2.0 */

/* SQLite knows of its database file whether it has moved, but not of its WAL; and it reads neither again while it has
 * their pages in memory. */
#include "store/intact.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

static bool wal_status(sqlite3 *db, struct stat *ret)
{
	const char *path = sqlite3_db_filename(db, "main");
	const char *wal = path != NULL ? sqlite3_filename_wal(path) : NULL;
	return wal != NULL && wal[0] != '\0' && stat(wal, ret) == 0;
}

void intact_note(sqlite3 *db, struct intact *ret)
{
	struct stat status;
	*ret = (struct intact){0};
	if (wal_status(db, &status))
		*ret = (struct intact){.wal_device = status.st_dev, .wal_inode = status.st_ino};
}

static bool has_moved(sqlite3 *db, const struct intact *noted)
{
	struct stat status;
	int moved = 0;
	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0)
		return true;
	return noted->wal_inode != 0 &&
	       (!wal_status(db, &status) || status.st_ino != noted->wal_inode || status.st_dev != noted->wal_device);
}

/* The first bytes of one of a connection's files; false: they cannot be read. */
static bool read_start(sqlite3 *db, int which, void *bytes, int length)
{
	sqlite3_file *file = NULL;
	return sqlite3_file_control(db, "main", which, &file) == SQLITE_OK && file != NULL && file->pMethods != NULL &&
	       file->pMethods->xRead(file, bytes, length, 0) == SQLITE_OK;
}

int intact_check(sqlite3 *db, const struct intact *noted, bool has_frames, struct error *err)
{
	static const char database[16] = "SQLite format 3"; /* https://sqlite.org/fileformat2.html, 1.3 */
	static const uint8_t wal[3] = {0x37, 0x7f, 0x06};   /* and 0x82 or 0x83; the same page, 4.1 */
	char start[16];
	if (sqlite3_db_filename(db, "main") == NULL || sqlite3_db_filename(db, "main")[0] == '\0')
		return 0; /* in memory */
	if (has_moved(db, noted))
		return error_set(err, ERROR_MISSING, "the ledger was deleted or replaced while it was open");
	if (!read_start(db, SQLITE_FCNTL_FILE_POINTER, start, sizeof(start)) ||
	    memcmp(start, database, sizeof(database)) != 0)
		return error_set(err, ERROR_DAMAGED, "the ledger was overwritten while it was open");
	if (has_frames && (!read_start(db, SQLITE_FCNTL_JOURNAL_POINTER, start, 4) ||
	                   memcmp(start, wal, sizeof(wal)) != 0 || ((uint8_t)start[3] & 0xfe) != 0x82))
		return error_set(err, ERROR_DAMAGED, "the ledger's WAL was overwritten while it was open");
	return 0;
}
