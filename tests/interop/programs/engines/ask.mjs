// SPDX-License-Identifier: Apache-2.0
// ask.mjs clickhouse|duckdb FILE: runs the statements of FILE in the engine, in this process, and prints the rows of the
// last one as JSON.
import fs from "fs";
import path from "path";
import { createRequire } from "module";

const require = createRequire(path.join(process.cwd(), "node_modules", "x"));
const [engine, file] = process.argv.slice(2);
const statements = fs.readFileSync(file, "utf8").split(/;\s*$/m).map((text) => text.trim())
	.filter((text) => text.replace(/^--.*$/gm, "").trim() !== "");

async function clickhouse() {
	const { Session } = require("chdb");
	const session = new Session();
	let answer = "";
	for (const statement of statements) answer = session.query(statement, "JSONEachRow");
	session.cleanup();
	return answer.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

async function duckdb() {
	const { DuckDBInstance } = require("@duckdb/node-api");
	const connection = await (await DuckDBInstance.create(":memory:")).connect();
	let answer;
	for (const statement of statements) answer = await connection.runAndReadAll(statement);
	return answer.getRowObjectsJson();
}

const rows = await { clickhouse, duckdb }[engine]();
console.log(JSON.stringify(rows));
