"""Erasures go on, step by step, whichever process does it: a step and what it counts are one transaction.

A kill at any point neither skips an event nor counts one twice. The stages of an erasure:

- ``ids``: events that were named by their ids.
- ``walk``: all events up to the request; with ``suppress`` those of the moment after it as well, which another process may
  have taken in before it knew.
- ``settling``: what was on its way into the database for longer than that: repeats of erased events that were judged before
  their tombstones were written, and events that were judged before the request.
- ``people``: browsers, what they showed, and whom they were seen with. Where erased events tell of a browser that nobody else
  uses, ``walk`` and ``settling`` come once more, for what came with it and names nobody; and so where they spell the mailbox that
  was asked for in another way, for what came with the SHA-256 of that.
- ``traces``: what names an erased event by its id: alerts, messages, advice, redeliveries. A redelivery that goes on is
  waited for, but not for ever.

Nothing leads from a person to events by an index, which every event would pay for. So events are looked at in the order in
which they came, page by page, with rests, and **all erasures of a merchant that need it look together**: a page is read once,
what an event may be known by is made once, and found among what all of them look for. Whoever comes joins at the place where the
others are, goes with them to the end and from the beginning to where it joined: each has its own stretch, and places that nobody
needs are passed over. So a thousand erasures take some times as long as one, and a new one does not wait for the others to
end; each of its stages may last until they have gone round once.

Locks are taken in the order of ``services.deliver``: the erasure's row or the merchant's walk, the merchant's queues, events,
deliveries, counters; and in another step the erasure's row, browsers, what they showed, and whom they were seen with. Rows of
those that walk are written by whoever holds the walk alone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson

from tracklayer.db import erasures as db
from tracklayer.db import marks as db_marks
from tracklayer.db import personal_data
from tracklayer.db import traces as db_traces
from tracklayer.db.connection import LONG_SECONDS, DatabaseAwayError, in_transaction, statements_within
from tracklayer.db.erasures import ErasureRow, WalkRow
from tracklayer.db.identities import forget_browsers, hold_browsers
from tracklayer.db.leases import wait_briefly
from tracklayer.db.personal_data import Looked, Place
from tracklayer.db.queues import QUEUE_MS
from tracklayer.db.sealing_keys import sealing_keys
from tracklayer.domain import person
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services.alone import is_everybodys, tell_delay, tell_fault
from tracklayer.services.erase import (
    BEGINNING,
    ON_ITS_WAY,
    PAGE,
    SETTLE,
    Facts,
    Tale,
    Wanted,
    Whose,
    context_of,
    countries_of,
    keep_wanted,
    let_back,
    linked_browsers,
    links_of_others,
    mute,
    read_wanted,
    tale_of,
)
from tracklayer.services.marks import NAME_BYTES, KeyAwayError, Marker, have_others_its_key, marker_of, of_event
from tracklayer.services.merchants import RETENTION_DAYS
from tracklayer.services.receipts import write_receipt
from tracklayer.services.traces import Ids, remove_traces

MOST = 200  # events that are deleted in one transaction: meanwhile nothing is taken out of this merchant's queues
MOST_TOLD = 2_000  # and of how many erasures in all: an event may be one that each of hundreds looks for
TOGETHER = 100  # erasures whose mentions are looked for at once
TURN_SECONDS = 0.8  # of one run: the next one begins a second after it
AFTER_ERROR = timedelta(minutes=1)
BUSY = timedelta(seconds=10)  # until what somebody holds, or what took too long, is tried again
IN_HANDS = timedelta(seconds=1)  # until what a worker has in its hands is looked at again
ONE_PAGE = timedelta(minutes=10)  # that a redelivery is waited for: longer than any page takes that it has in hand
NEXT_PAGE = timedelta(days=1)  # that one is waited for which stands at an erased event, until it goes on
TOMBSTONES = timedelta(
    days=max(RETENTION_DAYS)
)  # from an event's arrival: a merchant may choose to keep for longer later


class PlaceElsewhereError(Exception):
    """A process with a newer key has been at this walk, and others of its kind go on with it: this one would begin anew."""


def continue_erasures(runtime: Runtime, seconds: float = TURN_SECONDS) -> int:
    """Does steps of those whose turn it is; how many. Any number may run at once: each is one's at a time."""
    ends, steps = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        started, turn, has_to_queue = time.monotonic(), None, False
        try:
            with in_transaction(), statements_within(LONG_SECONDS):
                now = runtime.clock.now()
                turn = db.take_turn(now)
                if turn is None:
                    break
                if isinstance(turn, WalkRow):
                    _walk(runtime, turn, now)
                else:
                    has_to_queue = _step(runtime, turn, now)
            if has_to_queue:
                with suppress(DatabaseAwayError):  # the queue was too long: in a second it is tried again
                    _end_in_turn(runtime, turn.merchant_id)
        except Exception as error:
            if turn is None or (is_everybodys(error) and not isinstance(error, KeyAwayError)):
                raise
            # A bug that one of them meets, or rows that somebody holds, must not keep the others from their turn.
            _put_off(runtime, turn, error)
        steps += 1
        time.sleep(min(time.monotonic() - started, 0.5))
    return steps


