"""The traces of events, from the request to the platform's answer; ``otel`` sends them, where an exporter is set.

An event's trace has an id made of its merchant's and its own. So whoever takes it in and whoever delivers it, in another process
and hours later, write into the same trace, and all of them decide by that id whether it is one of those that are written:
nothing is carried from one to the other, and nothing is stored. A span is made when it is over, of instants that were noted,
so what is not written costs a look at its id. Ids and outcomes are in it, and never what somebody sent.

Where several go together, in a commit or in a request to a platform, the steps are told once, in the trace of the first; a
bounded number of the others have a span of their own, with a link to it.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from hashlib import blake2b
from typing import Any
from zlib import crc32

from starlette.types import Scope

from tracklayer.request_id import STATUS, scope_of_current

LOW = 2**64 - 1  # what of a trace id a ratio is held against
MOST_LINKED = 20  # events of one batch that have a span of their own
MOST_A_SECOND = 300  # spans of a process: to write one down and send it takes some 90 us of the interpreter's time
MAX_NAME = 64  # characters of an operation's name, which is the caller's
AS_IT_SHOULD = frozenset({"accepted", "coalesced", "acknowledged"})  # outcomes that are as they should be

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")

Place = tuple[int, int]  # trace id, span id


class Kind(Enum):
    """As OpenTelemetry has them."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2
    CONSUMER = 4


@dataclass(frozen=True, slots=True)
class Span:
    """``began``, ``ended``: nanoseconds since 1970. ``parent``: the id of a span of the same trace."""

    trace_id: int
    span_id: int
    parent: int | None
    name: str
    kind: Kind
    began: int
    ended: int
    attributes: Mapping[str, str | int]
    links: Sequence[Place] = ()
    failed: bool = False


