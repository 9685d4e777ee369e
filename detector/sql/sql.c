/* SPDX-License-Identifier: Apache-2.0 */

/* One text for several engines: `{word:argument}` in a template becomes what the engine calls it. The templates are
 * part of the program, as they stand in this folder. */
#include "detector/sql/sql.h"

#include <ctype.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "detector/inventory.h"

#define INCLUDE(name, file)                                                                                            \
	__asm__(".pushsection .rodata\n" #name ":\n.incbin \"" SQL_FOLDER "/" file "\"\n.byte 0\n.popsection\n");      \
	extern const char name[]

INCLUDE(sql_text_clickhouse, "clickhouse.sql");
INCLUDE(sql_text_athena, "athena.sql");
INCLUDE(sql_text_duckdb, "duckdb.sql");
INCLUDE(sql_text_nets, "nets.sql");
INCLUDE(sql_text_join, "join.sql");

const char *const sql_engine_names[SQL_ENGINE_COUNT] = {
	[SQL_CLICKHOUSE] = "clickhouse", [SQL_ATHENA] = "athena", [SQL_DUCKDB] = "duckdb"};

/* ---- words */

/* Four bits for each hexadecimal digit. What came of an earlier digit is made of 0 and 1 only, so the order matters. */
#define REPLACE_8 "replace(replace(replace(replace(replace(replace(replace(replace("
#define BITS(hex)                                                                                                      \
	REPLACE_8 REPLACE_8 hex                                                                                        \
		", '0', '0000'), '1', '0001'), '2', '0010'), '3', '0011'), '4', '0100'), '5', '0101'), "               \
		"'6', '0110'), '7', '0111'), '8', '1000'), '9', '1001'), 'a', '1010'), 'b', '1011'), "                 \
		"'c', '1100'), 'd', '1101'), 'e', '1110'), 'f', '1111')"
#define GOOD_ENDPOINT(regexp) regexp "(@, '^vpce-([0-9a-f]{8}|[0-9a-f]{17})$')"
#define AWS_NAME                                                                                                       \
	"(@ = 'AWS Internal' OR @ LIKE 'AWS Internal/%' OR @ LIKE '_%.amazonaws.com' OR @ LIKE '_%.amazonaws.com.cn' " \
	"OR @ LIKE '_%.amazonaws.eu' OR @ LIKE '_%.api.aws' OR @ LIKE '_%.c2s.ic.gov' OR @ LIKE '_%.sc2s.sgov.gov' "   \
	"OR @ LIKE '_%.csp.hci.ic.gov' OR @ LIKE '_%.cloud.adc-e.uk')"

/* THE TABLE: what each engine says for a word; @ stands for the argument. */
static const struct word {
	const char *name;
	const char *says[SQL_ENGINE_COUNT];
} words[] = {
	{"bits",
         {BITS("lower(hex(toIPv6OrNull(@)))"), BITS("lower(to_hex(CAST(TRY_CAST(@ AS IPADDRESS) AS VARBINARY)))"),
          BITS("kt_hex(@)")}},
	{"epoch",
         {"(toUnixTimestamp64Micro(parseDateTime64BestEffortOrNull(@, 6, 'UTC')) / 1000000)",
          "TRY(to_unixtime(from_iso8601_timestamp(@)))", "epoch(TRY_CAST(@ AS TIMESTAMP))"}},
	{"integer", {"toInt32(@)", "CAST(@ AS INTEGER)", "CAST(@ AS INTEGER)"}},
	{"join", {"concat(@)", "concat(@)", "concat(@)"}},
	{"max_by", {"argMax", "max_by", "max_by"}},
	{"regexp", {"match", "regexp_like", "regexp_matches"}},
	{"aws", {AWS_NAME, AWS_NAME, AWS_NAME}},
	{"good", {GOOD_ENDPOINT("match"), GOOD_ENDPOINT("regexp_like"), GOOD_ENDPOINT("regexp_matches")}},
	{"settings", {"\nSETTINGS join_use_nulls = 1", "", ""}},
};

/* What people fill in, in place of a word without an argument. */
struct filling {
	const char *name, *text;
};

MUST_USE static int put(struct buffer *to, const char *text, size_t length, struct error *err)
{
	return buffer_append(to, text, length, err);
}

MUST_USE static int put_template(const char *template, const char *argument, size_t length, struct buffer *to,
                                 struct error *err)
{
	for (; *template != '\0'; template ++)
		if ((*template == '@' ? put(to, argument, length, err) : put(to, template, 1, err)) < 0)
			return -1;
	return 0;
}

static const char *meaning_of(enum sql_engine engine, const struct filling *fillings, const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
		if (strlen(words[i].name) == length && memcmp(words[i].name, name, length) == 0)
			return words[i].says[engine];
	for (; fillings->name != NULL; fillings++)
		if (strlen(fillings->name) == length && memcmp(fillings->name, name, length) == 0)
			return fillings->text;
	return NULL;
}

/* Braces that hold no word of ours are the engine's own. */
MUST_USE static int expand(enum sql_engine engine, const struct filling *fillings, const char *text, struct buffer *to,
                           struct error *err)
{
	while (*text != '\0') {
		size_t plain = strcspn(text, "{");
		if (put(to, text, plain, err) < 0)
			return -1;
		text += plain;
		if (*text == '\0')
			break;
		size_t name = strcspn(text + 1, ":}\n"), whole = strcspn(text + 1, "}\n");
		const char *meaning = text[1 + whole] == '}' ? meaning_of(engine, fillings, text + 1, name) : NULL;
		if (meaning == NULL) {
			if (put(to, text++, 1, err) < 0)
				return -1;
			continue;
		}
		const char *argument = name < whole ? text + 1 + name + 1 : "";
		if (put_template(meaning, argument, name < whole ? whole - name - 1 : 0, to, err) < 0)
			return -1;
		text += whole + 2;
	}
	return 0;
}

/* ---- where things lie */

/* For within quotes. '@' would be taken for an argument's place. */
MUST_USE static int put_literal(const char *text, struct buffer *to, struct error *err)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (iscntrl((unsigned char)*c) || *c == '\\' || *c == '@')
			return error_set(err, ERROR_INPUT,
			                 "%.80s: no name for a query: a control character, \\ or @ in it", text);
		if (put(to, *c == '\'' ? "''" : c, *c == '\'' ? 2 : 1, err) < 0)
			return -1;
	}
	return put(to, "", 0, err);
}

