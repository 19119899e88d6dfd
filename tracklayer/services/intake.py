"""Takes in the events of concurrent requests together: one commit for all that wait, and nobody waits for a timer.

Requests that arrive in one turn of the loop are judged one after another in the next: the same code on many events, while
the processor's caches hold it, takes three quarters of what it takes between two requests. While one batch is being
committed the next one gathers, so a lone request goes at once and a crowd shares a commit. Short calls have one flusher
and one connection a process: two would only make smaller batches. Long calls have another, so that no single event waits
for their commits.

Merchants take turns, in being judged and in every batch; a long call is judged and stored in parts. So nobody stands behind
more of another's events than a turn and a batch hold, however many of them wait. An event that takes long has a turn to
itself, and its merchant passes its turns until the others had theirs (``Slow``). A merchant whose rows somebody holds locked is found by storing each alone: its callers are told, and for a while it is tried alone, so
that nobody waits for its rows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextvars import Context
from dataclasses import dataclass
from itertools import chain
from typing import Any, Generic, TypeVar

from tracklayer import metrics
from tracklayer.db.async_session import AsyncSession, Moment
from tracklayer.db.connection import DatabaseAwayError, LockedOutError, in_transaction, run_in_db_thread
from tracklayer.db.events import HOLDING, READS, STATEMENTS, to_store
from tracklayer.db.merchants import KeyHolder
from tracklayer.db.repeats import Difference, note_differences
from tracklayer.db.sessions import TOO_LATE, code_of, is_in_the_way
from tracklayer.runtime import Runtime
from tracklayer.services.alone import tell_fault
from tracklayer.services.ingest import (
    LATE_SECONDS,
    Accepted,
    Call,
    Coalesced,
    Forgotten,
    Ingested,
    Rejected,
    Wake,
    differences_among,
    judge_one,
    note_stored,
    outcomes_of,
    store,
)
from tracklayer.services.linking import KnownLinks
from tracklayer.tracing import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

SHORT_BATCH = 256  # events of one commit of short calls: larger ones gain little and let the others wait
LONG_BATCH = 256  # of long calls, where no short ones are about
BESIDE_SHORT = 32  # where they are: what a commit takes of the loop and of PostgreSQL, short calls wait for
ABOUT_SECONDS = 0.3  # how long after the last short call one more is expected
BATCH_BYTES = 4 * 1024 * 1024  # of JSON in one commit, and what the call that exceeds them has: large events are fewer
TURN_EVENTS = 50  # read and hashed, or taken into a batch, in one go, before the next merchant gets its turn
# Of reading and hashing in one go: everyday events take half of it, odd ones would a hundred times as much.
TURN_SECONDS = 0.008
# Of long calls, where short ones are about: those wait for many turns until they are answered.
TURN_SECONDS_BESIDE_SHORT = 0.001
SLOW_SECONDS = 0.001  # of judging one event, beyond which it is slow: one with a hundred long lines takes half of it
SLOW_PASSES = 2  # times what a slow event took, no other one is judged on the loop
SLOW_OWES = (
    50  # times what it took beyond that, its merchant's next requests are answered in a thread: two parts in a hundred
)
SLOW_OWES_MOST_SECONDS = 10.0
SLOW_WATCHED_SECONDS = 60.0  # after which one that sent nothing since is forgotten
STEP_EVENTS = 8  # of a call from another thread, judged between two looks around: half a millisecond
PAUSE_SECONDS = 0.012  # between two commits of long calls, where short ones are about
STEP_ASIDE_SECONDS = 0.004  # where short calls are about: a long one is slowed down, and never stopped
SILENT_SECONDS = 1.8  # that a batch may take: then all who wait are told that the database is away, and so is who comes
LOCK_MS = 250  # that a batch waits for a lock: then it is found out whose rows, or which tables, are locked
PATIENCE_SECONDS = (
    1.5  # that what met a lock is tried again: less than ``SILENT_SECONDS``, so its callers hear what it was
)
APART_SECONDS = (
    3.0  # that those who wait may wait longer, while merchant after merchant is stored or found to be locked
)
LOCKED_SECONDS = 3.0  # that a merchant whose rows are locked is refused, then it is tried again
TRY_SECONDS = 1.0  # at least, between two such tries in vain, whoever's; and before the first one
APART_LOCK_MS = 25  # that what is tried apart waits for a lock: others wait meanwhile, for one merchant after another
RENEW_SECONDS = 1.0  # at least, between two sessions that are had for the sake of counters that somebody holds
FORGET_SECONDS = 600.0  # after which a merchant that was locked, and sent nothing since, is tried like any other
LATELY_SECONDS = 5.0  # how long after a batch that could not be stored this process counts as one that cannot store
NOTE_SECONDS = 0.5  # between two writings of which repeats differed: of an event the last one counts
MAX_NOTES = (
    2_000  # events whose repeats differed, that wait to be noted; of more the notes are left out, and a line says so
)
MAX_WAITING = 10_000  # events: some seconds of work at full speed; beyond it a caller is told to come again

OUTCOMES = {
    Accepted: "accepted",
    Coalesced: "coalesced",
    Rejected: "rejected",
    Forgotten: "erased",
}  # as traces name them

_EXECUTE = {
    name: f"EXECUTE {name}({', '.join(['%s'] * len(types.split(', ')))})" for name, (types, _) in STATEMENTS.items()
}
_EXECUTE |= {name: f"{_EXECUTE['hold_events']}; {_EXECUTE[name]}" for name in HOLDING}  # one message, one transaction


class OverloadedError(Exception):
    """More waits than this process may hold, or than this merchant may have waiting: nothing of the call was taken."""


class LateError(OverloadedError):
    """It waited for longer than ``LATE_SECONDS``: nothing more of the call is stored, but a part of a long one may be."""


class Lines(Generic[T]):
    """What waits, a line for each merchant; they take turns."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[T]] = {}

    def add(self, merchant_id: int, item: T) -> None:
        line = self._lines.get(merchant_id)
        if line is None:
            self._lines[merchant_id] = line = deque()
        line.append(item)

    def next(self, only: int | None = None) -> deque[T]:
        """The line whose turn it is, never an empty one; the next call gives another's, where there is one.

        ``only``: whose turn it is, for one that has a line.
        """
        merchant_id = next(iter(self._lines)) if only is None else only
        line = self._lines[merchant_id]
        if len(self._lines) > 1:
            self._lines[merchant_id] = self._lines.pop(merchant_id)
        return line

    def leave(self, merchant_id: int) -> None:
        """Ends a line that has become empty."""
        del self._lines[merchant_id]

    def of(self, merchant_id: int) -> Iterable[T]:
        """What waits of one merchant."""
        return self._lines.get(merchant_id, ())

    def merchants(self) -> AbstractSet[int]:
        """Those that have a line."""
        return self._lines.keys()

    def all(self) -> Iterable[T]:
        """All that waits."""
        return chain.from_iterable(self._lines.values())

    def __len__(self) -> int:
        return len(self._lines)


