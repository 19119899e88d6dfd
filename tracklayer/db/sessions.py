"""How every session with PostgreSQL is opened, whoever holds it: its times, its settings, and what counts as "away".

No wait is without an end. Towards a host that is gone, the kernel gives up (keepalives, ``tcp_user_timeout``); towards one
that takes what is sent and says nothing, a watch does; what takes too long on the server, PostgreSQL ends itself. It also
lets go of what a vanished client held: the settings of a session see to that, made by ``set_config`` after connecting,
because poolers refuse them at the start. What the operator's URL says always holds.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE, parse_dsn
from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812
from psycopg2.extensions import cursor as PsycopgCursor  # noqa: N812

from tracklayer import files
from tracklayer.db.connect_faults import DISK_FULL, is_disk_full, sentence_of

log = logging.getLogger(__name__)

CONNECT_SECONDS = 2  # for each address of a host: the least that libpq knows
REQUEST_SECONDS = 1.8  # that somebody's request waits for a session; who waits for nobody's answer has more time
PATIENCE_SECONDS = 15.0
REST_SECONDS = 1.0  # at most, after a try in vain: until then everybody is told at once that the database is away
ANSWER_SECONDS = 1.0  # more than a statement may take: then the server is silent
# Seconds that a statement is in hand before its server is asked for a sign of life; and again after as many.
PROBE_AFTER = 1.5
PROBE_SECONDS = 3.0  # that it has for that
WATCH_SECONDS = 0.25  # between two looks at who has waited for too long

# A host that is gone is found out within 15 s, whether or not a statement is in hand.
_TRANSPORT: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 12_000,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Milliseconds; 0: none. ``idle``: how long a session may ask for nothing, for one that is asked all the time."""

    statement: int
    lock: int
    idle_in_transaction: int = 20_000
    idle: int = 0

    @property
    def answer_seconds(self) -> float | None:
        """How long to wait for an answer."""
        return self.statement / 1000 + ANSWER_SECONDS if self.statement else None


POOL = Limits(statement=20_000, lock=5_000)
# Its callers wait: behind a lock they are told in time to come again. A migration waits half as long for its locks.
INGEST = Limits(statement=5_000, lock=2_000)
WORKER = Limits(statement=3_000, lock=2_000, idle=40_000)
LISTENER = Limits(statement=3_000, lock=2_000)


class DatabaseAwayError(Exception):
    """PostgreSQL cannot serve now, or went away in the middle. Nothing was acknowledged: try again."""

    def __init__(self, message: str = "the database is away") -> None:
        super().__init__(message)


class LockedOutError(DatabaseAwayError):
    """Rows of this merchant are locked by somebody; the database serves all others."""

    def __init__(self) -> None:
        super().__init__("rows of this merchant are locked")


_CONNECTION_LOST = ("08", "57P", "25P03", "25P04")
READ_ONLY = "25006"
POOLED_AWAY = ("26000", "42P05")  # no such prepared statement, there already: the session is somebody else's
# Of a statement made for tables that have changed since: 0A000, as much else.
_STALE_PLAN = "cached plan must not change"
# A table, a schema or a function of ours is not there: somebody moved it, or this session's search_path leads elsewhere.
_NOT_THERE = ("42P01", "3F000", "42883")
# After which a server is asked again what time it is: clocks drift apart, and are set. Where one is set back, what is sent
# before it is asked again counts as in time for as long as it was set back; only if that hangs on its way, and an erasure
# that looks for it ends meanwhile, something comes of it. One small question in so many seconds makes that hardly possible.
CLOCK_SECONDS = 5.0
TOO_LATE = "TL001"  # what ``in_time`` says of a statement that was on its way for too long
# Out of resources, disks and connections; the system's own errors; canceled; locked; rolled back for another's sake.
_FOR_NOW = ("53", "58", "57014", "55P03", "55006", "40", TOO_LATE)
AGAIN_AT_ONCE = ("40001", "40P01")  # serialisation failure, deadlock: nothing was done, and the other one is through


def code_of(error: BaseException | None) -> str | None:
    """The SQLSTATE of a driver's error, also as peewee raises it."""
    while error is not None:
        found: str | None = getattr(error, "pgcode", None)
        if found is not None:
            return found
        error = getattr(error, "orig", None) or error.__cause__
    return None


def is_away(error: BaseException) -> bool:
    """True where trying again later can help, though the same statement is refused, or lost, now."""
    return is_lost(error) or _starts(error, _FOR_NOW)


