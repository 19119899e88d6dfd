"""What a role's log says of its life: that it began, with what and where; what it did, once a minute; that it ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from psycopg2.extensions import parse_dsn

from tracklayer import __version__, logs
from tracklayer.db.sessions import place_of
from tracklayer.runtime import Runtime
from tracklayer.settings import Settings
from tracklayer.tally import Tally

log = logging.getLogger(__name__)

MINUTE = 60.0


@contextmanager
def telling(role: str, runtime: Runtime, settings: Settings, listens: str | None = None) -> Iterator[None]:
    """For as long as a role runs. ``listens``: where it does, if anywhere."""
    began = time.monotonic()
    addresses = {
        "listens": listens,
        "database": database_place(runtime.database_url) if settings.database_url is not None else "embedded",
        "redis": place(str(settings.redis_url)) if settings.redis_url is not None else "none: in this process",
        "public_url": place(settings.public_url),
        "sandbox": place(runtime.settings.sandbox_url) if runtime.settings.sandbox_url is not None else None,
    }
    known = {name: address for name, address in addresses.items() if address is not None}
    told = ", ".join(f"{name.replace('_', ' ')} {address}" for name, address in known.items())
    log.info(
        "%s %s has started: %s", role, __version__, told, extra={"kind": "started", "version": __version__, **known}
    )
    with Minutes(runtime.tally):
        try:
            yield
        finally:
            seconds = round(time.monotonic() - began)
            log.info("%s has ended after %d s", role, seconds, extra={"kind": "ended", "seconds": seconds})


class Minutes:
    """Writes once a minute what was done, where anything was; and what was left of it at the end."""

    def __init__(self, tally: Tally, seconds: float = MINUTE) -> None:
        self._tally, self._seconds = tally, seconds
        self._stop = threading.Event()
        self._told_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="minutes", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(1)
        self.tell(is_end=True)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.tell()

    def tell(self, *, is_end: bool = False) -> None:
        now = time.monotonic()
        seconds, self._told_at = now - self._told_at, now
        done = self._tally.take()
        if done is not None:
            more = {"kind": "done", "seconds": round(seconds, 1), "claims": done.claims, **done.counts}
            if done.claims:
                more["longest_wait"] = round(done.longest_wait, 1)
            log.info("%s", done.sentence(seconds), extra=more)
        logs.tell_alike(is_end=is_end)


def database_place(url: str) -> str:
    """Where a database is, and its name."""
    return f"{place_of(url)}/{parse_dsn(url).get('dbname', '')}"


def place(url: str) -> str:
    """An address without whom it is for: what stands before an @, or behind a ?, may be a secret."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