def _put_off(runtime: Runtime, turn: ErasureRow | WalkRow, error: Exception) -> None:
    now = runtime.clock.now()
    what = "erasures" if isinstance(turn, WalkRow) else f"erasure {turn.erasure_id}"
    what = f"{what} of merchant {turn.merchant_id}"
    wait = IN_HANDS if isinstance(error, PlaceElsewhereError) or have_others_its_key(runtime, error) else AFTER_ERROR
    if isinstance(error, DatabaseAwayError) and not isinstance(error, KeyAwayError):
        wait = BUSY
        tell_delay(runtime, what, wait)
    else:
        tell_fault(runtime, what, error)
    with in_transaction():
        if isinstance(turn, WalkRow):
            db.postpone_walk(turn.merchant_id, now, now + wait)
        else:
            db.postpone(turn.merchant_id, turn.erasure_id, now, now + wait)


def _end_in_turn(runtime: Runtime, merchant_id: int) -> None:
    """Ends those of a merchant that only wait for nobody to ask at this moment, which may not come: it queues with those who ask.

    They wait for rows that a step holds, so no step may wait for them. This one holds nothing yet when it does; and it waits
    briefly, as one of them may hang.
    """
    with in_transaction(), statements_within(LONG_SECONDS):
        wait_briefly(QUEUE_MS)
        db.queue_with_who_asks(merchant_id)
        now = runtime.clock.now()
        for row in db.take_at(merchant_id, "traces", now + IN_HANDS, 1):
            _step(runtime, row, now)


def _step(runtime: Runtime, row: ErasureRow, now: datetime) -> bool:
    """The next step of one that this transaction holds, and that needs no look at the events. True: see ``_end_in_turn``."""
    wanted = read_wanted(runtime, row)
    row.next_at, failures = now, row.failures
    stages: dict[str, Callable[[Runtime, ErasureRow, Wanted, datetime], bool | None]] = {
        "ids": _ids,
        "scan": _join,
        "settle": _join,
        "people": _people,
        "traces": _traces,
    }
    has_to_queue = stages[row.stage](runtime, row, wanted, now)
    if row.failures == failures:
        row.failures, row.failing_since = 0, None
    db.save_erasures([row])
    return bool(has_to_queue)


def _enter(row: ErasureRow, stage: str, now: datetime, wait: timedelta = timedelta()) -> None:
    row.stage, row.staged_at, row.after, row.lap, row.next_at = stage, now, None, None, now + wait


def _ids(runtime: Runtime, row: ErasureRow, wanted: Wanted, now: datetime) -> None:
    there = personal_data.still_there(row.merchant_id, wanted.event_ids)
    if not there:
        _enter(row, *(("walk", now, SETTLE) if wanted.tokens else ("settling", now, ON_ITS_WAY)))
    elif _erase(runtime, row.merchant_id, {event_id: [(row, wanted)] for event_id in there[:MOST]}, now):
        row.next_at = now + IN_HANDS


