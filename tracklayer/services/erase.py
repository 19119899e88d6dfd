"""Erases a person: what would go is counted first, then a job does it, and leaves a signed receipt.

Nothing leads from a person to events by an index, which every event would pay for: the job looks at a merchant's events in
the order in which they came, page by page, and rests as long as it works. A page, the place behind it and the counts are one
transaction, so a kill at any point neither skips an event nor counts one twice. Its stages:

- ``ids``: events that were named by their ids.
- ``scan``: all events up to the request; with ``suppress`` those of the moment after it as well, which another process may
  have taken in before it knew.
- ``settle``: repeats of erased events that were on their way into the database when their tombstones were written.
- ``people``: browsers, what they showed, and whom they were seen with.
- ``traces``: what names an erased event by its id: alerts, messages, advice, redeliveries. A redelivery that goes on is
  waited for, but not for ever.

Locks are taken in the order of ``services.deliver``: the job's row, the merchant's queues, events, deliveries, counters; and
in another step the job's row, browsers, what they showed, and whom they were seen with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tracklayer.db import erasures as db
from tracklayer.db import merchants as db_merchants
from tracklayer.db.connection import (
    LONG_SECONDS,
    DatabaseAwayError,
    bounded_read,
    in_transaction,
    rows,
    statements_within,
)
from tracklayer.db.erasures import ErasureRow, Looked
from tracklayer.db.identities import forget_browsers, hold_browsers
from tracklayer.db.merchants import merchant_holder
from tracklayer.domain import normalise, person
from tracklayer.domain.problem import Problem
from tracklayer.domain.text import is_storable
from tracklayer.runtime import Runtime
from tracklayer.services.alone import is_everybodys, tell_fault
from tracklayer.services.marks import PREFIX, marker_of, of_event
from tracklayer.services.merchants import holders_change
from tracklayer.services.receipts import write_receipt
from tracklayer.services.traces import remove_traces

PAGE = 1000  # events that are looked at in one transaction
MOST = 200  # of them that are deleted in it: meanwhile nothing is taken out of this merchant's queues
TURN_SECONDS = 0.8  # of one run: the next one begins a second after it
LOOK_SECONDS = 8.0  # of a dry run
MAX_IDS = 1000  # events that are named by their ids
MAX_VALUE = 1000  # characters of an identifier
MOST_MET = 5000  # browsers of erased events that are looked at
AFTER_ERROR = timedelta(minutes=1)
BUSY = timedelta(seconds=10)  # until what somebody holds, or what took too long, is tried again
IN_HANDS = timedelta(seconds=1)  # until what a worker has in its hands is looked at again
# What other processes know of a merchant is a second old, and what is on its way into the database is answered within a few:
# after this long all of them look for marks, and what they took in before that is there.
SETTLE = timedelta(seconds=10)
ONE_PAGE = timedelta(minutes=10)  # that a redelivery is waited for: longer than any page takes that it has in hand
NEXT_PAGE = timedelta(days=1)  # that one is waited for which stands at an erased event, until it goes on
RECEIPTS = timedelta(days=3 * 365)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Request:
    """Who is meant: any of these. Email and phone plain or as SHA-256 of their usual form."""

    email: str | None = None
    phone: str | None = None
    external_id: str | None = None
    browser_id: str | None = None
    event_ids: tuple[str, ...] = ()


@dataclass
class Counted:
    """What would go. ``browsers``: linked directly; ``shared``: those of them that others use as well, which only lose the
    link. ``complete``: whether all events were looked at.
    """

    events: int = 0
    deliveries: int = 0
    browsers: int = 0
    shared: int = 0
    complete: bool = True


@dataclass
class Wanted:
    """What a job looks for. ``browsers``: of the person alone; ``met``: of erased events."""

    tokens: frozenset[str]
    event_ids: list[str] = field(default_factory=list)
    browsers: set[str] = field(default_factory=set)
    met: set[str] = field(default_factory=set)

    @property
    def asked_browsers(self) -> set[str]:
        return {token.partition(":")[2] for token in self.tokens if token.startswith("browser_id:")}

    def finds(self, looked: Looked, countries: frozenset[str]) -> bool:
        """Whether an event is the person's: by its own identifiers, by what was added to it for that person, or because it
        names nobody and came with a browser that only the person uses.
        """
        user_data = orjson.loads(looked.user_data)
        digests = orjson.loads(looked.digests) if looked.digests else None
        own = person.tokens_of_event(user_data, digests, countries)
        if not self.tokens.isdisjoint(own):
            return True
        if looked.added and not self.tokens.isdisjoint(person.tokens_of_added(orjson.loads(looked.added))):
            return True
        return user_data.get("browser_id") in self.browsers and not person.names_somebody(own)


def check_request(request: Request, countries: frozenset[str]) -> list[Problem]:
    """What is wrong with it, without a value in it."""
    problems = []
    given = {name: getattr(request, name) for name in ("email", "phone", "external_id", "browser_id")}
    for name, value in given.items():
        if value is None:
            continue
        if not value.strip() or len(value) > MAX_VALUE or not is_storable(value):
            problems.append(Problem((name,), "INVALID_VALUE", "It must be plain text, and not empty."))
        elif name == "email" and not normalise.is_sha256(value) and normalise.email(value) is None:
            problems.append(Problem((name,), "INVALID_VALUE", "It must be an e-mail address, or the SHA-256 of one."))
        elif name == "phone" and not normalise.is_sha256(value) and not normalise.phone_digests(value, countries):
            message = "It must be a phone number with its country code, or the SHA-256 of one."
            problems.append(Problem((name,), "INVALID_VALUE", message))
        elif normalise.is_nobodys(value) or normalise.digest_in(value) in normalise.digests_of_nothing():
            problems.append(Problem((name,), "INVALID_VALUE", "It stands for no value, and would mean many people."))
    if len(request.event_ids) > MAX_IDS:
        problems.append(Problem(("event_ids",), "TOO_LARGE", f"At most {MAX_IDS:,} events are named at once."))
    elif not all(one and len(one) <= MAX_VALUE and is_storable(one) for one in request.event_ids):
        problems.append(Problem(("event_ids",), "INVALID_VALUE", "An event id must be plain text, and not empty."))
    if not request.event_ids and all(value is None for value in given.values()):
        message = "Say who is meant: an email, a phone, an external id, a browser id or event ids."
        problems.append(Problem((), "REQUIRED", message))
    return problems


def tokens_of(request: Request, countries: frozenset[str]) -> frozenset[str]:
    """All that an event of the person may be known by."""
    found: set[str] = set()
    if request.email is not None:
        found |= person.tokens_of_email(request.email)
    if request.phone is not None:
        found |= person.tokens_of_phone(request.phone, countries)
    if request.external_id is not None:
        found |= person.tokens_of_external_id(request.external_id)
    if request.browser_id is not None:
        found.add(f"browser_id:{request.browser_id.strip()}")
    return frozenset(found)


def count_person(
    runtime: Runtime, merchant_id: int, request: Request, seconds: float = LOOK_SECONDS
) -> Counted | list[Problem]:
    """What ``erase_person`` would delete, without deleting it: as much as can be looked at within ``seconds``."""
    countries = countries_of(merchant_id)
    problems = check_request(request, countries)
    if problems:
        return problems
    wanted = Wanted(tokens_of(request, countries), list(request.event_ids))
    counted, ends = Counted(), time.monotonic() + seconds
    with bounded_read():
        alone, shared = linked_browsers(merchant_id, wanted)
        wanted.browsers = alone
        named = db.still_there(merchant_id, wanted.event_ids) if wanted.event_ids else []
        counted.events, counted.deliveries = len(named), db.deliveries_of(merchant_id, named)
    counted.browsers, counted.shared = len(alone | shared | wanted.asked_browsers), len(shared)
    until, after, seen = runtime.clock.now() + SETTLE, (BEGINNING, ""), set(named)
    while wanted.tokens:
        with bounded_read():
            page = db.events_after(merchant_id, after, until, PAGE)
            hits = [one.event_id for one in page if one.event_id not in seen and wanted.finds(one, countries)]
            counted.events += len(hits)
            counted.deliveries += db.deliveries_of(merchant_id, hits) if hits else 0
        if len(page) < PAGE:
            break
        after = (page[-1].received_at, page[-1].event_id)
        if time.monotonic() > ends:
            counted.complete = False
            break
    return counted


def erase_person(
    runtime: Runtime, merchant_id: int, request: Request, requested_by: Mapping[str, Any], *, suppress: bool
) -> ErasureRow | list[Problem]:
    """Begins to erase somebody; ``continue_erasures`` does it. ``requested_by``: a key's name and prefix, or the operator.

    With ``suppress``, events of that person that come from now on are kept without identifiers and sent nowhere.
    """
    countries = countries_of(merchant_id)
    problems = check_request(request, countries)
    if problems:
        return problems
    now, marker = runtime.clock.now(), marker_of(runtime)
    tokens = tokens_of(request, countries)
    identifiers = sorted(
        [kind, marker.mark(merchant_id, token).hex()[:PREFIX]] for kind, token in _told(request, tokens)
    )
    with holders_change(runtime, merchant_id), in_transaction():
        row = db.insert_erasure(
            merchant_id, requested_by, identifiers, suppress, "ids" if request.event_ids else "scan", now
        )
        wanted = Wanted(tokens, list(request.event_ids))
        wanted.browsers = linked_browsers(merchant_id, wanted)[0]
        _keep(runtime, row, wanted)
        db.save_erasure(row)
        db.mark_merchant(merchant_id)
        if suppress:
            db.add_suppressions(merchant_id, marker.marks(merchant_id, tokens), now)
    return row


def _told(request: Request, tokens: Iterable[str]) -> list[tuple[str, str]]:
    """(kind, token) of what was asked for: one of each form."""
    found = [(token.partition(":")[0].removesuffix("_given"), token) for token in tokens]
    return found + [("event_id", of_event(event_id)) for event_id in request.event_ids]


def unsuppress_person(runtime: Runtime, merchant_id: int, request: Request) -> int | list[Problem]:
    """Somebody's events are taken in again as anybody's; how many marks were lifted. What was erased stays erased."""
    countries = countries_of(merchant_id)
    problems = check_request(request, countries)
    if problems:
        return problems
    marks = marker_of(runtime).marks(merchant_id, tokens_of(request, countries))
    with in_transaction():
        return db.remove_suppressions(merchant_id, marks)


def continue_erasures(runtime: Runtime, seconds: float = TURN_SECONDS) -> int:
    """Does steps of those whose turn it is; how many. Any number may run at once: each is one's at a time."""
    ends, steps = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        started, row = time.monotonic(), None
        try:
            with in_transaction(), statements_within(LONG_SECONDS):
                now = runtime.clock.now()
                row = db.take_erasure(now)
                if row is None:
                    break
                _step(runtime, row, now)
                db.save_erasure(row)
        except Exception as error:
            if row is None or is_everybodys(error):
                raise
            # A bug that one of them meets, or rows that somebody holds, must not keep the others from their turn.
            tell_fault(runtime, f"erasure {row.erasure_id} of merchant {row.merchant_id}", error)
            now = runtime.clock.now()
            with in_transaction():
                db.postpone(
                    row.merchant_id,
                    row.erasure_id,
                    now,
                    now + (BUSY if isinstance(error, DatabaseAwayError) else AFTER_ERROR),
                )
        steps += 1
        time.sleep(min(time.monotonic() - started, 0.5))
    return steps


