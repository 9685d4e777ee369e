# SPDX-License-Identifier: Apache-2.0
"""The alerts and the dashboard: understood by Prometheus, about metrics that there are, set off by what they are for."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest

from instance import Instance

yaml = pytest.importorskip("yaml")
pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's prometheus is not installed")

HERE = pathlib.Path(__file__).resolve().parent
MONITORING = HERE.parents[1] / "packaging/monitoring"
RULES = MONITORING / "keytrail.rules.yml"
ALERTS = [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
SICK = "keytrail-1:9475"

# What is wrong with a machine, and which alert says so: series of {instance="SICK"}, at 50 minutes.
FAULTS = {
    "KeytrailDown": {'up{job="keytrail"}': "0x60"},
    "KeytrailRedirectNotWhole": {"keytrail_redirect_whole": "0x60", "keytrail_redirect_check_age_seconds": "30x60"},
    "KeytrailRedirectNotChecked": {"keytrail_redirect_check_age_seconds": "0+60x60"},
    "KeytrailLedgerNotWritable": {"keytrail_ledger_writable": "0x60"},
    "KeytrailRowsLost": {"keytrail_ledger_dropped_total": "0x45 3x15"},
    "KeytrailJournalUsed": {"keytrail_ledger_journalled_total": "0x45 3x15"},
    "KeytrailMetadataServiceDown": {"keytrail_upstream_reachable": "0x60"},
    "KeytrailTokensSlow": {'keytrail_request_seconds_bucket{class="token",le="0.05"}': "0+90x60",
                           'keytrail_request_seconds_bucket{class="token",le="0.25"}': "0+100x60",
                           'keytrail_request_seconds_bucket{class="token",le="+Inf"}': "0+100x60"},
    "KeytrailConnectionsExhausted": {"keytrail_connections": "500x60", "keytrail_connections_limit": "512x60"},
    "KeytrailUnattributed": {'keytrail_attributions_total{grade="exact",method="sock_diag+proc"}': "0+80x60",
                             'keytrail_attributions_total{grade="uid",method="sock_diag"}': "0+20x60"},
    "KeytrailEvictions": {"keytrail_ebpf_evicted_total": "0x40 7x20"},
    "KeytrailWitnessQueriesRefused": {'keytrail_witness_queries_refused_total{reason="malformed"}': "0x45 1x15"},
}
HEALTHY = {
    "KeytrailTokensSlow": {'keytrail_request_seconds_bucket{class="token",le="0.05"}': "0+100x60",
                           'keytrail_request_seconds_bucket{class="token",le="+Inf"}': "0+100x60"},
    "KeytrailUnattributed": {'keytrail_attributions_total{grade="exact",method="sock_diag+proc"}': "0+99x60",
                             'keytrail_attributions_total{grade="uid",method="sock_diag"}': "0+1x60"},
    "KeytrailRedirectNotWhole": {"keytrail_redirect_whole": "1x60", "keytrail_redirect_check_age_seconds": "30x60"},
    "KeytrailJournalUsed": {"keytrail_ledger_journalled_total": "5x60"},
}
for _name, _series in FAULTS.items():
    HEALTHY.setdefault(_name, {name: {"0x60": "1x60", "0+60x60": "30x60", "500x60": "12x60"}.get(value, "0x60" if " " in value else value)
                               for name, value in _series.items()})


def test_promtool_understands_the_rules():
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True)
    assert done.returncode == 0 and f"{len(ALERTS)} rules found" in done.stdout, done.stdout + done.stderr


def with_instance(name):
    label = f'instance="{SICK}"'
    return name.replace("{", "{" + label + ",") if "{" in name else name + "{" + label + "}"


def fires(tmp_path, alert, series):
    rule = next(rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if rule["alert"] == alert)
    labels = dict(rule["labels"], instance=SICK)
    for name in re.findall(r'(\w+)="([^"]*)"', "".join(series)):
        if alert in ("KeytrailDown", "KeytrailWitnessQueriesRefused"):
            labels.setdefault(*name)
    annotations = {key: value.replace("{{ $labels.instance }}", SICK) for key, value in rule["annotations"].items()}
    test = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [{
        "interval": "1m", "input_series": [{"series": with_instance(name), "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": "50m", "alertname": alert,
                             "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}]}]}]}
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True)
    text = done.stdout + done.stderr
    assert "SUCCESS" in text if done.returncode == 0 else re.search(r"got:\s*\[\]", text), text
    return done.returncode == 0


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_is_set_off_by_its_fault_alone(tmp_path, alert):
    assert fires(tmp_path, alert, FAULTS[alert])
    assert not fires(tmp_path, alert, HEALTHY[alert])


def named_metrics():
    dashboard = json.loads((MONITORING / "keytrail-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions += [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    return set(re.findall(r"\bkeytrail_\w+", " ".join(expressions))), expressions


def test_they_ask_for_what_the_daemon_tells():
    with Instance(settings={"metrics": {"listen": "127.0.0.1:9475"}}) as instance:
        instance.credentials()
        text = instance.world.run("host", ["curl", "-sS", "http://127.0.0.1:9475/metrics"]).stdout
    told = set(re.findall(r"^(keytrail_\w+)", text, re.M))
    names, expressions = named_metrics()
    # Counters with labels appear with their first event.
    families = {name + suffix for name in re.findall(r"^# TYPE (\w+) counter", text, re.M) for suffix in ("_total",)}
    assert names and names - told - families == set()
    assert len(expressions) > 20


def test_dashboard_panels_do_not_overlap():
    panels = json.loads((MONITORING / "keytrail-dashboard.json").read_text())["panels"]
    cells = [(x, y) for panel in panels for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
             for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24 and len({panel["id"] for panel in panels}) == len(panels)


def test_each_alert_is_explained():
    text = (HERE.parents[1] / "docs/operations.md").read_text()
    assert re.findall(r"^\| (Keytrail\w+) \|", text, re.M) == ALERTS
