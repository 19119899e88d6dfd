"""One event followed from the request to the platform's answer, over real processes, into a real collector."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.collector import Collector, Seen
from tests.factories import INGEST_MANY, camel, draft
from tests.faults.conftest import Installation
from tests.servers import wait_until

PERSON = "jane.canary@example.com"
INGEST = """
mutation Take($input: IngestEventInput!) {
  ingestEvent(input: $input) { outcome event { eventId } userErrors { field code message } }
}"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


@pytest.fixture
def traced(installation: Installation, collector: Collector) -> Installation:
    installation.environ |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "60",
    }
    return installation


def by_name(spans: list[Seen]) -> dict[str, Seen]:
    found = {span.name: span for span in spans}
    assert len(found) == len(spans)
    return found


def test_one_event_from_the_request_to_the_platforms_answer_is_one_trace(
    traced: Installation, collector: Collector, now: Callable[[], str]
) -> None:
    client = traced.client(traced.api())
    worker = traced.worker()
    traced.scheduler()
    event = draft("the one", occurred_at=now(), user_data={"email": PERSON, "phone": "+4915112345678"})
    caller = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}
    body = {"query": INGEST, "variables": {"input": camel(event)}}
    for _ in range(3):  # the third by the operation's plan
        assert client.post("/graphql", json=body, headers=caller).status_code == 200
    wait_until(lambda: len(collector.of("mutation Take")) == 3 and bool(collector.of("settle")), "all spans")
    spans = collector.spans
    assert len({span.trace_id for span in spans}) == 1
    assert len({span.span_id for span in spans}) == len(spans)
    requests = sorted((span for span in spans if span.name == "mutation Take"), key=lambda span: span.began)
    root = requests[0]
    merchant_id = traced.merchant.merchant_id
    assert root.parent == ""
    assert root.links == [("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")]
    assert root.attributes == {
        "tracklayer.merchant.id": merchant_id,
        "tracklayer.event.id": "the one",
        "tracklayer.outcome": "accepted",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "graphql.operation.type": "mutation",
        "graphql.operation.name": "Take",
    }
    assert [span.attributes["tracklayer.outcome"] for span in requests] == ["accepted", "coalesced", "coalesced"]
    assert [span.parent for span in requests[1:]] == [root.span_id] * 2
    store = min((span for span in spans if span.name == "store"), key=lambda span: span.began)
    assert (store.parent, store.attributes) == (root.span_id, {"tracklayer.batch.size": 1})
    told = by_name([span for span in spans if span.name not in ("mutation Take", "store")])
    assert set(told) == {"deliver meta", "claim", "map", "send", "settle"}
    deliver = told.pop("deliver meta")
    assert deliver.parent == root.span_id
    assert deliver.attributes == {
        "tracklayer.merchant.id": merchant_id,
        "tracklayer.event.id": "the one",
        "tracklayer.platform": "meta",
        "tracklayer.attempt": 1,
        "tracklayer.outcome": "acknowledged",
        "tracklayer.batch.size": 1,
        "http.response.status_code": 200,
    }
    assert {span.parent for span in told.values()} == {deliver.span_id}
    assert told["send"].attributes == {"tracklayer.platform": "meta", "http.response.status_code": 200}
    order = [told[name] for name in ("claim", "map", "send", "settle")]
    instants = [instant for span in order for instant in (span.began, span.ended)]
    assert instants == sorted(instants)
    assert not any(span.failed for span in spans)
    assert {span.resource["tracklayer.role"] for span in spans} == {"api", "worker"}
    assert {span.resource["service.name"] for span in spans} == {"tracklayer"}
    everything = b"".join(collector.bodies)
    for canary in (PERSON, "4915112345678", "203.0.113", traced.merchant.key, "access_token", "shop.example.com"):
        assert canary.encode() not in everything
    assert worker.stop() == 0