def is_lost(error: BaseException) -> bool:
    """Whether its session is of no more use: gone, without its statements, on a server that only reads, or out of place.

    One whose tables are not there may have a search_path that its role or database had for a while.
    """
    if code_of(error) is not None:
        lost = (*_CONNECTION_LOST, READ_ONLY, *POOLED_AWAY, *_NOT_THERE)
        return _starts(error, lost) or _STALE_PLAN in str(error)
    # Without an SQLSTATE the connection failed; every other class of error is then a mistake of whoever called.
    name = type(error).__name__  # peewee's or psycopg2's
    return name in ("OperationalError", "InterfaceError", "DatabaseError", "MaxConnectionsExceeded")


def is_not_there(error: BaseException) -> bool:
    """Whether a table, a schema or a function was not found."""
    return _starts(error, _NOT_THERE)


_WRITES_REFUSED = (DISK_FULL, READ_ONLY)  # a server or a session that only reads
_refused: dict[str, float] = {}  # SQLSTATE -> when this process met it last, on the monotonic clock


def note_refusal(error: BaseException) -> None:
    """Remembers that PostgreSQL answers and yet takes nothing, where it is that: it is everybody's, whoever met it."""
    code = DISK_FULL if is_disk_full(error) else code_of(error)
    if code in _WRITES_REFUSED:
        _refused[code] = time.monotonic()


def forget_refusals() -> None:
    _refused.clear()


def forget_read_only() -> None:
    """It takes writes again. Of a full disk that says nothing: one write may find room where another finds none."""
    _refused.pop(READ_ONLY, None)


def last_refusal() -> tuple[str, float] | None:
    """The SQLSTATE by which PostgreSQL took nothing from this process last, and how many seconds ago."""
    known = max(list(_refused.items()), key=lambda met: met[1], default=None)
    return (known[0], time.monotonic() - known[1]) if known is not None else None


def is_locked(error: BaseException) -> bool:
    """Whether a statement did not get its lock in time."""
    return _starts(error, ("55P03",))


def is_out_of_time(error: BaseException) -> bool:
    """Whether a statement was canceled, or did not get its lock in time.

    The session may have shorter times than one that begins now: those that its role or database had for a while.
    """
    return _starts(error, ("57014", "55P03"))


def is_in_the_way(error: DatabaseAwayError) -> bool:
    """Whether it was this statement alone that could not be run now: locked out, canceled, or rolled back for another's."""
    return error.__cause__ is not None and _starts(error.__cause__, ("57014", "55P03", "55006", "40"))


def _starts(error: BaseException, codes: tuple[str, ...]) -> bool:
    return (code_of(error) or "").startswith(codes)


class Session(PsycopgConnection):
    """A connection that is watched. ``answer_seconds``: how long its server may be silent; None: for ever.

    ``used_at``: on the monotonic clock. ``is_spent``: not to be used again. ``is_cut``: by us, since its server was silent.
    ``url``: what it was opened with. ``peer``: its server's address. ``clock``: what its server's showed, and
    ``clock.elapsed`` when that answer was here.
    """

    url: str = ""
    peer: Any = None
    answer_seconds: float | None = None
    used_at: float = 0.0
    is_spent: bool = False
    is_cut: bool = False
    clock: tuple[datetime, float] | None = None

    def ask(self, sql: str, params: Any = None) -> Any:
        """The first value of a statement's first row."""
        with self.cursor() as cursor:
            cursor.execute(sql, params)
            found = cursor.fetchone()
            return found[0] if found is not None else None

    @contextlib.contextmanager
    def answering_within(self, seconds: float | None) -> Iterator[None]:
        """Another limit, for the length of the block."""
        before, self.answer_seconds = self.answer_seconds, seconds
        try:
            yield
        finally:
            self.answer_seconds = before


class Cursor(PsycopgCursor):
    """Waits no longer than its session may."""

    def execute(self, query: Any, vars: Any = None) -> None:
        session: Session = self.connection  # type: ignore[assignment]
        if session.answer_seconds is None:
            super().execute(query, vars)
            return
        _watch.begin(session, session.answer_seconds)
        is_heard = False
        try:
            super().execute(query, vars)
            is_heard = True
        except psycopg2.Error as error:
            is_heard = error.pgcode is not None
            raise
        finally:
            _watch.end(session)
            if is_heard:
                heard_from(session.peer)