def _step(runtime: Runtime, row: ErasureRow, now: datetime) -> None:
    """The next step of one that this transaction holds."""
    wanted = _wanted(runtime, row)
    row.next_at = now
    stages: dict[str, Callable[[Runtime, ErasureRow, Wanted, datetime], None]] = {
        "ids": _ids,
        "scan": _scan,
        "settle": _settle,
        "people": _people,
        "traces": _traces,
    }
    stages[row.stage](runtime, row, wanted, now)


def _enter(row: ErasureRow, stage: str, now: datetime, wait: timedelta = timedelta()) -> None:
    row.stage, row.staged_at, row.after, row.next_at = stage, now, None, now + wait


def _ids(runtime: Runtime, row: ErasureRow, wanted: Wanted, now: datetime) -> None:
    there = db.still_there(row.merchant_id, wanted.event_ids)
    if not there:
        _enter(row, "scan" if wanted.tokens else "settle", now, timedelta() if wanted.tokens else SETTLE)
    elif _erase(runtime, row, wanted, there[:MOST], now):
        row.next_at = now + IN_HANDS


def _scan(runtime: Runtime, row: ErasureRow, wanted: Wanted, now: datetime) -> None:
    settled_at = row.requested_at + SETTLE
    is_settled = now >= settled_at
    # What was being written when this was asked for may still come in among what was received just before.
    until = (settled_at if row.suppress else row.requested_at + timedelta.resolution) if is_settled else None
    countries = countries_of(row.merchant_id)
    page = db.events_after(row.merchant_id, _place(runtime, row), until or row.requested_at - SETTLE, PAGE)
    if _walk(runtime, row, wanted, page, [one.event_id for one in page if wanted.finds(one, countries)], now):
        return
    if not is_settled:
        row.next_at = settled_at
    else:
        _enter(row, "settle", now, SETTLE)


