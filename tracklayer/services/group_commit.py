"""Stores judged calls batch by batch: one commit for all that wait, whoever sent them.

Merchants take turns in every batch; a long call is stored in parts. A merchant whose rows somebody holds locked is found by
storing each alone: its callers are told, and for a while it is tried alone, so that nobody waits for its rows. Who may wait,
and how events are judged before, is told in ``intake``; what is stored of them in ``ingest``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context

from tracklayer import metrics
from tracklayer.clock import elapsed
from tracklayer.db.async_session import AsyncSession, Moment
from tracklayer.db.connection import DatabaseAwayError, LockedOutError
from tracklayer.db.sessions import TOO_LATE, code_of, is_in_the_way
from tracklayer.db.storing import HOLDING, READS, STATEMENTS, to_store
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import LATE_SECONDS, Call, Wake, note_stored, store
from tracklayer.services.linking import KnownLinks
from tracklayer.services.waiting_room import TURN_EVENTS, LateError, Lines, Waiting
from tracklayer.tracing import Store

log = logging.getLogger(__name__)
BATCH_BYTES = 4 * 1024 * 1024  # of JSON in one commit, and what the call that exceeds them has: large events are fewer
PAUSE_SECONDS = 0.012  # between two commits of long calls, where short ones are about
SILENT_SECONDS = 1.8  # that a batch may take: then all who wait are told that the database is away, and so is who comes
LOCK_MS = 250  # that a batch waits for a lock: then it is found out whose rows, or which tables, are locked
# That what met a lock is tried again: less than ``SILENT_SECONDS``, so its callers hear what it was.
PATIENCE_SECONDS = 1.5
# That those who wait may wait longer, while merchant after merchant is stored or found to be locked.
APART_SECONDS = 3.0
LOCKED_SECONDS = 3.0  # that a merchant whose rows are locked is refused, then it is tried again
TRY_SECONDS = 1.0  # at least, between two such tries in vain, whoever's; and before the first one
APART_LOCK_MS = 25  # that what is tried apart waits for a lock: others wait meanwhile, for one merchant after another
RENEW_SECONDS = 1.0  # at least, between two sessions that are had for the sake of counters that somebody holds
FORGET_SECONDS = 600.0  # after which a merchant that was locked, and sent nothing since, is tried like any other

_EXECUTE = {
    name: f"EXECUTE {name}({', '.join(['%s'] * len(types.split(', ')))})" for name, (types, _) in STATEMENTS.items()
}
_EXECUTE |= {name: f"{_EXECUTE['hold_events']}; {_EXECUTE[name]}" for name in HOLDING}  # one message, one transaction

Part = tuple[Waiting, Call]  # a call and what of it goes into one batch


class Flusher:
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
        self._waiting: Lines[Waiting] = Lines()
        self._locked: dict[int, float] = {}  # merchant id -> when it is tried again, by ``clock.elapsed``
        self._tries_at = 0.0  # when any of them is
        self._renewed_at = 0.0
        self._late: asyncio.TimerHandle | None = None
        self.events = 0  # that wait for it, or are being judged
        self.is_stuck = False  # the batch in hand takes too long
        self.away_at: float | None = None  # when the last batch could not be stored, by ``clock.elapsed``

    def refusal(self, merchant_id: int) -> DatabaseAwayError | None:
        """Why what comes now is not stored."""
        if self.is_stuck:
            return DatabaseAwayError()
        tries_at = self._locked.get(merchant_id)
        if tries_at is not None and elapsed() < max(tries_at, self._tries_at):
            return LockedOutError()
        return None

    def add(self, waiting: Waiting) -> None:
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
                gives_up = elapsed() + PATIENCE_SECONDS
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
        self.is_stuck, self.away_at = True, elapsed()
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
                is_late = elapsed() > waiting.call.arrived + LATE_SECONDS
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

        ``gives_up``: when no further try is made, by ``clock.elapsed``.
        """
        while (error := await self._store_nothing()) is not None:
            if elapsed() > gives_up or not _is_locked(error):
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
                self._expect(batch, min(SILENT_SECONDS, max(0.0, gives_up + APART_SECONDS - elapsed())))
        if locked.keys() - self._locked.keys():
            self._renew()
        while elapsed() < gives_up and self._waiting.merchants() <= locked.keys():
            unknown = [merchant_id for merchant_id in locked if merchant_id not in self._locked]
            if not unknown:
                break
            lock_ms = APART_LOCK_MS if len(unknown) > 1 else None
            for merchant_id in unknown:
                if elapsed() > gives_up or not self._waiting.merchants() <= locked.keys():
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
        now = elapsed()
        if now - self._renewed_at > RENEW_SECONDS:
            self._renewed_at = now
            self._session.renew()

    def _lock_out(self, merchant_id: int, batch: Sequence[Part]) -> None:
        """Tells a merchant's callers that its rows are locked, and for a while whoever comes."""
        now = elapsed()
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
            self.away_at = elapsed()
        _tell((waiting for waiting, _ in batch), error)


def _part(call: Call, begin: int, end: int) -> Call:
    """Some of a call's items as a call of their own. What was refused is counted with the first."""
    if end - begin == len(call.items):
        return call
    refused, forgone = ({}, {}) if begin else (call.refused, call.forgone)
    items = call.items[begin:end]
    return Call(call.merchant, call.now, items=items, refused=refused, forgone=forgone, arrived=call.arrived)


def _is_locked(error: Exception) -> bool:
    """Whether something was in the way of this statement alone."""
    return isinstance(error, DatabaseAwayError) and is_in_the_way(error)


def _tell(those: Iterable[Waiting], error: Exception) -> None:
    for waiting in those:
        if not waiting.done.done():
            waiting.done.set_exception(error)
