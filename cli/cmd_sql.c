/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail sql: the detector's join, for an engine that an organisation runs already. */
#include "cli/arguments.h"
#include "detector/sql/sql.h"

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP_BUFFER struct buffer text = {0};
	if (arguments->engine == NULL)
		return error_set(err, ERROR_USAGE,
		                 "sql: something is missing, expected --engine clickhouse, athena or duckdb");
	const struct sql_options options = {
		.engine = (enum sql_engine)name_index(sql_engine_names, SQL_ENGINE_COUNT, arguments->engine),
		.trail = arguments->trail,
		.rows = arguments->rows_at,
		.ranges = arguments->ip_ranges,
		.inventory = arguments->inventory,
	};
	if (sql_write(&options, &text, err) < 0)
		return -1;
	(void)fwrite(text.bytes, 1, text.length, stdout);
	*ret = STATUS_FINE;
	return output_finish(stdout, err);
}

const struct command command_sql = {
	.name = "sql",
	.operands = "",
	.summary = "The detector's join for ClickHouse, Athena or DuckDB: schema, load and query",
	.details = "Prints text and reads nothing but the inventory. --trail, --rows and --ip-ranges say where the "
		   "engine finds "
		   "CloudTrail, the lines of ledgers and AWS's ip-ranges.json: a path, a pattern or a URL, put into "
		   "the text "
		   "as it stands. What is not said is a name that begins with REPLACE_WITH_.",
	.examples = "  keytrail sql --engine athena --inventory inventory.json\n"
		    "  keytrail sql --engine clickhouse --trail 'trail/*.json.gz' --rows 'ledgers/*.jsonl' \\\n"
		    "      --ip-ranges ip-ranges.json | clickhouse local\n",
	.options = OPTIONS_SQL,
	.run = run,
};