def _settle(runtime: Runtime, row: ErasureRow, wanted: Wanted, now: datetime) -> None:
    marker = marker_of(runtime)
    after = _place(runtime, row) if row.after is not None else (row.requested_at - SETTLE, "")
    page = db.events_after(row.merchant_id, after, row.staged_at + SETTLE, PAGE)
    marks = {one.event_id: marker.mark(row.merchant_id, of_event(one.event_id)) for one in page}
    erased = db.with_tombstone(row.merchant_id, list(marks.values())) if page else set()
    if not _walk(runtime, row, wanted, page, [one for one, mark in marks.items() if mark in erased], now):
        _enter(row, "people", now)


def _walk(
    runtime: Runtime, row: ErasureRow, wanted: Wanted, page: Sequence[Looked], hits: Sequence[str], now: datetime
) -> bool:
    """Deletes those of a page that are meant, and notes how far it came; False where there is nothing behind it."""
    some = hits[:MOST]
    left = _erase(runtime, row, wanted, some, now) if some else []
    done = list(page)
    if left:
        row.next_at = now + IN_HANDS
        done = page[: next(place for place, one in enumerate(page) if one.event_id in left)]  # type: ignore[assignment]
    elif len(some) < len(hits):
        done = page[: next(place for place, one in enumerate(page) if one.event_id == hits[MOST])]  # type: ignore[assignment]
    if done:
        last = done[-1]
        row.after = runtime.sealer.seal(
            orjson.dumps([last.received_at, last.event_id]), _context(row.merchant_id, row.erasure_id, "place")
        )
        row.scanned += len(done)
    return len(done) < len(page) or len(page) == PAGE