def test_a_batch_is_told_once_and_the_others_are_linked_to_it(
    traced: Installation, collector: Collector, now: Callable[[], str]
) -> None:
    client = traced.client(traced.api())
    inputs = [camel(draft(f"of many {number}", occurred_at=now())) for number in range(30)]
    assert client.post("/graphql", json={"query": INGEST_MANY, "variables": {"inputs": inputs}}).status_code == 200
    traced.worker()
    traced.scheduler()
    wait_until(lambda: len(traced.accepted()) == 30 and len(collector.of("deliver meta")) >= 20, "all spans")
    requests, (store,) = collector.of("mutation"), collector.of("store")
    assert len(requests) == len({span.trace_id for span in requests}) == 20
    assert store.attributes == {"tracklayer.batch.size": 30}
    others = [span for span in requests if span.trace_id != store.trace_id]
    assert [span.links for span in others] == [[(store.trace_id, store.span_id)]] * 19
    batches = [span for span in collector.of("deliver meta") if len(span.links) != 1]
    for first in batches:
        linked = [span for span in collector.of("deliver meta") if span.links == [(first.trace_id, first.span_id)]]
        assert sorted(first.links) == sorted((span.trace_id, span.span_id) for span in linked)
        assert [span.parent for span in collector.of("send") if span.trace_id == first.trace_id] == [first.span_id]
    assert len(batches) == len(collector.of("send")) == len(collector.of("claim"))


def test_what_a_platform_refused_is_marked_as_failed(
    traced: Installation, collector: Collector, now: Callable[[], str]
) -> None:
    client = traced.client(traced.api())
    traced.worker()
    traced.fault(kind="error", status=500, count=1)
    body = {"query": INGEST, "variables": {"input": camel(draft("twice", occurred_at=now()))}}
    client.post("/graphql", json=body)
    traced.scheduler()
    wait_until(lambda: "twice" in traced.accepted(), "it to be delivered")
    wait_until(lambda: len(collector.of("deliver meta")) >= 2, "both attempts")
    first, *_, last = sorted(collector.of("deliver meta"), key=lambda span: span.began)
    assert (first.attributes["tracklayer.outcome"], first.attributes["http.response.status_code"]) == (
        "unreachable",
        500,
    )
    assert (first.failed, last.failed) == (True, False)
    assert first.trace_id == last.trace_id


@pytest.mark.parametrize("how", ["refuses", "hangs", "is not there"])
def test_a_collector_that_is_away_holds_up_nothing_and_no_end(
    traced: Installation, collector: Collector, now: Callable[[], str], how: str
) -> None:
    if how == "refuses":
        collector.status = 503
    elif how == "hangs":
        collector.hangs.clear()
    else:
        traced.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://user:hunter2@127.0.0.1:9/"
    client = traced.client(traced.api())
    worker = traced.worker()
    traced.scheduler()
    for number in range(50):
        body = {"query": INGEST, "variables": {"input": camel(draft(f"event {number}", occurred_at=now()))}}
        assert client.post("/graphql", json=body).status_code == 200
    wait_until(lambda: len(traced.accepted()) == 50, "all to be delivered")
    assert worker.stop() == 0
    assert "Traceback" not in worker.output()
    assert "hunter2" not in worker.output()
    if how == "is not there":
        traced.environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "1"
        again = traced.worker()
        body = {"query": INGEST, "variables": {"input": camel(draft("one more", occurred_at=now()))}}
        client.post("/graphql", json=body)
        wait_until(lambda: "127.0.0.1:9 takes no traces" in again.output(), "it to say so")
        assert again.output().count("takes no traces") == 1


def test_nothing_of_it_is_loaded_where_no_exporter_is_set() -> None:
    code = (
        "import sys; from tracklayer.cli.life import open_tracer; assert open_tracer({}, 'api') is None; "
        "sys.exit('tracklayer.otel' in sys.modules or 'opentelemetry.sdk.trace' in sys.modules)"  # redis loads some of it
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_exporter_without_the_extra_is_one_line_and_no_end(traced: Installation) -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None; from tracklayer.cli import main; sys.argv[0] = 'tracklayer'; "
        "sys.exit(main(['scheduler']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **traced.environ}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    told: list[str] = []
    deadline = time.monotonic() + 60
    while not any("tracklayer[tracing]" in line for line in told) and time.monotonic() < deadline:
        told.append(process.stderr.readline())
    process.terminate()
    rest = process.communicate(timeout=30)[0]
    assert rest is None
    assert process.returncode == 0
    assert told[-1].endswith('nothing is traced, though an exporter is set: pip install "tracklayer[tracing]"\n')