@dataclass(slots=True)
class _Waiting:
    """A call on its way: its drafts are judged first, then its items are stored, in one part or in several."""

    call: Call
    drafts: Sequence[Any]
    done: asyncio.Future[None]
    taken: int = 0  # items that went into batches
    stored: int = 0  # items that are committed


Part = tuple[_Waiting, Call]  # a call and what of it goes into one batch


class _Turn:
    """What is judged before others have their turn: so many events, and for so long."""

    __slots__ = ("_ends", "_events", "_looked", "is_over")

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._events = 0
        self._looked = time.monotonic()
        self._ends = self._looked + seconds

    def count(self) -> bool:
        """One event more. Whether it seems to have taken long."""
        self._events += 1
        now = time.monotonic()
        took, self._looked = now - self._looked, now
        if now >= self._ends or self._events >= TURN_EVENTS:
            self.is_over = True
        return took > SLOW_SECONDS


class Slow:
    """The merchants whose events take long to judge. Such an event has a turn to itself, and behind it all of them pass their
    turns for twice as long as it took: others have the loop meanwhile, and several of its rounds on end.

    Who only seems slow, by a clock that runs on while another thread is at work, is watched: what its next event takes of
    the processor is measured. A merchant is forgotten once it owes nothing and sends what is quick.
    """

    def __init__(self) -> None:
        self.watched: dict[int, float] = {}  # merchant id -> until when it owes, on the monotonic clock
        self.passes_until = 0.0  # when the next of them has a turn

    def owes(self, merchant_id: int) -> bool:
        """Whether it had so much of the loop that nobody is to wait there for its next request."""
        return merchant_id in self.watched and self.watched[merchant_id] > time.monotonic()

    def watch(self, merchant_id: int) -> None:
        now = time.monotonic()
        self.watched = {known: at for known, at in self.watched.items() if now - at < SLOW_WATCHED_SECONDS}
        self.watched[merchant_id] = now

    def note(self, merchant_id: int, took: float) -> bool:
        """Whether an event of one that is watched was slow. ``took``: of the processor, in seconds."""
        now = time.monotonic()
        owed_until = max(now, self.watched[merchant_id])
        if took > SLOW_SECONDS:
            owed_until += SLOW_OWES * (took - SLOW_SECONDS)
            self.watched[merchant_id] = min(owed_until, now + SLOW_OWES_MOST_SECONDS)
            self.passes_until = now + SLOW_PASSES * took
            return True
        if owed_until == now:
            del self.watched[merchant_id]
        return False