def _erase(runtime: Runtime, row: ErasureRow, wanted: Wanted, event_ids: Sequence[str], now: datetime) -> set[str]:
    """Deletes events, leaves their tombstones, and counts; which have to be waited for."""
    merchant_id = row.merchant_id
    marker = marker_of(runtime)
    met = db.browsers_of(merchant_id, event_ids) - wanted.met
    if met and len(wanted.met) < MOST_MET:
        wanted.met |= met
        _keep(runtime, row, wanted)
    gone = db.erase_events(merchant_id, event_ids, now)
    retention = timedelta(
        days=rows("SELECT retention_days FROM merchants WHERE merchant_id = %s", (merchant_id,))[0][0]
    )
    db.add_tombstones(
        merchant_id, {marker.mark(merchant_id, of_event(one)): at + retention for one, at in gone.events.items()}
    )
    if gone.events:
        context = _context(merchant_id, row.erasure_id, "traces")
        db.add_trace(merchant_id, row.erasure_id, runtime.sealer.seal(orjson.dumps(sorted(gone.events)), context))
    _count(row, {"events": len(gone.events), "deliveries": sum(one.deliveries for one in gone.given), **gone.others})
    for given in gone.given:
        so_far = row.platforms.setdefault(
            given.platform, {"deliveries": 0, "attempted": 0, "delivered": 0, "first_at": None, "last_at": None}
        )
        for name in ("deliveries", "attempted", "delivered"):
            so_far[name] += getattr(given, name)
        for name, choose in (("first_at", min), ("last_at", max)):
            known = [at for at in (so_far[name], _iso(getattr(given, name))) if at is not None]
            so_far[name] = choose(known, default=None)
    return set(event_ids) & set(db.still_there(merchant_id, event_ids)) if len(gone.events) < len(event_ids) else set()


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at is not None else None


def _count(row: ErasureRow, counts: Mapping[str, int]) -> None:
    for table, count in counts.items():
        if not count:
            continue
        row.counts[table] = row.counts.get(table, 0) + count


def _people(runtime: Runtime, row: ErasureRow, wanted: Wanted, now: datetime) -> None:
    alone, shared = linked_browsers(row.merchant_id, wanted)
    asked = wanted.asked_browsers
    held = hold_browsers(row.merchant_id, alone | asked | shared)
    gone = forget_browsers(row.merchant_id, alone | asked, held) if alone | asked else {}
    links = [
        (link.browser_id, link.digest)
        for link in db.links_of_browsers(row.merchant_id, sorted(shared))
        if _is_of(link, wanted)
    ]
    _count(row, gone)
    _count(row, {"browser_people": db.erase_links(row.merchant_id, links)})
    was_there = gone.get("browsers", 0) or (1 if any(gone.values()) else 0)
    _count(row, {"identities": (max(was_there, len(alone)) if gone else 0) + len(shared)})
    _enter(row, "traces", now)