def _join(runtime: Runtime, row: ErasureRow, wanted: Wanted, now: datetime) -> None:
    """One that the version before began by itself: it looks at all events with the others."""
    row.scanned = 0
    if row.stage == "scan" and not wanted.is_again:
        row.counts.pop("uncertain", None)
    _enter(row, "walk" if row.stage == "scan" else "settling", now, ON_ITS_WAY)


# The walk ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Walker:
    """An erasure that looks at a merchant's events together with others, in its stretch: behind ``since``, up to ``until``.

    ``joined``: the place at which it did.
    """

    row: ErasureRow
    wanted: Wanted
    joined: Place
    since: Place
    until: Place
    is_let_back: bool = False  # whose person this is, since

    def left(self, walk: Walk) -> tuple[Place, Place]:
        """What this lap still has for it: behind one place, up to another; nothing where that is not behind the first."""
        ends = self.until if walk.row.lap == self.row.lap else min(self.joined, self.until)
        return max(self.since, walk.place), ends

    def needs(self, walk: Walk) -> bool:
        since, until = self.left(walk)
        return since < until

    def is_done(self, walk: Walk) -> bool:
        return not self.needs(walk) and (walk.row.lap != self.row.lap or self.joined <= self.since)

    def judge(self, facts: Facts, is_back: bool) -> Whose:
        """Of an event in its stretch. ``is_back``: it is one that was erased, and came back."""
        whose, at = self.wanted.judge(facts), facts.looked.received_at
        # Of whoever is left alone nothing is stored by name any more: who has a name there was let back.
        if (
            not is_back
            and self.is_later(at)
            and not (facts.own.isdisjoint(self.wanted.asked_names) and not self.is_let_back)
        ):
            return Whose.ANOTHERS
        if self.row.stage == "walk":
            return whose
        is_meant = is_back or self.row.suppress or at <= self.row.looks_until
        return whose if whose is Whose.THEIRS and is_meant else Whose.ANOTHERS

    def is_later(self, at: datetime) -> bool:
        """Whether what came then came when the person had been left alone, or let back."""
        return self.row.suppress and at > _left_alone_at(self.row)


def _left_alone_at(row: ErasureRow) -> datetime:
    return row.looks_until + SETTLE  # from then on every process does


@dataclass
class Walk:
    """A merchant's, with those who are in it. ``is_lost``: where it was is not known any more. ``changed``: of those who were in
    it, by erasure id, what is to be saved.
    """

    row: WalkRow
    place: Place
    is_lost: bool = False
    walkers: list[Walker] = field(default_factory=list)
    changed: dict[int, ErasureRow] = field(default_factory=dict)


def _walk(runtime: Runtime, row: WalkRow, now: datetime) -> None:
    """The next page of a merchant's events, for all erasures that need it."""
    try:
        walk = Walk(row, _open_place(runtime, row.merchant_id, row.place))
    except SealError as error:
        if row.place is not None and row.place[1:5] in sealing_keys().keys() - runtime.sealer.key_ids:
            raise PlaceElsewhereError from error
        # Its key is gone: all of them begin anew.
        walk = Walk(row, (BEGINNING, ""), is_lost=True)
    row.next_at = now
    _gather(runtime, walk, now)
    if walk.walkers and not any(one.needs(walk) for one in walk.walkers):
        row.lap, walk.place = row.lap + 1, (BEGINNING, "")
    stretches = [stretch for one in walk.walkers if (stretch := one.left(walk))[0] < stretch[1]]
    if stretches:
        since = min(stretches)[0]
        until = max(ends for begins, ends in stretches if begins == since)
        _look(runtime, walk, since, until, now)
    for one in [one for one in walk.walkers if one.is_done(walk)]:
        one.row.scanned += row.looked - one.row.looked
        if one.row.stage == "walk":
            _enter(one.row, "settling", now, ON_ITS_WAY)
        else:
            _enter(one.row, "people", now)
        walk.walkers.remove(one)
        walk.changed[one.row.erasure_id] = one.row
    # Without anybody in it, nothing of where it was stays.
    row.place = _sealed(runtime, row.merchant_id, walk.place) if walk.walkers else None
    db.save_erasures([walk.changed[erasure_id] for erasure_id in sorted(walk.changed)])
    db.save_walk(row)