class _Watch:
    """Cuts the sessions whose servers are silent for too long: whoever waits for an answer is then told at once.

    Of a statement that takes long, nobody can tell from outside whether it is at work or its host is gone. So the server
    is asked for a sign of life, on a connection of its own that needs no session: what does not even give that is silent,
    unless it has answered on another session meanwhile: it may only let nobody in.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._probed: dict[Any, float] = {}  # address of a server -> since when it is asked, or when it was
        self._probing: set[Any] = set()
        self._waiting: dict[int, tuple[float, float, Session]] = {}  # until when, since when, who
        self._thread: threading.Thread | None = None

    def begin(self, session: Session, seconds: float) -> None:
        now = time.monotonic()
        with self._lock:
            self._waiting[id(session)] = (now + seconds, now, session)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database watch", daemon=True)
                self._thread.start()

    def end(self, session: Session) -> None:
        with self._lock:
            self._waiting.pop(id(session), None)

    def cut(self, waiting_for: float) -> None:
        """Those that have waited for so many seconds, whatever they may."""
        with self._lock:
            until = time.monotonic() - waiting_for
            self._cut([key for key, (_, since, _) in self._waiting.items() if since < until])

    def _run(self) -> None:
        while True:
            time.sleep(WATCH_SECONDS)
            with self._lock:
                now = time.monotonic()
                self._cut([key for key, (until, _, _) in self._waiting.items() if until < now])
                long = [session for _, since, session in self._waiting.values() if since < now - PROBE_AFTER]
                peers = {session.peer: session.url for session in long if session.peer is not None}
                for peer, url in peers.items():
                    if peer not in self._probing and self._probed.get(peer, 0.0) < now - PROBE_AFTER:
                        with contextlib.suppress(RuntimeError):  # there are too many threads already
                            threading.Thread(target=self._probe, args=(peer, url, now), daemon=True).start()
                            self._probing.add(peer)
                self._probed = {peer: at for peer, at in self._probed.items() if peer in peers}

    def _probe(self, peer: Any, url: str, since: float) -> None:
        """Asks a server; where it is silent, cuts those who have waited for it for long enough already."""
        error = _silence_of(peer)
        if _heard.get(peer, 0.0) > since - PROBE_AFTER:
            error = None
        if error is not None:
            circuit_of(url).failed(error)
        with self._lock:
            self._probing.discard(peer)
            self._probed[peer] = time.monotonic()
            if error is not None:
                waiting = [key for key, (_, at, _) in self._waiting.items() if at < since - PROBE_AFTER]
                self._cut([key for key in waiting if self._waiting[key][2].peer == peer])

    def _cut(self, late: list[int]) -> None:
        """Needs the lock: so nobody closes what is cut, and its descriptor is still its own."""
        for key in late:
            _cut(self._waiting.pop(key)[2])


def _cut(session: Session) -> None:
    session.is_cut = True
    with contextlib.suppress(psycopg2.Error, OSError), socket.socket(fileno=os.dup(session.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


_heard: dict[Any, float] = {}  # address of a server -> when it last answered, on whatever session


def heard_from(peer: Any) -> None:
    """A server has answered just now."""
    if peer is not None:
        _heard[peer] = time.monotonic()


def peer_of(session: Any) -> Any:
    """The address of a connection's server; None where it is closed."""
    with contextlib.suppress(psycopg2.Error, OSError), socket.socket(fileno=os.dup(session.fileno())) as same:
        return same.getpeername()
    return None


# Whatever speaks PostgreSQL's protocol answers this with one byte, before it asks who one is: whether GSSAPI is to be had.
# Of whoever asks that and leaves, PostgreSQL's log says nothing; of one who asks for TLS it does where it has that.
_GSS_REQUEST = struct.pack("!ii", 8, 80877104)
_NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)


def _silence_of(peer: Any) -> OSError | None:
    """What became of a server that gives no sign of life in time; None where it does, or where it cannot be told."""
    family = socket.AF_UNIX if isinstance(peer, str | bytes) else socket.AF_INET6 if len(peer) > 2 else socket.AF_INET
    ends = time.monotonic() + PROBE_SECONDS
    try:
        with socket.socket(family, socket.SOCK_STREAM) as asking:
            asking.settimeout(PROBE_SECONDS)
            asking.connect(peer)
            asking.sendall(_GSS_REQUEST)
            asking.settimeout(max(0.1, ends - time.monotonic()))
            asking.recv(1)
    except TimeoutError as error:
        return error
    except OSError as error:
        return error if error.errno in _NO_WAY else None
    return None


_watch = _Watch()


def is_silent(url: str, error: Exception, seconds: float) -> None:
    """Tells all sessions of this process that the server of one gave no answer within so short a time.

    Whoever has waited for as long, for whatever, waits in vain; and who wants a new session is told at once.
    """
    circuit_of(url).failed(error)
    _watch.cut(seconds)


