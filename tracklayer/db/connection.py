"""The database of this process: one pool, transactions, a thread for whoever must not wait, sessions of one's own."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import peewee
import psycopg2
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase

P = ParamSpec("P")
T = TypeVar("T")

POOL_SIZE = 20  # connections a process: more than this many at once wait their turn
PLACES_OF_ONE = 4  # threads that one merchant has busy at a time, of the 16 that there are
POOL_WAIT = 5  # seconds to wait for one, then the database counts as away
CONNECT_TIMEOUT = 5  # seconds
READ_TIMEOUT_MS = 10_000  # no query of a page may run longer, whatever its filter

database = PooledPostgresqlDatabase(None, max_connections=POOL_SIZE, timeout=POOL_WAIT)

_threads = ThreadPoolExecutor(max_workers=POOL_SIZE - 4, thread_name_prefix="db")
# For what everybody waits for: short questions, which must not stand behind somebody's long reads.
_door_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="door")

_QUERY_CANCELED = "57014"  # SQLSTATE
# What psycopg2 and the pool raise when PostgreSQL is away or going away; nothing else may be answered with "try again".
_AWAY = (peewee.OperationalError, peewee.InterfaceError, MaxConnectionsExceeded)


class DatabaseAwayError(Exception):
    """PostgreSQL cannot be reached, or went away in the middle. Nothing was acknowledged: try again."""


class ReadTimeoutError(Exception):
    """A read took longer than ``READ_TIMEOUT_MS`` and was ended: it would the next time, too, unless it is narrowed."""


def connect(url: str) -> None:
    """Points this process at ``url``. Opens nothing yet: connections are made where they are needed."""
    disconnect()
    database.init(url, connect_timeout=CONNECT_TIMEOUT, application_name="tracklayer", options="-c timezone=UTC")


def disconnect() -> None:
    """Closes every connection of this process."""
    if not database.deferred:
        database.close_all()


@contextmanager
def session() -> Iterator[None]:
    """A connection of the pool for this thread, for the length of the block. May be nested."""
    try:
        if not database.is_closed():
            yield
            return
        with database.connection_context():
            yield
    except _AWAY as error:
        if is_away(error):
            _forget_connection()
            raise DatabaseAwayError("the database is away") from error
        raise


@contextmanager
def in_transaction() -> Iterator[None]:
    """All or nothing. Raises DatabaseAwayError when PostgreSQL is not there."""
    with session(), database.atomic():
        yield


def is_away(error: Exception) -> bool:
    """True where trying again later can help: no connection, or one that was lost."""
    if isinstance(error, MaxConnectionsExceeded | peewee.InterfaceError):
        return True
    code = _code(error)
    # No SQLSTATE: the connection failed. 57Pxx: shut down or starting up. 53xxx: out of resources.
    return code is None or code.startswith(("57P", "53", "08"))


def _code(error: Exception) -> str | None:
    """The SQLSTATE of a driver's error, as peewee raises it."""
    cause = getattr(error, "orig", None) or error.__cause__ or error
    found: str | None = getattr(cause, "pgcode", None)
    return found


def _forget_connection() -> None:
    """A connection that failed must not go back into the pool."""
    try:
        if not database.is_closed():
            database.manual_close()
    except Exception:  # noqa: BLE001, S110 - it is broken already: there is nothing to add
        pass


async def run_in_db_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``function`` with a connection, in a thread: nobody on the event loop may wait for PostgreSQL."""
    return await _in_thread(_threads, functools.partial(function, *args, **kwargs))


async def run_for_merchant(
    function: Callable[Concatenate[int, P], T], merchant_id: int, *args: P.args, **kwargs: P.kwargs
) -> T:
    """``function(merchant_id, ...)`` as ``run_in_db_thread`` does; of one merchant a few at a time, the others wait.

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
    working = asyncio.ensure_future(_in_thread(_threads, functools.partial(function, merchant_id, *args, **kwargs)))

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
    return await _in_thread(_door_threads, functools.partial(function, *args, **kwargs))


async def _in_thread(threads: ThreadPoolExecutor, function: Callable[[], T]) -> T:
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
def bounded_read() -> Iterator[None]:
    """One transaction whose statements end after ``READ_TIMEOUT_MS``: a wide filter must not hold the database.

    Raises ReadTimeoutError.
    """
    try:
        with in_transaction():
            execute("SELECT set_config('statement_timeout', %s, true)", (str(READ_TIMEOUT_MS),))
            yield
    except peewee.OperationalError as error:
        if _code(error) == _QUERY_CANCELED:
            raise ReadTimeoutError(f"a read took longer than {READ_TIMEOUT_MS} ms") from error
        raise


def own_connection(url: str) -> Any:
    """A session outside the pool, in autocommit: for advisory locks, which live as long as their session."""
    connection = psycopg2.connect(url, connect_timeout=CONNECT_TIMEOUT, application_name="tracklayer lock")
    connection.autocommit = True
    return connection
