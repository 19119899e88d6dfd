"""The database of this process: one pool, transactions, a thread for whoever must not wait, sessions of one's own."""

from __future__ import annotations

import asyncio
import functools
import heapq
import logging
import math
import select
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

import peewee
import psycopg2
from playhouse.pool import MaxConnectionsExceeded, PoolConnection, PooledPostgresqlDatabase
from psycopg2.extensions import TRANSACTION_STATUS_INERROR, TRANSACTION_STATUS_UNKNOWN

from tracklayer import metrics
from tracklayer.db import sessions
from tracklayer.db.connect_faults import sentence_of
from tracklayer.db.sessions import PATIENCE_SECONDS, POOL, REQUEST_SECONDS, DatabaseAwayError, LockedOutError, Session

__all__ = ["DatabaseAwayError", "LockedOutError"]  # all that uses the pool knows it from here

P = ParamSpec("P")
T = TypeVar("T")

POOL_SIZE = 20  # connections a process: more than this many at once wait their turn
PLACES_OF_ONE = 4  # threads that one merchant has busy at a time, of the 16 that there are
POOL_WAIT = 5  # seconds to wait for one, then the database counts as away
READ_TIMEOUT_MS = 10_000  # no query of a page may run longer, whatever its filter
LONG_SECONDS = 300  # for housekeeping that nobody waits for: a statement over all that one merchant has
FRESH_SECONDS = 0.25  # a session that was used so shortly ago is not asked whether its server still answers
PING_SECONDS = 1.5
SHARED_LOOKS = 4  # a proxy that is busy gives each statement to another session, one that is idle all to the same
DOOR_SECONDS = 1.8  # for the answer to a short question

TELL_AGAIN_SECONDS = 30.0  # between two lines of the log about what is not there

log = logging.getLogger(__name__)

_told: dict[str, float] = {}  # what, and when, on the monotonic clock
_told_lock = threading.Lock()
_QUERY_CANCELED = "57014"  # SQLSTATE


class ReadTimeoutError(Exception):
    """A statement took longer than it may and was ended: it would the next time, too, unless it is narrowed."""


class _Patience(threading.local):
    """How long this thread waits for a session: a request's has somebody who waits for it."""

    seconds = PATIENCE_SECONDS


_patience = _Patience()


class _Lent(threading.local):
    """Whether this thread uses a session of another server than the pool's."""

    here = False


_lent = _Lent()


class Pool(PooledPostgresqlDatabase):  # type: ignore[misc]
    """peewee's, but it connects outside its locks, and what it gives out was looked at.

    While one caller connects, or many do, nobody else waits for it. A session that lay about is asked first whether its
    server answers, so that a silent one is found out before anything depends on it.
    """

    _opening = 0

    def connect(self, reuse_if_open: bool = False) -> bool:
        if self.deferred:
            raise peewee.InterfaceError("Error, database must be initialized before opening a connection.")
        if not self._state.closed:
            if reuse_if_open:
                return False
            raise peewee.OperationalError("Connection already opened.")
        session = self._check_out()
        self._state.reset()
        self._state.set_connection(session)
        if self.server_version is None:
            self._set_server_version(session)
        return True

    @metrics.POOL_SECONDS.time()
    def _check_out(self) -> Session:
        ends = time.monotonic() + self._wait_timeout
        while True:
            with self._pool_available:
                session = self._idle()
                if session is None:
                    if len(self._in_use) + self._opening >= self._max_connections:
                        if not self._pool_available.wait(ends - time.monotonic()) and time.monotonic() >= ends:
                            raise MaxConnectionsExceeded("all connections are busy")
                        continue
                    self._opening += 1
            if session is None:
                return self._open()
            if self._answers(session):
                return session

    def _idle(self) -> Session | None:
        """One that is free, now in use. Needs the pool's lock."""
        session: Session
        while self._connections:
            since, _, session = heapq.heappop(self._connections)
            if session.closed or _readable(session):  # nothing is due from the server but its farewell
                self._close_raw(session)
                continue
            self._in_use[self.conn_key(session)] = PoolConnection(since, session, time.time())
            return session
        return None

    def _open(self) -> Session:
        url = self.database

        def keep(session: Session) -> None:
            """It comes too late for whoever wanted it: somebody else will."""
            with self._pool_available:
                full = len(self._connections) + len(self._in_use) >= self._max_connections
                if full or self.deferred or self.database != url:
                    session.close()
                    return
                self._heap_counter += 1
                heapq.heappush(self._connections, (time.time(), self._heap_counter, session))
                self._pool_available.notify()

        session = None
        try:
            session = sessions.open_session(url, "tracklayer", POOL, _patience.seconds, keep)
            return session
        finally:
            with self._pool_available:
                self._opening -= 1
                if session is not None:
                    self._in_use[self.conn_key(session)] = PoolConnection(time.time(), session, time.time())
                else:
                    self._pool_available.notify()

    def _answers(self, session: Session) -> bool:
        """Whether its server does. Raises DatabaseAwayError where it is silent: others would be silent, too."""
        began = time.monotonic()
        if began - session.used_at < FRESH_SECONDS:
            return True
        try:
            with session.answering_within(PING_SECONDS):
                session.ask("SELECT 1")
            return True
        except psycopg2.Error as error:
            self._close(session, close_conn=True)
            if time.monotonic() - began < PING_SECONDS:
                return False
            self.close_idle()
            sessions.is_silent(self.database, error, PING_SECONDS)
            raise DatabaseAwayError() from error

    def _close(self, conn: Session, close_conn: bool = False) -> None:
        conn.used_at = time.monotonic()
        super()._close(conn, close_conn)

    def _can_reuse(self, conn: Session) -> bool:
        return not conn.is_spent and bool(super()._can_reuse(conn))

    def spend(self) -> None:
        """This thread's session is of no more use, and neither are those that lie about."""
        self.spend_own()
        self.close_idle()

    def spend_own(self) -> None:
        """This thread's session is not used again."""
        if not self._state.closed:
            self._state.conn.is_spent = True


