"""Keeps what shops' pages show of their browsers: many calls of a moment in one statement, one commit.

Nobody is linked here, and no email is taken: a call tells of its own browser alone. A call is answered after its commit; where
that takes longer than ``ANSWER_SECONDS``, or the database is away, its caller is told so, and nothing waits in memory. Nothing is
kept of a browser that refused, or whose person was erased, by whatever call: what became of a call is told.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from tracklayer.clock import elapsed
from tracklayer.db.connection import (
    DatabaseAwayError,
    LockedOutError,
    ask_at_the_door,
    in_transaction,
    run_in_db_thread,
    session,
    wait_at_most,
)
from tracklayer.db.identities import Seen, barred, forget_signals, show_all, shown_record
from tracklayer.db.lateness import KNOWN_SECONDS, end_storing, server_time
from tracklayer.db.merchants import collectors_of, page_of_collectors
from tracklayer.db.sessions import TOO_LATE, code_of, is_in_the_way
from tracklayer.domain.collector import Collector, address_of, host_of, lies_within, lifetime_of, shares_half
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import LATE_SECONDS
from tracklayer.services.marks import marker_of

log = logging.getLogger(__name__)

UNKNOWN_SECONDS = 10.0  # that an unknown key stays unknown
MOST_KEYS = 10_000  # known ones, and as many unknown ones, that are remembered
MOST_ASKED = 1_000  # keys that are looked up at once, or wait for it
BATCH = 500  # calls of one commit
MAX_WAITING = 5_000  # calls: some seconds of work; beyond it a caller is told to come again
ANSWER_SECONDS = 1.0  # a page's cookie must not wait longer
LOCK_MS, APART_LOCK_MS = 250, 25  # that a batch waits for a lock, and then each merchant's calls alone
LOCKED_SECONDS = 3.0  # that a merchant whose rows somebody holds is refused, then it is tried again
MOST_LOCKED = 3  # merchants, one after another: then it is no merchant's rows, but the tables
TELL_SECONDS = 30.0  # between two lines of the log about calls that could not be stored


class OverloadedError(Exception):
    """More waits than this process may hold: nothing of the call was taken."""


@dataclass(frozen=True, slots=True)
class Named:
    """Whom a public key names. ``asked_at``: when the rows were asked, or a moment before, by ``clock.elapsed``. ``lifetime``: of
    the cookie. ``is_marked``: people of this merchant were erased.
    """

    merchant_id: int
    lifetime: timedelta
    collector: Collector
    asked_at: float = field(compare=False)
    is_marked: bool = False


def new_browser_id() -> str:
    """128 random bits."""
    return secrets.token_hex(16)


class Directory:
    """Which merchant a public key names. Keys that wait are looked up together; known ones never make room for unknown ones."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._known: OrderedDict[str, Named] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._asked: dict[str, asyncio.Future[Named | None]] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._known) + len(self._unknown)

    def recall(self, public_key: str, now: float) -> Named | None:
        """Where it was looked up just now. ``now``: by ``clock.elapsed``."""
        kept = self._known.get(public_key)
        return kept if kept is not None and now - kept.asked_at < KNOWN_SECONDS else None

    async def find(self, public_key: str) -> Named | None:
        """None: it names nobody. Raises DatabaseAwayError, OverloadedError."""
        now = elapsed()
        found = self.recall(public_key, now)
        if found is not None or now - self._unknown.get(public_key, float("-inf")) < UNKNOWN_SECONDS:
            return found
        asked = self._asked.get(public_key)
        if asked is None:
            if len(self._asked) >= MOST_ASKED:
                raise OverloadedError
            asked = self._asked[public_key] = asyncio.get_running_loop().create_future()
        if self._task is None:
            self._task = asyncio.create_task(self._look_up())
        return await asyncio.shield(asked)

    async def _look_up(self) -> None:
        """Until nobody asks."""
        try:
            while self._asked:
                keys = list(self._asked)
                try:
                    found = await ask_at_the_door(_looked_up, self._runtime, keys)
                except Exception as error:
                    if not isinstance(error, DatabaseAwayError):
                        log.exception("public keys could not be looked up")
                    for key in keys:
                        _fail(self._asked.pop(key), DatabaseAwayError())
                    continue
                now = elapsed()
                for key in keys:
                    named = found.get(key)
                    self._keep(key, named, now)
                    _end(self._asked.pop(key), named)
        finally:
            self._task = None

    def _keep(self, key: str, named: Named | None, now: float) -> None:
        self._known.pop(key, None)
        self._unknown.pop(key, None)
        if named is not None:
            self._known[key] = named
        else:
            self._unknown[key] = now
        for kept in (self._known, self._unknown):
            if len(kept) > MOST_KEYS:
                kept.popitem(last=False)