def _gather(runtime: Runtime, walk: Walk, now: datetime) -> None:
    """Those that are in the walk, and those that join it now, at its place.

    One that looks for the very same as another waits until that one has looked: so, however often somebody is asked for, an
    event of theirs is not told to each of many.
    """
    those, may_begin = db.walkers(walk.row.merchant_id, now, is_lost=walk.is_lost)
    behind_all = personal_data.behind_all(walk.row.merchant_id)
    begun = {_sought(row) for row in those if row.lap is not None and not walk.is_lost}
    waiting = {row.erasure_id for row in those if row.lap is None and row.stage == "walk"}
    for row in those:
        if walk.is_lost:
            row.lap = None
        if row.lap is None and row.next_at > now:
            continue
        try:
            wanted = read_wanted(runtime, row)
            joined = walk.place if row.lap is None else _open_place(runtime, row.merchant_id, row.after)
        except Exception as error:  # noqa: BLE001 - what one of them looks for cannot be read: the others go on
            _set_aside(runtime, row, error, now)
            walk.changed[row.erasure_id] = row
            continue
        if row.lap is None and row.stage == "walk" and not wanted.is_again:
            if _sought(row) in begun or (row.erasure_id in waiting and row.erasure_id not in may_begin):
                continue
            begun.add(_sought(row))
        if row.lap is None:
            row.lap, row.looked, row.after = walk.row.lap, walk.row.looked, _sealed(runtime, row.merchant_id, joined)
            if row.stage == "walk" and not wanted.is_again:
                row.counts.pop("uncertain", None)  # it is at the beginning, perhaps again
            walk.changed[row.erasure_id] = row
        if row.failures:
            row.failures, row.failing_since = 0, None
            walk.changed[row.erasure_id] = row
        walk.walkers.append(Walker(row, wanted, joined, *_stretch(row, wanted, behind_all)))


def _sought(row: ErasureRow) -> tuple[bytes, bool]:
    return orjson.dumps(row.identifiers), row.suppress


def _set_aside(runtime: Runtime, row: ErasureRow, error: Exception, now: datetime) -> None:
    is_elsewhere = have_others_its_key(runtime, error)
    if is_elsewhere and row.lap is not None:
        raise PlaceElsewhereError from error  # it is in the walk, which must not go on without it
    tell_fault(runtime, f"erasure {row.erasure_id} of merchant {row.merchant_id}", error)
    row.lap, row.after, row.next_at = None, None, now + (IN_HANDS if is_elsewhere else AFTER_ERROR)
    row.failures, row.failing_since = row.failures + 1, row.failing_since or now


def _stretch(row: ErasureRow, wanted: Wanted, behind_all: Place) -> tuple[Place, Place]:
    """Which events one has to look at: behind the first place, up to the second. ``behind_all``: of what is stored by now.

    What was on its way may have come by a clock that was ahead of all that was stored at the request.
    """
    if row.stage == "settling":
        return (row.requested_at - ON_ITS_WAY, ""), max((row.staged_at + SETTLE, ""), behind_all)
    # From then on all that comes is known to be the person's: browsers that were found on the way are known later.
    settled_at = max(row.staged_at if wanted.is_again else row.looks_until, row.looks_until) + SETTLE
    return (BEGINNING, ""), (settled_at if row.suppress else row.looks_until + timedelta.resolution, "")