static bool is_remote(const char *where)
{
	return text_starts(where, "s3://") || text_starts(where, "http://") || text_starts(where, "https://");
}

/* A table that gives one column `json`; Athena wants the folder alone. */
MUST_USE static int put_source(enum sql_engine engine, const char *where, struct buffer *to, struct error *err)
{
	CLEANUP_BUFFER struct buffer literal = {0};
	if (put_literal(where, &literal, err) < 0)
		return -1;
	switch (engine) {
	case SQL_CLICKHOUSE:
		return buffer_printf(to, err, "%s('%s', 'JSONAsString')", is_remote(where) ? "s3" : "file",
		                     literal.bytes);
	case SQL_DUCKDB:
		return buffer_printf(to, err, "read_json_objects('%s', maximum_object_size = 268435456)",
		                     literal.bytes);
	case SQL_ATHENA:
	case SQL_ENGINE_COUNT:
		break;
	}
	const char *slash = literal.length > 0 && literal.bytes[literal.length - 1] != '/' ? "/" : "";
	return buffer_printf(to, err, "%s%s", literal.bytes, slash);
}

static const char *or_name(const char *given, enum sql_engine engine, const char *const names[SQL_ENGINE_COUNT])
{
	return given != NULL ? given : names[engine];
}

static const char *const trail_names[SQL_ENGINE_COUNT] = {
	"https://REPLACE_WITH_BUCKET.s3.amazonaws.com/AWSLogs/*/CloudTrail/*/*/*/*/*.json.gz",
	"s3://REPLACE_WITH_BUCKET/AWSLogs/",
	"s3://REPLACE_WITH_BUCKET/AWSLogs/*/CloudTrail/*/*/*/*/*.json.gz",
};
static const char *const row_names[SQL_ENGINE_COUNT] = {
	"https://REPLACE_WITH_BUCKET.s3.amazonaws.com/keytrail/ledgers/*.jsonl*",
	"s3://REPLACE_WITH_BUCKET/keytrail/ledgers/",
	"s3://REPLACE_WITH_BUCKET/keytrail/ledgers/*.jsonl",
};
static const char *const range_names[SQL_ENGINE_COUNT] = {
	"https://REPLACE_WITH_BUCKET.s3.amazonaws.com/keytrail/ip-ranges.json",
	"s3://REPLACE_WITH_BUCKET/keytrail/ranges/",
	"s3://REPLACE_WITH_BUCKET/keytrail/ip-ranges.json",
};

/* ---- the inventory, as rows */

/* Addresses that belong to nobody (common/cidr.c, address_is_public). */
static const char *const closed[] = {"0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10",  "127.0.0.0/8",
                                     "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15",
                                     "224.0.0.0/4",    "240.0.0.0/4",   "fc00::/7",       "fe80::/10",
                                     "ff00::/8",       "::/96"};

MUST_USE static int put_row(struct buffer *to, const char *kind, const char *account, const char *value,
                            struct error *err)
{
	bool is_first = to->length == 0;
	if (buffer_printf(to, err, "%s\t('%s', '%s', '", is_first ? "" : ",\n", kind, account) < 0 ||
	    put_literal(value, to, err) < 0)
		return -1;
	return buffer_printf(to, err, "')");
}

MUST_USE static int put_list(struct buffer *to, const char *kind, const char *account, const json_t *list,
                             struct error *err)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (put_row(to, kind, account, json_string_value(json_array_get(list, i)), err) < 0)
			return -1;
	return 0;
}

