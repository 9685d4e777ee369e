# SPDX-License-Identifier: Apache-2.0
"""What a row claims, against what the clients said of themselves. docs/attribution.md ("Measured") defines the verdicts in words."""

import collections
import datetime
import os

TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
CLAIMS = {"exact", "shared", "relay"}  # with a process, always
VERDICTS = ("right", "doubtful", "unknown", "wrong")

# Who said it: role is one of client.h's.
Witness = collections.namedtuple("Witness", "nonce role pid ticks uid device inode")


def read_lines(text):
    """{nonce: [Witness]}"""
    told = collections.defaultdict(list)
    for line in text.splitlines():
        nonce, role, pid, ticks, uid, device, inode = line.split("\t")
        told[nonce].append(Witness(nonce, role, int(pid), int(ticks), int(uid), device, int(inode)))
    return told


def started_us(process):
    moment = datetime.datetime.strptime(process["started_at"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return int((moment - datetime.datetime(1970, 1, 1)) / datetime.timedelta(microseconds=1))


def boot_us(rows, told):
    """When the daemon thinks that the machine booted: the kernel says it in whole seconds, which differ from one reading to
    the next. What most processes agree on."""
    guesses = collections.Counter(
        started_us(row["process"]) - witness.ticks * TICK_US
        for row in rows if row["process"] is not None for witness in told.get(row["user_agent"], ())
        if witness.pid == row["process"]["pid"])
    return guesses.most_common(1)[0][0] if guesses else 0


class Truth:
    """Of one client."""

    def __init__(self, witnesses, boot, relay=None):
        """`relay`: path of the program that asks in its place."""
        self.relay = relay
        self.latest = {(one.pid, boot + one.ticks * TICK_US): one for one in witnesses}
        self.asked = self.of(witnesses, boot, "asked")
        self.held = self.of(witnesses, boot, "held")
        self.known = self.asked | self.held | self.of(witnesses, boot, "may")
        self.left = self.of(witnesses, boot, "leaves")
        self.is_answered = any(one.role == "answered" for one in witnesses)

    @staticmethod
    def of(witnesses, boot, role):
        return {(one.pid, boot + one.ticks * TICK_US) for one in witnesses if one.role == role}


def identity(process):
    return process["pid"], started_us(process)


def misdescribed(process, witness):
    """How a process differs from what it says of itself; None: it does not."""
    if process["uid"] != witness.uid:
        return f"uid {process['uid']}, is {witness.uid}"
    if process["exe_inode"] is not None and process["exe_inode"] != witness.inode:
        return f"executable's inode {process['exe_inode']}, is {witness.inode}"
    if process["exe"] and not process["exe_foreign_mount"] and not process["exe_deleted"]:
        if not os.path.exists(process["exe"]) or os.stat(process["exe"]).st_ino != witness.inode:
            return f"{process['exe']} is another file"
    return None


def judge_relay(row, truth):
    process, grade = row["process"], row["attribution"]["grade"]
    if process is None:
        return "wrong" if grade in CLAIMS else "unknown", grade
    if os.path.basename(process["exe"] or "") != truth.relay:
        return "wrong", f"names {process['exe']}"
    return ("wrong", f"{truth.relay} passes for a client") if grade == "exact" else ("doubtful", grade)


def judge(row, truth):
    """(verdict, why)"""
    process, grade = row["process"], row["attribution"]["grade"]
    if truth.relay is not None:
        return judge_relay(row, truth)
    if process is None:
        return ("wrong", f"{grade} without a process") if grade in CLAIMS else ("unknown", grade)
    named = identity(process)
    if named not in truth.known:
        return "wrong", f"{grade}: {named} neither asked nor held"
    differs = misdescribed(process, truth.latest[named])
    if differs:
        return "wrong", f"{grade}: {differs}"
    if grade == "exact":
        others = truth.held - {named}
        return ("wrong", f"exact: {others} held it too") if others else ("right", grade)
    if grade in CLAIMS:
        missing = (truth.asked | truth.held) - {identity(one) for one in row["holders"]} - {named}
        # What has ended cannot be read: that its number stands in the evidence must do.
        missing -= {one for one in truth.left
                    if any(f"pid {one[0]} " in said for said in row["attribution"]["evidence"])}
        if missing:
            return "wrong", f"{grade}: leaves out {missing}"
    return "doubtful", grade


def judge_all(rows, told, relay=None):
    """For each client: (nonce, verdict, why). Credentials without a row are wrong, no answer and no row is unknown."""
    boot = boot_us(rows, told)
    found = {row["user_agent"]: row for row in rows}
    for nonce, witnesses in told.items():
        truth = Truth(witnesses, boot, relay)
        if nonce in found:
            yield (nonce, *judge(found[nonce], truth))
        elif truth.is_answered:
            yield nonce, "wrong", "credentials without a row"
        else:
            yield nonce, "unknown", "no row"
