"""Takes events in: judged one by one, stored together, acknowledged after the commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tracklayer.db import events as db
from tracklayer.db.connection import in_transaction
from tracklayer.db.events import EventRow, Key, StoredEvent
from tracklayer.db.merchants import KeyHolder
from tracklayer.domain.event import Event, ReadEvent, read_event
from tracklayer.domain.problem import Problem
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services import persist

MAX_EVENTS = 1000  # of one call

Wake = tuple[int, str]  # (merchant id, platform): a destination that has something to do


@dataclass(frozen=True, slots=True)
class Accepted:
    row: EventRow
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Coalesced:
    """A repeat: ``row`` is the event as it was stored the first time, with the count after this one."""

    row: EventRow
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Nothing of it is stored."""

    problems: tuple[Problem, ...]


Ingested = Accepted | Coalesced | Rejected


@dataclass(frozen=True, slots=True)
class IngestResult:
    """``outcomes``: one a draft, in order. ``wake``: whom the caller wakes, now that all of it is committed."""

    outcomes: list[Ingested]
    wake: set[Wake]


def ingest_events(runtime: Runtime, merchant: KeyHolder, drafts: Sequence[Any]) -> IngestResult:
    """Stores each event once, with its deliveries, in one transaction. Safe to call twice, and twice at once.

    Raises DatabaseAwayError: then nothing was acknowledged, and sending all of it again is right.
    """
    now = runtime.clock.now()
    read = [read_event(draft, now, merchant.default_countries) for draft in drafts]
    outcomes: list[Ingested | None] = [Rejected(tuple(found)) if isinstance(found, list) else None for found in read]
    # The same id several times in one call: the first is stored, the others are its repeats.
    groups: dict[str, list[int]] = {}
    for index, found in enumerate(read):
        if isinstance(found, ReadEvent):
            groups.setdefault(found.event.event_id, []).append(index)
    if not groups:
        return IngestResult([found for found in outcomes if found is not None], set())
    wake: set[Wake] = set()
    records = []
    for indices in groups.values():
        first = _event(read[indices[0]])
        record = persist.to_record(
            first, merchant.merchant_id, now, runtime.sealer, merchant.hash_user_data, merchant.default_countries
        )
        record["times_received"] = sum(_event(read[i]).event_name == first.event_name for i in indices)
        records.append(record)
    with in_transaction():
        stored, names = _store(runtime, records)
        for event_id, indices in groups.items():
            key = (merchant.merchant_id, event_id)
            there = stored.get(key)
            name = there.row.event_name if there else names[key]
            row = there.row if there else None
            if there is None and (repeats := sum(_event(read[i]).event_name == name for i in indices)):
                row = db.count_repeats(merchant.merchant_id, event_id, repeats, now)
            for place, index in enumerate(indices):
                outcomes[index] = _outcome(runtime, merchant, read[index], there, row, name, first=place == 0)
            if there:
                wake.update((merchant.merchant_id, platform) for platform in there.routed)
    return IngestResult([found for found in outcomes if found is not None], wake)


def _store(runtime: Runtime, records: list[dict[str, Any]]) -> tuple[dict[Key, StoredEvent], dict[Key, str]]:
    """(what was stored or counted, the stored names of those that are under another name)."""
    stored = db.store_events(records, runtime.settings.retry_window)
    left = [record for record in records if (record["merchant_id"], record["event_id"]) not in stored]
    if not left:
        return stored, {}
    names = db.stored_names([(record["merchant_id"], record["event_id"]) for record in left])
    # Purged between the two statements: the id is new again.
    gone = [record for record in left if (record["merchant_id"], record["event_id"]) not in names]
    return (stored | db.store_events(gone, runtime.settings.retry_window) if gone else stored), names


def _outcome(
    runtime: Runtime,
    merchant: KeyHolder,
    read: ReadEvent | list[Problem],
    stored: StoredEvent | None,
    row: EventRow | None,
    name: str,
    *,
    first: bool,
) -> Ingested:
    event = _event(read)
    warnings = read.warnings if isinstance(read, ReadEvent) else ()
    if event.event_name != name or row is None:
        message = (
            f"This event_id is stored already, as {name!r}. An event_id names one business action: send "
            f"{event.event_name!r} with an id of its own, for example with the event name in front."
        )
        return Rejected((Problem(("event_id",), "EVENT_ID_CONFLICT", message),))
    if first and stored is not None and stored.inserted:
        return Accepted(row, warnings)
    try:
        differing = persist.differences(row, event, runtime.sealer, merchant.default_countries)
    except SealError:
        differing = []  # a key was taken away too early: `doctor` says so; the repeat is a repeat all the same
    different = tuple(
        Problem(
            path,
            "COALESCED_DIFFERENT_CONTENT",
            f"{'.'.join(path)} differs from what was stored when this event_id first came; the first content stays.",
        )
        for path in differing
    )
    return Coalesced(row, warnings + different)


def _event(read: ReadEvent | list[Problem]) -> Event:
    assert isinstance(read, ReadEvent)
    return read.event
