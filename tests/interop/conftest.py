# SPDX-License-Identifier: Apache-2.0
"""Programs of others in network namespaces of their own: where ours are, and --write."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("interop", "world", "support", "e2e")]
os.environ.setdefault("KEYTRAIL_BIN", str(ROOT / "build/release/bin"))


def pytest_addoption(parser):
    parser.addoption("--write", action="store_true", help="remake docs/clients.md from what was seen")
