"""What a role's log says of its life: that it began, with what and where; what it did, once a minute; that it ended."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from psycopg2.extensions import parse_dsn

from tracklayer import __version__, logs
from tracklayer.db.sessions import place_of
from tracklayer.runtime import Runtime
from tracklayer.settings import Settings
from tracklayer.tracing import Tracer

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
    runtime.tracer = open_tracer(os.environ, role)
    try:
        with Minutes(runtime):
            yield
    finally:
        if runtime.tracer is not None:
            runtime.tracer.close()
        tell_end(role, began)


def tell_end(role: str, began: float) -> None:
    """``began``: by the monotonic clock."""
    seconds = round(time.monotonic() - began)
    log.info("%s has ended after %d s", role, seconds, extra={"kind": "ended", "seconds": seconds})


class Minutes:
    """Writes once a minute what was done, where anything was; and what was left of it at the end."""

    def __init__(self, runtime: Runtime, seconds: float = MINUTE) -> None:
        self._runtime, self._seconds = runtime, seconds
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
        done = self._runtime.tally.take()
        if done is not None:
            more = {"kind": "done", "seconds": round(seconds, 1), "claims": done.claims, **done.counts}
            if done.claims:
                more["longest_wait"] = round(done.longest_wait, 1)
            log.info("%s", done.sentence(seconds), extra=more)
        tracer = self._runtime.tracer
        if tracer is not None and tracer.left_out:
            left_out, tracer.left_out = tracer.left_out, 0
            log.info("%d events were not traced: too many were; set OTEL_TRACES_SAMPLER", left_out)
        logs.tell_alike(is_end=is_end)


def open_tracer(environ: Mapping[str, str], role: str) -> Tracer | None:
    """What sends traces, where an exporter is set; None, with a line of the log that says why, where it cannot."""
    protocol = _traces(environ, "PROTOCOL")
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    is_wanted = bool(_traces(environ, "ENDPOINT")) or exporter == "otlp"
    if not is_wanted or exporter == "none" or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if exporter not in ("", "otlp") or protocol not in ("", "http/protobuf"):
        log.warning(
            "nothing is traced: of OTEL_TRACES_EXPORTER only otlp is known, and of protocols only http/protobuf"
        )
        return None
    try:
        from tracklayer import otel
    except ImportError:
        log.warning('nothing is traced, though an exporter is set: pip install "tracklayer[tracing]"')
        return None
    try:
        return otel.build(role, __version__)
    except Exception as error:  # noqa: BLE001 - of libraries that are not ours; without traces all else goes on
        log.warning("nothing is traced: OTEL_* cannot be used as it is (%s)", type(error).__name__)
        return None


def _traces(environ: Mapping[str, str], what: str) -> str:
    """A setting of the exporter, of traces alone or of all that is exported."""
    names = (f"OTEL_EXPORTER_OTLP_TRACES_{what}", f"OTEL_EXPORTER_OTLP_{what}")
    return next((found for name in names if (found := environ.get(name, "").strip())), "")


def database_place(url: str) -> str:
    """Where a database is, and its name."""
    return f"{place_of(url)}/{parse_dsn(url).get('dbname', '')}"


def place(url: str) -> str:
    """An address without whom it is for: what stands before an @, or behind a ?, may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
