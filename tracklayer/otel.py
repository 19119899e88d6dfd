"""Sends traces by OpenTelemetry's own libraries, as OTEL_* says. They are an extra: nobody imports this who has no exporter."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, StaticSampler, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from tracklayer.tracing import LOW, Span, Tracer

log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0  # for what is left when a process ends; what is not sent by then is lost
WRITTEN = TraceFlags(TraceFlags.SAMPLED)


def build(role: str, version: str) -> Tracer:
    """A tracer by the environment: OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_BSP_*, OTEL_SERVICE_NAME and the like.

    Raises ValueError where one of them is wrong.
    """
    resource = Resource.create()
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "tracklayer"}))
    resource = resource.merge(Resource({"service.version": version, "tracklayer.role": role}))
    sampler = TracerProvider(resource=resource, shutdown_on_exit=False).sampler
    exporter = _Told(OTLPSpanExporter())
    # Of what goes wrong we say one line; the library says one for every batch, and of a full queue one for every span.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    processor = BatchSpanProcessor(exporter)
    scope = InstrumentationScope("tracklayer", version)

    def emit(spans: Iterable[Span]) -> None:
        try:
            for span in spans:
                processor.on_end(_readable(span, resource, scope))
        except Exception as error:  # noqa: BLE001 - of libraries that are not ours: what is traced goes on
            log.warning("traces are left out (%s)", type(error).__name__)

    def close() -> None:
        # Not longer than that, whatever the collector does: all of the process must end within some seconds.
        ending = threading.Thread(target=processor.shutdown, name="last traces", daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)

    bound = bound_of(sampler)
    return Tracer(emit, LOW + 1 if bound is None else bound, _asks(sampler) if bound is None else None, close)


def bound_of(sampler: Sampler) -> int | None:
    """Trace ids whose lower half is below it are sampled; None where the sampler has to be asked of each.

    What decides is the rule for traces that begin here: a caller's own trace is linked to, and is no parent.
    """
    rule = getattr(sampler, "_root", sampler)
    if isinstance(rule, TraceIdRatioBased):
        return rule.bound
    if isinstance(rule, StaticSampler):
        return LOW + 1 if _asks(rule)(1) else 0
    return None


def _asks(sampler: Sampler) -> Callable[[int], bool]:
    def samples(trace_id: int) -> bool:
        try:
            return sampler.should_sample(None, trace_id, "event").decision is Decision.RECORD_AND_SAMPLE
        except Exception as error:  # noqa: BLE001 - one that is not ours: what is to be traced goes on
            log.warning("OTEL_TRACES_SAMPLER fails, and nothing is traced (%s)", type(error).__name__)
            return False

    return samples


class _Told(SpanExporter):
    """The exporter, and a line of the log when it begins or ceases to be taken from."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        self._fails = False
        parts = urlsplit(exporter._endpoint)
        self._place = parts.netloc.rpartition("@")[2] or "OTEL_EXPORTER_OTLP_ENDPOINT"

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - of an address that is none, for example
            result = SpanExportResult.FAILURE
        fails = result is not SpanExportResult.SUCCESS
        if fails and not self._fails:
            more = {"kind": "traces_away"}
            log.warning("%s takes no traces: they are left out; all else goes on", self._place, extra=more)
        elif self._fails and not fails:
            log.warning("%s takes traces again", self._place, extra={"kind": "traces_back"})
        self._fails = fails
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


_KINDS = {kind.value: kind for kind in SpanKind}


def _readable(span: Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    return ReadableSpan(
        span.name,
        SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=WRITTEN),
        SpanContext(span.trace_id, span.parent, is_remote=True, trace_flags=WRITTEN) if span.parent else None,
        resource,
        span.attributes,
        links=[Link(SpanContext(*place, is_remote=True, trace_flags=WRITTEN)) for place in span.links],
        kind=_KINDS[span.kind.value],
        status=Status(StatusCode.ERROR) if span.failed else Status(StatusCode.UNSET),
        start_time=span.began,
        end_time=span.ended,
        instrumentation_scope=scope,
    )
