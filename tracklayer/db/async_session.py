"""One PostgreSQL session driven by the event loop: for what runs all the time and must not pay for a thread.

psycopg2 in its asynchronous mode: every statement is its own transaction. Statements that are named are prepared once a
connection, and planned once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

from tracklayer.clock import elapsed
from tracklayer.db import sessions
from tracklayer.db.connect_faults import sentence_of
from tracklayer.db.sessions import (
    CLOCK_SECONDS,
    INGEST,
    REQUEST_SECONDS,
    REST_SECONDS,
    DatabaseAwayError,
    Limits,
    circuit_of,
)

log = logging.getLogger(__name__)

_NO_LIMIT = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant by ``clock.elapsed`` of this host: as an argument it becomes what the server's clock shows then.

    Never later than that, and earlier by at most what the server's last answer was on its way.
    """

    at: float


class AsyncSession:
    """``prepared``: name -> (types, SQL with $1, $2 ...), run as ``EXECUTE name(...)``. One statement at a time.

    Connects when it is needed, in a thread, and anew after the connection was lost. ``lock_ms``: how long what it is asked
    waits for a lock, where that is less than preparing may.
    """

    def __init__(
        self,
        url: str,
        prepared: Mapping[str, tuple[str, str]],
        limits: Limits = INGEST,
        *,
        lock_ms: int | None = None,
    ) -> None:
        self._url = url
        self._prepared = prepared
        self._limits = limits
        self._lock_ms = lock_ms
        self._answer_seconds = limits.answer_seconds or _NO_LIMIT
        self._wire: _Wire | None = None
        self._rests_until = 0.0  # by ``clock.elapsed``
        self._refused: BaseException | None = None
        self._opening: asyncio.Task[_Wire] | None = None
        self._peer: Any = None
        self._clock: tuple[datetime, float] | None = None  # what the server's showed, and when its answer was here

    async def execute(
        self, sql: str, params: Sequence[Any] = (), *, lock_ms: int | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows. Raises DatabaseAwayError where PostgreSQL cannot serve now: what became of the statement is then
        unknown. Raises psycopg2.Error for what PostgreSQL refused, or found too late: then nothing was done. ``lock_ms``: of this one alone.
        """
        own_lock_ms = lock_ms or self._lock_ms or self._limits.lock
        given = params
        is_timed = any(type(param) is Moment for param in params)
        if lock_ms is not None:  # in one message, and so in one transaction: no way to the server is added
            sql = f"SET LOCAL lock_timeout = {lock_ms}; {sql}"
        began = elapsed()
        try:
            wire = await self._connected()
            if is_timed:
                params = await self._in_its_time(wire, params)
            began = elapsed()
            try:
                return await self._run(wire, sql, params)
            except psycopg2.Error as error:
                if error.pgcode == sessions.TOO_LATE and is_timed:  # by a clock that was set meanwhile, perhaps
                    self._clock = None
                    params = await self._in_its_time(wire, given)
                elif error.pgcode not in sessions.AGAIN_AT_ONCE:
                    raise
                return await self._run(wire, sql, params)
        except (psycopg2.Error, TimeoutError) as error:
            sessions.note_refusal(error)
            if isinstance(error, TimeoutError):
                circuit_of(self._url).failed(error)  # those who wait for their turn are told at once
            if self._wire is not None and sessions.is_lost(error):
                log.warning("the session for taking in events is of no more use (%s)", _words(error))
            # Where the time for its lock was all that it may have, the session's times are as they should be.
            had_its_time = sessions.is_locked(error) and (elapsed() - began) * 1000 >= own_lock_ms
            is_spent = sessions.is_lost(error) or (sessions.is_out_of_time(error) and not had_its_time)
            if isinstance(error, TimeoutError) or self._is_closed() or is_spent:
                self.close()
            elif error.pgcode == sessions.TOO_LATE or not sessions.is_away(error):
                raise
            raise DatabaseAwayError() from error
        except asyncio.CancelledError:
            self.close()  # in the middle of a statement: the session is of no use to the next one
            raise

    async def _in_its_time(self, wire: _Wire, params: Sequence[Any]) -> list[Any]:
        if self._clock is None or elapsed() - self._clock[1] > CLOCK_SECONDS:
            ((shown,),) = await self._run(wire, "SELECT clock_timestamp()")
            self._clock = shown, elapsed()
        shown, at = self._clock
        return [shown + timedelta(seconds=one.at - at) if type(one) is Moment else one for one in params]

    def renew(self) -> None:
        """Has another session take over as soon as it is there; until then, the one there is serves."""
        if self._wire is not None and self._opening is None:
            with contextlib.suppress(DatabaseAwayError):
                circuit_of(self._url).admit()
                self._opening = self._begin_opening()

    def close(self) -> None:
        if self._opening is not None:
            if not self._opening.cancel() and (opened := _opened(self._opening)) is not None:
                opened.close()
            self._opening = None
        if self._wire is not None:
            wire, self._wire = self._wire, None
            wire.close()

    def _is_closed(self) -> bool:
        return self._wire is None or bool(self._wire.connection.closed)

    async def _connected(self) -> _Wire:
        if self._wire is not None and self._wire.is_gone():
            self.close()
        if self._opening is not None and self._opening.done():
            # It may have ended long ago: nobody asked since. How it failed then says nothing of now.
            opened, self._opening = _opened(self._opening), None
            if opened is not None and opened.is_gone():
                opened.close()
            elif opened is not None:
                if self._wire is not None:
                    self._wire.close()
                self._take(opened)
        if self._wire is None:
            if self._opening is None:
                if elapsed() < self._rests_until:
                    raise DatabaseAwayError() from self._refused
                circuit_of(self._url).admit()
                self._opening = self._begin_opening()
            opening = self._opening
            # Whoever waits is told in time; connecting goes on, for those who come after.
            await asyncio.wait((opening,), timeout=REQUEST_SECONDS)
            if not opening.done():
                raise DatabaseAwayError()
            self._opening = None
            return self._take(opening.result())
        return self._wire

    def _take(self, wire: _Wire) -> _Wire:
        self._wire = wire
        self._clock = None
        self._peer = sessions.peer_of(wire.connection)
        return wire

    def _begin_opening(self) -> asyncio.Task[_Wire]:
        opening = asyncio.create_task(self._open())
        opening.add_done_callback(self._ended)
        return opening

    def _ended(self, opening: asyncio.Task[_Wire]) -> None:
        """Whoever wanted it may be gone when it fails."""
        if opening.cancelled():  # before it had begun, perhaps
            circuit_of(self._url).left()
        elif (error := opening.exception()) is not None:
            log.warning("no session with PostgreSQL for taking in events (%s)", _words(error))

    async def _open(self) -> _Wire:
        """A connection with all that is prepared; one that fails half way is closed."""
        circuit = circuit_of(self._url)
        try:
            connection = await asyncio.to_thread(sessions.connect_async, self._url, "tracklayer")
        except Exception as error:
            circuit.failed(error)
            raise
        circuit.worked()
        try:
            wire = _Wire(connection)
        except OSError as error:  # this process may open no more files
            connection.close()
            raise psycopg2.OperationalError(str(error)) from error
        try:
            await self._run(wire, *sessions.set_up(self._limits))
            # A plan made for one row serves a thousand here: it goes by the primary keys.
            await self._run(wire, "SET plan_cache_mode = force_generic_plan")
            for name, (types, sql) in self._prepared.items():
                await self._run(wire, f"PREPARE {name} ({types}) AS {sql}")
            if self._lock_ms is not None:
                await self._run(wire, *sessions.set_up(replace(self._limits, lock=self._lock_ms)))
        except BaseException as error:
            wire.close()
            # What is refused twice would be refused again at once: a session for each batch must not come of it.
            if self._refused is not None:
                self._rests_until = elapsed() + REST_SECONDS
            self._refused = error
            raise
        self._refused = None
        return wire

    async def _run(self, wire: _Wire, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        found = await wire.ask(sql, params, self._answer_seconds)
        sessions.heard_from(self._peer)
        return found


class _Wire:
    """A connection of which the loop hears: registered once, as doing that for each statement costs more than asking."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._loop = asyncio.get_running_loop()
        # One of our own: libpq closes its descriptor when the server hangs up, and its number is somebody else's then.
        self._descriptor = os.dup(connection.fileno())
        self._readable = select.poll()
        self._readable.register(self._descriptor, select.POLLIN)
        self._answer: asyncio.Future[None] | None = None  # what is waited for
        self._is_late = False
        self._loop.add_reader(self._descriptor, self._hear)

    def is_gone(self) -> bool:
        """Whether the server hung up while nothing was asked: told by a look at the socket, without a round trip."""
        # Nothing is due from the server, so anything that can be read is its farewell.
        return bool(self.connection.closed or self._readable.poll(0))

    async def ask(self, sql: str, params: Sequence[Any], seconds: float) -> list[tuple[Any, ...]]:
        """All rows. Raises TimeoutError where the whole answer is not there in time, and psycopg2.Error."""
        cursor = self.connection.cursor()
        cursor.execute(sql, params or None)
        self._is_late = False
        timer = self._loop.call_later(seconds, self._give_up)
        try:
            while (state := self.connection.poll()) != POLL_OK:
                if self._is_late:
                    raise TimeoutError
                self._answer = self._loop.create_future()
                if state == POLL_WRITE:
                    self._loop.add_writer(self._descriptor, self._resolve)
                elif state != POLL_READ:
                    raise psycopg2.OperationalError(f"poll() says {state}")
                try:
                    await self._answer
                finally:
                    if state == POLL_WRITE:
                        self._loop.remove_writer(self._descriptor)
        finally:
            timer.cancel()
            self._answer = None
        return cursor.fetchall() if cursor.description is not None else []

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.connection.close()

    def _hear(self) -> None:
        if self._answer is not None:
            self._resolve()
        elif self._readable.poll(0):  # not what was read a moment ago, but a farewell: it would be heard for ever
            self._loop.remove_reader(self._descriptor)

    def _resolve(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def _give_up(self) -> None:
        self._is_late = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TimeoutError())


def _opened(opening: asyncio.Task[_Wire]) -> _Wire | None:
    """The connection of one that has ended; None where it failed."""
    return opening.result() if not opening.cancelled() and opening.exception() is None else None


def _words(error: BaseException) -> str:
    """What happened, without a word of any statement."""
    code = sessions.code_of(error)
    if sessions.is_not_there(error):
        return f"{code}: {sentence_of(error)}"
    if code in sessions.POOLED_AWAY:
        return f"{code}: its prepared statements are not there; does a proxy pool by transaction?"
    return code or type(error).__name__
