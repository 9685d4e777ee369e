# SPDX-License-Identifier: Apache-2.0
"""keytrail sql from outside: what it prints, and what it refuses to. That the queries find what the detector finds is
tests/interop/test_engines.py's part."""

import json
import re

import pytest

from test_detect import run
from test_detect import pytestmark  # noqa: F401

ENGINES = ("clickhouse", "athena", "duckdb")


def text_of(*words):
    result = run("sql", *words)
    assert (result.returncode, result.stderr) == (0, b""), result.stderr
    return result.stdout.decode()


def statements(text):
    return [one for one in (part.strip() for part in re.split(r";\s*$", text, flags=re.M))
            if re.sub(r"^--.*$", "", one, flags=re.M).strip()]


@pytest.mark.parametrize("engine", ENGINES)
def test_whole(engine):
    text = text_of("--engine", engine)
    parts = statements(text)
    assert all(re.search(r"^(CREATE|WITH)\b", part, re.M) for part in parts)
    assert parts[-1].lstrip("- ").endswith(("h.party", "join_use_nulls = 1"))
    for view in ("kt_record", "kt_delivery", "kt_placement", "kt_net", "kt_key", "kt_place", "kt_owner", "kt_inventory"):
        assert re.search(rf"^CREATE OR REPLACE VIEW {view} AS", text, re.M), view
    assert not re.search(r"\{[a-z_]+[:}]", text.replace("${", "$("))  # no word was left
    assert "REPLACE_WITH_BUCKET" in text and text.count("(") == text.count(")")


def test_what_is_each_engines_own():
    clickhouse, athena, duckdb = (text_of("--engine", engine) for engine in ENGINES)
    assert "FROM s3('https://REPLACE_WITH_BUCKET" in clickhouse and "argMax(" in clickhouse
    for name in ("'projection.enabled' = 'true'", "'projection.account.type' = 'enum'", "'projection.day.type' = 'date'",
                 "'storage.location.template' = 's3://REPLACE_WITH_BUCKET/AWSLogs/${account}/CloudTrail/${region}/${day}'",
                 "com.amazon.emr.cloudtrail.CloudTrailInputFormat", "'REPLACE_WITH_ACCOUNTS'"):
        assert name in athena
    assert "read_json_objects('s3://" in duckdb
    # The question itself is one text: without the words that differ, it is the same.
    asked = {re.sub(r"argMax|max_by|match\(|regexp_like\(|regexp_matches\(|replace\(.*?'1111'\)|\(toUnixTimestamp64Micro.*?\d\)"
                    r"|TRY\(to_unixtime.*?\)\)\)|epoch\(TRY_CAST.*?\)\)|\nSETTINGS[^;]*|\s", "", text.partition("-- 4. ")[2])
             for text in (clickhouse, athena, duckdb)}
    assert len(asked) == 1


def test_places_and_inventory(tmp_path):
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps(dict(
        own=[dict(account_id="111122223333", name="x'y", egress=["198.51.100.7"], endpoints=["vpce-0123456789abcdef0"])],
        affiliated=[dict(account_id="444455556666", networks=["2001:db8::/32"])], trusted_egress=["192.0.2.0/28", "vpce-0123abcd"])))
    text = text_of("--engine", "clickhouse", "--inventory", inventory, "--trail", "it's/*.json.gz", "--rows", "s3://b/r",
                   "--ip-ranges", "ranges.json")
    assert "FROM file('it''s/*.json.gz', 'JSONAsString')" in text and "FROM s3('s3://b/r', 'JSONAsString')" in text
    for row in ("('account', '111122223333', '')", "('egress', '111122223333', '198.51.100.7')",
                "('endpoints', '111122223333', 'vpce-0123456789abcdef0')", "('networks', '444455556666', '2001:db8::/32')",
                "('trusted', '', '192.0.2.0/28')", "('trusted_endpoints', '', 'vpce-0123abcd')", "('closed', '', '10.0.0.0/8')"):
        assert row in text
    assert "REPLACE_WITH" not in text and "x'y" not in text
    athena = text_of("--engine", "athena", "--inventory", inventory, "--trail", "s3://b/AWSLogs")
    assert "'projection.account.values' = '111122223333'" in athena and "LOCATION 's3://b/AWSLogs/'" in athena


@pytest.mark.parametrize("words, code, says", [
    ([], 2, "--engine clickhouse, athena or duckdb"),
    (["--engine", "oracle"], 2, "expected one of clickhouse, athena, duckdb"),
    (["--engine", "athena", "more"], 2, "too much"),
    (["--engine", "athena", "--trail", "a\nb"], 1, "no name for a query"),
    (["--engine", "athena", "--rows", "a\\"], 1, "no name for a query"),
    (["--engine", "duckdb", "--ip-ranges", "a@b"], 1, "no name for a query"),
    (["--engine", "duckdb", "--inventory", "/nonexistent.json"], 1, "/nonexistent.json"),
    (["--engine", "duckdb", "--inventory", "/etc/passwd"], 1, "/etc/passwd"),
    (["--engine", "duckdb", "-o", "json"], 2, "no option of `sql`"),
])
def test_refused(words, code, says):
    result = run("sql", *words)
    assert (result.returncode, result.stdout) == (code, b"")
    assert says in result.stderr.decode()