class _Judge:
    """Judges the calls that came for one flusher, some events in a turn of the loop and the rest when others had theirs.

    ``seconds``: what the next turn may take. ``slow``: whose events take long.
    """

    def __init__(self, runtime: Runtime, flusher: _Flusher, seconds: Callable[[], float], slow: Slow) -> None:
        self._runtime = runtime
        self._flusher = flusher
        self._seconds = seconds
        self._slow = slow
        self._arrived: Lines[_Waiting] = Lines()
        self._pause: asyncio.TimerHandle | None = None  # until those go on who pass their turns: nobody else waits

    @property
    def is_busy(self) -> bool:
        return bool(self._arrived)

    def add(self, waiting: _Waiting) -> None:
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._judge_arrived)
        elif self._pause is not None:
            self._pause.cancel()
            self._pause = None
            asyncio.get_running_loop().call_soon(self._judge_arrived)
        self._arrived.add(waiting.call.merchant.merchant_id, waiting)

    def _judge_arrived(self) -> None:
        self._pause = None
        turn, rest = _Turn(self._seconds()), 0.0
        while self._arrived and not turn.is_over:
            only = None
            if self._slow.watched and (rest := self._slow.passes_until - time.monotonic()) > 0:
                only = next((whose for whose in self._arrived.merchants() if not self._slow.owes(whose)), None)
                if only is None:
                    break
            line = self._arrived.next(only)
            waiting = line[0]
            if not self._judge(waiting, turn):
                if len(waiting.drafts) >= TURN_EVENTS:
                    line.rotate(-1)  # long calls of one merchant take turns, too
                break
            line.popleft()
            if not line:
                self._arrived.leave(waiting.call.merchant.merchant_id)
        if self._arrived:
            loop = asyncio.get_running_loop()
            if turn.is_over:
                loop.call_soon(self._judge_arrived)
            else:
                self._pause = loop.call_later(rest, self._judge_arrived)
        self._flusher.start()

    def _judge(self, waiting: _Waiting, turn: _Turn) -> bool:
        """Whether nothing of a call is left to be judged; False: the turn is over."""
        call, drafts = waiting.call, waiting.drafts
        if waiting.done.done():  # its caller is gone, and nothing of it was stored
            self._flusher.leave(call.merchant.merchant_id, len(drafts))
            return True
        merchant_id = call.merchant.merchant_id
        is_watched = merchant_id in self._slow.watched
        try:
            for place in range(len(call.items), len(drafts)):
                began = time.thread_time() if is_watched else 0.0
                judge_one(self._runtime, call, drafts[place])
                seems_slow = turn.count()
                if is_watched:
                    turn.is_over |= self._slow.note(merchant_id, time.thread_time() - began)
                    is_watched = merchant_id in self._slow.watched
                elif seems_slow:
                    self._slow.watch(merchant_id)
                    is_watched = True
                if turn.is_over and place + 1 < len(drafts):
                    return False
        except Exception as error:  # noqa: BLE001 - it is this caller's alone
            self._flusher.leave(call.merchant.merchant_id, len(drafts))
            waiting.done.set_exception(error)
        else:
            self._flusher.add(waiting)
        return True


