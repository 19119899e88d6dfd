"""Queries from a streaming standby, where nobody can tell the difference.

Before an operation reads, the primary is asked how far it has written, and the standby serves what has come that far: so
whatever was acknowledged before somebody asks, to him or to others, by this process or another, is in his answer. A standby
gets as long for that as ``lag`` says. Beyond it, and where the standby is away, is none, or cancels a query, the primary
serves, as it does all that is no query.

Every session with the standby is looked at before it is read from, so a URL may lead to several of them. Where it spreads sessions
over them (``load_balance_hosts``), one with a standby that is behind is ended, and the next one may be with another: so all of them
must be behind until the primary serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Concatenate, ParamSpec, TypeVar

import peewee
import psycopg2
from playhouse.pool import MaxConnectionsExceeded
from psycopg2.extensions import make_dsn, parse_dsn

from tracklayer.db import connection, sessions
from tracklayer.db.connection import Pool, ask_at_the_door, be_quick, in_place, lend, run_in_db_thread
from tracklayer.db.sessions import POOL, DatabaseAwayError, Session

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 16  # that read from it, each with a session: none of those that wait for the primary stands behind it
PAUSES = (0.002, 0.05)  # seconds, first and longest, until a standby that is behind is looked at again
ANSWER_SECONDS = 1.0  # for a look: a standby that is silent is found out before anything is read
LOOK_SECONDS = 1.0  # between two looks at a standby that does not serve, and
WELL_SECONDS = 10.0  # at one that does, whoever reads
GOOD_LOOKS = 3  # in a row, until one that did not serve does: on the edge it would be told all the time
TELL_AGAIN_SECONDS = 60.0  # between two lines about canceled queries

AWAY = "does not answer"
NO_STANDBY = "leads to no standby"
CANCELED = (
    "the standby canceled a query, since what it reads was to be replayed over; the primary serves it (set "
    "hot_standby_feedback = on there, or a longer max_standby_streaming_delay)"
)
ANOTHER = "leads to a standby of another database, or of what the primary was before a fail-over"

log = logging.getLogger(__name__)

# Of the primary. What was committed with a flush is below it; a standby is sent nothing above it.
_POSITION = """
SELECT system_identifier, left(pg_walfile_name(flushed), 8), flushed::text
FROM (SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn() END AS flushed) AS w, pg_control_system()
"""

# Of the standby. After a fail-over its control file names the old timeline until its next checkpoint; who may look at what
# it receives, a member of pg_monitor for instance, knows the new one at once.
_LOOK = """
SELECT pg_is_in_recovery(),
       system_identifier = %s AND upper(lpad(to_hex(greatest(timeline_id, min_recovery_end_timeline, received)), 8, '0')) = %s,
       pg_last_wal_replay_lsn() >= %s::pg_lsn
FROM pg_control_system(), pg_control_checkpoint(), pg_control_recovery(),
     (SELECT max(received_tli) AS received FROM pg_stat_wal_receiver) AS r
"""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a primary has written: of which database, on which timeline, up to where."""

    system: int
    timeline: str
    lsn: str


class NotServedError(Exception):
    """The standby cannot read this now; the primary can. ``why``: what is wrong with the standby, where it is that."""

    def __init__(self, why: str | None = None) -> None:
        super().__init__(why)
        self.why = why


class BehindError(Exception):
    """The standby has not come so far yet."""


class Reading:
    """What one operation reads. ``standby``: None once it has to go on at the primary: it never goes back in time. ``admit``: asked
    right before each read, which may have waited for its place; it raises where nothing more may be read.
    """

    __slots__ = ("admit", "position", "standby")

    def __init__(self, standby: Standby | None, admit: Callable[[], None] | None = None) -> None:
        self.standby = standby
        self.admit = admit
        self.position: Position | None = None


_reading: ContextVar[Reading | None] = ContextVar("reading", default=None)


@contextmanager
def reading_from(standby: Standby | None, admit: Callable[[], None] | None = None) -> Iterator[None]:
    """Around one query: its reads may be the standby's, and each is asked for with ``admit``."""
    token = _reading.set(Reading(standby, admit))
    try:
        yield
    finally:
        _reading.reset(token)


async def read_for_merchant(
    function: Callable[Concatenate[int, P], T], merchant_id: int, *args: P.args, **kwargs: P.kwargs
) -> T:
    """As ``run_for_merchant``, of what only reads: within ``reading_from`` by the standby, where that can serve it."""
    call = functools.partial(function, merchant_id, *args, **kwargs)
    reading = _reading.get()
    if reading is None:
        return await in_place(merchant_id, functools.partial(run_in_db_thread, call))
    if reading.standby is not None and reading.position is None:
        reading.position = await reading.standby.begin()
    return await in_place(merchant_id, functools.partial(_read, reading, call))