def _looked_up(runtime: Runtime, public_keys: Sequence[str]) -> dict[str, Named]:
    asked_at = elapsed()
    found = {
        key: Named(merchant_id, lifetime_of(retention_days), Collector.read(collector), asked_at, is_marked)
        for key, (merchant_id, retention_days, collector, is_marked) in collectors_of(public_keys).items()
    }
    if any(named.is_marked for named in found.values()):
        marker_of(runtime)  # read here, where a row may be asked: ``/t`` takes it from memory
    return found


class Outcome(Enum):
    """What became of a call."""

    KEPT = "kept"
    KEPT_NEW = "kept new"  # of a browser that was not known
    UNKNOWN = "unknown"  # a browser that is not known, and no new one was to be kept
    DENIED = "denied"  # consent, now or before: nothing of it is kept
    ERASED = "erased"  # the browser's person was: nothing of it is kept
    SUPPRESSED = "suppressed"  # and is to be left alone


@dataclass(slots=True)
class Call:
    """Of one browser. ``signals``: (kind, value, since when). ``forgets``: its user refused, and all of it goes. ``mark``: by which
    it is known whether it was erased, where its merchant has erased people. ``only_known``: nothing is kept of a browser that is
    not known. ``arrived``: by ``clock.elapsed``.
    """

    merchant_id: int
    browser_id: str
    at: datetime
    consent: str | None = None
    signals: Sequence[tuple[str, str, datetime]] = ()
    forgets: bool = False
    mark: bytes | None = None
    only_known: bool = False
    done: asyncio.Future[Outcome] | None = field(default=None, repr=False)
    arrived: float = field(default_factory=elapsed)


