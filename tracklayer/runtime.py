"""What a process is made of, built once and handed down as an argument."""

from __future__ import annotations

import functools
import gc
import logging
import random
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from tracklayer.clock import Clock, SystemClock
from tracklayer.db import connection
from tracklayer.keyring import Keyring
from tracklayer.sealing import Sealer
from tracklayer.settings import Settings
from tracklayer.tokens import TokenCache
from tracklayer.turns import Turns

log = logging.getLogger(__name__)

# Platforms answer within a second or two; what takes longer is in trouble, and its thread is wanted elsewhere.
HTTP_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
HTTP_LIMITS = httpx.Limits(max_connections=4, max_keepalive_connections=4, keepalive_expiry=30)
WARN_ABOUT_SKEW = timedelta(seconds=2)


@dataclass
class Runtime:
    """``database_url`` is where the pool points. ``jitter`` gives random numbers from 0 to 1."""

    settings: Settings
    database_url: str
    sealer: Sealer
    clock: Clock = field(default_factory=SystemClock)
    jitter: Callable[[], float] = random.random
    http_timeout: httpx.Timeout = field(default_factory=lambda: HTTP_TIMEOUT)
    tokens: TokenCache = field(init=False, repr=False)
    keyring: Keyring[Any] = field(default_factory=Keyring, init=False, repr=False)
    turns: Turns = field(default_factory=Turns, init=False, repr=False)
    # (merchant id, platform) -> when the log last said that its secrets do not open.
    told_closed: dict[tuple[int, str], datetime] = field(default_factory=dict, init=False, repr=False)
    _local: threading.local = field(default_factory=threading.local, repr=False)
    _clients: list[httpx.Client] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.tokens = TokenCache(self.clock)

    def http(self) -> httpx.Client:
        """This thread's client: connections are kept alive between batches and never shared by two threads."""
        client: httpx.Client | None = getattr(self._local, "client", None)
        if client is None:
            # Cookies are never kept: the next request from this thread is another merchant's.
            no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
            client = httpx.Client(
                verify=_trusted(),
                timeout=self.http_timeout,
                limits=HTTP_LIMITS,
                follow_redirects=False,
                cookies=no_cookies,
            )
            self._local.client = client
            self._clients.append(client)
        return client

    def close(self) -> None:
        """Closes the connections to platforms. Nothing may be in flight any more."""
        while self._clients:
            self._clients.pop().close()


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The certificates this process trusts. Reading them takes 20 ms, in which no other thread does anything."""
    return httpx.create_ssl_context()


def build_runtime(settings: Settings, database_url: str, secret_keys: list[str]) -> Runtime:
    """Connects this process and takes PostgreSQL's clock for its own. Raises DatabaseAwayError."""
    connection.connect(database_url)
    return Runtime(settings, database_url, Sealer(secret_keys), SystemClock(clock_skew()))


def clock_skew() -> timedelta:
    """How far PostgreSQL's clock is ahead of this machine's. Due times must mean the same to every process."""
    with connection.session():
        before = datetime.now(UTC)
        there = connection.rows("SELECT clock_timestamp()")[0][0]
        after = datetime.now(UTC)
    skew: timedelta = there - (before + (after - before) / 2)
    if abs(skew) <= after - before:  # within what the round trip leaves open
        return timedelta()
    if abs(skew) > WARN_ABOUT_SKEW:
        log.warning("this machine's clock differs from PostgreSQL's by %.1f s: set up NTP", skew.total_seconds())
    return skew


def spare_collector(threshold: int) -> None:
    """For a process that has started: what is loaded stays, and what comes is looked at every ``threshold`` objects.

    A full collection that looks at all that is loaded stops every thread for 70 ms, and what is in hand has no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold, 10, 10)
