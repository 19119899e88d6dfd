"""Takes events in: judged one by one, stored together, acknowledged after the commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from tracklayer import metrics
from tracklayer.clock import elapsed
from tracklayer.db import storing as db
from tracklayer.db.async_session import Moment
from tracklayer.db.connection import in_transaction
from tracklayer.db.events import EventRow, Key
from tracklayer.db.identities import crowd_arguments
from tracklayer.db.lateness import KNOWN_SECONDS, begin_storing, end_storing
from tracklayer.db.merchants import KeyHolder
from tracklayer.db.repeats import Difference, note_differences
from tracklayer.db.sessions import DatabaseAwayError
from tracklayer.db.storing import Stored
from tracklayer.domain.facts import OTHERS, facts_left_alone, facts_of, host_of, refusal_of
from tracklayer.domain.person import of_browser, to_leave_alone, tokens_of_event
from tracklayer.domain.problem import Name, Problem
from tracklayer.domain.read_event import ReadEvent, read_event, readable_event_id, readable_event_name, readable_sale
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services import persist
from tracklayer.services.alone import tell_fault
from tracklayer.services.linking import KnownLinks, Together, together_of
from tracklayer.services.marks import MARK_BYTES, NAME_BYTES, marker_of
from tracklayer.tally import Tally
from tracklayer.tracing import Store

MAX_EVENTS = 1000  # of one call
# From a call's arrival: what is not in the database by then is not taken in, and the sender is told.
LATE_SECONDS = 12.0
MAX_TOLD_REPEATS = 100  # of an event: whether a later one differs, a key that may only send is not told

Wake = tuple[int, str]  # (merchant id, platform): a destination that has something to do


@dataclass(frozen=True, slots=True)
class Accepted:
    row: EventRow
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Coalesced:
    """A repeat: ``row`` is the event as it was stored the first time, with the count after this one.

    ``differing``: dotted paths of the fields in which it differs from that, whoever sent it.
    """

    row: EventRow
    warnings: tuple[Problem, ...]
    differing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Nothing of it is stored. ``event_id``: where it had a good one."""

    problems: tuple[Problem, ...]
    event_id: str | None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A repeat of an event that was erased: it is counted as a repeat, and nothing of it is stored."""

    event_id: str
    warnings: tuple[Problem, ...]


Ingested = Accepted | Coalesced | Rejected | Forgotten


@dataclass(frozen=True, slots=True)
class IngestResult:
    """``outcomes``: one a draft, in order. ``wake``: whom the caller wakes, now that all of it is committed."""

    outcomes: list[Ingested]
    wake: set[Wake]


def ingest_events(runtime: Runtime, merchant: KeyHolder, drafts: Sequence[Any]) -> IngestResult:
    """Stores each event once, with its deliveries, in one transaction. Safe to call twice, and twice at once.

    Raises DatabaseAwayError: then nothing was acknowledged, and sending all of it again is right.
    """
    call = judge(runtime, merchant, drafts)
    with in_transaction():
        until = begin_storing(call.arrived + LATE_SECONDS - elapsed())
        steps = store([call], runtime.settings.retry_window, until)
        try:
            statement, arguments = next(steps)
            while True:
                statement, arguments = steps.send(db.run_statement(statement, arguments))
        except StopIteration as ended:
            queued: set[Wake] = ended.value
        end_storing(until)
    outcomes = outcomes_of(runtime, call)
    if differing := differences_among(call, outcomes):
        with in_transaction():
            note_differences({one.event_id: one for one in differing}.values())
    return IngestResult(outcomes, queued)


@dataclass(slots=True)
class Item:
    """One event on its way into the database. ``row`` and ``count`` are there once it is stored."""

    read: ReadEvent
    record: dict[str, Any]
    key: Key
    together: Together | None = None  # its browser and its people
    inserted: bool = False
    row: EventRow | None = None
    count: int = 0  # how often it was received up to this one
    conflict: str | None = None  # the other event name under which this id is stored; empty: under which it was erased
    tombstone: bytes | None = None  # the mark of the event itself, of a merchant whose people were erased
    named: bytes | None = None  # the same with its name
    marks: tuple[bytes, ...] = ()  # and those of its person
    browser: bytes | None = None  # and that of the browser in which it would be linked
    is_erased: bool = False
    is_suppressed: bool = False


# Event name, code, field: what refused events are counted by. Without a code: one that was refused before, and was sent
# again as it is. An order that is retried all night is one order, and must not look like a door that refuses everything.
Refusal = tuple[str, str | None, str | None]
Sale = tuple[str, str]  # event name, currency


@dataclass(slots=True)
class Call:
    """The events of one caller, judged. ``outcomes``: the refused ones already, None for those that are stored.

    ``now``: when they arrived, and ``arrived`` the same by ``clock.elapsed``. Both are earlier where their merchant was asked for
    long ago: see ``lateness.KNOWN_SECONDS``.
    """

    merchant: KeyHolder
    now: datetime
    outcomes: list[Ingested | None] = field(default_factory=list)
    items: list[Item | None] = field(default_factory=list)
    refused: dict[Refusal, int] = field(default_factory=dict)
    forgone: dict[Sale, Decimal] = field(default_factory=dict)  # what the refused sales are worth, each counted once
    size: int = 0  # bytes of JSON of those that are stored
    stored_in: Store | None = None  # the commit, where events are traced
    arrived: float = field(default_factory=elapsed)
    hour: int = field(init=False)

    def __post_init__(self) -> None:
        waited = self.arrived - self.merchant.asked_at - KNOWN_SECONDS
        if waited > 0:
            self.arrived -= waited
            self.now -= timedelta(seconds=waited)
        self.hour = int(self.now.timestamp()) // 3600

    def refuse(self, refusal: Refusal) -> None:
        self.refused[refusal] = self.refused.get(refusal, 0) + 1

    def forgo(self, sale: Sale, amount: Decimal) -> None:
        self.forgone[sale] = self.forgone.get(sale, Decimal(0)) + amount


def judge(runtime: Runtime, merchant: KeyHolder, drafts: Sequence[Any]) -> Call:
    """Reads, checks, hashes and seals: everything that needs no database. Raises DatabaseAwayError."""
    call = Call(merchant, runtime.clock.now())
    while (place := len(call.items)) < len(drafts):
        judge_some(runtime, call, drafts[place : place + TOGETHER])
    return call


TOGETHER = 50  # events that go through one step after another: see ``judge_some``


def judge_some(runtime: Runtime, call: Call, drafts: Sequence[Any], goes_on: Callable[[], bool] = lambda: True) -> None:
    """Adds events to a call: one at which TrackLayer fails as one that is refused. Raises DatabaseAwayError.

    All of them are read before anything of them is hashed, and so forth: what a step runs through stays near the processor from one
    event to the next, which takes a sixth less. ``goes_on`` is asked after each that was read; False: no further one is.
    """
    reads, made = list[ReadEvent | list[Problem]](), list[dict[str, Any] | list[Problem]]()
    for draft in drafts:
        try:
            reads.append(read_event(draft, call.now, call.merchant.default_countries))
        except _EVERYBODYS:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours in one event never takes the others along
            reads.append(_failed(runtime, call, error))
        if not goes_on():
            break
    for read in reads:
        try:
            made.append(read if isinstance(read, list) else _record_of(runtime, call, read))
        except _EVERYBODYS:
            raise
        except Exception as error:  # noqa: BLE001
            made.append(_failed(runtime, call, error))
    for draft, read, record in zip(drafts, reads, made, strict=False):  # of the last drafts none may be read
        before = len(call.items)
        try:
            if isinstance(record, list):
                _refuse(runtime, call, draft, record)
            elif isinstance(read, ReadEvent):
                _take(runtime, call, read, record)
        except _EVERYBODYS:
            raise
        except Exception as error:  # noqa: BLE001
            del call.outcomes[before:], call.items[before:]
            _refuse(runtime, call, draft, _failed(runtime, call, error))


_EVERYBODYS = (DatabaseAwayError, SealError)  # troubles in which all of it is sent again
_FAILED = [Problem((), "INTERNAL", "TrackLayer failed to judge this event. Its operator finds the trace in the log.")]


def _failed(runtime: Runtime, call: Call, error: Exception) -> list[Problem]:
    tell_fault(runtime, "judging an event", error, f"merchant {call.merchant.merchant_id}")
    return _FAILED


def _refuse(runtime: Runtime, call: Call, draft: Any, problems: list[Problem]) -> None:
    merchant_id, counting = call.merchant.merchant_id, runtime.counting
    call.items.append(None)
    if problems is _FAILED:
        call.outcomes.append(Rejected(tuple(problems), None))
        call.refuse(("", problems[0].code, ""))
        return
    event_id = readable_event_id(draft, problems)
    call.outcomes.append(Rejected(tuple(problems), event_id))
    if event_id is not None and not counting.refused_ids.is_new(merchant_id, event_id, call.hour):
        call.refuse(("", None, None))
        return
    refusal = (readable_event_name(draft, problems), *refusal_of(problems))
    name, code, where = counting.refusals.counted_as(merchant_id, refusal, call.hour)
    call.refuse((name, code, where))
    if event_id is not None and (sale := readable_sale(draft, problems)) is not None:  # without one, it may be a repeat
        currency, amount = sale
        if counting.refused_sales.known(merchant_id, f"{name} {currency}", call.hour) is not OTHERS:
            call.forgo((name, currency), amount)


def _record_of(runtime: Runtime, call: Call, read: ReadEvent) -> dict[str, Any]:
    merchant = call.merchant
    return persist.to_record(
        read.event, merchant.merchant_id, call.now, runtime.sealer, merchant.hash_user_data, merchant.default_countries
    )


def _take(runtime: Runtime, call: Call, read: ReadEvent, record: dict[str, Any]) -> None:
    merchant, event = call.merchant, read.event
    record["facts"] = facts_of(event, call.now, read.unusable)
    if event.event_source_url:
        record["host"] = runtime.counting.hosts.known(merchant.merchant_id, host_of(event.event_source_url), call.hour)
    counted_as = runtime.counting.names.known(merchant.merchant_id, event.event_name, call.hour)
    if counted_as is OTHERS:
        record["counted_as"] = counted_as
    call.outcomes.append(None)
    key = (merchant.merchant_id, event.event_id)
    item = Item(read, record, key)
    if event.user_data.browser_id is not None:
        item.together = together_of(event, record, call.now, call.arrived)
    if merchant.is_marked:
        marker = marker_of(runtime)
        item.named = marker.named(merchant.merchant_id, event.event_id, event.event_name)
        item.tombstone = item.named[:-NAME_BYTES]
        tokens = tokens_of_event(record["user_data"], record["digests"], merchant.default_countries)
        item.marks = tuple(marker.marks(merchant.merchant_id, to_leave_alone(tokens)))
        if item.together is not None:
            item.browser = marker.mark(merchant.merchant_id, of_browser(event.user_data.browser_id or ""))
    call.items.append(item)
    call.size += read.size


# The name of a statement of ``db.storing.STATEMENTS`` and its arguments; what comes back in are its rows.
Step = tuple[str, tuple[Any, ...]]


def store(
    calls: Sequence[Call], window: timedelta, until: datetime | Moment, known: KnownLinks | None = None
) -> Generator[Step, list[Any], set[Wake]]:
    """The statements that store the events of all calls, one after another, as whoever holds a connection runs them.

    One suffices, unless an id is stored under another name: then it asks for that name and counts the repeats of it.
    Fills in the items; returns whom to wake. The same id several times: the first is stored, the others are its
    repeats, in the order of the calls. ``until``: later than that nothing is stored, as an erasure may have finished
    meanwhile that looked for these very events. ``known``: of whoever commits each statement by itself.
    """
    epochs: dict[int, int | None] = {}
    marked = [item for call in calls if call.merchant.is_marked for item in call.items if item is not None]
    if marked:
        epochs = yield from _look_for_marks(marked)
    groups: dict[Key, list[Item]] = {}
    for call in calls:
        for item in call.items:
            if item is not None and not item.is_erased and item.conflict != "":
                groups.setdefault(item.key, []).append(item)
    rejected = [record for call in calls if call.refused for record in _rejections(call, call.refused, call.forgone)]
    wake: set[Wake] = set()
    while groups or rejected:
        stored = yield from _store_firsts(calls, groups, rejected, window, until, known, epochs)
        wake |= stored.queued
        rejected = []
        left = {key: items for key, items in groups.items() if key not in stored.events}
        if not left:
            break
        found = yield "stored_names", db.stored_names_arguments(list(left))
        names = {(row[0], row[1]): row[2] for row in found}
        groups = {}
        gone = [item for key, items in left.items() if key not in names for item in items if item.tombstone]
        if gone:  # erased since its marks were looked for
            epochs |= yield from _look_for_marks(gone)
        for key, items in left.items():
            name = names.get(key)
            if name is None:  # purged between the two statements, if it was not erased: the id is new again
                if new := [item for item in items if not item.is_erased and item.conflict != ""]:
                    groups[key] = new
                continue
            for item in items:
                if item.read.event.event_name != name:
                    item.conflict = name
            repeats = [item for item in items if item.conflict is None]
            if repeats:
                groups[key] = repeats
    rejected = [
        record for call in calls if (conflicts := _conflicts(call)) for record in _rejections(call, conflicts, {})
    ]
    if rejected:
        yield db.to_store([], rejected, [], window, until)
    if marked:
        counts = [
            (call.merchant.merchant_id, call.now, sum(item is not None and item.is_erased for item in call.items))
            for call in calls
            if call.merchant.is_marked
        ]
        if any(count for _, _, count in counts):
            yield "count_repeats", db.repeats_arguments([one for one in counts if one[2]])
    return wake


def _look_for_marks(items: Sequence[Item]) -> Generator[Step, list[Any], dict[int, int | None]]:
    """Finds out which events were erased, and takes off what says who it was where somebody is to be left alone. With a browser
    that is, nobody is linked.

    Returns the number of each merchant's last erasure; None while one goes on.
    """
    asked = {
        (item.key[0], mark)
        for item in items
        for mark in (item.tombstone, *item.marks, item.browser)
        if mark is not None
    }
    erased, suppressed = dict[tuple[int, bytes], set[bytes]](), set[tuple[int, bytes]]()
    epochs: dict[int, int | None] = {}
    for merchant_id, mark, is_tombstone, last in (yield "find_marks", db.marks_arguments(asked)):
        if mark is None:
            epochs[merchant_id] = last
        elif is_tombstone:
            erased.setdefault((merchant_id, bytes(mark[:MARK_BYTES])), set()).add(bytes(mark))
        else:
            suppressed.add((merchant_id, bytes(mark)))
    for item in items:
        assert item.tombstone is not None
        marks = erased.get((item.key[0], item.tombstone), set())
        # Without a mark of its name it was erased by a version before: what comes is a repeat, whatever its name.
        has_another_name = len(marks) > 1 and item.named not in marks
        if has_another_name:
            item.conflict = ""
        item.is_erased = bool(marks) and not has_another_name
        item.is_suppressed = any((item.key[0], mark) in suppressed for mark in item.marks)
        if item.browser is not None and (item.key[0], item.browser) in suppressed:
            item.together = None
        if item.is_suppressed:
            item.record = persist.without_person(item.record, item.read.event)
            item.record["facts"] = facts_left_alone(item.record["facts"])
    return epochs


def _conflicts(call: Call) -> Mapping[Refusal, int]:
    records = [item.record for item in call.items if item is not None and item.row is None and not item.is_erased]
    if not records:
        return {}
    names = (record.get("counted_as") or record["event_name"] for record in records)
    return Counter((name, "EVENT_ID_CONFLICT", "event_id") for name in names)


def _rejections(
    call: Call, refused: Mapping[Refusal, int], forgone: Mapping[Sale, Decimal]
) -> Iterator[dict[str, Any]]:
    at = {"merchant_id": call.merchant.merchant_id, "received_at": call.now}
    for (name, code, where), count in refused.items():
        yield {**at, "rejected": count, "event_name": name, "code": code, "field": where}
    for (name, currency), amount in forgone.items():
        yield {**at, "rejected": 0, "event_name": name, "currency": currency, "amount": str(amount)}


def _store_firsts(
    calls: Sequence[Call],
    groups: dict[Key, list[Item]],
    rejected: list[dict[str, Any]],
    window: timedelta,
    until: datetime | Moment,
    known: KnownLinks | None,
    epochs: Mapping[int, int | None],
) -> Generator[Step, list[Any], Stored]:
    """Stores the first of each group, counting those of the same name as its repeats, and fills in what came of it."""
    alike: dict[Key, list[Item]] = {}
    records, suppressed = list[dict[str, Any]](), list[dict[str, Any]]()
    links: list[dict[str, Any]] = []
    linked: list[tuple[Key, Together, int]] = []  # that are known once they are stored
    for key, items in groups.items():
        first = items[0]
        name = first.read.event.event_name
        alike[key] = items if len(items) == 1 else [item for item in items if item.read.event.event_name == name]
        first.record["times_received"] = len(alike[key])
        if first.is_suppressed:
            suppressed.append(first.record)
            continue
        records.append(first.record)
        if (together := first.together) is None:
            continue
        epoch = epochs.get(key[0]) if key[0] in epochs else 0
        if known is None or epoch is None:
            links += together.records()
        elif not known.has(together, epoch) and (found_links := together.records()):
            links += found_links
            linked.append((key, together, epoch))
    # While one goes on it may delete an event, and write its tombstone, after that was looked for. One that begins later deletes
    # nothing for as long as this may take: see ``erase.ON_ITS_WAY``.
    marks: dict[Key, bytes] = {}
    if None in epochs.values():
        for key, (first, *_) in groups.items():
            if first.tombstone is not None and epochs.get(key[0], 0) is None:
                marks[key] = first.tombstone
    if not records and not rejected and suppressed:
        stored = db.Stored({}, set())
    else:
        step = db.to_store(records, rejected, links, window, until, asks=bool(links) and _may_be_first(links, calls))
        stored = db.read_stored((yield _unless_erased(step, records, marks) if marks else step))
        if known is not None:
            for key, together, epoch in linked:
                if (new := stored.events.get(key)) is not None and new.before is None:  # a repeat links nobody
                    known.note(together, epoch, stored.known)
        if stored.crowded:
            yield "forget_crowd", crowd_arguments(stored.crowded)
    if suppressed:
        step = db.to_suppress(suppressed, window, until)
        others = db.read_stored((yield _unless_erased(step, suppressed, marks) if marks else step))
        stored = db.Stored({**stored.events, **others.events}, stored.queued)
    for key, found in stored.events.items():
        first, total = groups[key][0], len(alike[key])
        first.inserted = found.before is None
        row = found.before if found.before is not None else NewEventRow(first.record)
        for place, item in enumerate(alike[key], 1):
            item.row, item.count = row, found.times_received - total + place
        for item in groups[key]:
            if item.row is None:
                item.conflict = first.read.event.event_name
    return stored


def _may_be_first(links: Iterable[Mapping[str, Any]], calls: Iterable[Call]) -> bool:
    """Whether nobody has asked yet that events of one of these merchants be stitched."""
    unasked = {call.merchant.merchant_id for call in calls if not call.merchant.is_stitched}
    return bool(unasked) and any(link["merchant_id"] in unasked for link in links)


def _unless_erased(step: Step, records: Sequence[dict[str, Any]], marks: Mapping[Key, bytes]) -> Step:
    """``marks``: of the events that may be erased at this moment."""
    told, held = list[dict[str, Any]](), list[Key]()
    for record in records:
        mark = marks.get(key := (record["merchant_id"], record["event_id"]))
        told.append(record if mark is None else {**record, "tombstone": f"\\x{mark.hex()}"})
        held += [] if mark is None else [key]
    return db.unless_erased(step, held, told) if held else step


def _column(name: str) -> Any:
    return property(lambda self: self._record[name])


class NewEventRow(EventRow):
    """The row of an event that was new, read from the record when somebody asks for it."""

    __slots__ = ("_record",)

    _record: dict[str, Any]
    merchant_id = _column("merchant_id")
    event_id = _column("event_id")
    event_name = _column("event_name")
    occurred_at = _column("occurred_at")
    received_at = _column("received_at")
    last_received_at = _column("received_at")
    action_source = _column("action_source")
    event_source_url = _column("event_source_url")
    times_received = 1

    def __init__(self, record: dict[str, Any]) -> None:
        object.__setattr__(self, "_record", record)

    @property
    def user_data(self) -> str:
        return _text(self._record["user_data"])

    @property
    def digests(self) -> str | None:
        return _text(self._record["digests"]) if self._record["digests"] is not None else None

    @property
    def sealed(self) -> bytes | None:
        return bytes.fromhex(self._record["sealed"][2:]) if self._record["sealed"] is not None else None

    @property
    def custom_data(self) -> str:
        return _text(self._record["custom_data"])

    @property
    def consent(self) -> str | None:
        return _text(self._record["consent"]) if self._record["consent"] is not None else None

    @property
    def device(self) -> str | None:
        return _text(self._record["device"]) if "device" in self._record else None


class ErasedRow(NewEventRow):
    """The row of an event that was erased, as far as a repeat can tell: for whoever must not hear that it was."""

    __slots__ = ()

    received_at = property(lambda self: min(self._record["occurred_at"], self._record["received_at"]))
    times_received = 2


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _counted(row: EventRow, times_received: int) -> EventRow:
    values = {column.name: getattr(row, column.name) for column in fields(EventRow)}
    return EventRow(**{**values, "times_received": times_received})


def note_stored(tally: Tally, calls: Iterable[Call]) -> None:
    """Counts what became of the events of calls, now that all of it is committed: for metrics and for the log."""
    accepted = coalesced = erased = rejected = 0
    for call in calls:
        for item in call.items:
            if item is None:
                rejected += 1
            elif item.inserted:
                accepted += 1
            elif item.row is not None:
                coalesced += 1
            elif item.is_erased:
                erased += 1
            else:
                rejected += 1
                metrics.EVENTS_REFUSED.labels("EVENT_ID_CONFLICT").inc()
        for (_, code, _), count in call.refused.items():
            metrics.EVENTS_REFUSED.labels(code or "SENT_AGAIN").inc(count)
    if accepted:
        metrics.ACCEPTED.inc(accepted)
        tally.add_many("events", "accepted", accepted)
    if coalesced or erased:
        metrics.COALESCED.inc(coalesced + erased)
        tally.add_many("events", "coalesced", coalesced)
        tally.add_many("events", "erased", erased)
    if rejected:
        metrics.REJECTED.inc(rejected)
        tally.add_many("events", "rejected", rejected)


def outcomes_of(runtime: Runtime, call: Call) -> list[Ingested]:
    """What the caller is told, one a draft, now that all of it is committed."""
    outcomes: list[Ingested] = []
    for outcome, item in zip(call.outcomes, call.items, strict=True):
        outcomes.append(outcome if item is None else _outcome(runtime, call.merchant, item))  # type: ignore[arg-type]
    return outcomes


def differences_among(call: Call, outcomes: Iterable[Ingested]) -> list[Difference]:
    """In which fields which repeats differed, for ``note_differences``: in the order of the call, an event as often as it came."""
    merchant_id = call.merchant.merchant_id
    return [
        Difference(merchant_id, outcome.row.event_id, call.now, outcome.differing)
        for outcome in outcomes
        if type(outcome) is Coalesced and outcome.differing
    ]


_DIFFERS_SOMEWHERE = Problem.said(
    ("event_id",),
    "COALESCED_DIFFERENT_CONTENT",
    "This repeat differs from what was stored when this ",
    Name(("event_id",)),
    " first came; the first content stays. A key with the scope READ is told in which fields.",
)


_WAS_ERASED = Problem.said(
    ("event_id",),
    "EVENT_ERASED",
    "The event with this ",
    Name(("event_id",)),
    " was erased with its person: it is counted as a repeat, and nothing of it is stored.",
)
_WAS_ERASED_OTHERWISE = Problem.said(
    ("event_id",),
    "EVENT_ID_CONFLICT",
    "The event with this ",
    Name(("event_id",)),
    " was erased with its person, and had another ",
    Name(("event_name",)),
    ". Send this one with an id of its own, for example with its name in front.",
)
_IS_SUPPRESSED = Problem.said(
    ("user_data",),
    "PERSON_SUPPRESSED",
    "This person was erased, and is to be left alone: the event is stored without identifiers, and sent nowhere.",
)


def _outcome(runtime: Runtime, merchant: KeyHolder, item: Item) -> Ingested:
    event, row = item.read.event, item.row
    if item.is_erased:
        if merchant.may_read:
            return Forgotten(event.event_id, (_WAS_ERASED,))
        # Whoever may only send hears of a repeat of what it sent: else it could ask of anybody whether they were erased.
        return Coalesced(ErasedRow(item.record), item.read.warnings)
    if row is None:
        if item.conflict == "" and merchant.may_read:
            return Rejected((_WAS_ERASED_OTHERWISE,), event.event_id)
        path = ("event_id",)
        conflict = Problem.said(
            path,
            "EVENT_ID_CONFLICT",
            "This ",
            Name(path),
            " is stored already, with another ",
            Name(("event_name",)),
            ". An ",
            Name(path),
            " names one business action: send this one with an id of its own, for example with its name in front.",
        )
        return Rejected((conflict,), event.event_id)
    if item.is_suppressed:
        # In what it differs is not looked at: of what was stored, nobody is to be told apart.
        warnings = (*item.read.warnings, _IS_SUPPRESSED) if merchant.may_read else item.read.warnings
        return Accepted(row, warnings) if item.inserted else Coalesced(_counted(row, item.count), warnings)
    if item.inserted:
        return Accepted(row, item.read.warnings)
    try:
        differing = persist.differences(row, event, runtime.sealer, merchant.default_countries)
    except SealError:
        differing = []  # a key was taken away too early: `doctor` says so; the repeat is a repeat all the same
    paths = tuple(".".join(path) for path in differing)
    if not merchant.may_read:
        # Field by field, whoever may only send could guess what is stored with made-up repeats.
        is_told = bool(differing) and item.count <= MAX_TOLD_REPEATS
        told = (_DIFFERS_SOMEWHERE,) if is_told else ()
        return Coalesced(_counted(row, item.count), item.read.warnings + told, paths)
    different = tuple(
        Problem.said(
            path,
            "COALESCED_DIFFERENT_CONTENT",
            Name(path),
            " differs from what was stored when this ",
            Name(("event_id",)),
            " first came; the first content stays.",
        )
        for path in differing
    )
    return Coalesced(_counted(row, item.count), item.read.warnings + different, paths)
