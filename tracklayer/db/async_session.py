"""One PostgreSQL session driven by the event loop: for what runs all the time and must not pay for a thread.

psycopg2 in its asynchronous mode: every statement is its own transaction. Statements that are named are prepared once a
connection, and planned once.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

from tracklayer.db.connection import CONNECT_TIMEOUT, DatabaseAwayError

ANSWER_TIMEOUT = 30  # seconds: a statement that takes longer is as good as lost


class AsyncSession:
    """``prepared``: name -> (types, SQL with $1, $2 ...), run as ``EXECUTE name(...)``. One statement at a time.

    Connects when it is needed, and anew after the connection was lost.
    """

    def __init__(self, url: str, prepared: Mapping[str, tuple[str, str]]) -> None:
        self._url = url
        self._prepared = prepared
        self._connection: Any = None
        self._readable = select.poll()

    async def execute(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows. Raises DatabaseAwayError where there is no connection or it was lost: what became of the
        statement is then unknown. Raises psycopg2.Error for what PostgreSQL refused: then nothing was done.
        """
        try:
            connection = await self._connected()
            return await self._run(connection, sql, params)
        except (psycopg2.OperationalError, psycopg2.InterfaceError, TimeoutError) as error:
            lost = self._connection is None or self._connection.closed or isinstance(error, TimeoutError)
            if lost or _is_away(error):
                self.close()
                raise DatabaseAwayError("the database is away") from error
            raise
        except asyncio.CancelledError:
            self.close()  # in the middle of a statement: the session is of no use to the next one
            raise

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            loop = asyncio.get_running_loop()
            try:
                loop.remove_reader(connection.fileno())
                loop.remove_writer(connection.fileno())
            except (psycopg2.Error, OSError, ValueError):
                pass  # it has no descriptor any more
            connection.close()

    async def _connected(self) -> Any:
        if self._connection is not None and self._is_gone():
            self.close()
        if self._connection is None:
            connection = psycopg2.connect(
                self._url,
                async_=1,
                connect_timeout=CONNECT_TIMEOUT,
                application_name="tracklayer",
                options="-c timezone=UTC",
            )
            self._connection = connection
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await _wait(connection)
            self._readable = select.poll()
            self._readable.register(connection.fileno(), select.POLLIN)
            # A plan made for one row serves a thousand here: it goes by the primary keys.
            await self._run(connection, "SET plan_cache_mode = force_generic_plan")
            for name, (types, sql) in self._prepared.items():
                await self._run(connection, f"PREPARE {name} ({types}) AS {sql}")
        return self._connection

    def _is_gone(self) -> bool:
        """Whether the server hung up while nothing was asked: told by a look at the socket, without a round trip."""
        # Nothing is due from the server, so anything that can be read is its farewell.
        return bool(self._connection.closed or self._readable.poll(0))

    async def _run(self, connection: Any, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = connection.cursor()
        cursor.execute(sql, params or None)
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await _wait(connection)
        return cursor.fetchall() if cursor.description is not None else []


async def _wait(connection: Any) -> None:
    """Until the connection has nothing more to read or write for what was asked of it."""
    loop = asyncio.get_running_loop()
    while True:
        state = connection.poll()
        if state == POLL_OK:
            return
        ready: asyncio.Future[None] = loop.create_future()
        descriptor = connection.fileno()
        if state == POLL_READ:
            loop.add_reader(descriptor, _resolve, ready)
        elif state == POLL_WRITE:
            loop.add_writer(descriptor, _resolve, ready)
        else:
            raise psycopg2.OperationalError(f"poll() says {state}")
        try:
            await ready
        finally:
            if state == POLL_READ:
                loop.remove_reader(descriptor)
            else:
                loop.remove_writer(descriptor)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _is_away(error: BaseException) -> bool:
    code = getattr(error, "pgcode", None)
    return code is None or code.startswith(("57P", "53", "08"))