class Tracer:
    """Of one process. ``bound``: trace ids whose lower half is below it are written. ``samples``: a rule of another kind.

    ``emit`` takes spans that are over; it neither blocks nor raises. ``close`` has what is left sent, for a bounded time.
    """

    def __init__(
        self,
        emit: Callable[[Iterable[Span]], None],
        bound: int = LOW + 1,
        samples: Callable[[int], bool] | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.close = close
        self.left_out = 0  # events that are not traced, since too much was
        self._emit = emit
        self._bound = bound
        self._samples = samples
        self._second, self._spans = 0, 0  # of that second

    def trace_of(self, merchant_id: int, event_id: str) -> int | None:
        """The id of an event's trace; None where it is not written."""
        data = event_id.encode()
        check = crc32(data, merchant_id & 0xFFFFFFFF) << 32  # the upper part of what the ratio is held against
        if check >= self._bound:
            return None
        digest = blake2b(b"%d/%s" % (merchant_id, data), digest_size=12).digest()
        trace_id = int.from_bytes(digest[:8]) << 64 | check | int.from_bytes(digest[8:])
        if trace_id & LOW >= self._bound or not (self._samples is None or self._samples(trace_id)):
            return None
        if self._spans > MOST_A_SECOND and self._second == int(time.monotonic()):
            self.left_out += 1
            return None
        return trace_id

    def write(self, spans: Sequence[Span]) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._spans = second, 0
        self._spans += len(spans)
        self._emit(spans)

    def stored(self, items: Iterable[Any], outcomes: Iterable[str], store: Store | None) -> None:
        """What became of the events of the request that is being answered. ``items``: of ``services/ingest.py``."""
        for item, outcome in zip(items, outcomes, strict=False):
            if item is None:
                continue
            merchant_id, event_id = item.key
            trace_id = self.trace_of(merchant_id, event_id)
            if trace_id is not None and (scope := scope_of_current()) is not None and BEGAN in scope:
                scope.setdefault(EVENTS, []).append((trace_id, merchant_id, event_id, outcome, store))

    def answered(self, scope: Scope) -> None:
        """The answer to a request with ``EVENTS`` is sent."""
        ended = time.time_ns()
        spans: list[Span] = []
        for event in scope[EVENTS][:MOST_LINKED]:
            spans += _spans_of(scope, ended, *event)
        self.write(spans)

    def claimed(self, took: timedelta) -> Steps:
        """For what was claimed just now; ``took``: how long that took."""
        now = time.time_ns()
        return Steps(self, now - round(took.total_seconds() * 1e9), now)


def root_of(trace_id: int) -> int:
    """The id of the span with which an event's trace begins: the request that it was accepted by."""
    return trace_id >> 64 or 1


def new_id() -> int:
    return random.getrandbits(64) or 1


@dataclass(slots=True)
class Store:
    """A commit of many events. ``place``: of the span that tells of it, once there is one."""

    events: int
    began: int = field(default_factory=time.time_ns)
    ended: int = 0
    place: Place | None = None


# Where a scope keeps when its request came, what it was (``mutation``, and the name that its sender gave it), and the events
# of it whose traces are written.
BEGAN, OPERATION, EVENTS = "tracklayer.began", "tracklayer.operation", "tracklayer.traced"


def _spans_of(
    scope: Scope, ended: int, trace_id: int, merchant_id: int, event_id: str, outcome: str, store: Store | None
) -> list[Span]:
    is_first = outcome == "accepted"  # what comes again has a span of its own below that of the first
    own = root_of(trace_id) if is_first else new_id()
    kind, name = scope.get(OPERATION, ("request", None))
    attributes: dict[str, str | int] = {
        "tracklayer.merchant.id": merchant_id,
        "tracklayer.event.id": event_id,
        "tracklayer.outcome": outcome,
        "http.request.method": scope["method"],
        "http.response.status_code": scope.get(STATUS, 0),
        "graphql.operation.type": kind,
    }
    if name:
        name = attributes["graphql.operation.name"] = name[:MAX_NAME]
    links = [caller for caller in [caller_of(scope)] if caller is not None]
    spans = []
    if store is not None and store.place is not None:
        links.append(store.place)
    elif store is not None:
        store.place = trace_id, new_id()
        of_store: dict[str, str | int] = {"tracklayer.batch.size": store.events}
        spans.append(Span(*store.place, own, "store", Kind.INTERNAL, store.began, store.ended, of_store))
    parent = None if is_first else root_of(trace_id)
    title = f"{kind} {name}" if name else kind
    failed = outcome not in AS_IT_SHOULD
    return [*spans, Span(trace_id, own, parent, title, Kind.SERVER, scope[BEGAN], ended, attributes, links, failed)]


def caller_of(scope: Scope) -> Place | None:
    """The span that a caller names by ``traceparent`` (W3C Trace Context), where it is well-formed."""
    for name, value in scope["headers"]:
        if name == b"traceparent" and (parts := _TRACEPARENT.match(value)) is not None:
            trace_id, span_id = int(parts[1], 16), int(parts[2], 16)
            return (trace_id, span_id) if trace_id and span_id else None
    return None


class Steps:
    """What is done with one claim, for those of its deliveries whose traces are written. Of one thread at a time."""

    __slots__ = ("_answered", "_began", "_claimed", "_mapped", "_mapping", "_sending", "_status", "_tracer", "_traces")

    def __init__(self, tracer: Tracer, began: int, claimed: int) -> None:
        self._tracer = tracer
        self._traces: dict[str, int] = {}  # event id -> trace id
        self._began, self._claimed = began, claimed
        self._mapping = self._mapped = self._sending = self._answered = 0
        self._status: int | None = None

    def maps(self, claimed: Iterable[Any]) -> Steps | None:
        """Before it is mapped. ``claimed``: of ``db/leases.py``. None where no trace of them is written."""
        self._mapping = time.time_ns()
        for found in claimed:
            key = found.claim.key
            trace_id = self._tracer.trace_of(key.merchant_id, key.event_id)
            if trace_id is not None:
                self._traces[key.event_id] = trace_id
        return self if self._traces else None

    def mapped(self) -> None:
        self._mapped = time.time_ns()

    def sends(self) -> None:
        self._sending, self._answered, self._status = time.time_ns(), 0, None

    def answered(self, status: int | None) -> None:
        self._answered, self._status = time.time_ns(), status

    def unsent(self, settlements: Sequence[Any]) -> None:
        """They were settled without being sent. ``settlements``: of ``domain/delivery.py``."""
        self._sending = 0
        told = [(one.key, one.attempts, one.drop_reason.value if one.drop_reason else "put_off") for one in settlements]
        self._tell(told, len(settlements))

    def settled(self, claims: Sequence[Any], outcomes: Sequence[str]) -> None:
        """What one request came to is written. ``claims``: of ``domain/delivery.py``."""
        told = [(one.key, one.attempts + 1, outcome) for one, outcome in zip(claims, outcomes, strict=True)]
        self._tell(told, len(claims))

    def _tell(self, told: Iterable[tuple[Any, int, str]], size: int) -> None:
        ended = time.time_ns()
        traced = [(self._traces[key.event_id], key, *what) for key, *what in told if key.event_id in self._traces]
        if not traced:
            return
        places = [(trace_id, new_id()) for trace_id, *_ in traced[:MOST_LINKED]]
        spans = []
        for number, (place, (trace_id, key, attempt, outcome)) in enumerate(zip(places, traced, strict=False)):
            attributes: dict[str, str | int] = {
                "tracklayer.merchant.id": key.merchant_id,
                "tracklayer.event.id": key.event_id,
                "tracklayer.platform": key.platform,
                "tracklayer.attempt": attempt,
                "tracklayer.outcome": outcome,
                "tracklayer.batch.size": size,
            }
            if self._sending and self._status is not None:
                attributes["http.response.status_code"] = self._status
            spans.append(
                Span(
                    trace_id,
                    place[1],
                    root_of(trace_id),
                    f"deliver {key.platform}",
                    Kind.CONSUMER,
                    self._began,
                    ended,
                    attributes,
                    places[1:] if number == 0 else places[:1],
                    outcome not in AS_IT_SHOULD,
                )
            )
        self._tracer.write([*self._steps_of(places[0], traced[0][1].platform, ended), *spans])

    def _steps_of(self, place: Place, platform: str, ended: int) -> list[Span]:
        steps = [
            ("claim", Kind.INTERNAL, self._began, self._claimed),
            ("map", Kind.INTERNAL, self._mapping, self._mapped),
        ]
        if self._sending:
            answered = self._answered or ended
            steps += [("send", Kind.CLIENT, self._sending, answered), ("settle", Kind.INTERNAL, answered, ended)]
        else:
            steps.append(("settle", Kind.INTERNAL, self._mapped, ended))
        trace_id, parent = place
        found = []
        for name, kind, began, step_ended in steps:
            attributes: dict[str, str | int] = {"tracklayer.platform": platform}
            if kind is Kind.CLIENT and self._status is not None:
                attributes["http.response.status_code"] = self._status
            found.append(Span(trace_id, new_id(), parent, name, kind, began, step_ended, attributes))
        return found