def _look(runtime: Runtime, walk: Walk, since: Place, until: Place, now: datetime) -> None:
    """Looks at a page of events behind one place and not behind another, deletes those that are meant, and moves on."""
    merchant_id, countries = walk.row.merchant_id, countries_of(walk.row.merchant_id)
    page = personal_data.events_after(merchant_id, since, until, PAGE)
    stretches = [one.left(walk) for one in walk.walkers]
    by_token = _by_token(walk.walkers)
    _know_who_is_back(runtime, walk, page)
    forgotten = {
        browser: one
        for one in sorted(walk.walkers, key=lambda one: not one.is_let_back)
        for browser in one.wanted.browsers
    }
    lent = dict[str, set[str]]()
    settling = [place for place, one in enumerate(walk.walkers) if one.row.stage == "settling"]
    erased = _came_back(marker_of(runtime), merchant_id, page) if settling else set()
    meant, uncertain = dict[str, list[Meant]](), list[tuple[Place, ErasureRow]]()
    seen, told = page, 0
    for at, looked in enumerate(page):
        if len(meant) >= MOST or told >= MOST_TOLD:
            seen = page[:at]  # from there on it is looked at again
            break
        facts, place = Facts.of(looked, countries), (looked.received_at, looked.event_id)
        found = set().union(*(by_token.get(token, ()) for token in facts.known_by))
        is_back = looked.event_id in erased
        found |= set(settling) if is_back else set()
        those = [walk.walkers[number] for number in sorted(found) if _lies_in(place, stretches[number])]
        for one in those:
            whose = one.judge(facts, is_back)
            if whose is Whose.THEIRS:
                meant.setdefault(looked.event_id, []).append((one.row, one.wanted))
            elif whose is Whose.UNCERTAIN and not one.wanted.is_again:
                uncertain.append((place, one.row))
        if is_back and looked.event_id not in meant:
            # Somebody else's, who was erased: it goes, and whoever takes it away learns nothing of it.
            settler = next((one.row for one in those if one.row.stage == "settling"), None)
            meant |= {looked.event_id: [(settler, None)]} if settler is not None else {}
        told += len(meant.get(looked.event_id, ()))
        lenders = {
            browser
            for browser in facts.lenders & forgotten.keys()
            if not (forgotten[browser].is_let_back and forgotten[browser].is_later(looked.received_at))
        }
        if looked.event_id not in meant and lenders:
            lent[looked.event_id] = lenders
    left = _erase(runtime, merchant_id, meant, now) if meant else set()
    # What somebody else's event got of a browser stays theirs, but not which browser that was.
    unnamed = (
        personal_data.unname_browsers(merchant_id, list(lent), sorted(set().union(*lent.values()))) if lent else []
    )
    for event_id in unnamed:
        row = forgotten[min(lent[event_id])].row
        _count(row, {"mentions": 1})
        walk.changed[row.erasure_id] = row
    for owners in meant.values():
        walk.changed |= {row.erasure_id: row for row, _ in owners}
    if left:
        walk.row.next_at = now + IN_HANDS
    # Up to the first one that stays: it has to be looked at again.
    done = seen[: next((at for at, one in enumerate(seen) if one.event_id in left), len(seen))]
    walk.row.looked += len(done)
    if len(done) == len(page) < PAGE:
        walk.place = until
    elif done:
        walk.place = (done[-1].received_at, done[-1].event_id)
    for place, row in uncertain:
        if place <= walk.place:
            _count(row, {"uncertain": 1})
            walk.changed[row.erasure_id] = row


def _know_who_is_back(runtime: Runtime, walk: Walk, page: Sequence[Looked]) -> None:
    """Asked once for all of them, and after the page was read: what came of somebody who was let back comes after that."""
    those = [one for one in walk.walkers if page and one.is_later(page[-1].received_at)]
    back = let_back(runtime, walk.row.merchant_id, [(one.row, one.wanted) for one in those]) if those else set()
    for one in those:
        one.is_let_back = one.row.erasure_id in back


def _lies_in(place: Place, stretch: tuple[Place, Place]) -> bool:
    return stretch[0] < place <= stretch[1]


def _by_token(walkers: Sequence[Walker]) -> dict[str, list[int]]:
    """By what an event may be known to be somebody's -> whose, as places in ``walkers``."""
    found = dict[str, list[int]]()
    for place, one in enumerate(walkers):
        for token in one.wanted.looked_for:
            found.setdefault(token, []).append(place)
    return found


def _came_back(marker: Marker, merchant_id: int, page: Iterable[Looked]) -> set[str]:
    """Of some events those that were erased already."""
    marks = {one.event_id: marker.mark(merchant_id, of_event(one.event_id)) for one in page}
    found = db_marks.with_tombstone(merchant_id, list(marks.values())) if marks else set()
    return {event_id for event_id, mark in marks.items() if mark in found}


Meant = tuple[ErasureRow, Wanted | None]  # whose an event is; None: nothing is to be learnt of it