async def _read(reading: Reading, call: Callable[[], T]) -> T:
    if reading.admit is not None:
        reading.admit()
    if reading.standby is not None and reading.position is not None:
        try:
            return await reading.standby.read(reading.position, call)
        except NotServedError:
            reading.standby = None
    return await run_in_db_thread(call)


class Standby:
    """The one that this process reads from. ``trouble``: why it does not serve, as one sentence; None: it does."""

    def __init__(self, url: str, lag: timedelta) -> None:
        self.trouble: str | None = None
        self._url = url
        self._lag = lag.total_seconds()
        self._has_others = parse_dsn(url).get("load_balance_hosts") == "random"
        self._pool = Pool(url, max_connections=THREADS, timeout=ANSWER_SECONDS)
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="standby", initializer=be_quick)
        self._asking: asyncio.Task[Position | None] | None = None
        self._next: asyncio.Task[Position | None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._hurry.set()
        self._told_at = -math.inf

    async def begin(self) -> Position | None:
        """How far it must have come for who begins to read now. None: it does not serve, or there is no primary to ask."""
        self.watch()
        if self.trouble is not None:
            return None
        try:
            return await self._position()
        except DatabaseAwayError:  # or busy at its door: whoever reads from it will see
            return None

    async def read(self, wanted: Position, call: Callable[[], T]) -> T:
        """What ``call`` reads there. Raises NotServedError, and what ``call`` does."""
        if self.trouble is not None:
            raise NotServedError
        try:
            return await self._until(functools.partial(self._attempt, wanted, call))
        except NotServedError as error:
            if error.why is not None:
                self._leave(error.why)
            raise

    def watch(self) -> None:
        """Looks at it from now on, so that its trouble is known, and known to be over, whoever reads."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.close_all()

    async def _position(self) -> Position | None:
        """How far the primary has come, as of now or later: what was asked before says nothing about what came since.

        One question at a time; all who come meanwhile share the next one. None: there is no primary at present.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._ask_after(self._asking))
            self._next.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._next)

    async def _ask_after(self, before: asyncio.Task[Position | None] | None) -> Position | None:
        if before is not None:
            await asyncio.wait([before])
        self._asking, self._next = self._next, None
        return await ask_at_the_door(position)

    async def _until(self, attempt: Callable[[bool], T]) -> T:
        """What ``attempt`` gives, once the standby has come far enough. Raises NotServedError when it takes too long.

        From half of that time on it is told that it may give up a session with one that has not, if there are others.
        """
        ends = time.monotonic() + self._lag
        pause, longest = PAUSES
        seeks_another = False
        while True:
            if self._has_others and not seeks_another and time.monotonic() > ends - self._lag / 2:
                seeks_another, pause = True, PAUSES[0]
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, attempt, seeks_another)
            except BehindError:
                if time.monotonic() + pause > ends:
                    raise NotServedError(_behind(self._lag)) from None
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)
            except MaxConnectionsExceeded:
                raise NotServedError from None  # its sessions are all at work

    def _attempt(self, wanted: Position, call: Callable[[], T], seeks_another: bool) -> T:
        """In a thread: ``call`` on a session with a standby that has come so far. ``seeks_another``: one that has not is ended."""
        try:
            self._pool.connect()
        except (psycopg2.Error, DatabaseAwayError) as error:
            raise NotServedError(AWAY) from error
        session: Session = self._pool.connection()
        try:
            look(session, wanted)
            with lend(session):
                return call()
        except (peewee.DatabaseError, peewee.InterfaceError) as error:
            if not sessions.is_away(error):
                raise
            raise NotServedError(self._judge(session, error)) from error
        except BehindError:
            session.is_spent = seeks_another
            raise
        except NotServedError:
            session.is_spent = True
            raise
        finally:
            self._pool.close()

    def _judge(self, session: Session, error: Exception) -> str | None:
        """What an error of a query says of the standby; None: nothing about the next one."""
        code = sessions.code_of(error) or ""
        session.is_spent = True
        if code == sessions.READ_ONLY:
            log.error("a query wanted to write, which the primary does for it: %s", error)
            return None
        # A query that is in the way of what is replayed is ended with its session, where that is between two statements: the
        # driver then tells no code. Whether it is that, or the standby is away, a session of our own tells.
        is_lost = sessions.is_lost(error)
        if is_lost and (code or session.is_cut or not self._lets_in()):
            return AWAY
        if (is_lost or code.startswith("40")) and time.monotonic() - self._told_at > TELL_AGAIN_SECONDS:
            self._told_at = time.monotonic()
            log.warning("%s", CANCELED)
        return None

    def _lets_in(self) -> bool:
        """Whether a new session is served."""
        try:
            session = sessions.connect(self._url, "tracklayer", POOL)
            with contextlib.closing(session), session.answering_within(ANSWER_SECONDS):
                return bool(session.ask("SELECT true"))
        except (psycopg2.Error, DatabaseAwayError):
            return False

    def _leave(self, why: str) -> None:
        sentence = sentence_of(why)
        if self.trouble is None:
            log.warning("%s", sentence)
            self._hurry.set()
        self.trouble = sentence

    async def _watch(self) -> None:
        good = 0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WELL_SECONDS if self.trouble is None else LOOK_SECONDS):
                    await self._hurry.wait()
                    self._hurry.clear()
                    good = 0
            try:
                wanted = await self._position()
                if wanted is None:
                    continue
                await self._until(functools.partial(self._attempt, wanted, lambda: None))
            except DatabaseAwayError:  # the primary: others tell of it
                continue
            except NotServedError as error:
                good = 0
                if error.why is not None:
                    self._leave(error.why)
                continue
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed, and none may be the last
                log.error("looking at the standby failed (%s)", type(error).__name__)
                continue
            good += 1
            if self.trouble is not None and good >= GOOD_LOOKS:
                self.trouble = None
                log.warning("the standby serves queries again")