class _Flusher:
    """Stores what waits for it, batch by batch, on a connection of its own.

    ``let_go`` is told what waits no more, by merchant. ``most``: events of the next batch. ``pause``: seconds between two.
    ``known``: what this process knows to be linked.
    """

    def __init__(
        self,
        runtime: Runtime,
        wake: Callable[[Iterable[Wake]], None],
        let_go: Callable[[int, int], None],
        most: Callable[[], int],
        pause: Callable[[], float] | None = None,
        known: KnownLinks | None = None,
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self._runtime = runtime
        self._wake = wake
        self._let_go = let_go
        self._most = most
        self._pause = pause
        self._known = known
        self._session = AsyncSession(runtime.database_url, STATEMENTS, lock_ms=LOCK_MS)
        self._waiting: Lines[_Waiting] = Lines()
        self._locked: dict[int, float] = {}  # merchant id -> when it is tried again, on the monotonic clock
        self._tries_at = 0.0  # when any of them is
        self._renewed_at = 0.0
        self._late: asyncio.TimerHandle | None = None
        self.events = 0  # that wait for it, or are being judged
        self.is_stuck = False  # the batch in hand takes too long
        self.away_at: float | None = None  # when the last batch could not be stored, on the monotonic clock

    def refusal(self, merchant_id: int) -> DatabaseAwayError | None:
        """Why what comes now is not stored."""
        if self.is_stuck:
            return DatabaseAwayError()
        tries_at = self._locked.get(merchant_id)
        if tries_at is not None and time.monotonic() < max(tries_at, self._tries_at):
            return LockedOutError()
        return None

    def add(self, waiting: _Waiting) -> None:
        merchant_id = waiting.call.merchant.merchant_id
        self._waiting.add(merchant_id, waiting)
        refusal = self.refusal(merchant_id)
        if refusal is not None and not waiting.done.done():
            waiting.done.set_exception(refusal)

    def start(self) -> None:
        """Sees to it that what was added is stored."""
        if self._waiting and self.task is None:
            self.task = asyncio.create_task(self._flush(), context=Context())  # of no request

    def close(self) -> None:
        self._session.close()

    def leave(self, merchant_id: int, count: int) -> None:
        """So many events wait no more."""
        self.events -= count
        self._let_go(merchant_id, count)

    async def _flush(self) -> None:
        """Until nothing waits."""
        try:
            while self._waiting:
                batch = self._take_batch()
                self._expect(batch, SILENT_SECONDS)
                gives_up = time.monotonic() + PATIENCE_SECONDS
                is_try = all(waiting.call.merchant.merchant_id in self._locked for waiting, _ in batch)
                try:
                    locked = await self._store(batch, APART_LOCK_MS if is_try else None)
                    if locked:
                        await self._store_apart(locked, gives_up)
                finally:
                    self._expect((), None)
                    self.is_stuck = False
                if self._pause is not None:
                    await asyncio.sleep(self._pause())
                elif self.events < TURN_EVENTS:
                    # Those just stored are answered first: their callers go on while the next batch is committed,
                    # and more may join it. Where a full turn of work waits already, nothing is gained by that.
                    await asyncio.sleep(0)
        finally:
            self.task = None

    def _expect(self, batch: Sequence[Part], seconds: float | None) -> None:
        """An answer of the database's, within so many seconds; None: nothing more."""
        if self._late is not None:
            self._late.cancel()
        self._late = None
        if seconds is not None:
            self._late = asyncio.get_running_loop().call_later(seconds, self._give_up_waiting, batch)

    def _give_up_waiting(self, batch: Sequence[Part]) -> None:
        """Tells all who wait that the database is away. What is in hand goes on, and may be stored all the same."""
        self.is_stuck, self.away_at = True, time.monotonic()
        _tell([*(waiting for waiting, _ in batch), *self._waiting.all()], DatabaseAwayError())

    def _take_batch(self) -> list[Part]:
        """What is stored next: a turn of each merchant's events after another, until it is full.

        A merchant's calls follow each other. Where nobody else waits, one that does not fit in is left for the next
        batch: a part of it would be answered no sooner, and meanwhile the loop has its events to judge. A merchant whose
        rows were locked is tried alone.
        """
        batch: list[Part] = []
        most = room = self._most()
        size = 0.0
        tried = self._tried_again()
        while room and self._waiting and size < BATCH_BYTES:
            line = self._waiting.next(tried)
            merchant_id = line[0].call.merchant.merchant_id
            is_alone = tried is not None or len(self._waiting) == 1
            turn = left = room if is_alone else min(room, TURN_EVENTS)
            while left and line and size < BATCH_BYTES:
                waiting = line[0]
                begin, count = waiting.taken, len(waiting.call.items)
                is_late = time.monotonic() > waiting.call.arrived + LATE_SECONDS
                if is_late:
                    _tell([waiting], LateError())
                if is_late or (waiting.done.done() and (begin or not waiting.done.cancelled())):
                    # Its caller was told that it failed, or is gone and had only a part of it stored.
                    line.popleft()
                    self.leave(merchant_id, count - begin)
                    continue
                if is_alone and batch and left < count - begin <= most:
                    break
                waiting.taken = end = min(begin + left, count)
                left -= end - begin
                size += waiting.call.size * (end - begin) / max(count, 1)
                batch.append((waiting, _part(waiting.call, begin, end)))
                if end == count:
                    line.popleft()
            if left < turn:
                self.leave(merchant_id, turn - left)
            room = 0 if is_alone else room - (turn - left)
            if not line:
                self._waiting.leave(merchant_id)
        return batch

    def _tried_again(self) -> int | None:
        """The merchant whose rows were locked and that has something waiting again."""
        for merchant_id in self._locked:
            if any(not waiting.done.done() for waiting in self._waiting.of(merchant_id)):
                return merchant_id
        return None

    async def _store(self, batch: Sequence[Part], lock_ms: int | None = None) -> list[Part]:
        """Stores the parts of a batch and tells whom is served; a call that PostgreSQL refuses is found by halving.

        What met a lock comes back: nothing of it is stored, and its callers wait. ``lock_ms``: as ``AsyncSession.execute``.
        """
        committed = False
        commit = Store(sum(len(part.items) for _, part in batch)) if self._runtime.tracer is not None else None
        try:
            first = min((part.arrived for _, part in batch), default=0.0)
            until = Moment(first + LATE_SECONDS)
            steps = store([part for _, part in batch], self._runtime.settings.retry_window, until, self._known)
            name, arguments = next(steps)
            while True:
                began = time.perf_counter()
                found = await self._session.execute(_EXECUTE[name], arguments, lock_ms=None if committed else lock_ms)
                metrics.STORES.observe(time.perf_counter() - began)
                committed = committed or name not in READS
                self.away_at = None
                name, arguments = steps.send(found)
        except StopIteration as ended:
            if commit is not None:
                commit.ended = time.time_ns()
            for waiting, part in batch:
                waiting.call.stored_in = commit
                waiting.stored += len(part.items)
                if waiting.stored == len(waiting.call.items) and not waiting.done.done():  # its caller may have gone
                    waiting.done.set_result(None)
            if self._locked:
                self._let_in(batch)
            self._wake(ended.value)
            note_stored(self._runtime.tally, [part for _, part in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
            if _is_locked(error) and not committed:
                return list(batch)
            if len(batch) == 1 or committed or isinstance(error, DatabaseAwayError):
                self._fail(batch, LateError() if code_of(error) == TOO_LATE else error)
                return []
            middle = len(batch) // 2
            return [*await self._store(batch[:middle], lock_ms), *await self._store(batch[middle:], lock_ms)]
        return []

    async def _store_apart(self, batch: Sequence[Part], gives_up: float) -> None:
        """Stores what met a lock. Tables are waited for: they are everybody's. Whose the rows are is found out by storing
        each merchant alone; one that is locked out waits for its rows while nobody else waits for anything. Where they are
        counters, another session has some of its own: it is had meanwhile, and nobody waits for it.

        ``gives_up``: when no further try is made, on the monotonic clock.
        """
        while (error := await self._store_nothing()) is not None:
            if time.monotonic() > gives_up or not _is_locked(error):
                self._fail(batch, error)
                return
            await asyncio.sleep(PAUSE_SECONDS)  # it may have failed at once
        apart: dict[int, list[Part]] = {}
        for part in batch:
            apart.setdefault(part[0].call.merchant.merchant_id, []).append(part)
        locked: dict[int, list[Part]] = {}
        for merchant_id, own in apart.items():
            if self.is_stuck and locked:  # all are told already
                break
            found = own if len(apart) == 1 else await self._store(own, APART_LOCK_MS)
            if found:
                locked[merchant_id] = found
            if not self.is_stuck:  # the database answers
                self._expect(batch, min(SILENT_SECONDS, max(0.0, gives_up + APART_SECONDS - time.monotonic())))
        if locked.keys() - self._locked.keys():
            self._renew()
        while time.monotonic() < gives_up and self._waiting.merchants() <= locked.keys():
            unknown = [merchant_id for merchant_id in locked if merchant_id not in self._locked]
            if not unknown:
                break
            lock_ms = APART_LOCK_MS if len(unknown) > 1 else None
            for merchant_id in unknown:
                if time.monotonic() > gives_up or not self._waiting.merchants() <= locked.keys():
                    break
                locked[merchant_id] = await self._store(locked[merchant_id], lock_ms)
            locked = {merchant_id: own for merchant_id, own in locked.items() if own}
        for merchant_id, own in locked.items():
            self._lock_out(merchant_id, own)

    async def _store_nothing(self) -> Exception | None:
        """Why not even that goes: where a table is locked, or the database is away."""
        try:
            name, nothing = to_store([], [], [], self._runtime.settings.retry_window)
            await self._session.execute(_EXECUTE[name], nothing)
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
            return error
        self.away_at = None
        return None

    def _renew(self) -> None:
        now = time.monotonic()
        if now - self._renewed_at > RENEW_SECONDS:
            self._renewed_at = now
            self._session.renew()

    def _lock_out(self, merchant_id: int, batch: Sequence[Part]) -> None:
        """Tells a merchant's callers that its rows are locked, and for a while whoever comes."""
        now = time.monotonic()
        is_new = merchant_id not in self._locked
        if is_new:
            log.warning(
                "merchant %s: rows of it are locked in the database, by a transaction that somebody left open perhaps; its "
                "events are refused (503) until they are free",
                merchant_id,
                extra={"kind": "rows_locked", "merchant_id": merchant_id},
            )
        self._locked = {known: at for known, at in self._locked.items() if now - at < FORGET_SECONDS}
        self._locked[merchant_id] = now + (
            TRY_SECONDS if is_new else LOCKED_SECONDS
        )  # in another session, the first time
        self._tries_at = now + TRY_SECONDS
        _tell([*(waiting for waiting, _ in batch), *self._waiting.of(merchant_id)], LockedOutError())

    def _let_in(self, batch: Sequence[Part]) -> None:
        for waiting, _ in batch:
            merchant_id = waiting.call.merchant.merchant_id
            if self._locked.pop(merchant_id, None) is not None:
                more = {"kind": "rows_free", "merchant_id": merchant_id}
                log.warning("merchant %s: its rows are free again", merchant_id, extra=more)

    def _fail(self, batch: Sequence[Part], error: Exception) -> None:
        if isinstance(error, DatabaseAwayError):
            self.away_at = time.monotonic()
        _tell((waiting for waiting, _ in batch), error)


class Intake:
    """Of one API process, on its event loop. ``wake`` is told after each commit who has something to do.

    ``home``: that loop, for calls of ``ingest`` from another one.
    """

    def __init__(self, runtime: Runtime, wake: Callable[[Iterable[Wake]], None]) -> None:
        self.home: asyncio.AbstractEventLoop | None = None
        self._runtime = runtime
        known = KnownLinks()
        self._short = _Flusher(runtime, wake, self._let_go, lambda: SHORT_BATCH, known=known)
        self._long = _Flusher(runtime, wake, self._let_go, self._most_of_long, self._pause_of_long, known)
        self.slow = Slow()
        self._judge_short = _Judge(runtime, self._short, lambda: TURN_SECONDS, self.slow)
        self._judge_long = _Judge(runtime, self._long, self._turn_of_long, self.slow)
        self._events: dict[int, int] = {}  # merchant id -> how many wait, judged or not
        self._all_events = 0
        self._last_short = 0.0  # when a short call came, on the monotonic clock
        self._notes: dict[tuple[int, str], Difference] = {}
        self._left_out = 0  # notes that found no room
        self._noting: asyncio.Task[None] | None = None

    @property
    def has_short_about(self) -> bool:
        """Whether short calls came of late: one more is expected."""
        return time.monotonic() - self._last_short < ABOUT_SECONDS

    @property
    def was_away(self) -> bool:
        """Whether the database took nothing when it was last asked to, a moment ago."""
        lately = time.monotonic() - LATELY_SECONDS
        return any(one.away_at is not None and one.away_at > lately for one in (self._short, self._long))

    @property
    def events(self) -> int:
        """That were taken in and wait for their commit."""
        return self._all_events

    def _pause_of_long(self) -> float:
        return PAUSE_SECONDS if self.has_short_about else 0

    def _turn_of_long(self) -> float:
        return TURN_SECONDS_BESIDE_SHORT if self.has_short_about else TURN_SECONDS

    def _most_of_long(self) -> int:
        return BESIDE_SHORT if self.has_short_about else LONG_BATCH

    async def ingest(self, merchant: KeyHolder, drafts: Sequence[Any]) -> list[Ingested]:
        """What became of each draft, in order; commits together with whoever else is waiting.

        Raises OverloadedError before anything is stored, LateError where it waited for too long, DatabaseAwayError where the commit is not known to have
        happened, and be it of a part: sending the same call again is right either way.
        """
        if not drafts:
            return []
        loop = asyncio.get_running_loop()
        if self.home is not None and self.home is not loop:
            return await self._ingest_from_afar(self.home, merchant, drafts)
        is_short = len(drafts) < TURN_EVENTS
        flusher = self._short if is_short else self._long
        waiting = self._admit(Call(merchant, self._runtime.clock.now()), drafts, len(drafts), flusher)
        if is_short:
            self._last_short = time.monotonic()
        (self._judge_short if is_short else self._judge_long).add(waiting)
        await _stored(waiting)
        outcomes = outcomes_of(self._runtime, waiting.call)
        self._trace(waiting.call, outcomes)
        self._note(differences_among(waiting.call, outcomes))
        return outcomes

    async def _ingest_from_afar(
        self, home: asyncio.AbstractEventLoop, merchant: KeyHolder, drafts: Sequence[Any]
    ) -> list[Ingested]:
        """All that needs no database is done where the call comes from."""
        call = Call(merchant, self._runtime.clock.now())
        for place, draft in enumerate(drafts):
            if place % STEP_EVENTS == 0 and self.has_short_about:
                time.sleep(STEP_ASIDE_SECONDS)  # noqa: ASYNC251 - all long calls step aside, not this one for another
            judge_one(self._runtime, call, draft)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._store_judged(call), home))
        outcomes = outcomes_of(self._runtime, call)
        self._trace(call, outcomes)
        if found := differences_among(call, outcomes):
            home.call_soon_threadsafe(self._note, found)
        return outcomes

    def _trace(self, call: Call, outcomes: Sequence[Ingested]) -> None:
        """For whoever follows events."""
        if self._runtime.tracer is not None:
            self._runtime.tracer.stored(call.items, [OUTCOMES[type(one)] for one in outcomes], call.stored_in)

    def _note(self, found: Sequence[Difference]) -> None:
        """Has it written down soon in which fields repeats differed: beside the answers, which wait for nothing of it."""
        for one in found:
            key = (one.merchant_id, one.event_id)
            if key in self._notes or len(self._notes) < MAX_NOTES:
                self._notes[key] = one
            else:
                self._left_out += 1
        if self._notes and self._noting is None:
            self._noting = asyncio.create_task(self._write_notes(), context=Context())

    async def _write_notes(self) -> None:
        try:
            while self._notes:
                notes, self._notes = list(self._notes.values()), {}
                left_out, self._left_out = self._left_out, 0
                if left_out:
                    log.warning("of %d repeats that differed it is not noted in which fields: too many came", left_out)
                try:
                    await run_in_db_thread(_write_differences, notes)
                except Exception as error:  # noqa: BLE001 - the events are safe, and the next repeat is noted again
                    tell_fault(self._runtime, "noting in which fields repeats differed", error)
                await asyncio.sleep(NOTE_SECONDS)
        finally:
            self._noting = None

    async def _store_judged(self, call: Call) -> None:
        waiting = self._admit(call, (), len(call.items), self._long)
        self._long.add(waiting)
        self._long.start()
        await _stored(waiting)

    async def close(self) -> None:
        """Stores what waits, then lets go of the connection."""
        while self._judge_short.is_busy or self._judge_long.is_busy or self._short.task or self._long.task:
            await (self._short.task or self._long.task or asyncio.sleep(0))
        if self._noting is not None:
            await self._noting
        self._short.close()
        self._long.close()

    def _admit(self, call: Call, drafts: Sequence[Any], count: int, flusher: _Flusher) -> _Waiting:
        """Lets a call into the waiting room. Raises OverloadedError, and DatabaseAwayError where it is known to be in vain.

        A merchant that has nothing there always finds room. One alone may have half of it; when it is full, each no more
        than an equal share, with one left over.
        """
        merchant_id = call.merchant.merchant_id
        refusal = flusher.refusal(merchant_id)
        if refusal is not None:
            raise refusal
        own = self._events.get(merchant_id, 0)
        if own:
            is_full = self._all_events + count > MAX_WAITING
            if own + count > MAX_WAITING // (len(self._events) + 1 if is_full else 2):
                raise OverloadedError
        self._events[merchant_id] = own + count
        self._all_events += count
        flusher.events += count
        return _Waiting(call, drafts, asyncio.get_running_loop().create_future())

    def _let_go(self, merchant_id: int, count: int) -> None:
        self._all_events -= count
        left = self._events[merchant_id] - count
        if left:
            self._events[merchant_id] = left
        else:
            del self._events[merchant_id]


def _part(call: Call, begin: int, end: int) -> Call:
    """Some of a call's items as a call of their own. What was refused is counted with the first."""
    if end - begin == len(call.items):
        return call
    refused, forgone = ({}, {}) if begin else (call.refused, call.forgone)
    items = call.items[begin:end]
    return Call(call.merchant, call.now, items=items, refused=refused, forgone=forgone, arrived=call.arrived)


def _write_differences(notes: Sequence[Difference]) -> None:
    with in_transaction():
        note_differences(notes)


async def _stored(waiting: _Waiting) -> None:
    try:
        await waiting.done
    except DatabaseAwayError:
        # Where nothing was to be stored but the count of refusals, the caller's mistake is told all the same.
        if sum(waiting.call.refused.values()) < max(len(waiting.call.items), len(waiting.drafts)):
            raise


def _is_locked(error: Exception) -> bool:
    """Whether something was in the way of this statement alone."""
    return isinstance(error, DatabaseAwayError) and is_in_the_way(error)


def _tell(those: Iterable[_Waiting], error: Exception) -> None:
    for waiting in those:
        if not waiting.done.done():
            waiting.done.set_exception(error)
