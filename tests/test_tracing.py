"""Which events are traced, and where their traces begin: decided by their ids alone, alike in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)

from tests.collector import Collector
from tests.factories import INGEST_MANY, Api, camel, draft
from tests.servers import wait_until
from tracklayer import otel
from tracklayer.cli.life import open_tracer
from tracklayer.runtime import Runtime
from tracklayer.tracing import LOW, MOST_A_SECOND, MOST_LINKED, Kind, Place, Span, Tracer, caller_of, root_of


def tracer_of(ratio: float) -> Tracer:
    bound = otel.bound_of(ParentBased(TraceIdRatioBased(ratio)))
    assert bound is not None
    return Tracer(lambda spans: None, bound)


@pytest.mark.parametrize("ratio", [0.001, 0.01, 0.2])
def test_as_many_are_traced_as_the_ratio_says_whatever_their_ids_look_like(ratio: float) -> None:
    tracer = tracer_of(ratio)
    for merchant_id in (1, 2, 77, 2**40 + 1):
        for form in ("{}", "order_{}", "2026-11-20T15:00:{}Z", "{}-purchase"):
            found = sum(tracer.trace_of(merchant_id, form.format(number)) is not None for number in range(20_000))
            assert 0.5 * ratio <= found / 20_000 <= 1.5 * ratio, (merchant_id, form)


def test_what_is_traced_is_what_the_sampler_would_take() -> None:
    sampler, tracer, all_of_them = TraceIdRatioBased(0.1), tracer_of(0.1), tracer_of(1)
    for number in range(2000):
        trace_id = all_of_them.trace_of(5, f"order_{number}")
        assert trace_id is not None
        is_taken = sampler.should_sample(None, trace_id, "x").decision is Decision.RECORD_AND_SAMPLE
        assert (tracer.trace_of(5, f"order_{number}") == trace_id) is is_taken


def test_every_process_makes_the_same_id() -> None:
    code = "from tracklayer.tracing import Tracer; print(Tracer(lambda spans: None).trace_of(7, 'order_1'))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    trace_id = int(found.pop())
    assert Tracer(lambda spans: None).trace_of(7, "order_1") == trace_id
    assert Tracer(lambda spans: None).trace_of(8, "order_1") != trace_id
    assert 0 < root_of(trace_id) <= LOW
    assert LOW < trace_id < 2**128


class _Broken(Sampler):
    def should_sample(self, *args: object, **kwargs: object) -> SamplingResult:
        raise RuntimeError

    def get_description(self) -> str:
        return "broken"


class _OfOurs(Sampler):
    def should_sample(self, *args: object, **kwargs: object) -> SamplingResult:
        return SamplingResult(Decision.DROP)

    def get_description(self) -> str:
        return "of ours"


def test_a_sampler_without_a_ratio_says_all_none_or_is_asked() -> None:
    assert [otel.bound_of(sampler) for sampler in (ALWAYS_ON, ALWAYS_OFF, ParentBased(ALWAYS_ON), _OfOurs())] == [
        LOW + 1,
        0,
        LOW + 1,
        None,
    ]


def test_more_than_a_process_may_write_is_left_out_and_counted() -> None:
    written: list[Span] = []
    tracer = Tracer(written.extend)
    span = Span(1, 1, None, "x", Kind.INTERNAL, 0, 0, {})
    while tracer.trace_of(1, "a") is not None:
        tracer.write([span])
        assert len(written) <= 100 * MOST_A_SECOND  # some seconds may have begun on a busy machine
    assert tracer.left_out == 1


@pytest.mark.parametrize(
    ("header", "place"),
    [
        pytest.param(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", (0x4BF92F3577B34DA6A3CE929D0E0E4736, 0xF067AA0BA902B7), id="good"),
        pytest.param(b"00-00000000000000000000000000000000-00f067aa0ba902b7-01", None, id="no trace"),
        pytest.param(b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", None, id="no span"),
        pytest.param(b"00-4bf9-00f067aa0ba902b7-01", None, id="short"),
        pytest.param(b"00-zz", None, id="not hexadecimal"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b"00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None, id="a sign"),
    ],
)  # fmt: skip
def test_a_callers_span_is_one_that_is_well_formed(header: bytes, place: Place | None) -> None:
    assert caller_of({"headers": [(b"host", b"x"), (b"traceparent", header)]}) == place
    assert caller_of({"headers": []}) is None


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        pytest.param({}, None, id="nothing is set"),
        pytest.param({"OTEL_TRACES_SAMPLER": "always_on"}, None, id="a sampler alone"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, None, id="off"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}, None, id="none"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "of protocols only http/protobuf",
            id="another protocol",
        ),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "zipkin"},
            "only otlp is known",
            id="another exporter",
        ),
    ],
)  # fmt: skip
def test_without_an_exporter_nothing_is_traced(
    environ: Mapping[str, str], says: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert open_tracer(environ, "api") is None
    assert [record.levelname for record in caplog.records] == (["WARNING"] if says else [])
    assert says is None or says in caplog.text


def test_steps_of_which_none_is_traced_are_not_followed() -> None:
    assert Tracer(lambda spans: None, 0).claimed(timedelta()).maps([]) is None


def test_the_end_does_not_wait_for_a_collector_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as collector:
        collector.hangs.clear()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        tracer = otel.build("worker", "1")
        tracer.write([Span(1 << 64, 1, None, "x", Kind.INTERNAL, 0, 0, {})] * 5000)  # more than its queue holds
        tracer.close()
        assert not collector.hangs.is_set()  # it hangs still: nobody waited for its answer
        assert collector.spans == []


@pytest.mark.parametrize("endpoint", ["nonsense", "http://user:hunter2@127.0.0.1:9/"])
def test_an_address_that_takes_nothing_is_told_once(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    tracer = open_tracer(os.environ, "worker")
    assert tracer is not None
    tracer.write([Span(1 << 64, 1, None, "x", Kind.INTERNAL, 0, 0, {})] * 3)
    wait_until(lambda: bool(caplog.records), "it to be told")
    tracer.close()
    assert [record.__dict__["kind"] for record in caplog.records] == ["traces_away"]
    assert "hunter2" not in caplog.text


def test_a_service_is_named_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "conversions")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=production")
        tracer = otel.build("worker", "1.2")
        tracer.write([Span(1 << 64, 1, None, "x", Kind.INTERNAL, 0, 0, {})])
        wait_until(lambda: bool(tracer.close() or collector.spans), "it to arrive")
        (span,) = collector.spans
    told = {name: span.resource[name] for name in ("service.name", "service.version", "deployment.environment.name")}
    assert told == {
        "service.name": "conversions",
        "service.version": "1.2",
        "deployment.environment.name": "production",
    }


@pytest.mark.parametrize(
    ("events", "before"),
    [
        pytest.param(30, 0, id="short"),
        pytest.param(600, 0, id="long, on the loop"),
        pytest.param(600, 1, id="long, beside short ones"),
    ],
)
async def test_whatever_way_a_request_is_answered_it_is_traced(
    api: Api, runtime: Runtime, events: int, before: int
) -> None:
    written: list[Span] = []
    runtime.tracer = Tracer(written.extend)
    for number in range(before):
        await api(INGEST_MANY, inputs=[camel(draft(f"before {number}"))])
    written.clear()
    body = await api(INGEST_MANY, inputs=[camel(draft(f"event {number}")) for number in range(events)])
    assert body["ingestEvents"]["accepted"] == events
    requests = [span for span in written if span.kind is Kind.SERVER]
    (store,) = [span for span in written if span.name == "store"]
    assert len(requests) == MOST_LINKED
    assert {(span.name, span.attributes["http.response.status_code"]) for span in requests} == {("mutation", 200)}
    assert [span.links for span in requests[1:]] == [[(store.trace_id, store.span_id)]] * (MOST_LINKED - 1)
    assert requests[0].began <= store.began < store.ended <= requests[0].ended


async def test_what_is_not_sampled_or_only_reads_writes_nothing(api: Api, runtime: Runtime) -> None:
    written: list[Span] = []
    runtime.tracer = Tracer(written.extend, 0)
    await api(INGEST_MANY, inputs=[camel(draft())])
    runtime.tracer = Tracer(written.extend)
    await api("{ merchant { name } }")
    assert written == []


async def test_a_sampler_or_an_exporter_that_raises_costs_nobody_an_answer(
    api: Api, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.tracer = Tracer(lambda spans: None, samples=otel._asks(_Broken()))
    assert (await api.ingest(draft("sampled")))["outcome"] == "ACCEPTED"

    def raises(self: BatchSpanProcessor, span: ReadableSpan) -> None:
        raise RuntimeError

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(BatchSpanProcessor, "on_end", raises)
    runtime.tracer = otel.build("api", "1.2")
    assert (await api.ingest(draft("exported")))["outcome"] == "ACCEPTED"
    runtime.tracer.close()
