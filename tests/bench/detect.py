#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the detector on generated CloudTrail, beside libdeflate that unpacks the same files and does nothing else, and
beside engines that answer the same question. Everybody's answers are held against what the generator put in. Prints a
section of docs/benchmarks.md. Called by scripts/bench."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN, TESTS = ROOT / "build/release/bin", ROOT / "build/release/tests"
FEW, HALF = 200, 2778  # of 5,000 keys, nine tenths of all records carry one
GROWTH = (10, 1000, 100000)
LONG_GROWTH = (10, 1000, 1000000)  # to make that ledger takes minutes
JQ_MEGABYTES = 512  # jq reads no more than this: it would take minutes
CORES = sorted(os.sched_getaffinity(0))
JQ = r"""
.Records[] | . as $e | $keys[0][$e.userIdentity.accessKeyId // ""] | select(. != null) as $k
| select(($e.vpcEndpointAccountId == $k.account_id
    or ($e.vpcEndpointId == null and ($e.sourceIPAddress == $k.private_address or $e.sourceIPAddress == $k.egress_address
      or $e.sourceIPAddress == "AWS Internal" or ($e.sourceIPAddress | endswith(".amazonaws.com"))))) | not)
| [$e.userIdentity.accessKeyId, $e.eventID] | @tsv
"""


class Run:
    """One command on so many cores: seconds by the clock, peak memory in MiB, what it printed."""

    def __init__(self, command, cores, stdout=None):
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   preexec_fn=lambda: os.sched_setaffinity(0, CORES[:cores]))
        out, err = process.communicate()
        self.seconds = time.monotonic() - began
        self.out, self.err, self.status = out, err, process.returncode


def fail(what):
    sys.exit(f"detect: {what}")


def peak_of(command, cores):
    """Peak resident memory of one run, in MiB."""
    done = subprocess.run(["/usr/bin/python3", "-c", "import os, resource, subprocess, sys\n"
                           f"os.sched_setaffinity(0, {set(CORES[:cores])!r})\n"
                           "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
                           "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)", *map(str, command)],
                          stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout)


