# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: a place with the metadata service alone, one under Keytrail, and --write."""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("interop", "world", "support", "e2e")]
os.environ.setdefault("KEYTRAIL_BIN", str(ROOT / "build/release/bin"))

import debian as debian_12  # noqa: E402
import transcript  # noqa: E402
from place import bare_place, kept_place, set_stage  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--write", action="store_true", help="remake docs/clients.md from what was seen")


@pytest.fixture(scope="session")
def stage():
    """Where any user may read: the checkout may be root's alone."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keytrail-interop-"))
    try:
        set_stage(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def bare(stage):
    with bare_place(stage) as place:
        yield place


@pytest.fixture(scope="session")
def kept(stage):
    with kept_place(stage) as place:
        yield place


@pytest.fixture(scope="session")
def audited(stage):
    """Where tokens are wished for, and not required."""
    with kept_place(stage, mode="audit") as place:
        place.imds.set("tokens", "optional")
        yield place


@pytest.fixture(scope="session")
def debian(tmp_path_factory):
    """A folder with Debian 12 in it, not to be changed."""
    folder = tmp_path_factory.mktemp("debian") / "root"
    try:
        debian_12.bootstrap(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    return debian_12.pack(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def book(request):
    """What was seen, for docs/clients.md."""
    pages = transcript.Book()
    yield pages
    if request.config.getoption("--write"):
        pages.write(ROOT / "docs" / "clients.md")