def position() -> Position | None:
    """How far the primary has come; None where the pool's server is none now. Raises DatabaseAwayError."""
    ((system, timeline, lsn),) = connection.rows(_POSITION)
    return Position(system, timeline, lsn) if lsn is not None else None


def look(session: Session, wanted: Position) -> None:
    """Raises NotServedError where a session leads to no standby of this primary, BehindError where it must catch up first."""
    try:
        with session.answering_within(ANSWER_SECONDS), session.cursor() as cursor:
            cursor.execute(_LOOK, (wanted.system, wanted.timeline, wanted.lsn))
            found = cursor.fetchone()
    except psycopg2.Error as error:
        raise NotServedError(None if (sessions.code_of(error) or "").startswith("40") else AWAY) from error
    assert found is not None
    is_standby, is_ours, has_come = found
    if not is_standby:
        raise NotServedError(NO_STANDBY)
    if not is_ours:
        raise NotServedError(ANOTHER)
    if not has_come:
        raise BehindError


def connect(url: str, lag: timedelta) -> Session:
    """A session of one's own with a standby that has all that the primary has written until now: of several, any one that has.

    Raises NotServedError where none comes so far in time, or serves; and DatabaseAwayError.
    """
    return _connect(list(_each(url).values()), lag)


def standby_trouble(url: str, lag: timedelta) -> str | None:
    """What is wrong with a standby now, or with all of several, as one sentence, for whoever does not read from it.

    Raises DatabaseAwayError.
    """
    why = _why_not([*_each(url).values()], lag)
    return sentence_of(why) if why is not None else None


def left_out(url: str, lag: timedelta) -> dict[str, str]:
    """Of several standbys those that do not serve now: host and port, and why. Raises DatabaseAwayError."""
    each = _each(url)
    found = {host: _why_not([one], lag) for host, one in each.items()} if len(each) > 1 else {}
    return {host: why for host, why in found.items() if why is not None}


def _each(url: str) -> dict[str, str]:
    """A URL for each standby, by its host and port, where sessions are spread over several: also over all addresses of a name."""
    given = parse_dsn(url)
    found: dict[str, str] = {}
    if given.get("load_balance_hosts") == "random":
        for target in sessions.targets(given):
            if target:
                name = f"{target['host']}:{target['port']}"
                name = f"{name} ({target['hostaddr']})" if name in found else name
                found[name] = make_dsn(url, **target)
    each = list(found.items()) or [("", url)]
    random.shuffle(each)
    return dict(each)


def _why_not(urls: list[str], lag: timedelta) -> str | None:
    try:
        _connect(urls, lag).close()
    except NotServedError as error:
        return error.why
    return None


def _connect(urls: list[str], lag: timedelta) -> Session:
    """As ``connect``, with the first of these that has come far enough; each has so long from when it is first looked at."""
    with connection.session():
        wanted = position()
    if wanted is None:
        raise NotServedError
    opened: dict[str, Session] = {}
    ends: dict[str, float] = {}
    failed: dict[str, NotServedError] = {}
    try:
        while len(failed) < len(urls):
            for url in urls:
                if url in failed:
                    continue
                try:
                    if url not in opened:
                        opened[url] = sessions.connect(url, "tracklayer", POOL)
                        ends[url] = time.monotonic() + lag.total_seconds()
                    look(opened[url], wanted)
                    return opened.pop(url)
                except psycopg2.Error:
                    failed[url] = NotServedError(AWAY)
                except NotServedError as error:
                    failed[url] = error
                except BehindError:
                    if time.monotonic() > ends[url]:
                        failed[url] = NotServedError(_behind(lag.total_seconds()))
            if len(failed) < len(urls):
                time.sleep(PAUSES[1])
        raise failed[urls[0]]
    finally:
        for session in opened.values():
            session.close()


def _behind(lag: float) -> str:
    return f"is more than {lag:g} s behind the primary"


def sentence_of(why: str) -> str:
    return f"the standby of TRACKLAYER_READ_DATABASE_URL {why}: the primary serves all queries"
