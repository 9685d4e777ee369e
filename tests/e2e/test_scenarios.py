# SPDX-License-Identifier: Apache-2.0
"""The labelled scenarios of tests/data/scenarios: what is found and what is not, in whatever order and portions.

Precision and recall are printed; both must be 1. A theft that was missed or a use that was wrongly accused becomes a
scenario.
"""

import calendar
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("KEYTRAIL_BIN", ROOT / "build/release/bin"))
KEYTRAIL = BIN / "keytrail"
MAKE_LEDGER = BIN.parent / "tests" / "make_ledger"
FOLDER = ROOT / "tests/data/scenarios"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
SPLIT_NAMES = [name for name in NAMES if len(json.loads((FOLDER / f"{name}.json").read_text())["records"]) > 1]

pytestmark = pytest.mark.skipif(not KEYTRAIL.exists() or not MAKE_LEDGER.exists(), reason="not built")


def at_us(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) * 1000000


def at_text(us):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(us // 1000000))


# ---- a scenario's ledger, as the daemon would have written it

def delivery_row(delivery):
    host = dict(instance_id=delivery["instance"], account_id=delivery["account"], region="us-east-1")
    process = dict(pid=7, started_at="2020-09-14T00:00:00.000000Z", uid=33, user="www-data", exe="/usr/sbin/nginx",
                   exe_sha256=None, exe_foreign_mount=False, cmdline=[], unit=None, container_id=None, pod_uid=None,
                   ancestors=[])
    body = dict(access_key_id=delivery["key"], role="web", source="imds", path="/x", outcome="delivered", reason=None,
                expires_at=delivery["expires"], client=dict(address="127.0.0.1", port=1, netns=1), user_agent="curl/8",
                attribution=dict(grade="exact", method="ebpf", evidence=[]), process=process, holders=[process], host=host)
    return dict(kind="delivery", at_us=at_us(delivery["at"]), access_key_id=delivery["key"], body=body)


def placement_row(place):
    return dict(kind="placement", at_us=at_us(place["at"]), access_key_id=None,
                body=dict(account_id=place["account"], region="us-east-1", instance_id=place["instance"],
                          addresses=place["addresses"], vpc_ids=["vpc-1"], owner_ids=place["owners"],
                          clock_offset_ms=place["clock_offset_ms"]))


def coverage_rows(number, covered):
    since, until = at_us(covered["since"]), at_us(covered["until"])
    for at in list(range(since, until, 600_000_000)) + [until]:
        yield dict(kind="coverage", at_us=at, access_key_id=None,
                   body=dict(event="start" if at == since else "stop" if at == until else "beat", run=f"{number:016x}",
                             every_s=600, lost=0, redirect=dict(whole=covered["whole"], checked_at=at_text(at))))


def make_ledger(path, content):
    rows = [delivery_row(delivery) for delivery in content["deliveries"]]
    rows += [placement_row(place) for place in content["placements"]]
    for number, covered in enumerate(content["coverage"]):
        rows += coverage_rows(number, covered)
    rows.sort(key=lambda row: row["at_us"])
    text = "".join(json.dumps(row) + "\n" for row in rows)
    subprocess.run([MAKE_LEDGER, path], input=text, text=True, check=True, timeout=60)
    return path


class Scenario:
    ledgers = {}

    @classmethod
    def ledger(cls, folder, content):
        """Many scenarios have the same one."""
        key = json.dumps(content, sort_keys=True)
        if key not in cls.ledgers:
            cls.ledgers[key] = make_ledger(folder.parent / f"ledger-{len(cls.ledgers)}.db", content)
        return cls.ledgers[key]

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.content = json.loads((FOLDER / f"{name}.json").read_text())
        folder.mkdir()
        self.arguments = []
        for content in self.content["ledgers"]:
            self.arguments += ["--ledger", self.ledger(folder, content)]
        if not self.arguments:
            self.arguments = ["--ledger", "none"]
        inventory = folder / "inventory.json"
        inventory.write_text(json.dumps(self.content["inventory"] or {}))
        self.arguments += ["--inventory", inventory]

    def detect(self, *sources, stdin=None):
        findings = self.folder / "findings.db"
        findings.unlink(missing_ok=True)
        result = subprocess.run([KEYTRAIL, "detect", "-o", "jsonl", "--findings", findings, *map(str, self.arguments),
                                 *map(str, sources)], input=stdin, capture_output=True, timeout=120, check=False)
        assert result.returncode in (0, 3), result.stderr.decode()
        return result.stdout

    def write(self, name, records):
        path = self.folder / name
        path.write_text(json.dumps({"Records": records}))
        return path


def label(found):
    """What a scenario's expectation says of a finding."""
    return dict(type=found["type"], severity=found["severity"], rung=found["rung"],
                subject=found["access_key_id"] or found["principal_id"], count=found["count"],
                account=found["remote"]["account_id"], relation=found["remote"]["relation"],
                address=found["remote"]["address"], endpoint=found["remote"]["vpc_endpoint_id"],
                lineage=[step["access_key_id"] or step["user"] or step["principal_id"] for step in found["lineage"]],
                suppressed=found["suppressed"])


def in_order(labels):
    return sorted(labels, key=lambda entry: json.dumps(entry, sort_keys=True))


@pytest.fixture(scope="module")
def folder():
    """In memory where that can be: a thousand small databases are made."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def scenarios(folder):
    made = {}
    for name in NAMES:
        scenario = made[name] = Scenario(name, folder / name)
        scenario.printed = scenario.detect(scenario.write("all.json", scenario.content["records"]))
        scenario.found = [json.loads(line) for line in scenario.printed.splitlines()]
    return made


def test_as_made(tmp_path):
    """The files are what make.py makes of the real records."""
    subprocess.run([sys.executable, FOLDER / "make.py", tmp_path], check=True, stdout=subprocess.DEVNULL, timeout=60)
    assert {path.name: path.read_text() for path in tmp_path.glob("*.json")} == \
        {path.name: path.read_text() for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("name", NAMES)
def test_scenario(scenarios, name):
    scenario = scenarios[name]
    assert in_order(map(label, scenario.found)) == in_order(scenario.content["expect"]), scenario.content["why"]


def test_precision_and_recall(scenarios, capsys):
    """Of findings: which are true, which were found. A finding that is labelled otherwise is both false and missed."""
    true = false = missed = 0
    for scenario in scenarios.values():
        found, expected = in_order(map(label, scenario.found)), list(scenario.content["expect"])
        for entry in found:
            if entry in expected:
                expected.remove(entry)
                true += 1
            else:
                false += 1
        missed += len(expected)
    innocent = sum(not scenario.content["expect"] for scenario in scenarios.values())
    with capsys.disabled():
        print(f"\n{len(scenarios)} scenarios, {innocent} of them innocent; {true} findings true, {false} false, {missed} missed: "
              f"precision {true / (true + false):.3f}, recall {true / (true + missed):.3f}")
    assert len(scenarios) >= 120
    assert (false, missed) == (0, 0)


def test_every_rung_and_rule(scenarios):
    """The set leaves nothing out."""
    labels = [entry for scenario in scenarios.values() for entry in scenario.content["expect"]]
    assert {entry["rung"] for entry in labels} == set(range(8))
    assert {entry["type"].split(".")[1] for entry in labels} == \
        {"InsideAWS", "OutsideAWS", "OtherInstance", "NeverRelayed", "AfterExpiry"}
    assert {entry["relation"] for entry in labels} == {"affiliated", "unaffiliated", "unknown"}
    assert max(len(entry["lineage"]) for entry in labels) == 4


@pytest.mark.parametrize("name", NAMES)
def test_order_and_portions_do_not_show(scenarios, name):
    """Shuffled, doubled, over three files of two kinds."""
    scenario = scenarios[name]
    pick = random.Random(name)
    records = scenario.content["records"] * 2
    pick.shuffle(records)
    cuts = sorted(pick.choices(range(len(records) + 1), k=2))
    first = scenario.write("first.json", records[:cuts[0]])
    packed = scenario.folder / "second.json.gz"
    packed.write_bytes(gzip.compress(json.dumps({"Records": records[cuts[0]:cuts[1]]}).encode()))
    lines = "".join(json.dumps(record) + "\n" for record in records[cuts[1]:])
    assert scenario.detect(packed, "-", first, stdin=lines.encode()) == scenario.printed


RUNS_MOST = 6


def in_runs(scenario, records, tag):
    """As many runs as there are records (at most RUNS_MOST) over one findings database, each with files of its own, and
    what is listed then."""
    findings = scenario.folder / f"{tag}.db"
    cuts = [len(records) * i // min(len(records), RUNS_MOST) for i in range(min(len(records), RUNS_MOST) + 1)]
    for number, (start, end) in enumerate(zip(cuts, cuts[1:])):
        source = scenario.write(f"{tag}-{number}.json", records[start:end])
        result = subprocess.run([KEYTRAIL, "detect", "--findings", findings, *map(str, scenario.arguments), source], check=False,
                                capture_output=True, timeout=120)
        assert result.returncode in (0, 3), result.stderr
    listed = subprocess.run([KEYTRAIL, "findings", "-o", "jsonl", "--findings", findings], capture_output=True, timeout=60,
                            check=True).stdout
    return [json.loads(line) for line in listed.splitlines()]


@pytest.mark.parametrize("order", ("time", "reverse", pytest.param("shuffled", marks=pytest.mark.long)))
@pytest.mark.parametrize("name", SPLIT_NAMES)
def test_runs_do_not_show(scenarios, name, order):
    """Whatever comes in which run: what was learned is remembered, what may be judged otherwise is looked at again."""
    scenario = scenarios[name]
    records = sorted(scenario.content["records"], key=lambda record: json.dumps(record.get("eventTime", "")),
                     reverse=order == "reverse")
    if order == "shuffled":
        random.Random(name).shuffle(records)
    assert in_order(in_runs(scenario, records, order)) == in_order(scenario.found)


def groups():
    """Scenarios that have ledgers and inventory in common, in groups of at least four."""
    found = {}
    for name in NAMES:
        content = json.loads((FOLDER / f"{name}.json").read_text())
        found.setdefault(json.dumps([content["ledgers"], content["inventory"]], sort_keys=True), []).append(name)
    return [names for names in found.values() if len(names) > 3]


@pytest.mark.parametrize("seed", [6] + [pytest.param(seed, marks=pytest.mark.long) for seed in range(6)])
@pytest.mark.parametrize("names", groups(), ids=len)
def test_many_together_in_runs(folder, names, seed):
    """The records of many scenarios, which contradict each other, at once and in a few runs."""
    scenario = Scenario(names[0], folder / f"together-{len(names)}-{seed}")
    records = [record for name in names for record in json.loads((FOLDER / f"{name}.json").read_text())["records"]]
    whole = [json.loads(line) for line in scenario.detect(scenario.write("all.json", records)).splitlines()]
    random.Random(seed).shuffle(records)
    assert in_order(in_runs(scenario, records, "together")) == in_order(whole)


MERGED = ["two-ledgers", "other-instance-ledger", "inside-ledger-of-another-account", "one-ledger-of-two-machines-swapped",
          "bypass-home", "bypass-gap", "bypass-coverage-of-another-ledger", "derived-three-deep"]


@pytest.mark.parametrize("name", MERGED)
def test_merged_ledger(scenarios, name):
    """One ledger, made of the exports of all."""
    scenario = scenarios[name]
    ledgers = [scenario.ledger(scenario.folder, content) for content in scenario.content["ledgers"]]
    exports, merged = [], scenario.folder / "merged.db"
    for number, ledger in enumerate(ledgers):
        exports.append(scenario.folder / f"{number}.jsonl")
        subprocess.run([KEYTRAIL, "ledger", "export", "--ledger", ledger, "--file", exports[-1]], check=True, timeout=60)
    subprocess.run([KEYTRAIL, "ledger", "import", "--into", merged, *exports], check=True, timeout=60, capture_output=True)
    scenario.arguments = ["--ledger", merged, "--inventory", scenario.folder / "inventory.json"]
    assert scenario.detect(scenario.folder / "all.json") == scenario.printed
