"""One session that listens, driven by the event loop: PostgreSQL's notifications as calls of a function.

Needs a direct session: a transaction-pooling proxy would give the notifications to somebody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable

import psycopg2
from psycopg2 import sql

from tracklayer.db import sessions
from tracklayer.db.sessions import LISTENER, Limits, Session

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1  # seconds until the next try after the session was lost; doubled up to the longest
LONGEST_PAUSE = 5.0
ASK_SECONDS = 10.0  # a session that hears nothing for so long is asked whether it would


class Listener:
    """Calls ``heard(payload)`` for each notification, and ``listening()`` after each (re)connection.

    What was notified while there was no session is lost: whoever is told ``listening()`` looks for itself.
    """

    def __init__(
        self,
        url: str,
        channel: str,
        heard: Callable[[str], None],
        listening: Callable[[], None],
        limits: Limits = LISTENER,
        ask_seconds: float = ASK_SECONDS,
    ) -> None:
        self._url = url
        self._channel = channel
        self._heard = heard
        self._listening = listening
        self._limits = limits
        self._ask_seconds = ask_seconds

    async def run(self) -> None:
        """Listens until it is cancelled; comes back by itself whenever the database does."""
        pause = FIRST_PAUSE
        while True:
            try:
                connection = await asyncio.to_thread(self._connect)
            except psycopg2.Error:
                await asyncio.sleep(pause * random.uniform(0.5, 1))
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

    def _connect(self) -> Session:
        connection = sessions.connect(self._url, "tracklayer listen", self._limits)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        except psycopg2.Error:
            connection.close()
            raise
        return connection

    async def _read(self, connection: Session) -> None:
        """Returns when the session is lost."""
        loop = asyncio.get_running_loop()
        descriptor = connection.fileno()
        while True:
            lost: asyncio.Future[None] = loop.create_future()

            def readable(lost: asyncio.Future[None] = lost) -> None:
                try:
                    connection.poll()
                except psycopg2.Error:
                    loop.remove_reader(descriptor)
                    if not lost.done():
                        lost.set_result(None)
                    return
                self._tell(connection)

            loop.add_reader(descriptor, readable)
            try:
                await asyncio.wait((lost,), timeout=self._ask_seconds)
            finally:
                loop.remove_reader(descriptor)
            if lost.done():
                return
            try:
                await asyncio.to_thread(connection.ask, "SELECT 1")
            except psycopg2.Error:
                return
            self._tell(connection)

    def _tell(self, connection: Session) -> None:
        while connection.notifies:
            self._heard(connection.notifies.pop(0).payload)
