"""What a process is made of, built once and handed down as an argument."""

from __future__ import annotations

import functools
import gc
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from tracklayer.clock import Clock, DatabaseClock, SystemClock
from tracklayer.counting import Counting
from tracklayer.db import connection
from tracklayer.db.connection import DatabaseAwayError
from tracklayer.kept import Kept
from tracklayer.keyring import Keyring
from tracklayer.platform_client import PlatformClient
from tracklayer.recent import Recent
from tracklayer.sealing import Sealer
from tracklayer.settings import Settings
from tracklayer.tally import Tally
from tracklayer.tokens import TokenCache
from tracklayer.tracing import Tracer
from tracklayer.turns import Turns

log = logging.getLogger(__name__)

# Platforms answer within a second or two; what takes longer is in trouble, and its thread is wanted elsewhere.
HTTP_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
OUTAGES_SECONDS = 1.0  # that a process goes by what it knows of platforms that are down (services/outage.py)
WARN_ABOUT_SKEW = timedelta(seconds=2)
MEASURE_SECONDS = 10.0  # between two looks at PostgreSQL's clock, where nothing calls for one earlier
TICK_SECONDS = 1.0  # after which it is seen that the last look was hard to believe, or that this machine slept
MOVED = timedelta(
    seconds=1
)  # of this machine's clock against its count of seconds: it was set, or the count stood still


@dataclass
class Runtime:
    """``database_url`` is where the pool points. ``jitter`` gives random numbers from 0 to 1.

    ``faults``: what this process has told of, when by the monotonic clock, and how often it happened since: it does not
    tell it all the time.
    """

    settings: Settings
    database_url: str
    sealer: Sealer
    clock: Clock = field(default_factory=SystemClock)
    jitter: Callable[[], float] = random.random
    http_timeout: httpx.Timeout = field(default_factory=lambda: HTTP_TIMEOUT)
    tokens: TokenCache = field(init=False, repr=False)
    keyring: Keyring[Any] = field(default_factory=Keyring, init=False, repr=False)
    turns: Turns = field(default_factory=Turns, init=False, repr=False)
    counting: Counting = field(default_factory=Counting, init=False, repr=False)
    kept: Kept = field(default_factory=Kept, init=False, repr=False)
    tally: Tally = field(default_factory=Tally, init=False, repr=False)
    unanswered: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)  # of services/leases.py
    outages: Recent[Any] = field(default_factory=lambda: Recent(OUTAGES_SECONDS), init=False, repr=False)
    marker: Any = field(default=None, init=False, repr=False)  # of services/marks.py, once somebody asked for it
    tracer: Tracer | None = field(default=None, init=False, repr=False)  # where an exporter is set
    faults: dict[tuple[str, str, str], tuple[float, int]] = field(default_factory=dict, init=False, repr=False)
    faults_lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _local: threading.local = field(default_factory=threading.local, repr=False)
    _clients: list[httpx.Client] = field(default_factory=list, repr=False)
    _timekeeper: Timekeeper | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.tokens = TokenCache(self.clock)

    def http(self) -> httpx.Client:
        """This thread's client: connections are kept alive between batches and never shared by two threads."""
        client: httpx.Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self.new_http()
            self._clients.append(client)
        return client

    def new_http(self) -> httpx.Client:
        """A client for one errand; whoever asked for it closes it."""
        return PlatformClient(trusted_certificates(), self.http_timeout)

    def keep_time(self, clock: DatabaseClock) -> None:
        """Looks at PostgreSQL's clock from now on, until ``close``."""
        self._timekeeper = Timekeeper(clock)
        self._timekeeper.start()

    def close(self) -> None:
        """Closes the connections to platforms. Nothing may be in flight any more."""
        if self._timekeeper is not None:
            self._timekeeper.stop()
        while self._clients:
            self._clients.pop().close()


_reading_certificates = threading.Lock()


def trusted_certificates() -> ssl.SSLContext:
    """The certificates this process trusts. Reading them takes 20 ms, in which no other thread does anything."""
    with _reading_certificates:  # once, though many threads begin together
        return _certificates()


@functools.cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class Timekeeper:
    """Measures how far PostgreSQL's clock and this machine's are apart, all the time that a process lives."""

    def __init__(self, clock: DatabaseClock) -> None:
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self._is_apart = False
        self._was_sure = True
        self._looked_at = time.monotonic()
        self._ahead = clock.machine_is_ahead()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1)  # it may be waiting for a database that does not answer

    def _run(self) -> None:
        self.tell()
        while not self._stop.wait(TICK_SECONDS):
            self.tick()

    def tick(self) -> None:
        """Looks where it is time to, where the last look was doubted, and where this machine's clock has moved."""
        is_time = time.monotonic() - self._looked_at >= MEASURE_SECONDS
        has_moved = abs(self._clock.machine_is_ahead() - self._ahead) > MOVED
        if is_time or has_moved or not self._clock.is_sure:
            self.look()
            self._looked_at, self._ahead = time.monotonic(), self._clock.machine_is_ahead()

    def look(self) -> None:
        """One measurement. Where the database is away the time goes on as it was: others tell of it."""
        try:
            measure(self._clock)
        except DatabaseAwayError:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed, and none may be the last
            log.warning("PostgreSQL's clock could not be read (%s)", type(error).__name__)
            return
        self.tell()

    def tell(self) -> None:
        """Says what has changed since the last time, once."""
        ahead = self._clock.machine_is_ahead()
        # Over once it is well over: at the edge it would be told with every look.
        is_apart = abs(ahead) > (WARN_ABOUT_SKEW / 2 if self._is_apart else WARN_ABOUT_SKEW)
        if is_apart and not self._is_apart:
            log.warning(
                "this machine's clock is %.1f s %s PostgreSQL's, which is what counts: set up NTP on both machines",
                abs(ahead.total_seconds()),
                "ahead of" if ahead > timedelta() else "behind",
            )
        elif self._is_apart and not is_apart:
            log.warning("this machine's clock agrees with PostgreSQL's again")
        is_sure = self._clock.is_sure
        if self._was_sure and not is_sure:
            log.warning(
                "PostgreSQL's clock jumped by more than a minute: nothing is claimed until a second look says so"
            )
        elif is_sure and not self._was_sure:
            log.warning("PostgreSQL's clock is believed again")
        self._is_apart, self._was_sure = is_apart, is_sure


def build_runtime(settings: Settings, database_url: str, sealer: Sealer) -> Runtime:
    """Connects this process and takes PostgreSQL's clock for its own. Raises DatabaseAwayError."""
    connection.connect(database_url)
    clock = DatabaseClock()
    measure(clock)
    runtime = Runtime(settings, database_url, sealer, clock)
    runtime.keep_time(clock)
    return runtime


def measure(clock: DatabaseClock) -> None:
    """Raises DatabaseAwayError."""
    with connection.session():
        clock.measure(connection.server_clock)


def clock_skew() -> timedelta:
    """How far PostgreSQL's clock is ahead of this machine's, as of now."""
    clock = DatabaseClock()
    measure(clock)
    return -clock.machine_is_ahead()


def spare_collector(threshold: int) -> None:
    """For a process that has started: what is loaded stays, and what comes is looked at every ``threshold`` objects.

    A full collection that looks at all that is loaded stops every thread for 70 ms, and most of what is in hand has no cycles.
    What has some, and holds much in few objects, is collected by whoever makes it (``schema.http``, COLLECT_BYTES).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold, 10, 10)