class Bench:
    def __init__(self, folder, megabytes, rounds, modules, growth):
        self.folder, self.megabytes, self.rounds, self.modules, self.growth = folder, megabytes, rounds, modules, growth
        self.logs = folder / "logs"
        self.make("logs", self.logs, megabytes)
        for keys in (FEW, HALF, *growth):
            self.make("ledger", folder / f"{keys}.db", keys)
        for keys in (FEW, HALF):
            self.make("receipts", folder / f"{keys}.jsonl", keys)
        self.files = sorted(map(str, self.logs.rglob("*.gz")))
        self.packed = sum(os.path.getsize(file) for file in self.files)
        self.bytes = int(Run([TESTS / "unpack", "1", *self.files], 1).out)

    @staticmethod
    def make(kind, path, number):
        if not path.exists():
            subprocess.run([TESTS / "make_trail", kind, path, str(number)], check=True)

    def truth(self, keys, files=None):
        """What the generator put in: the uses by the thief of the first so many keys."""
        known = {json.loads(line)["access_key_id"] for line in open(self.folder / f"{keys}.jsonl")}
        uses = {tuple(line.split()) for line in open(self.logs / "uses.tsv")}
        uses = {use for use in uses if use[0] in known}
        if files is not None:
            there = subprocess.run(["zcat", *files], stdout=subprocess.PIPE, check=True).stdout
            uses = {use for use in uses if use[1].encode() in there}
        return uses

    def check(self, who, got, wanted):
        if got != wanted:
            fail(f"{who} found {len(got)} uses, and not the {len(wanted)} that there are")

    def unpack(self, cores):
        return Run([TESTS / "unpack", str(cores), *self.files], cores).seconds

    def command(self, keys, workers):
        return [BIN / "keytrail", "detect", "--ledger", self.folder / f"{keys}.db", "--findings", self.folder / "findings.db",
                "--workers", str(workers), "--fail-on", "NONE", "-o", "jsonl", self.logs]

    def forget(self):
        for file in self.folder.glob("findings.db*"):
            file.unlink()

    def detect(self, keys, cores, check=True):
        self.forget()
        run = Run(self.command(keys, cores), cores)
        if run.status != 0:
            fail(run.err)
        if check:
            found = [json.loads(line) for line in run.out.splitlines()]
            self.check("keytrail", {(f["access_key_id"], id) for f in found for id in f["event_ids"]}, self.truth(keys))
        return run.seconds

    def detect_nothing(self, keys):
        """What the ledger costs."""
        empty = self.folder / "empty.json"
        empty.write_text('{"Records":[]}')
        self.forget()
        return Run([*self.command(keys, 1)[:-1], empty], 1).seconds

    def engine(self, name, cores):
        out = self.folder / f"{name}.tsv"
        run = Run(["unshare", "-n", "node", ROOT / "tests/bench/engine.mjs", name, self.modules, self.logs,
                   self.folder / f"{HALF}.jsonl", str(cores), out], cores)
        if run.status != 0:
            fail(f"{name}: {run.err[-2000:]}")
        self.check(name, {tuple(line.split("\t")) for line in out.read_text().splitlines()}, self.truth(HALF))
        return float(run.out)  # without its own start

    def jq(self):
        """On one core, as one would: rate in bytes a second."""
        share = max(1, min(len(self.files), len(self.files) * JQ_MEGABYTES // self.megabytes))
        files = self.files[:share]
        keys = {row["access_key_id"]: row for row in map(json.loads, open(self.folder / f"{HALF}.jsonl"))}
        (self.folder / "keys.json").write_text(json.dumps(keys))
        (self.folder / "uses.jq").write_text(JQ)
        run = Run(["bash", "-c", 'keys=$1 program=$2; shift 2; zcat "$@" | jq -r --slurpfile keys "$keys" -f "$program"', "-",
                   self.folder / "keys.json", self.folder / "uses.jq", *files], 1)
        if run.status != 0:
            fail(f"jq: {run.err[-2000:]}")
        self.check("jq", {tuple(line.split("\t")) for line in run.out.splitlines()}, self.truth(HALF, files))
        return int(Run([TESTS / "unpack", "1", *files], 1).out) / run.seconds


def spread(values, form="{:.2f}"):
    return f"{form.format(statistics.median(values))} ({form.format(min(values))} to {form.format(max(values))})"


def rate(bench, seconds):
    return f"{bench.bytes / statistics.median(seconds) / 1e6:,.0f}"


def measure(bench, engines):
    unpacked = {1: [], 2: []}
    times = {(keys, cores): [] for keys in (FEW, HALF) for cores in (1, 2)}
    others = {name: [] for name in engines}
    growth = {keys: [] for keys in bench.growth}
    for number in range(bench.rounds):
        print(f"round {number + 1} of {bench.rounds}", file=sys.stderr)
        for cores in (1, 2):
            unpacked[cores].append(bench.unpack(cores))
            for keys in (FEW, HALF):
                times[keys, cores].append(bench.detect(keys, cores))
        for name in engines:
            others[name].append(bench.engine(name, 2))
        for keys in bench.growth if number == 0 else ():
            began = bench.detect_nothing(keys)
            growth[keys] = (bench.detect(keys, 1, check=False), began)
    return unpacked, times, others, growth


def describe(bench, unpacked, times, others, growth, jq):
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    ratio = {case: [u / t for u, t in zip(unpacked[case[1]], seconds)] for case, seconds in times.items()}
    peak = {keys: peak_of(bench.command(keys, 2), 2) for keys in (FEW, HALF, bench.growth[-1])}
    print(f"""Remade by `sudo scripts/bench detect --rounds {bench.rounds} --megabytes {bench.megabytes} --write`. {bench.bytes / 2**30:.1f} GiB of generated
CloudTrail ({len(bench.files):,} gzip files, {bench.packed / 2**20:,.0f} MiB packed) of 5,000 keys in 50 accounts; nine tenths of the records carry one, one use in
2,000 is a thief's. Wall-clock time of whole runs, taken in turn, findings stored; comparisons within a round: their median, and in brackets the least and the most.
Throughput counts unpacked bytes. Everybody's uses were held against what the generator put in: none is missing, none too many. The engines read the same
files in process (`npm` packages `chdb`, `@duckdb/node-api`), without a network, their own start not counted; jq read {min(JQ_MEGABYTES, bench.megabytes)} MB of them.

{cpu}, {len(CORES)} cores, Linux {os.uname().release}, {time.strftime('%Y-%m-%d', time.gmtime())}, load {os.getloadavg()[0]:.1f}.

| what | cores | MB/s | compared with libdeflate alone | aim |
|---|--:|--:|--:|--:|""")
    aims = {FEW: "0.75", HALF: "0.5"}
    names = {FEW: f"{FEW} keys tracked, {FEW / 5000:.0%} of uses", HALF: "half of all records carry tracked keys"}
    for cores in (1, 2):
        print(f"| libdeflate alone | {cores} | {rate(bench, unpacked[cores])} | | |")
        for keys in (FEW, HALF):
            aim = aims[keys] if cores == 1 else ""
            print(f"| {names[keys]} | {cores} | {rate(bench, times[keys, cores])} | {spread(ratio[keys, cores])} | {aim} |")
    print("\n| half of all records, against | cores | MB/s | keytrail is so many times as fast | aim |\n|---|--:|--:|--:|--:|")
    for name, aim in (("chdb", "3"), ("duckdb", "8")):
        if name in others:
            faster = [other / own for other, own in zip(others[name], times[HALF, 2])]
            print(f"| {name} | 2 | {rate(bench, others[name])} | {spread(faster, '{:.1f}')} | {aim} |")
        else:
            print(f"| {name} | 2 | not measured: it could not be installed | | {aim} |")
    print(f"| `zcat \\| jq` | 1 | {jq / 1e6:,.0f} | {bench.bytes / statistics.median(times[HALF, 1]) / jq:.1f} | 20 |")
    print("\n| tracked keys | seconds, one core | of these, to load the ledger |\n|--:|--:|--:|")
    for keys, (seconds, began) in growth.items():
        print(f"| {keys:,} | {seconds:.2f} | {began:.2f} |")
    print(f"\nPeak resident memory, two workers: {peak[FEW]} MiB with {FEW} keys, {peak[HALF]} MiB with {HALF:,} (aim: under 256 MiB), "
          f"{peak[bench.growth[-1]]} MiB with {bench.growth[-1]:,}: most of that for their instances.")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", action="store_true", help="a million keys, too")
    parser.add_argument("--folder", help="where the data are made, and stay (default: a temporary folder)")
    parser.add_argument("--modules", default="", help="where npm installed the engines")
    arguments = parser.parse_args()
    engines = [name for name, package in (("chdb", "chdb"), ("duckdb", "@duckdb/node-api"))
               if arguments.modules and (pathlib.Path(arguments.modules) / "node_modules" / package).exists()]
    with tempfile.TemporaryDirectory(prefix="keytrail-bench-") as folder:
        bench = Bench(pathlib.Path(arguments.folder or folder), arguments.megabytes, arguments.rounds, arguments.modules,
                      LONG_GROWTH if arguments.long else GROWTH)
        describe(bench, *measure(bench, engines), bench.jq())


main()
