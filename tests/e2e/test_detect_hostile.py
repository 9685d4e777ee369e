# SPDX-License-Identifier: Apache-2.0
"""keytrail detect on input that means it no good: memory stays bounded, what is wrong is said, the rest is read."""

import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import resource
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("KEYTRAIL_BIN", ROOT / "build/release/bin"))
MEMORY_MIB = 256
IS_SANITIZED = b"__asan_init" in (BIN / "keytrail").read_bytes()  # then memory says nothing
KEY = "ASIA5FLZVX4OPVKKVBMX"


def record(number, **more):
    return json.dumps({"eventVersion": "1.09", "eventTime": "2026-11-25T00:00:00Z", "eventID": f"event-{number}",
                       "eventName": "GetObject", "eventSource": "s3.amazonaws.com", "sourceIPAddress": "198.51.100.9",
                       "userIdentity": {"type": "AssumedRole", "principalId": "AROA:i-0317f6c6b66ae9c40",
                                        "accountId": "123456789123", "accessKeyId": KEY}, **more}).encode()


GOOD = b'{"Records":[' + record("good") + b"]}"


def detect(folder, *more, stdin=None):
    """The run, its findings, and its peak memory in MiB."""
    read, write = os.pipe()
    with os.fdopen(read) as results:
        process = subprocess.Popen([BIN / "keytrail", "detect", "--ledger", "none", "--findings", folder / "found.db",
                                    "--workers", "2", "-o", "jsonl", *map(str, more)],
                                   stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")
        os.close(write)
        results.close()
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode(), usage.ru_maxrss // 1024


def check(folder, path, *, says, exit_status=3, uses=1):
    """Beside the hostile file lies a good one, whose use is found."""
    good = folder / "good.json"
    good.write_bytes(GOOD)
    status, found, err, peak = detect(folder, path, good)
    assert says in err, err
    assert status == exit_status, err
    assert sum(finding["count"] for finding in found) == uses, err
    assert IS_SANITIZED or peak < MEMORY_MIB, f"{peak} MiB"
    return err


def pieces(path, chunks, packed):
    with open(path, "wb") as raw, (gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1) if packed else io.BytesIO()) as pack:
        for chunk in chunks:
            (pack if packed else raw).write(chunk)
    return path


SCALE = int(os.environ.get("HOSTILE_SCALE", "1"))  # 20: the sizes that the long form has


def sizes(request):
    return 20 if "long" in request.node.keywords else 1


def chunks_of(kind, scale):
    """Text that is large and packs to little; a twentieth of its long form."""
    mib = b" " * (1 << 20)
    if kind == "spaces":
        return [b"["] + [mib] * (200 * scale) + [b"]"]
    if kind == "zeros":
        return [b"\0" * (1 << 20)] * (200 * scale)
    if kind == "nesting":
        return [b"["] + [b"[" * (1 << 20)] * (10 * scale)
    if kind == "deep record":
        return [b'[{"eventTime":"x","a":'] + [b'{"a":' * 200000] * scale + [b"1"] + [b"}" * 200000] * scale + [b"}]"]
    if kind == "one record":  # with a key that is known, and more records behind it
        return [b'{"Records":[{"eventTime":"x","a":"' + KEY.encode()] + [b"x" * (1 << 20)] * (51 * scale) + [
            b'","userIdentity":{"principalId":"AROA:i-0317f6c6b66ae9c40"}},' + record("behind") + b"]}"]
    if kind == "tiny records":
        return [b"["] + [b"{}," * 100000] * (5 * scale) + [b"{}]"]
    if kind == "tiny uses":
        use = b'{"userIdentity":{"principalId":":i-0317f6c6b66ae9c40"}},'
        return [b"["] + [use * 10000] * (5 * scale) + [b"{}]"]
    raise AssertionError(kind)


BOMBS = {  # what is said, and uses that are found beside the good file's
    "spaces": ("2 files read, 0 unreadable", 1),
    "zeros": ("expected a record", 1),
    "nesting": ("whole JSON text up to its end", 1),
    "deep record": ("2 files read, 0 unreadable", 1),
    "one record": ("a record of at most 16 MiB", 2),
    "tiny records": ("0 malformed", 1),
    "tiny uses": ("a time in eventTime", 1),
}


def bomb(tmp_path, kind, packed, scale):
    path = pieces(tmp_path / ("bomb.json.gz" if packed else "bomb.json"), chunks_of(kind, scale), packed)
    said, uses = BOMBS[kind]
    is_cut = kind == "one record" and packed and scale == 1
    if is_cut:  # it still fits into what is unpacked at once: then it is just a record
        said = "a time in eventTime"
    check(tmp_path, path, says=said, uses=uses)


@pytest.mark.parametrize("packed", (False, True), ids=("plain", "gzip"))
@pytest.mark.parametrize("kind", BOMBS)
def test_bombs(tmp_path, kind, packed):
    bomb(tmp_path, kind, packed, 1)