MUST_USE static int put_accounts(struct buffer *to, const json_t *accounts, struct error *err)
{
	static const char *const lists[] = {"egress", "networks", "addresses", "endpoints"};
	for (size_t i = 0; i < json_array_size(accounts); i++) {
		const json_t *account = json_array_get(accounts, i);
		const char *id = json_text_at(account, "account_id");
		if (put_row(to, "account", id, "", err) < 0)
			return -1;
		for (size_t j = 0; j < ARRAY_LENGTH(lists); j++)
			if (put_list(to, lists[j], id, json_at(account, lists[j]), err) < 0)
				return -1;
	}
	return 0;
}

/* Addresses and endpoints, which are compared each in its own way. */
MUST_USE static int put_trusted(struct buffer *to, const json_t *list, struct error *err)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (put_row(to, text_starts(text, "vpce-") ? "trusted_endpoints" : "trusted", "", text, err) < 0)
			return -1;
	}
	return 0;
}

/* The inventory is checked as `detect` checks it; then its file is a list of lists. */
MUST_USE static int read_inventory(const char *path, json_t **ret, struct error *err)
{
	struct inventory *inventory = NULL;
	if (path == NULL) {
		*ret = json_object();
		return 0;
	}
	if (inventory_open(path, &inventory, err) < 0)
		return -1;
	inventory_free(inventory);
	return json_read_file(path, ret, err);
}

MUST_USE static int put_inventory(enum sql_engine engine, const json_t *inventory, struct buffer *to, struct error *err)
{
	CLEANUP_BUFFER struct buffer rows = {0};
	for (size_t i = 0; i < ARRAY_LENGTH(closed); i++)
		if (put_row(&rows, "closed", "", closed[i], err) < 0)
			return -1;
	if (put_accounts(&rows, json_at(inventory, "own"), err) < 0 ||
	    put_accounts(&rows, json_at(inventory, "affiliated"), err) < 0 ||
	    put_trusted(&rows, json_at(inventory, "trusted_egress"), err) < 0)
		return -1;
	if (engine == SQL_CLICKHOUSE)
		return buffer_printf(to, err,
		                     "CREATE OR REPLACE VIEW kt_inventory AS SELECT * FROM\n"
		                     "VALUES('kind String, account_id String, value String',\n%s);\n",
		                     rows.bytes);
	return buffer_printf(
		to, err,
		"CREATE OR REPLACE VIEW kt_inventory AS SELECT * FROM (VALUES\n%s\n) AS t(kind, account_id, "
		"value);\n",
		rows.bytes);
}

/* For the projection: the own accounts, with commas between them. */
MUST_USE static int put_account_ids(const json_t *inventory, struct buffer *to, struct error *err)
{
	const json_t *own = json_at(inventory, "own");
	for (size_t i = 0; i < json_array_size(own); i++)
		if (buffer_printf(to, err, "%s%s", i > 0 ? "," : "",
		                  json_text_at(json_array_get(own, i), "account_id")) < 0)
			return -1;
	return json_array_size(own) > 0 ? 0 : buffer_printf(to, err, "REPLACE_WITH_ACCOUNTS");
}

/* ---- all */

int sql_write(const struct sql_options *options, struct buffer *to, struct error *err)
{
	static const char *const texts[SQL_ENGINE_COUNT] = {sql_text_clickhouse, sql_text_athena, sql_text_duckdb};
	enum sql_engine engine = options->engine;
	CLEANUP_JSON json_t *inventory = NULL;
	CLEANUP_BUFFER struct buffer trail = {0};
	CLEANUP_BUFFER struct buffer rows = {0};
	CLEANUP_BUFFER struct buffer ranges = {0};
	CLEANUP_BUFFER struct buffer accounts = {0};
	if (engine >= SQL_ENGINE_COUNT)
		return error_set(err, ERROR_USAGE, "an engine that is not known");
	if (read_inventory(options->inventory, &inventory, err) < 0 ||
	    put_source(engine, or_name(options->trail, engine, trail_names), &trail, err) < 0 ||
	    put_source(engine, or_name(options->rows, engine, row_names), &rows, err) < 0 ||
	    put_source(engine, or_name(options->ranges, engine, range_names), &ranges, err) < 0 ||
	    put_account_ids(inventory, &accounts, err) < 0)
		return -1;
	const struct filling fillings[] = {{"trail", trail.bytes},
	                                   {"export", rows.bytes},
	                                   {"ranges", ranges.bytes},
	                                   {"accounts", accounts.bytes},
	                                   {NULL, NULL}};
	if (expand(engine, fillings, texts[engine], to, err) < 0 || put_inventory(engine, inventory, to, err) < 0 ||
	    expand(engine, fillings, sql_text_nets, to, err) < 0)
		return -1;
	return expand(engine, fillings, sql_text_join, to, err);
}
