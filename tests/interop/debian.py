# SPDX-License-Identifier: Apache-2.0
"""A Debian 12 made by debootstrap, and the packages of these programs for it."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

TREE = pathlib.Path(os.environ["KEYTRAIL_BIN"]).parent
INCLUDED = "curl,python3-boto3"
BOOTSTRAP_S, PACK_S = 400, 60
NEXT_VERSION = "0.1.1"


def mirror():
    """Of this machine's own Debian."""
    text = "".join(path.read_text() for path in [pathlib.Path("/etc/apt/sources.list"),
                                                 *pathlib.Path("/etc/apt/sources.list.d").glob("*")] if path.is_file())
    found = re.search(r"(?:^deb|^URIs:) +(?:\[.*?\] +)?(https?://\S+/debian/?)\s", text, re.M)
    return found[1] if found else "http://deb.debian.org/debian"


def bootstrap(folder):
    """Skips where none is to be had."""
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is not installed")
    done = subprocess.run(["debootstrap", "--variant=minbase", f"--include={INCLUDED}", "bookworm", str(folder), mirror()],
                          capture_output=True, text=True, timeout=BOOTSTRAP_S)
    if done.returncode != 0:
        pytest.skip(f"no Debian is to be had: {done.stdout[-300:]}")


def pack(folder):
    """The package, and the next version of it: the same programs."""
    made = []
    for version in (None, NEXT_VERSION):
        more = ["-D", f"CPACK_PACKAGE_VERSION={version}"] if version else []
        subprocess.run(["cpack", "-G", "DEB", "--config", str(TREE / "CPackConfig.cmake"), "-B", str(folder), *more],
                       check=True, capture_output=True, timeout=PACK_S)
        made.append(max(folder.glob("keytrail_*.deb"), key=lambda path: path.stat().st_mtime_ns))
    return made