class Circuit:
    """Whether new sessions can be had. While they cannot, one tries now and then, and all others are told at once.

    When that changes the log says so, of a database that was there once: whoever starts says himself what he waits for.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._was_there = False
        self._away_since = 0.0
        self._lock = threading.Lock()
        self._failed: Exception | None = None
        self._rests_until = 0.0
        self._trying = False

    def admit(self) -> None:
        """Raises DatabaseAwayError unless the caller may try; then it must tell how that ended."""
        with self._lock:
            if self._failed is None:
                return
            if self._trying or time.monotonic() < self._rests_until:
                raise DatabaseAwayError() from self._failed
            self._trying = True

    def left(self) -> None:
        """Whoever tried is gone before it was known."""
        with self._lock:
            self._trying = False

    def worked(self) -> None:
        with self._lock:
            is_back = self._was_there and self._failed is not None
            self._failed, self._trying, self._was_there = None, False, True
        if is_back:
            seconds = round(time.monotonic() - self._away_since, 1)
            more = {"kind": "database_back", "seconds": seconds}
            log.warning("PostgreSQL at %s is back after %g s", place_of(self._url), seconds, extra=more)

    def failed(self, error: Exception) -> None:
        with self._lock:
            is_new = self._was_there and self._failed is None
            self._failed, self._trying = error, False
            self._rests_until = time.monotonic() + REST_SECONDS * random.uniform(0.5, 1)
        if is_new:
            self._away_since = time.monotonic()
            more = {"kind": "database_away", "code": code_of(error)}
            log.warning("PostgreSQL at %s is away: %s", place_of(self._url), sentence_of(error), extra=more)


_circuits: dict[str, Circuit] = {}


def circuit_of(url: str) -> Circuit:
    """The one of this process for a database."""
    return _circuits.get(url) or _circuits.setdefault(url, Circuit(url))


def forget_failures(url: str) -> None:
    """The next one who wants a session tries."""
    _circuits.pop(url, None)


def place_of(url: str) -> str:
    """Host and port of a database, as libpq understands them; never who signs in, and with what."""
    given = parse_dsn(url)
    hosts, ports = given.get("host", "its default host").split(","), given.get("port", "5432").split(",")
    return ",".join(f"{host}:{ports[min(number, len(ports) - 1)] or 5432}" for number, host in enumerate(hosts))


def parameters(url: str, name: str) -> dict[str, Any]:
    """What psycopg2 is told beside the URL, and only where the URL says nothing about it."""
    given = parse_dsn(url)
    return {key: value for key, value in {**_TRANSPORT, "application_name": name}.items() if key not in given}


# On the server's side. What the role may not set, or this version does not know, is left as it is, and so is what the URL
# says (``source`` is then "client"), or a shorter time that the operator gave to the role or the database.
SET_UP = """
SELECT set_config(name, value, false) FROM json_to_recordset(%s::json) AS x(name text, value text)
JOIN pg_settings s USING (name)
WHERE (s.source <> 'client' OR name = 'TimeZone')
  AND (s.context = 'user' OR s.context = 'superuser' AND current_setting('is_superuser') = 'on')
  AND (name <> 'client_connection_check_interval' OR version() ~* 'linux|darwin|bsd')
  AND NOT (s.source IN ('database', 'user', 'database user')
           AND CASE WHEN s.unit = 'ms' THEN s.setting::bigint BETWEEN 1 AND value::bigint ELSE false END)