def _readable(session: Session) -> bool:
    look = select.poll()
    look.register(session.fileno(), select.POLLIN)
    return bool(look.poll(0))


database = Pool(None, max_connections=POOL_SIZE, timeout=POOL_WAIT)


def be_quick() -> None:
    """This thread's work has somebody who waits for it."""
    _patience.seconds = REQUEST_SECONDS


_threads = ThreadPoolExecutor(max_workers=POOL_SIZE - 4, thread_name_prefix="db", initializer=be_quick)
# For what everybody waits for: short questions, which must not stand behind somebody's long reads.
_door_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="door", initializer=be_quick)


def connect(url: str) -> None:
    """Points this process at ``url``. Opens nothing yet: connections are made where they are needed."""
    disconnect()
    sessions.forget_failures(url)
    sessions.forget_refusals()
    _told.clear()
    database.init(url)


def disconnect() -> None:
    """Closes every connection of this process."""
    if not database.deferred:
        database.close_all()


@contextmanager
def session() -> Iterator[None]:
    """A connection of the pool for this thread, for the length of the block. May be nested.

    Raises DatabaseAwayError where PostgreSQL cannot serve now.
    """
    if _lent.here:
        yield
        return
    try:
        if not database.is_closed():
            with _spent_when_lost():
                yield
            return
        with database.connection_context(), _spent_when_lost():
            yield
    except (peewee.DatabaseError, peewee.InterfaceError, MaxConnectionsExceeded) as error:
        sessions.note_refusal(error)
        if sessions.is_away(error):
            raise DatabaseAwayError() from error
        raise


@contextmanager
def lend(other: Session) -> Iterator[None]:
    """A session of another server in the place of the pool's, for this thread and the length of the block.

    Errors come as the driver, or peewee, raises them: what is wrong there says nothing about the pool's server.
    """
    database._state.set_connection(other)
    _lent.here = True
    try:
        yield
    finally:
        _lent.here = False
        database._state.reset()


@contextmanager
def _spent_when_lost() -> Iterator[None]:
    try:
        yield
    except (peewee.DatabaseError, peewee.InterfaceError) as error:
        if sessions.is_lost(error):
            database.spend()
            if sessions.is_not_there(error):
                _tell_not_there(error)
        elif sessions.is_out_of_time(error):
            database.spend_own()
        raise


def _tell_not_there(error: BaseException) -> None:
    """Once in a while: whoever asked is told to come again, and that mends nothing."""
    now = time.monotonic()
    with _told_lock:
        told_at = _told.get("not there", -math.inf)
        if now - told_at < TELL_AGAIN_SECONDS:
            return
        _told["not there"] = now
    log.error("%s (%s)", sentence_of(error), sessions.code_of(error))


