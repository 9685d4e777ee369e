# SPDX-License-Identifier: Apache-2.0
"""What all end-to-end tests share: where the programs are, the option --long, and the ban on any other network.

Tests run the programs of the folder in KEYTRAIL_BIN (default: build/release/bin)."""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("world", "support", "e2e")]

# No proxy and no profile of whoever runs the tests may reach the clients that they start.
for name in list(os.environ):
    if name.lower().endswith("_proxy") or name.startswith("AWS_"):
        del os.environ[name]


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also run tests marked `long`")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; runs with --long only")
    folder = pathlib.Path(os.environ.setdefault("KEYTRAIL_BIN", str(ROOT / "build/release/bin")))
    if not (folder / "keytraild").exists():
        raise pytest.UsageError(f"no keytraild in {folder}: cmake --preset release && cmake --build --preset release")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--long"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: scripts/test --long"))
