"""One session that listens, driven by the event loop: PostgreSQL's notifications as calls of a function.

Needs a direct session: a transaction-pooling proxy would give the notifications to somebody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2 import sql

from tracklayer.db.connection import CONNECT_TIMEOUT

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1  # seconds until the next try after the session was lost; doubled up to the longest
LONGEST_PAUSE = 5.0
# A session whose other end is gone without a word is found out within half a minute.
KEEPALIVES: dict[str, Any] = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


class Listener:
    """Calls ``heard(payload)`` for each notification, and ``listening()`` after each (re)connection.

    What was notified while there was no session is lost: whoever is told ``listening()`` looks for itself.
    """

    def __init__(self, url: str, channel: str, heard: Callable[[str], None], listening: Callable[[], None]) -> None:
        self._url = url
        self._channel = channel
        self._heard = heard
        self._listening = listening

    async def run(self) -> None:
        """Listens until it is cancelled; comes back by itself whenever the database does."""
        pause = FIRST_PAUSE
        while True:
            try:
                connection = await asyncio.to_thread(self._connect)
            except psycopg2.Error:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            try:
                self._listening()
                await self._read(connection)
            finally:
                with contextlib.suppress(psycopg2.Error):
                    connection.close()
            log.warning("the session that listens for alerts was lost: opening another")

    def _connect(self) -> Any:
        connection = psycopg2.connect(
            self._url, connect_timeout=CONNECT_TIMEOUT, application_name="tracklayer listen", **KEEPALIVES
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        except psycopg2.Error:
            connection.close()
            raise
        return connection

    async def _read(self, connection: Any) -> None:
        """Returns when the session is lost."""
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[None] = loop.create_future()

        def readable() -> None:
            try:
                connection.poll()
            except psycopg2.Error:
                loop.remove_reader(descriptor)
                if not lost.done():
                    lost.set_result(None)
                return
            while connection.notifies:
                self._heard(connection.notifies.pop(0).payload)

        descriptor = connection.fileno()
        loop.add_reader(descriptor, readable)
        try:
            await lost
        finally:
            loop.remove_reader(descriptor)
