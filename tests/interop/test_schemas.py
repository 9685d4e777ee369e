# SPDX-License-Identifier: Apache-2.0
"""Findings in the forms of other tools against the schemas of those who made the forms: botocore's models of GuardDuty and
Security Hub, and OCSF's own compiled schema (ocsf-json-schema of PyPI)."""

import gzip
import json
import pathlib
import sys

import pytest

import kits
from place import BUILT
from test_detect import ledger, run  # noqa: F401
from test_forms import CASES, objects, shown  # noqa: F401

PYPI = BUILT / "pypi"
MODELS = [folder / "botocore/data" for folder in (PYPI, pathlib.Path("/usr/lib/python3/dist-packages"))]


def model(service):
    """Of the newest botocore there is, plain or packed."""
    found = [path for folder in MODELS for path in sorted(folder.glob(f"{service}/*/service-2.json*"))[-1:]]
    if not found:
        pytest.skip("there is no botocore")
    raw = found[0].read_bytes()
    shapes = json.loads(gzip.decompress(raw) if found[0].suffix == ".gz" else raw)["shapes"]
    if service == "guardduty" and "RuntimeDetails" not in shapes:
        pytest.skip("this botocore is older than GuardDuty's runtimeDetails")
    return shapes


KINDS = {"string": str, "boolean": bool, "integer": int, "long": int, "double": (int, float), "float": (int, float),
         "timestamp": (int, float)}


def faults(shapes, name, value, path, on_the_wire):
    """What a service's model does not know, requires, or bounds otherwise."""
    shape = shapes[name]
    if shape["type"] == "structure":
        if not isinstance(value, dict):
            yield f"{path}: no object"
            return
        known = {member.get("locationName", key) if on_the_wire else key: (key, member["shape"])
                 for key, member in shape["members"].items()}
        given = {known[key][0] for key in value if key in known}
        yield from (f"{path}: {key} is missing" for key in shape.get("required", []) if key not in given)
        for key, one in value.items():
            if key not in known:
                yield f"{path}.{key}: unknown"
            else:
                yield from faults(shapes, known[key][1], one, f"{path}.{key}", on_the_wire)
    elif shape["type"] == "list":
        for number, one in enumerate(value):
            yield from faults(shapes, shape["member"]["shape"], one, f"{path}.{number}", on_the_wire)
    elif shape["type"] == "map":
        for key, one in value.items():
            yield from faults(shapes, shape["value"]["shape"], one, f"{path}.{key}", on_the_wire)
    elif not isinstance(value, KINDS[shape["type"]]) or (isinstance(value, bool) and shape["type"] != "boolean"):
        yield f"{path}: {value!r} is no {shape['type']}"
    elif shape["type"] == "string":
        if "enum" in shape and value not in shape["enum"]:
            yield f"{path}: {value!r} is none of {shape['enum']}"
        # Models bound types to 50 characters at times, which GuardDuty's own exceed.
        most = 100 if name == "FindingType" else shape.get("max", 10 ** 9)
        if not shape.get("min", 0) <= len(value) <= most or not value.strip():
            yield f"{path}: {len(value)} characters"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form, service, shape", [("guardduty", "guardduty", "Finding"),
                                                  ("asff", "securityhub", "AwsSecurityFinding")])
def test_by_botocore(shown, case, form, service, shape):  # noqa: F811
    for one in objects(form, shown(case, form)):
        assert list(faults(model(service), shape, one, form, form == "guardduty")) == []
        broken = {key: value for key, value in one.items() if key.lower() != "updatedat"} | {"Nonsense": 1}
        assert len(list(faults(model(service), shape, broken, form, form == "guardduty"))) == 2


@pytest.mark.skipif(not (PYPI / "ocsf_json_schema").is_dir(), reason=kits.why_not("pypi"))
@pytest.mark.parametrize("case", CASES)
def test_by_ocsf(shown, case, monkeypatch):  # noqa: F811
    jsonschema = pytest.importorskip("jsonschema")
    monkeypatch.setattr(sys, "path", [*sys.path, str(PYPI)])
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.5.0")).get_class_schema(
        class_name="detection_finding", profiles=["cloud"])
    check = jsonschema.Draft202012Validator(schema)
    for one in objects("ocsf", shown(case, "ocsf")):
        assert [f"{list(fault.absolute_path)}: {fault.message[:200]}" for fault in check.iter_errors(one)] == []
        assert not check.is_valid(dict(one, nonsense=1)) and not check.is_valid(dict(one, severity_id="4"))
    assert json.dumps(schema).count('"required"') > 20
