# SPDX-License-Identifier: Apache-2.0
"""What the documents name as proof is there."""

import re

import pytest

from conftest import ROOT

PLACES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PLACES, ids=lambda page: page.name)
def test_tests_that_are_named_exist(page):
    text = page.read_text()
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    named = set(re.findall(r"`(test_[A-Za-z0-9_]+)`", text))
    assert not [name for name in sorted(named) if f"def {name}(" not in tests]
    cases = set(re.findall(r"`((?:rule|vector)-\d\d[a-z0-9-]*)`", text))
    assert not [case for case in sorted(cases) if case not in tests]
    files = set(re.findall(r"`((?:tests/|e2e/|proxy/|store/|cli/|detector/|common/)[\w/.-]+\.(?:py|c|h|sh))`", text))
    files -= {"tests/LAYER/NAME_test.c"}
    assert not [name for name in sorted(files) if not ((ROOT / name).exists() or (ROOT / "tests" / name).exists())]
