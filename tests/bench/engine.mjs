// SPDX-License-Identifier: Apache-2.0
//
// engine.mjs duckdb|chdb MODULES LOGS RECEIPTS THREADS OUT: the same question as the detector's, asked of an engine in process: which uses of
// the keys of RECEIPTS came from elsewhere? Writes key and event id of each, sorted; prints the seconds that it took.
import { createRequire } from 'module';
import { readFileSync, writeFileSync } from 'fs';
const [, , engine, modules, logs, receipts, threads, out] = process.argv;
const require = createRequire(modules + '/');
const began = process.hrtime.bigint();
let rows;
if (engine === 'duckdb') {
  const { DuckDBInstance } = require('@duckdb/node-api');
  const connection = await (await DuckDBInstance.create(':memory:', { threads })).connect();
  const reader = await connection.runAndReadAll(`
    SELECT r.access_key_id AS key, e.eventID AS id
    FROM (SELECT unnest(Records) AS e FROM read_json('${logs}/**/*.json.gz', maximum_object_size = 134217728, format = 'unstructured',
      columns = {Records: 'STRUCT(eventID VARCHAR, sourceIPAddress VARCHAR, vpcEndpointId VARCHAR, vpcEndpointAccountId VARCHAR,
        userIdentity STRUCT(accessKeyId VARCHAR, invokedBy VARCHAR))[]'})) AS t
    JOIN read_json('${receipts}', format = 'newline_delimited') AS r ON r.access_key_id = e.userIdentity.accessKeyId
    WHERE NOT coalesce(e.vpcEndpointAccountId = r.account_id, false)
      AND NOT (e.vpcEndpointId IS NULL AND (e.sourceIPAddress IN (r.private_address, r.egress_address)
        OR e.sourceIPAddress = 'AWS Internal' OR e.sourceIPAddress LIKE '%.amazonaws.com'))`);
  rows = reader.getRows().map((row) => row.join('\t'));
} else {
  const { query } = require('chdb');
  rows = query(`
    SELECT r.access_key_id, e.eventID
    FROM (SELECT arrayJoin(Records) AS e FROM file('${logs}/**/*.json.gz', 'JSONEachRow', 'Records Array(Tuple(eventID String,
        sourceIPAddress String, vpcEndpointId String, vpcEndpointAccountId String, userIdentity Tuple(accessKeyId String)))')) AS t
    INNER JOIN file('${receipts}', 'JSONEachRow', 'access_key_id String, account_id String, private_address String, egress_address String') AS r
      ON r.access_key_id = e.userIdentity.accessKeyId
    WHERE e.vpcEndpointAccountId != r.account_id
      AND NOT (e.vpcEndpointId = '' AND (e.sourceIPAddress IN (r.private_address, r.egress_address)
        OR e.sourceIPAddress = 'AWS Internal' OR endsWith(e.sourceIPAddress, '.amazonaws.com')))
    SETTINGS max_threads = ${threads}, input_format_skip_unknown_fields = 1,
      input_format_json_ignore_unknown_keys_in_named_tuple = 1, input_format_json_defaults_for_missing_elements_in_named_tuple = 1,
      max_memory_usage = 0, input_format_parallel_parsing = 1`, 'TabSeparated').trim().split('\n').filter((row) => row);
}
writeFileSync(out, rows.sort().join('\n') + '\n');
console.log(Number(process.hrtime.bigint() - began) / 1e9);