class Collection:
    """What waits to be stored, in this process. While one batch is being committed, the next one gathers.

    ``answer_seconds``: that a caller waits.
    """

    def __init__(self, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._answer_seconds = answer_seconds
        self._waiting: list[Call] = []
        self._task: asyncio.Task[None] | None = None
        self._began: float | None = None  # the batch in hand, by ``clock.elapsed``
        # Whoever waits, or did so a moment ago, and until when: one timer for all of them.
        self._asked: deque[tuple[float, asyncio.Future[Outcome]]] = deque()
        self._late: asyncio.TimerHandle | None = None
        self._locked: dict[int, float] = {}  # merchant id -> until when it is refused, by ``clock.elapsed``
        self._told_at = float("-inf")

    def __len__(self) -> int:
        return len(self._waiting)

    async def keep(self, call: Call) -> Outcome:
        """Returns when it is committed, with what became of it. Raises DatabaseAwayError where that is not so, or takes too
        long: what becomes of it is then unknown; OverloadedError.
        """
        now = elapsed()
        if self._began is not None and now - self._began > self._answer_seconds:
            raise DatabaseAwayError  # others wait already, in vain so far
        if self._locked and now < self._locked.get(call.merchant_id, 0.0):
            raise LockedOutError
        if len(self._waiting) >= MAX_WAITING:
            raise OverloadedError
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Outcome] = loop.create_future()
        call.done = done
        self._waiting.append(call)
        self._asked.append((now + self._answer_seconds, done))
        if self._late is None:
            self._late = loop.call_later(self._answer_seconds, self._tell_late)
        if self._task is None:
            self._task = asyncio.create_task(self._store_all())
        return await done

    def _tell_late(self) -> None:
        """Tells whoever has waited for long enough, and comes again when the next one will have."""
        now = elapsed()
        asked = self._asked
        while asked and (asked[0][1].done() or asked[0][0] <= now):
            _fail(asked.popleft()[1], DatabaseAwayError())
        self._late = asyncio.get_running_loop().call_later(asked[0][0] - now, self._tell_late) if asked else None

    async def _store_all(self) -> None:
        """Until nothing waits."""
        try:
            while self._waiting:
                # Whoever was told that it failed tells it again: storing it now would only keep others waiting.
                batch = [call for call in self._waiting[:BATCH] if call.done is not None and not call.done.done()]
                del self._waiting[:BATCH]
                if not batch:
                    continue
                self._began = elapsed()
                if not await self._store(batch, LOCK_MS):
                    for call in self._waiting:
                        _fail(call.done, DatabaseAwayError())
                    self._waiting.clear()
        finally:
            self._began = self._task = None

    async def _store(self, batch: Sequence[Call], lock_ms: int) -> bool:
        """Tells whoever waits. False where the database is away, so that nothing need be tried now."""
        error = await _stored(batch, lock_ms)
        if error is None:
            return True
        self._tell(error)
        merchants = {call.merchant_id for call in batch}
        is_away = isinstance(error, DatabaseAwayError) and not is_in_the_way(error)
        if len(merchants) > 1 and not is_away:
            return await self._store_apart(batch)
        if not is_away and isinstance(error, DatabaseAwayError):
            self._refuse(batch[0].merchant_id)
        for call in batch:
            _fail(call.done, DatabaseAwayError())
        return not is_away

    async def _store_apart(self, batch: Sequence[Call]) -> bool:
        """Each merchant's calls alone: nobody's trouble is another's."""
        by_merchant: dict[int, list[Call]] = {}
        for call in batch:
            by_merchant.setdefault(call.merchant_id, []).append(call)
        locked = 0
        for calls in by_merchant.values():
            error = await _stored(calls, APART_LOCK_MS) if locked < MOST_LOCKED else DatabaseAwayError()
            if error is None:
                locked = 0
                continue
            locked += 1
            if locked <= MOST_LOCKED and isinstance(error, DatabaseAwayError) and is_in_the_way(error):
                self._refuse(calls[0].merchant_id)
            for call in calls:
                _fail(call.done, DatabaseAwayError())
        return locked < MOST_LOCKED

    def _refuse(self, merchant_id: int) -> None:
        now = elapsed()
        self._locked = {known: until for known, until in self._locked.items() if until > now}
        self._locked[merchant_id] = now + LOCKED_SECONDS

    def _tell(self, error: Exception) -> None:
        """Never what was to be stored."""
        now = elapsed()
        if now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            log.warning("what browsers showed could not be stored (%s)", type(error).__name__)


async def _stored(calls: Sequence[Call], lock_ms: int) -> Exception | None:
    """Tells whoever waits what became of it; or what went wrong, and nobody is told yet."""
    try:
        outcomes = await run_in_db_thread(store, calls, lock_ms)
    except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
        return error
    for call, outcome in zip(calls, outcomes, strict=True):
        _end(call.done, outcome)
    return None


def store(calls: Sequence[Call], lock_ms: int) -> list[Outcome]:
    """Keeps what calls tell, in their order, in one transaction. Of one that forgets, only that its user refused stays.

    Raises DatabaseAwayError where it is not in the database ``LATE_SECONDS`` after the first of them arrived: then nothing is, as
    an erasure may have finished meanwhile that took one of these browsers for gone.
    """
    ends = min((call.arrived for call in calls), default=elapsed()) + LATE_SECONDS
    with session():
        try:
            return _store_until(calls, lock_ms, server_time(ends))
        except DatabaseAwayError as error:
            if code_of(error) != TOO_LATE or elapsed() > ends:
                raise
            # By a clock that was set meanwhile.
            return _store_until(calls, lock_ms, server_time(ends, anew=True))