@pytest.mark.long
@pytest.mark.parametrize("packed", (False, True), ids=("plain", "gzip"))
@pytest.mark.parametrize("kind", BOMBS)
def test_large_bombs(tmp_path, kind, packed):
    bomb(tmp_path, kind, packed, 20)


LINE = record("a") + b"\n"
PACKED = gzip.compress(GOOD.replace(b"event-good", b"event-other"))
ODD_FILES = {
    # name: content, what is said, uses in all, exit status
    "cut.json": (GOOD.replace(b"good", b"other")[:-20], "whole JSON text up to its end", 1),
    "cut.json.gz": (PACKED[: len(PACKED) // 2], "more gzip data", 1),
    "flipped.json.gz": (PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:], "gzip data", 2),
    "garbage.json.gz": (PACKED + b"garbage", "gzip data", 2),
    "members.json.gz": (gzip.compress(LINE) + gzip.compress(record("b") + b"\n"), "2 files read, 0 unreadable", 3),
    "gzip-inside.json": (PACKED, "2 files read, 0 unreadable", 2),
    "plain.json.gz": (LINE, "2 files read, 0 unreadable", 2),
    "wrong.txt": (LINE, "2 files read, 0 unreadable", 2),
    "empty.json": (b"", "2 files read, 0 unreadable", 1),
    "empty.json.gz": (gzip.compress(b""), "2 files read, 0 unreadable", 1),
    "mark.json": (b"\xef\xbb\xbf" + GOOD.replace(b"good", b"other"), "2 files read, 0 unreadable", 2),
    "utf8.json": (record("u", userAgent="x").replace(b'"x"', b'"\xff\xfe\xc3("'), "2 files read, 0 unreadable", 2),
    "nul.json": (record("n").replace(b"198.51.100.9", b"198.51\0.100.9"), "1 uses of known keys", 1),
    "numbers.json": (record("l", requestParameters={"a": 0}).replace(b'"a": 0', b'"a":' + b"9" * 400 + b".1e999999999999"),
                     "2 files read, 0 unreadable", 2),
    "twice.json": (record("t").replace(b'"sourceIPAddress"', b'"sourceIPAddress": "10.0.0.1", "sourceIPAddress"'),
                   "2 files read, 0 unreadable", 2),
    "utf16.json": (GOOD.decode().encode("utf-16"), "UTF-8, and this is UTF-16", 1),
    "packed.json.xz": (lzma.compress(GOOD), "packed.json.xz: packed by xz: expected plain text or gzip", 1),
    "packed.json.bz2": (bz2.compress(GOOD), "packed by bzip2", 1),
    "packed.json.zst": (b"\x28\xb5\x2f\xfd" + GOOD, "packed by zstd", 1),
    "packed.json.zip": (b"PK\x03\x04" + GOOD, "packed by zip", 1),
    "stranger.json": (b'{"logEvents":[{"message":"x"}]}', "a record of CloudTrail", 1),
    "lines.jsonl": (LINE + b'{"eventTime":"x\n' + record("b") + b"\n", "one whole record a line", 3),
    "types.json": (b'[7,"x",null,[],' + record("y") + b"]", "a record, which is an object", 2),
}


@pytest.mark.parametrize("name", ODD_FILES)
def test_odd_files(tmp_path, name):
    content, says, uses = ODD_FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    if name == "nul.json":
        says = "of unknown origin"
    check(tmp_path, path, says=says, uses=uses)


NOT_UNDERSTOOD = {
    "a table": b'"eventtime","useridentity"\n"2026-11-25T00:00:00Z","{accesskeyid=ASIA}"\n',
    "another encoding": GOOD.decode().encode("utf-16"),
    "another list": b'{"logEvents":[]}',
    "nothing at all": b"{}",
    "no records": b'{"Records":null}',
    "a text": b'"x"',
}


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
def test_not_understood_is_not_nothing(tmp_path, name):
    """Who hands over what is no CloudTrail must not take the answer for "nothing found"."""
    path = tmp_path / "odd.json"
    path.write_bytes(NOT_UNDERSTOOD[name])
    status, found, err, _ = detect(tmp_path, path)
    assert (status, found) == (4, []), err
    assert ": expected " in err


def test_all_at_once(tmp_path):
    """A folder of all that, read by many workers: as each by itself, within the same memory."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for name, (content, _, _) in ODD_FILES.items():
        (folder / name).write_bytes(content)
    for i, kind in enumerate(BOMBS):
        pieces(folder / f"{i}.json.gz", chunks_of(kind, 1), True)
    results = []
    for workers in ("1", "2", "16"):
        status, found, err, peak = detect(tmp_path, "--workers", workers, folder)
        assert status == 3, err
        assert IS_SANITIZED or peak < MEMORY_MIB + 64 * (workers == "16"), f"{peak} MiB with {workers} workers"
        results.append((found, err))
        for file in tmp_path.glob("found.db*"):
            file.unlink()
    assert results[0] == results[1] == results[2]
