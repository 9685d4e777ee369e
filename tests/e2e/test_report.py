# SPDX-License-Identifier: Apache-2.0
"""keytrail report from outside: a page that is well formed, whole in itself, says what it has to, and lets no text of
others be anything but text. tests/interop looks at it with a browser."""

import html.parser
import json
import re
import stat

import pytest

from test_contain import CHILD, INSIDE, PRINCIPAL, found, record  # noqa: F401
from test_detect import (ACCOUNT, INSTANCE, KEY, OTRF, THIEF, delivery, ledger, run)  # noqa: F401
from test_detect import pytestmark  # noqa: F401

SECTIONS = ["verdict", "other-side", "time-line", "suspects", "ancestors", "calls", "lineage", "coverage", "unknown",
            "findings", "next-steps"]
VOID = {"meta", "br", "line", "rect"}
TAGS = VOID | set("html head title style body a header h1 h2 h3 h4 code dl dt dd nav ol ul li main section p strong span "
                  "figure figcaption div svg desc text details summary table caption thead tbody tr th td time pre "
                  "footer".split())
HOSTILE = "\u202e</code></pre><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J\r\n\u0085\u2066\ufeff'\"&amp;"


class Page(html.parser.HTMLParser):
    """Fails on what is not closed in order, on tags that we do not write, and on whatever could run or fetch."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.texts, self.links, self.style = [], [], [], [], False
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS, tag
        for name, value in attributes:
            assert not name.startswith("on") and name not in ("src", "srcset", "style", "action", "xlink:href"), name
            if name == "href":
                assert value.startswith("#"), value
                self.links.append(value[1:])
            if name == "id":
                self.ids.append(value)
            if name == "aria-labelledby":
                self.links += value.split()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID, tag
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def page_of(path, what, *options):
    result = run("report", what, "--ledger", path, *options)
    assert result.returncode == 0, result.stderr
    text = result.stdout.decode("ascii")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert "url(" not in text and "@import" not in text and "http-equiv=\"Content-Security-Policy\"" in text
    page = Page(text)
    assert len(page.ids) == len(set(page.ids)) and set(page.links) <= set(page.ids)
    assert [one for one in page.ids if one in SECTIONS] == SECTIONS
    return page


def process(pid, exe, ancestors=(), **fields):
    return dict(dict(pid=pid, started_at="2020-09-14T00:20:00.000000Z", uid=33, user="www-data", exe=exe, exe_sha256=None,
                     exe_foreign_mount=False, cmdline=[exe], unit=None, container_id=None, pod_uid=None,
                     ancestors=list(ancestors)), **fields)


INIT = dict(pid=1, started_at="2020-09-13T00:00:00.000000Z", uid=0, user="root", exe="/sbin/init", cmdline=["init"])


def test_says_what_it_has_to(found):  # noqa: F811
    first, second = process(7, "/usr/bin/first", [INIT]), process(8, "/usr/bin/second", [INIT])
    path, [finding] = found(INSIDE, delivery("2020-09-14T00:50:00Z", process=first, holders=[first]),
                            delivery("2020-09-14T00:51:00Z", process=second, holders=[second]))
    page = page_of(path, finding["id"][:8])
    text = page.text
    verdict = (f"Key {KEY} of role web on {INSTANCE} in account {ACCOUNT} was used from another AWS account ({THIEF}), "
               f"{finding['count']} times")
    assert verdict in text and "HIGH" in text
    assert f"It is account {THIEF}; that is certain" in text
    assert "Issue, deliveries, uses and expiry of the key" in text and "The table below has each point in time." in text
    assert "handed to /usr/bin/first, process 7, delivered" in text
    assert text.count("s3.amazonaws.com ListObjects from") == finding["count"] + 2  # the table, and the picture's two
    assert "received the key before its first use" in text
    assert text.count("/sbin/init") == 1  # one tree, not two
    assert "received the key, number 1 above" in text and "received the key, number 2 above" in text
    assert "s3.amazonaws.com ListObjects: 3 3 0" in text
    assert "Which of the receivers leaked it" in text and "What CloudTrail does not record" in text
    assert "aws iam put-role-policy --role-name web" in text and f'"aws:userId": "{PRINCIPAL}"' in text
    assert f"Suspected AWS account: {THIEF}" in text


def test_names_nobody_who_may_be_the_wrong_one(found):  # noqa: F811
    web, odd = process(7, "/usr/bin/web", [INIT]), process(8, "/tmp/odd", [INIT])
    path, [finding] = found(INSIDE, delivery("2020-09-14T00:50:00Z", process=web, holders=[web, odd], outcome="aborted",
                                             attribution=dict(grade="shared", method="ebpf", evidence=[])))
    text = page_of(path, finding["id"][:8]).text
    assert "asked for by /usr/bin/web, process 7, or 1 other(s) that held the connection, aborted" in text
    assert "which process received it is not certain" in text and "not known to have received all of the answer" in text
    assert text.count("may have received the key, number 1 above") == 2 and "Also held by" in text
    plan = json.loads(run("contain", "-o", "json", "--ledger", path, finding["id"][:8]).stdout)
    assert plan["suspect"] == ("Its only known receiver is /usr/bin/web, process 7, user www-data, or another process that held the "
                               "same connection.")
    lines = [json.loads(line) for line in run("findings", "-o", "timesketch", "--ledger", path).stdout.splitlines()]
    assert lines[0]["message"] == f"Key {KEY} was asked for by /usr/bin/web, process 7, or another that held the same connection"
    [asff] = json.loads(run("findings", "-o", "asff", "--ledger", path).stdout)
    assert "Process" not in asff


def test_lineage(found):  # noqa: F811
    made = record(1, "2020-09-14T02:00:00Z", "sts.amazonaws.com", "AssumeRole", KEY, PRINCIPAL,
                  responseElements=dict(credentials=dict(accessKeyId=CHILD, expiration="Sep 14, 2020 3:00:00 AM"),
                                        assumedRoleUser=dict(assumedRoleId="AROACHILD:deploy",
                                                             arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/deploy")))
    used = record(2, "2020-09-14T02:05:00Z", "s3.amazonaws.com", "ListBuckets", CHILD, "AROACHILD:deploy",
                  errorCode="AccessDenied")
    path, _ = found([made, used])
    text = page_of(path, CHILD).text
    assert f"Key {KEY} Principal {PRINCIPAL}" in text and "sts:AssumeRole made " + CHILD in text
    assert "ListBuckets: 1, 1 with an error" in text and "AccessDenied 1" in text


def test_hostile(found):  # noqa: F811
    bad = process(7, "/tmp/" + HOSTILE, [dict(INIT, exe=HOSTILE, cmdline=[HOSTILE], user=HOSTILE)], user=HOSTILE,
                  cmdline=["x", HOSTILE], unit=HOSTILE, container_id=HOSTILE)
    used = record(1, "2020-09-14T02:00:00Z", "s3.amazonaws.com", HOSTILE, KEY, HOSTILE, userAgent=HOSTILE,
                  awsRegion="<b>", errorCode=HOSTILE)
    path, [finding] = found([used], delivery("2020-09-14T00:50:00Z", process=bad, holders=[bad], role=HOSTILE,
                                             user_agent=HOSTILE))
    run("findings", "note", finding["id"], "--note", HOSTILE, "--ledger", path)
    page = page_of(path, KEY)
    assert "<script>alert(1)</script>" in page.text and "\\xe2\\x80\\xae" in page.text
    assert "\\x1b[2J" in page.text


def test_without_a_finding(ledger):  # noqa: F811
    path = ledger(delivery("2020-09-14T00:50:00Z"))
    text = page_of(path, KEY).text
    assert "No finding is known on this key." in text and "/usr/sbin/nginx" in text
    assert "None is stored on this key" in text and "That is no proof" in text
    text = page_of(path, "ASIAY34FZKBOKMUTVV7A").text
    assert "No point in time is known" in text and "No delivery of this key" in text and "Find out whose key" in text


def test_coverage(ledger):  # noqa: F811
    def row(when, event):
        return dict(kind="coverage", at_us=delivery(when)["at_us"], access_key_id=None,
                    body=dict(event=event, run="a" * 16, every_s=600, lost=0,
                              redirect=dict(whole=True, checked_at="2020-09-14T00:40:00.000000Z")))
    path = ledger(row("2020-09-14T00:45:00Z", "start"), delivery("2020-09-14T00:50:00Z"),
                  row("2020-09-14T00:52:00Z", "stop"))
    text = page_of(path, KEY).text
    assert "Looked at: 2020-09-14 00:48:30 to 2020-09-14 07:10:27" in text
    assert "daemon-down" in text
    assert "Who else received the key while the ledger could not see" in text


def test_ledger_is_gone(found):  # noqa: F811
    path, [finding] = found(INSIDE)
    path.unlink()
    assert "the ledger that was read does not know this key" in page_of(path, finding["id"]).text


def test_file(found, tmp_path):  # noqa: F811
    path, _ = found(OTRF)
    page = tmp_path / "page.html"
    page.write_text("old")
    result = run("report", KEY, "--ledger", path, "--file", page)
    assert (result.returncode, result.stdout) == (0, b"")
    assert page.read_text().startswith("<!DOCTYPE html>") and stat.S_IMODE(page.stat().st_mode) == 0o640
    result = run("report", KEY, "--ledger", path, "--file", tmp_path / "no/such/page.html")
    assert result.returncode == 1 and b"No such file" in result.stderr
    assert sorted(one.name for one in tmp_path.glob("page*")) == ["page.html"]
    result = run("report", KEY, "--ledger", path, "--file", "/dev/full/x")
    assert result.returncode == 1
    assert run("report", KEY, "--ledger", path, "--file", "-").stdout.startswith(b"<!DOCTYPE")


@pytest.mark.parametrize("words, code, says", [
    ([], 2, "KEY|FINDING"),
    (["x"], 2, "no finding's id, and no key"),
    (["00000000"], 1, "no findings are stored"),
    (["ASIAIOSFODNN7EXAMPLE", "-o", "json"], 2, "no option of `report`"),
    (["ASIAIOSFODNN7EXAMPLE", "--file", ""], 2, "empty"),
])
def test_refused(ledger, words, code, says):  # noqa: F811
    result = run("report", *words, "--ledger", ledger(delivery("2020-09-14T00:50:00Z")))
    assert (result.returncode, result.stdout) == (code, b"")
    assert says in result.stderr.decode()


def test_many_rows(found):  # noqa: F811
    """A page stays a page: what a picture of 800 pixels cannot show is one mark, and long lists say how much is left."""
    rows = [delivery(f"2020-09-14T00:50:{second:02}Z", process=one, holders=[one])
            for second in range(60) for one in [process(100 + second, f"/usr/bin/p{second}")]]
    path, _ = found(OTRF, *rows * 10)
    page = page_of(path, KEY)
    assert "And 10 more." in page.text and len(json.dumps(page.texts)) < 200000