def _store_until(calls: Sequence[Call], lock_ms: int, until: datetime) -> list[Outcome]:
    with session():  # of its own, for the same connection: whoever catches what fails in it hears DatabaseAwayError
        return _store_all(calls, lock_ms, until)


def _store_all(calls: Sequence[Call], lock_ms: int, until: datetime) -> list[Outcome]:
    gone: dict[int, Outcome] = {}  # by place in ``calls``
    if any(call.forgets or call.mark is not None for call in calls):
        with in_transaction():
            wait_at_most(lock_ms, idle_ms=5000)
            marks = {(call.merchant_id, call.mark) for call in calls if call.mark is not None}
            erased = barred(sorted(marks))
            gone = {
                place: Outcome.SUPPRESSED if erased[key] else Outcome.ERASED
                for place, call in enumerate(calls)
                if call.mark is not None and (key := (call.merchant_id, call.mark)) in erased
            }
            seen = _store([call for place, call in enumerate(calls) if place not in gone], until)
            end_storing(until)
    else:
        seen = show_all(_records(calls), lock_ms, until)  # the everyday case: one way to the server and back
    return [
        gone.get(place) or _outcome(seen.get((call.merchant_id, call.browser_id))) for place, call in enumerate(calls)
    ]


def _outcome(seen: Seen | None) -> Outcome:
    if seen is None:
        return Outcome.UNKNOWN
    if seen.consent == "denied":
        return Outcome.DENIED
    return Outcome.KEPT_NEW if seen.is_new else Outcome.KEPT


def _store(calls: Sequence[Call], until: datetime) -> dict[tuple[int, str], Seen]:
    """(merchant id, browser id) -> what is known now. Needs a transaction."""
    forgotten: dict[int, set[str]] = {}
    last: dict[tuple[int, str], int] = {}  # the place of a browser's last call that forgets
    for place, call in enumerate(calls):
        if call.forgets:
            forgotten.setdefault(call.merchant_id, set()).add(call.browser_id)
            last[call.merchant_id, call.browser_id] = place
    # What was shown before is forgotten, too.
    seen = show_all(
        _records([c for place, c in enumerate(calls) if place >= last.get((c.merchant_id, c.browser_id), 0)]),
        until=until,
    )
    # Now that their rows are held: what another process was writing of them is there to be deleted.
    for merchant_id in sorted(forgotten):
        forget_signals(merchant_id, forgotten[merchant_id])
    return seen


def _records(calls: Sequence[Call]) -> list[dict[str, Any]]:
    found = []
    for call in calls:
        merchant_id, browser_id, at, consent, only_known = (
            call.merchant_id,
            call.browser_id,
            call.at,
            call.consent,
            call.only_known,
        )
        found.append(shown_record(merchant_id, browser_id, None, None, at, consent, None, only_known))
        for kind, value, since in call.signals:
            found.append(shown_record(merchant_id, browser_id, kind, value, at, consent, since, only_known))
    return found


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a collector's host shares the first half of an address with the shop's pages; None: one of them was not found."""

    host: str
    page: str
    shares_half: bool | None


def fits(hosts: Sequence[str], public_url: str, most: int, resolve: Callable[[str], Sequence[str]]) -> list[Fit]:
    """Of the first collectors that are enabled, ``most`` at most. ``resolve``: a name's addresses, none where it has none."""
    found = []
    for _, stored in page_of_collectors(0, most):
        collector = Collector.read(stored)
        domain = collector.cookie_domain
        pages = [name for name in map(host_of, collector.origins) if domain is not None and lies_within(name, domain)]
        if not collector.enabled or not pages:
            continue
        host, page = host_of(address_of(collector, hosts, public_url)), pages[0]
        ours, theirs = resolve(host), resolve(page)
        found.append(Fit(host, page, shares_half(ours, theirs) if ours and theirs else None))
    return found


def _end(future: asyncio.Future[Any] | None, value: Any) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any] | None, error: Exception) -> None:
    if future is not None and not future.done():
        future.set_exception(error)
        future.exception()  # nobody may be there to hear of it
