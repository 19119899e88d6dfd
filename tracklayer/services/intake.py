"""Takes in the events of concurrent requests together: one commit for all that wait, and nobody waits for a timer.

Requests that arrive in one turn of the loop are judged one after another in the next: the same code on many events, while
the processor's caches hold it, takes three quarters of what it takes between two requests. While one batch is being
committed the next one gathers, so a lone request goes at once and a crowd shares a commit. One flusher and one
connection a process: two would only make smaller batches.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tracklayer.db.async_session import AsyncSession
from tracklayer.db.connection import DatabaseAwayError
from tracklayer.db.events import STATEMENTS
from tracklayer.db.merchants import KeyHolder
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import Call, Ingested, Wake, judge_one, outcomes_of, store

log = logging.getLogger(__name__)

BATCH_EVENTS = 1000  # of one commit: larger ones gain nothing and let the others wait
TURN_EVENTS = 50  # read and hashed in one go, before other requests of this process get their turn
MAX_WAITING = 10_000  # events: some seconds of work at full speed; beyond it a caller is told to come again

_EXECUTE = {
    name: f"EXECUTE {name}({', '.join(['%s'] * len(types.split(', ')))})" for name, (types, _) in STATEMENTS.items()
}


class OverloadedError(Exception):
    """More events wait than this process may hold: nothing of the call was taken."""


@dataclass(slots=True)
class _Waiting:
    """A call on its way: its drafts are judged first, then its items are stored."""

    call: Call
    drafts: Sequence[Any]
    done: asyncio.Future[None]


class Intake:
    """Of one API process, on its event loop. ``wake`` is told after each commit who has something to do."""

    def __init__(self, runtime: Runtime, wake: Callable[[Iterable[Wake]], None]) -> None:
        self._runtime = runtime
        self._wake = wake
        self._session = AsyncSession(runtime.database_url, STATEMENTS)
        self._arrived: deque[_Waiting] = deque()  # to be judged
        self._waiting: deque[_Waiting] = deque()  # to be stored
        self._events = 0  # that wait, judged or not
        self._flusher: asyncio.Task[None] | None = None

    async def ingest(self, merchant: KeyHolder, drafts: Sequence[Any]) -> list[Ingested]:
        """What became of each draft, in order; commits together with whoever else is waiting.

        Raises OverloadedError before anything is stored, DatabaseAwayError where the commit is not known to have
        happened: sending the same call again is right either way.
        """
        if self._events and self._events + len(drafts) > MAX_WAITING:
            raise OverloadedError
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        waiting = _Waiting(Call(merchant, self._runtime.clock.now()), drafts, done)
        call = waiting.call
        self._events += len(drafts)
        if len(drafts) < TURN_EVENTS:
            if not self._arrived:
                loop.call_soon(self._judge_arrived)
            self._arrived.append(waiting)
        else:
            await self._judge_many(waiting)
        try:
            await done
        except DatabaseAwayError:
            # Where nothing was to be stored but the count of refusals, the caller's mistake is told all the same.
            if call.rejected < len(call.items):
                raise
        return outcomes_of(self._runtime, call)

    async def close(self) -> None:
        """Stores what waits, then lets go of the connection."""
        while self._arrived or self._flusher is not None:
            await (self._flusher or asyncio.sleep(0))
        self._session.close()

    def _judge_arrived(self) -> None:
        """Judges what came in together, some of it now and the rest when others had their turn."""
        judged = 0
        while self._arrived and judged < TURN_EVENTS:
            waiting = self._arrived.popleft()
            judged += len(waiting.drafts)
            if waiting.done.done():  # its caller is gone, and nothing of it was stored
                self._events -= len(waiting.drafts)
                continue
            try:
                for draft in waiting.drafts:
                    judge_one(self._runtime, waiting.call, draft)
            except Exception as error:  # noqa: BLE001 - it is this caller's alone
                self._events -= len(waiting.drafts)
                waiting.done.set_exception(error)
            else:
                self._waiting.append(waiting)
        if self._arrived:
            asyncio.get_running_loop().call_soon(self._judge_arrived)
        self._start_flusher()

    async def _judge_many(self, waiting: _Waiting) -> None:
        """Judges a long call in several turns, so that short ones need not wait for it."""
        try:
            for place, draft in enumerate(waiting.drafts):
                if place and place % TURN_EVENTS == 0:
                    await asyncio.sleep(0)
                judge_one(self._runtime, waiting.call, draft)
        except BaseException:
            self._events -= len(waiting.drafts)
            raise
        self._waiting.append(waiting)
        self._start_flusher()

    def _start_flusher(self) -> None:
        if self._waiting and self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        """Until nothing waits."""
        try:
            while self._waiting:
                batch = [self._waiting.popleft()]
                events = len(batch[0].call.items)
                while self._waiting and events + len(self._waiting[0].call.items) <= BATCH_EVENTS:
                    batch.append(self._waiting.popleft())
                    events += len(batch[-1].call.items)
                self._events -= events
                await self._store(batch)
                if self._events < TURN_EVENTS:
                    # Those just stored are answered first: their callers go on while the next batch is committed,
                    # and more may join it. Where a full turn of work waits already, nothing is gained by that.
                    await asyncio.sleep(0)
        finally:
            self._flusher = None

    async def _store(self, batch: Sequence[_Waiting]) -> None:
        """Stores the calls of a batch and tells each; a call that PostgreSQL refuses is found by halving."""
        steps = store([waiting.call for waiting in batch], self._runtime.settings.retry_window)
        committed = False
        try:
            name, arguments = next(steps)
            while True:
                found = await self._session.execute(_EXECUTE[name], arguments)
                committed = True
                name, arguments = steps.send(found)
        except StopIteration as ended:
            for waiting in batch:
                if not waiting.done.done():  # its caller may have gone
                    waiting.done.set_result(None)
            self._wake(ended.value)
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
            if len(batch) == 1 or committed or isinstance(error, DatabaseAwayError):
                _fail(batch, error)
                return
            middle = len(batch) // 2
            await self._store(batch[:middle])
            await self._store(batch[middle:])


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(error)