def _is_of(link: db.LinkRow, wanted: Wanted) -> bool:
    return not wanted.tokens.isdisjoint(person.tokens_of_added([{"field": link.kind, "value": link.digests}]))


def linked_browsers(merchant_id: int, wanted: Wanted) -> tuple[set[str], set[str]]:
    """(browsers that were seen with this person alone, those that were seen with others as well): one hop, no further.

    A browser was seen with others where it was seen with another email, or with another phone: of a kind that was not asked
    for, one is the person's own.
    """
    digests = sorted(token.partition(":")[2] for token in wanted.tokens if token.startswith(("email", "phone")))
    candidates = set(db.browsers_with(merchant_id, digests)) if digests else set()
    candidates |= wanted.met
    if not candidates:
        return set(), set()
    links: dict[str, list[db.LinkRow]] = {}
    for link in db.links_of_browsers(merchant_id, sorted(candidates)):
        links.setdefault(link.browser_id, []).append(link)
    alone, shared = set[str](), set[str]()
    for browser_id, of_browser in links.items():
        own = [link for link in of_browser if _is_of(link, wanted)]
        if not own:
            continue
        kinds = {link.kind for link in own}
        others = [link for link in of_browser if link not in own]
        is_shared = any(link.kind in kinds for link in others) or len({link.digest for link in others}) > 1
        (shared if is_shared else alone).add(browser_id)
    return alone, shared


def _traces(runtime: Runtime, row: ErasureRow, wanted: Wanted, now: datetime) -> None:
    context = _context(row.merchant_id, row.erasure_id, "traces")
    ids: set[str] = set()
    for sealed in db.traces(row.merchant_id, row.erasure_id):
        ids.update(orjson.loads(runtime.sealer.open(sealed, context)))
    waited = now - row.staged_at
    if (waited < ONE_PAGE and db.is_any_redelivered(row.merchant_id, row.staged_at)) or (
        waited < NEXT_PAGE and db.is_any_at(row.merchant_id, ids)
    ):
        row.next_at = now + max(IN_HANDS, waited / 60)
        return
    if ids:
        found, is_done = remove_traces(row.merchant_id, ids)
        _count(row, {"mentions": found})
        if not is_done:
            row.next_at = now + IN_HANDS
            return
    db.forget_traces(row.merchant_id, row.erasure_id)
    row.finished_at, row.wanted, row.after, row.stage = now, b"", None, "finished"
    row.receipt = write_receipt(runtime, row)


def countries_of(merchant_id: int) -> frozenset[str]:
    """In which a merchant's phones without a country code are read."""
    holder = merchant_holder(merchant_id)
    return holder.default_countries if holder is not None else frozenset()


def _context(merchant_id: int, erasure_id: int, what: str) -> str:
    return f"erasure/{merchant_id}/{erasure_id}/{what}"


def _keep(runtime: Runtime, row: ErasureRow, wanted: Wanted) -> None:
    kept = {
        "tokens": sorted(wanted.tokens),
        "event_ids": wanted.event_ids,
        "browsers": sorted(wanted.browsers),
        "met": sorted(wanted.met),
    }
    row.wanted = runtime.sealer.seal(orjson.dumps(kept), _context(row.merchant_id, row.erasure_id, "wanted"))


def _wanted(runtime: Runtime, row: ErasureRow) -> Wanted:
    kept = orjson.loads(runtime.sealer.open(row.wanted, _context(row.merchant_id, row.erasure_id, "wanted")))
    return Wanted(frozenset(kept["tokens"]), kept["event_ids"], set(kept["browsers"]), set(kept["met"]))


def _place(runtime: Runtime, row: ErasureRow) -> tuple[datetime, str]:
    if row.after is None:
        return BEGINNING, ""
    at, event_id = orjson.loads(runtime.sealer.open(row.after, _context(row.merchant_id, row.erasure_id, "place")))
    return datetime.fromisoformat(at), event_id


def requester(merchant_id: int, key_id: int) -> dict[str, Any]:
    """Who asks, as a receipt tells it."""
    row = db_merchants.api_key(merchant_id, key_id)
    return {"api_key": {"name": row.name, "prefix": row.prefix}} if row is not None else {"operator": "command line"}


def purge_erasures(runtime: Runtime, limit: int = 5000) -> int:
    """Forgets tombstones whose event would be gone by now, and receipts of more than three years; how many."""
    now = runtime.clock.now()
    with in_transaction():
        return db.purge_tombstones(now, limit) + db.purge_erasures(now - RECEIPTS, limit)