"""


# A failed statement holds what somebody sent: PostgreSQL's log must not. Whether the session got it, ``server.log_shows`` tells.
UNLOGGED = {
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": "0",
}


def set_up(limits: Limits) -> tuple[str, tuple[str]]:
    """The first statement of a session, and its arguments."""
    wanted = {
        "TimeZone": "UTC",
        "statement_timeout": str(limits.statement),
        "lock_timeout": str(limits.lock),
        "idle_in_transaction_session_timeout": str(limits.idle_in_transaction),
        "idle_session_timeout": str(limits.idle),
        # So the server finds out within half a minute that a client's host is gone, and lets go of its locks.
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "20000",
        "client_connection_check_interval": "5000",
        **UNLOGGED,
    }
    records = [{"name": name, "value": value} for name, value in wanted.items()]
    return SET_UP, (orjson.dumps(records).decode(),)


@contextlib.contextmanager
def _telling_of_files() -> Iterator[None]:
    """Where libpq failed for want of files, of which it says nothing, the error is raised from one that does."""
    try:
        yield
    except psycopg2.OperationalError as error:
        is_vague = not str(error).strip() or "translate host name" in str(error)
        if "too many open files" in str(error).lower() or files.are_wanting(error, is_vague=is_vague):
            raise error from OSError(errno.EMFILE, files.NONE_LEFT)
        raise


def connect(url: str, name: str, limits: Limits) -> Session:
    """A session in autocommit. Takes as long as connecting takes: see ``open_session``. Raises psycopg2.Error."""
    with _telling_of_files():
        session: Session = psycopg2.connect(
            url, connection_factory=Session, cursor_factory=Cursor, **parameters(url, name)
        )
    try:
        session.autocommit = True
        session.url, session.peer = url, peer_of(session)
        with session.answering_within(CONNECT_SECONDS):
            session.ask(*set_up(limits))
    except BaseException:
        session.close()
        raise
    session.answer_seconds = limits.answer_seconds
    session.used_at = time.monotonic()
    return session


def open_session(
    url: str,
    name: str,
    limits: Limits,
    patience: float = PATIENCE_SECONDS,
    keep: Callable[[Session], None] | None = None,
) -> Session:
    """A session; connecting goes on in a thread of its own, and a caller waits for ``patience`` seconds, no longer.

    ``keep`` is given what comes too late. Raises DatabaseAwayError, and psycopg2.Error for what no later try would mend.
    """
    circuit = circuit_of(url)
    circuit.admit()
    found: Future[Session] = Future()

    def run() -> None:
        try:
            session = connect(url, name, limits)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it was
            circuit.failed(error)
            if found.set_running_or_notify_cancel():
                found.set_exception(error)
            return
        circuit.worked()
        if found.set_running_or_notify_cancel():
            found.set_result(session)
        elif keep is not None:
            keep(session)
        else:
            session.close()

    try:
        threading.Thread(target=run, name="connecting", daemon=True).start()
    except RuntimeError as error:  # there are too many threads already
        circuit.failed(error)
        raise DatabaseAwayError("no thread to connect in") from error
    try:
        return found.result(patience)
    except FutureTimeoutError:
        if found.cancel():
            circuit.failed(TimeoutError("no answer"))  # those who come now need not wait as long
            raise DatabaseAwayError() from None
        return _now(found)
    except psycopg2.Error as error:
        if is_away(error):
            raise DatabaseAwayError() from error
        raise


def _now(found: Future[Session]) -> Session:
    """What came at the last moment."""
    try:
        return found.result()
    except psycopg2.Error as error:
        raise DatabaseAwayError() from error


def connect_async(url: str, name: str) -> Any:
    """A connection in psycopg2's asynchronous mode, ready to be asked. Blocks meanwhile: for a thread.

    As libpq would, it tries one address of one host after another; in this mode libpq stays with one that is silent.
    Raises psycopg2.Error.
    """
    error: psycopg2.Error | None = None
    given = parse_dsn(url)
    seconds = float(given.get("connect_timeout") or CONNECT_SECONDS)
    for target in targets(given):
        try:
            with _telling_of_files():
                connection = psycopg2.connect(url, **{"async_": 1, **parameters(url, name), **target})
                _finish(connection, time.monotonic() + max(seconds, CONNECT_SECONDS))
            return connection
        except psycopg2.Error as failed:
            error = failed
    raise error or psycopg2.OperationalError("the database's name is not known")


def targets(given: dict[str, str]) -> Iterator[dict[str, str]]:
    """Each host of a URL by one address, in order; one whose name is not known is left to the driver, which says so."""
    if "hostaddr" in given or not given.get("host"):
        yield {}
        return
    hosts, ports = given["host"].split(","), given.get("port", "").split(",")
    for place, host in enumerate(hosts):
        port = (ports[place] if len(ports) > 1 else ports[0]) or "5432"
        if host.startswith(("/", "@")):
            yield {"host": host, "port": port}
            continue
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            yield {"host": host, "port": port}
            continue
        for address in dict.fromkeys(str(one[4][0]) for one in found):
            yield {"host": host, "port": port, "hostaddr": address}


def _finish(connection: Any, until: float) -> None:
    """Until an asynchronous connection is there. Raises psycopg2.OperationalError when it takes too long."""
    try:
        while (state := connection.poll()) != POLL_OK:
            waits = select.poll()
            waits.register(connection.fileno(), {POLL_READ: select.POLLIN, POLL_WRITE: select.POLLOUT}[state])
            left = until - time.monotonic()
            if left <= 0 or not waits.poll(left * 1000):
                raise psycopg2.OperationalError("connecting took too long")
    except BaseException:
        connection.close()
        raise