class _Then(threading.local):
    """What this thread's open transaction is to be followed by; None: it has none open."""

    calls: list[Callable[[], object]] | None = None


_then = _Then()


@contextmanager
def in_transaction() -> Iterator[None]:
    """All or nothing. Raises DatabaseAwayError when PostgreSQL cannot serve now."""
    outer = _then.calls
    own = _then.calls = []
    try:
        with session(), database.atomic():
            yield
    finally:
        _then.calls = outer
    if outer is not None:
        outer += own
        return
    for call in own:
        call()


def is_broken() -> bool:
    """Whether this thread has a transaction open that can do no more than be undone: something in it failed, or its server is gone."""
    if database.is_closed():
        return False
    own: Session = database.connection()
    return own.info.transaction_status in (TRANSACTION_STATUS_INERROR, TRANSACTION_STATUS_UNKNOWN)


def after_commit(call: Callable[[], object]) -> None:
    """``call`` once what this thread's transaction did is committed, and not at all where it is undone. It raises nothing."""
    if _then.calls is None:
        call()
    else:
        _then.calls.append(call)


@contextmanager
def statements_within(seconds: float) -> Iterator[None]:
    """Another limit than the session's for each statement of an open transaction. Raises ReadTimeoutError."""
    with _ends_after(seconds):
        execute("SELECT set_config('statement_timeout', %s, true)", (str(round(seconds * 1000)),))
        yield


@contextmanager
def _ends_after(seconds: float) -> Iterator[None]:
    """For a block whose statements the server ends after so long: what is raised then is ReadTimeoutError."""
    own: Session = database.connection()
    try:
        with own.answering_within(seconds + sessions.ANSWER_SECONDS):
            yield
    except (peewee.OperationalError, DatabaseAwayError) as error:
        if sessions.code_of(error) == _QUERY_CANCELED:
            raise ReadTimeoutError(f"a statement took longer than {seconds:g} s") from error
        raise


@contextmanager
def answers_within(seconds: float) -> Iterator[None]:
    """Short questions: a server that takes longer for one is as good as gone. Needs an open session."""
    own: Session = database.connection()
    with own.answering_within(seconds):
        yield


def server_version() -> str:
    """As PostgreSQL says it."""
    return str(rows("SHOW server_version")[0][0])


def server_clock() -> datetime:
    """What time it is there."""
    found: datetime = rows("SELECT clock_timestamp()")[0][0]
    return found


def wait_at_most(lock_ms: int, idle_ms: int) -> None:
    """So long this transaction waits for each of its locks, and is idle between its statements."""
    execute(
        "SELECT set_config('lock_timeout', %s, true), set_config('idle_in_transaction_session_timeout', %s, true)",
        (str(lock_ms), str(idle_ms)),
    )


def reads_only() -> bool:
    """Whether nothing can be stored through this session: a standby answers, or it was set so."""
    reads = bool(rows("SELECT current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery()")[0][0])
    if reads:
        database.spend()  # it would say so for ever, also where the database takes writes again
    return reads


def shares_sessions() -> bool:
    """Whether a proxy gives our sessions to others, or to us again, between two statements: one by one, as it likes.

    Told by the server's processes behind two sessions that are open at once. Must not be called in a transaction. Raises
    DatabaseAwayError.
    """
    with session():
        mine: Session = database.connection()
        asked = "SELECT pg_backend_pid()"
        try:
            other = sessions.connect(database.database, "tracklayer", POOL)
            try:
                first, second = mine.ask(asked), other.ask(asked)
                looks = ((mine.ask(asked), other.ask(asked)) for _ in range(SHARED_LOOKS))
                return first == second or any(look != (first, second) for look in looks)
            finally:
                other.close()
        except psycopg2.Error as error:
            raise DatabaseAwayError("no second session") from error


@contextmanager
def unlimited_session(lock_seconds: float = 0) -> Iterator[None]:
    """A session for what takes as long as it takes; it is closed thereafter. ``lock_seconds`` 0: for its locks, too."""
    with session():
        own: Session = database.connection()
        own.is_spent = True
        with own.answering_within(None):
            execute("SELECT set_config('statement_timeout', '0', false)")
            execute("SELECT set_config('lock_timeout', %s, false)", (str(round(lock_seconds * 1000)),))
            yield


