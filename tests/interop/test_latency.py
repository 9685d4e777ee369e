# SPDX-License-Identifier: Apache-2.0
"""Go's SDK gives up on a token that takes 500 ms, and goes on without one: a slow proxy would make IMDSv1 requests. So
tokens must not wait for the metadata service."""

import contextlib
import statistics

from clients import CLIENTS, PYTHON, Client
from instance import needs_world
from test_clients import last_seq, rows_since, skip_without

pytestmark = needs_world

PUTS = 100
STALL_MS = 1500
GIVES_UP_S = 0.5
USUAL_S = 0.1  # where the machine is not busy, it takes a hundredth of that

MEASURE = """
import http.client, time
for _ in range(%d):
    began = time.monotonic()
    connection = http.client.HTTPConnection("169.254.169.254", timeout=10)
    connection.request("PUT", "/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    assert len(connection.getresponse().read()) == 56
    print(time.monotonic() - began)
""" % PUTS


@contextlib.contextmanager
def stalled(imds, *settings):
    for setting in settings:
        imds.set(setting, STALL_MS)
    try:
        yield
    finally:
        for setting in settings:
            imds.set(setting, 0)


def test_tokens_do_not_wait_for_the_metadata_service(kept):
    clock = Client("clock", (PYTHON, "-I", "-c", MEASURE), "python3", "*")
    with stalled(kept.imds, "stall-put-ms", "stall-get-ms"):
        run = kept.run(clock)
    took = [float(line) for line in run.output.split()]
    assert len(took) == PUTS, run.errors
    assert statistics.median(took) < USUAL_S and sum(seconds > GIVES_UP_S for seconds in took) <= PUTS // 100, took


def test_go_is_given_a_token_where_the_metadata_service_is_slow_with_it(bare, kept, book):
    client = next(client for client in CLIENTS if client.name == "SDK for Go v2, newest")
    skip_without(client, book)
    with stalled(bare.imds, "stall-put-ms"):
        bare.imds.reset()
        alone = bare.run(client)
        without_token = [line for line in bare.imds.log() if line["status"] == 401]
    assert alone.status != 0 and without_token, "the metadata service alone was quick enough: this shows nothing"

    seq = last_seq(kept)
    with stalled(kept.imds, "stall-put-ms"):
        run = kept.run(client)
    assert run.status == 0 and len(run.printed) == 2, run.errors
    assert [row["status"] for row in rows_since(kept, seq, len(client.requests))] == [200] * len(client.requests)