def _erase(runtime: Runtime, merchant_id: int, meant: Mapping[str, Sequence[Meant]], now: datetime) -> set[str]:
    """Deletes events, leaves their tombstones, and counts; which have to be waited for. ``meant``: event id -> whose it is.

    An event of several people counts as the first one's, and tells all of them of browsers; none of them has finished while
    anything mentions it.
    """
    marker, countries = marker_of(runtime), countries_of(merchant_id)
    # Once for all of them, and before anybody waits for the queues that are held from then on.
    tales = {one.event_id: tale_of(one, countries) for one in personal_data.looked_at(merchant_id, list(meant))}
    gone = personal_data.erase_events(merchant_id, list(meant), now)
    theirs: dict[int, tuple[ErasureRow, Wanted, list[Tale]]] = {}
    for event_id, tale in tales.items():
        for row, wanted in meant[event_id] if event_id in gone.events else ():
            if wanted is not None:
                theirs.setdefault(row.erasure_id, (row, wanted, []))[2].append(tale)
    for row, wanted, those in theirs.values():
        spelled = set(wanted.spelled)
        if wanted.bring(those):
            keep_wanted(runtime, row, wanted)
        new = wanted.spelled - spelled
        if new and row.suppress and not let_back(runtime, merchant_id, [(row, wanted)]):
            mute(runtime, row, wanted, new, now)
    marks = {}
    for event_id, at in gone.events.items():
        # That with the name alone would do, but for processes of a version before.
        named = marker.named(merchant_id, event_id, gone.names[event_id])
        marks[named] = marks[named[:-NAME_BYTES]] = at + TOMBSTONES
    db_marks.add_tombstones(merchant_id, marks)
    firsts = {event_id: those[0][0] for event_id, those in meant.items()}
    deleted: dict[int, list[str]] = {}
    for event_id in gone.events:
        for row, _ in meant[event_id]:
            deleted.setdefault(row.erasure_id, []).append(event_id)
        _count(firsts[event_id], {"events": 1})
    for table, event_id in gone.others:
        _count(firsts[event_id], {table: 1})
    for given in gone.given:
        row = firsts[given.event_id]
        _count(row, {"deliveries": 1})
        so_far = row.platforms.setdefault(
            given.platform, {"deliveries": 0, "attempted": 0, "delivered": 0, "first_at": None, "last_at": None}
        )
        so_far["deliveries"] += 1
        so_far["attempted"] += given.is_attempted
        so_far["delivered"] += given.is_delivered
        for name, choose in (("first_at", min), ("last_at", max)):
            known = [at for at in (so_far[name], _iso(getattr(given, name))) if at is not None]
            so_far[name] = choose(known, default=None)
    if deleted:
        db_traces.add_traces(
            merchant_id,
            {
                erasure_id: runtime.sealer.seal(
                    orjson.dumps(sorted(ids)), context_of(merchant_id, erasure_id, "traces")
                )
                for erasure_id, ids in sorted(deleted.items())
            },
        )
    return set(personal_data.still_there(merchant_id, list(meant))) if len(gone.events) < len(meant) else set()


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at is not None else None


def _count(row: ErasureRow, counts: Mapping[str, int]) -> None:
    for table, count in counts.items():
        if not count:
            continue
        row.counts[table] = row.counts.get(table, 0) + count


def _open_place(runtime: Runtime, merchant_id: int, sealed: bytes | None) -> Place:
    if sealed is None:
        return BEGINNING, ""
    at, event_id = orjson.loads(runtime.sealer.open(sealed, f"erasure/{merchant_id}/place"))
    return datetime.fromisoformat(at), event_id


def _sealed(runtime: Runtime, merchant_id: int, place: Place) -> bytes:
    return runtime.sealer.seal(orjson.dumps(place), f"erasure/{merchant_id}/place")


