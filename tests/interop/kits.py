# SPDX-License-Identifier: Apache-2.0
"""Packages of npm that tests/interop/install fetched, run without a network."""

import subprocess

from place import BUILT, FOLDER

SECONDS = 180


def has(kit):
    return (BUILT / kit / "ready").exists()


def why_not(kit):
    reason = BUILT / f"{kit}.why"
    return reason.read_text().strip() if reason.exists() else "not fetched: tests/interop/run does that"


def node(kit, program, *arguments):
    """What a program of programs/KIT prints, with the kit's packages."""
    script = FOLDER / "programs" / kit / program
    result = subprocess.run(["unshare", "-n", "node", script, *map(str, arguments)], cwd=BUILT / kit, text=True,
                            capture_output=True, timeout=SECONDS)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout
