"""What is stored about somebody, for that person: events with their deliveries, and browsers with what they showed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tracklayer.db import deliveries as db_deliveries
from tracklayer.db import enrichments as db_enrichments
from tracklayer.db import events as db_events
from tracklayer.db import personal_data as db
from tracklayer.db.connection import bounded_read
from tracklayer.db.deliveries import DeliveryRow
from tracklayer.db.events import EventRow
from tracklayer.db.stored_json import loads
from tracklayer.domain.delivery import told_attempts
from tracklayer.domain.json_text import write_with_instants
from tracklayer.domain.problem import Problem
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services import erase, persist
from tracklayer.services.erase import LOOK_SECONDS, Request, Wanted, check_request, tokens_of

Part = tuple[str, dict[str, Any]]  # event or browser, and what is stored of it
MOST_BYTES = 8_000_000  # of a package that is one answer
MOST_SIGNALS = 100  # of one browser
_SEALED = Problem(
    (),
    "SEALED",
    "Some of it is sealed with a secret key that this server has no more, so it cannot be shown. Whoever runs TrackLayer knows "
    "the keys of before.",
)


@dataclass
class Package:
    """``uncertain``: events that are not in it, as they may be somebody else's. ``json``: as ``as_json`` puts it; None: there is
    more than one answer holds, and the counts are of a part.
    """

    events: int = 0
    browsers: int = 0
    json: str | None = None
    uncertain: int = 0


class TooLongError(Exception):
    """There was no time to look at all events."""


def check_export(merchant_id: int, request: Request) -> list[Problem]:
    """What is wrong with a request, without a value in it."""
    return check_request(request, erase.countries_of(merchant_id))


def package_of(
    runtime: Runtime, merchant_id: int, request: Request, seconds: float = LOOK_SECONDS, most: int = MOST_BYTES
) -> Package | list[Problem]:
    """All that ``export_person`` finds, where that takes no longer, and is no more; or what is wrong with the request."""
    problems = check_export(merchant_id, request)
    if problems:
        return problems
    found, pieces, size = Package(), list[bytes](), 0
    try:
        for piece in as_json(export_person(runtime, merchant_id, request, found, ends=time.monotonic() + seconds)):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                return found
    except TooLongError:
        return found
    except SealError:
        return [_SEALED]
    found.json = b"".join(pieces).decode()
    return found


def export_person(
    runtime: Runtime, merchant_id: int, request: Request, counted: Package | None = None, ends: float = math.inf
) -> Iterator[Part]:
    """Piece by piece, the events in the order in which they came. Sealed fields are opened. Raises SealError.

    ``counted``: is told how many there are, as they come, and how many are uncertain; of a dry run it is the same number.
    ``ends``: by the monotonic clock; raises TooLongError where it is past that before all were looked at.
    """

    def on_time() -> None:
        if time.monotonic() > ends:
            raise TooLongError

    counted = counted or Package()
    countries = erase.countries_of(merchant_id)
    wanted = Wanted(tokens_of(request, countries), list(request.event_ids))
    for page in erase.look(runtime, merchant_id, wanted):
        with bounded_read():
            found = list(_events(runtime, merchant_id, [one.event_id for one in page.theirs]))
        counted.uncertain += len(page.uncertain)
        for part in found:
            counted.events += 1
            yield part
        if not page.is_last:
            on_time()
    with bounded_read():
        linked = erase.linked_browsers(merchant_id, wanted)
        known = sorted(db.known_browsers(merchant_id, sorted(linked.alone)))
    for browser_id in known:
        on_time()
        with bounded_read():
            browser = _browser(merchant_id, browser_id)
        counted.browsers += 1
        yield "browser", browser  # whoever reads may be slow: meanwhile no transaction is open
    for browser_id in sorted(linked.shared):
        # What others may have shown with it is theirs.
        counted.browsers += 1
        yield "browser", {"browser_id": browser_id, "shared_with_others": True}


def _events(runtime: Runtime, merchant_id: int, event_ids: list[str]) -> Iterator[Part]:
    if not event_ids:
        return
    events = db_events.events_by_id(merchant_id, event_ids)
    deliveries = db_deliveries.deliveries_of_events(merchant_id, event_ids)
    added = db_enrichments.decided(merchant_id, event_ids)
    for event_id in event_ids:
        if event_id in events:
            event = _event(runtime, events[event_id])
            event["enrichment"] = [one._asdict() for one in added[event_id].fields] if event_id in added else []
            event["deliveries"] = [_delivery(one) for one in deliveries[event_id]]
            yield "event", event


def _event(runtime: Runtime, row: EventRow) -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "event_name": row.event_name,
        "occurred_at": row.occurred_at,
        "received_at": row.received_at,
        "times_received": row.times_received,
        "action_source": row.action_source,
        "event_source_url": row.event_source_url,
        "user_data": persist.opened_user_data(row, runtime.sealer),
        "digests": loads(row.digests) if row.digests else None,
        "custom_data": loads(row.custom_data),
        "consent": loads(row.consent) if row.consent else None,
        "device": loads(row.device) if row.device else None,
    }


def _delivery(row: DeliveryRow) -> dict[str, Any]:
    return {
        "platform": row.platform,
        "status": row.status,
        "drop_reason": row.drop_reason,
        "queued_at": row.queued_at,
        "delivered_at": row.delivered_at,
        "attempts": told_attempts(row.attempt_log),
    }


def _browser(merchant_id: int, browser_id: str) -> dict[str, Any]:
    first_seen_at, last_seen_at, consent = db.browser(merchant_id, browser_id) or (None, None, None)
    names = ("kind", "value", "first_seen_at", "last_seen_at")
    return {
        "browser_id": browser_id,
        "first_seen_at": first_seen_at,
        "last_seen_at": last_seen_at,
        "consent": consent,
        "signals": [dict(zip(names, one, strict=True)) for one in db.signals_of(merchant_id, browser_id, MOST_SIGNALS)],
        "people": [
            {"kind": person.kind, "sha256": person.digest}
            for _, person in db.links_of_browsers(merchant_id, [browser_id])
        ],
    }


def as_json(parts: Iterator[Part]) -> Iterator[bytes]:
    """One JSON object, ``{"events": [...], "browsers": [...]}``, in pieces as they are found."""
    yield b'{"events":['
    kind, is_first = "event", True
    for found, value in parts:
        if found != kind:
            yield b'],"browsers":['
            kind, is_first = found, True
        yield (b"" if is_first else b",") + b"\n" + write_with_instants(value, other=str)
        is_first = False
    yield b"]}\n" if kind == "browser" else b'],"browsers":[]}\n'