def _people(runtime: Runtime, row: ErasureRow, wanted: Wanted, now: datetime) -> None:
    merchant_id = row.merchant_id
    # What is known later stays, as later events do; nothing is of whoever is left alone.
    is_back = bool(let_back(runtime, merchant_id, [(row, wanted)]))
    until = _left_alone_at(row) if is_back else None if row.suppress else row.looks_until
    linked = linked_browsers(merchant_id, wanted, until)
    new = linked.alone - wanted.browsers
    if (new or wanted.spelled) and not wanted.is_again:
        wanted.browsers, wanted.is_again = wanted.browsers | new, True
        keep_wanted(runtime, row, wanted)
        if row.suppress and not is_back:
            mute(runtime, row, wanted, map(person.of_browser, new), now)
        _enter(row, "walk", now, SETTLE)
        return
    alone = sorted(linked.alone)
    forgotten = len(personal_data.known_browsers(merchant_id, alone)) if alone else 0
    # Whoever refused is not asked to refuse again, as the browser itself is not known any more.
    muted = linked.alone if row.suppress else personal_data.refused_browsers(merchant_id, alone)
    mute(runtime, row, wanted, () if is_back else map(person.of_browser, muted), now)
    held = hold_browsers(merchant_id, linked.alone | linked.shared)
    _count(row, forget_browsers(merchant_id, linked.alone, held, until) if alone else {})
    left = personal_data.known_browsers(merchant_id, alone) if until is not None and alone else set()
    if not row.suppress:  # a page that still has the id of one that is not known any more gets a new one
        marks = marker_of(runtime).marks(merchant_id, map(person.of_browser, linked.alone - left))
        db_marks.add_tombstones(merchant_id, dict.fromkeys(marks, now + TOMBSTONES))
    others = {link.browser_id for link in links_of_others(merchant_id, linked)}
    for is_shared in (True, False):
        links = [
            (link.browser_id, link.person.digest) for link in linked.links if (link.browser_id in others) is is_shared
        ]
        _count(row, {"browser_people": personal_data.erase_links(merchant_id, links, is_shared=is_shared)})
    _count(row, {"identities": forgotten - len(left) + len(linked.shared), "shared": len(linked.shared)})
    _enter(row, "traces", now)


def _traces(runtime: Runtime, row: ErasureRow, wanted: Wanted, now: datetime) -> bool:
    """Of this one, and of others of its merchant that are as far: what may mention an event is read once for all of them.

    Whether there is one that is done, and could not end since somebody asks at this moment.
    """
    others = db.take_at(row.merchant_id, row.stage, now, TOGETHER, row.erasure_id)
    ready, whose, deleting = list[ErasureRow](), dict[str, int](), set[int]()
    for one in (row, *others):
        one.next_at, waited = now, now - one.staged_at
        try:
            ids = _traces_of(runtime, one)
        except (SealError, ValueError) as error:  # what one of them deleted cannot be read: the others go on
            _set_aside(runtime, one, error, now)
            continue
        one.failures, one.failing_since = 0, None
        if (waited < ONE_PAGE and db_traces.is_any_redelivered(one.merchant_id, one.staged_at)) or (
            waited < NEXT_PAGE and db_traces.is_any_at(one.merchant_id, ids)
        ):
            one.next_at = now + max(IN_HANDS, waited / 60)
        else:
            ready.append(one)
            whose = dict.fromkeys(ids, one.erasure_id) | whose
            deleting |= {one.erasure_id} if ids else set()
    found, is_done = remove_traces(row.merchant_id, Ids(whose)) if whose else (Counter[int](), True)
    may_finish, has_to_queue = db.may_finish(row.merchant_id), False
    for one in ready:
        _count(one, {"mentions": found[one.erasure_id]})
        is_over = is_done or one.erasure_id not in deleting
        if not (is_over and may_finish):
            one.next_at = now + IN_HANDS
            has_to_queue |= is_over
            continue
        db_traces.forget_traces(one.merchant_id, one.erasure_id)
        one.finished_at, one.wanted, one.after, one.stage = now, b"", None, "finished"
        one.receipt = write_receipt(runtime, one)
    db.save_erasures(others)
    return has_to_queue


def _traces_of(runtime: Runtime, row: ErasureRow) -> set[str]:
    """Ids of events that it has deleted."""
    context, found = context_of(row.merchant_id, row.erasure_id, "traces"), set[str]()
    for sealed in db_traces.traces(row.merchant_id, row.erasure_id):
        found.update(orjson.loads(runtime.sealer.open(sealed, context)))
    return found