async def run_in_db_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``function`` with a connection, in a thread: nobody on the event loop may wait for PostgreSQL."""
    return await _in_thread(_threads, functools.partial(function, *args, **kwargs))


async def run_for_merchant(
    function: Callable[Concatenate[int, P], T], merchant_id: int, *args: P.args, **kwargs: P.kwargs
) -> T:
    """``function(merchant_id, ...)`` as ``run_in_db_thread`` does; of one merchant a few at a time, the others wait."""
    call = functools.partial(function, merchant_id, *args, **kwargs)
    return await in_place(merchant_id, functools.partial(run_in_db_thread, call))


async def in_place(merchant_id: int, work: Callable[[], Awaitable[T]]) -> T:
    """``work`` in one of the few places of a merchant; the others wait.

    So whoever asks for what takes long, and asks for it again and again, takes his own place and nobody else's.
    """
    loop = asyncio.get_running_loop()
    key = (merchant_id, id(loop))
    places = _places.get(key)
    if places is None:
        places = _places[key] = _Places()
    places.wanted += 1

    def leave() -> None:
        places.wanted -= 1
        if not places.wanted:
            del _places[key]

    try:
        await places.free.acquire()
    except BaseException:
        leave()
        raise
    working = asyncio.ensure_future(work())

    def done(ended: asyncio.Future[T]) -> None:
        places.free.release()
        leave()
        if not ended.cancelled():
            ended.exception()  # nobody may be there to hear of it

    working.add_done_callback(done)
    # Whoever leaves does not end the work: its place is free when the thread is.
    return await asyncio.shield(working)


class _Places:
    """Of one merchant on one event loop."""

    __slots__ = ("free", "wanted")

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(PLACES_OF_ONE)
        self.wanted = 0


_places: dict[tuple[int, int], _Places] = {}


async def ask_at_the_door(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As ``run_in_db_thread``, of a short question that must not wait for what others read: whose key it is."""

    asked_at = time.monotonic()

    @metrics.READ.time()
    def ask() -> T:
        with _door.question(asked_at), session(), answers_within(DOOR_SECONDS):
            return function(*args, **kwargs)

    return await asyncio.get_running_loop().run_in_executor(_door_threads, ask)


class _Door:
    """What is known of the short questions of this process: by the monotonic clock, when one was answered, and in vain.

    Two are asked at a time. Where a table is locked, each of them takes as long as it may, and those behind would wait for
    many of them: so they are told as well.
    """

    def __init__(self) -> None:
        self._answered_at = self._failed_at = -math.inf

    @contextmanager
    def question(self, asked_at: float) -> Iterator[None]:
        """Around one, once it is its turn. Raises DatabaseAwayError where it need not be asked any more: it has waited for
        too long, or another one got no answer meanwhile, and none did since that was asked.
        """
        began = time.monotonic()
        if self._failed_at > asked_at or began - asked_at > DOOR_SECONDS:
            raise DatabaseAwayError()
        try:
            yield
        except DatabaseAwayError:
            ended = time.monotonic()
            if ended - began >= DOOR_SECONDS and self._answered_at < began:
                self._failed_at = ended
            raise
        self._answered_at = time.monotonic()


_door = _Door()


async def _in_thread(threads: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    @metrics.READ.time()
    def call() -> T:
        with session():
            return function()

    return await asyncio.get_running_loop().run_in_executor(threads, call)


def rows(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a statement. The caller bounds how many those can be."""
    cursor = database.execute_sql(sql, params)
    found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def execute(sql: str, params: Sequence[Any] = ()) -> int:
    """Runs a statement and tells how many rows it touched."""
    return int(database.execute_sql(sql, params).rowcount)


@contextmanager
def bounded_transaction() -> Iterator[None]:
    """One whose statements end as those of ``bounded_read`` do, for who reads and then writes. Raises ReadTimeoutError."""
    with in_transaction(), statements_within(READ_TIMEOUT_MS / 1000):
        yield


_READS = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = %s"


@contextmanager
def bounded_read() -> Iterator[None]:
    """One transaction that only reads, all of it what is there at one instant: a page is made by several statements, and what
    changes between two of them must not be missed by both.

    Each ends after ``READ_TIMEOUT_MS``: a wide filter must not hold the database. Must not be called in a transaction. Raises
    ReadTimeoutError.
    """
    with in_transaction(), _ends_after(READ_TIMEOUT_MS / 1000):
        execute(_READS, (READ_TIMEOUT_MS,))
        yield
