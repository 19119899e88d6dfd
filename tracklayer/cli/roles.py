"""``tracklayer worker`` and ``scheduler``: one role each, any number of times, on any number of machines. What all roles share."""

from __future__ import annotations

import argparse
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from tracklayer import __version__, metrics
from tracklayer.actors.broker import build_broker
from tracklayer.actors.crew import WORKER_THREADS, Crew, assemble
from tracklayer.actors.schedule import run_schedule
from tracklayer.actors.watchman import Watchman, lonely
from tracklayer.apart import build_metrics_app
from tracklayer.cli.arguments import number
from tracklayer.cli.connections import ConnectionAside
from tracklayer.cli.life import telling
from tracklayer.cli.process import runtime_of, settings_with_log, warn_of_troubles
from tracklayer.cli.serve import (
    DRAIN_SECONDS,
    Meanwhile,
    Stopped,
    Stopper,
    listen,
    working,
)
from tracklayer.domain.trouble import process_on
from tracklayer.runtime import Runtime
from tracklayer.services.tell_alone import Alone
from tracklayer.services.tell_operator import Teller
from tracklayer.services.watch_operator import note_refusal
from tracklayer.settings import Settings, SettingsError
from tracklayer.web.health import Waiting

log = logging.getLogger(__name__)

MOST_THREADS = 1000


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    worker = commands.add_parser("worker", help="deliver events; run as many as you like")
    worker.add_argument(
        "--threads", type=number(1, MOST_THREADS), default=WORKER_THREADS, help="deliveries in flight (%(default)s)"
    )
    worker.set_defaults(run=run_worker)
    scheduler = commands.add_parser("scheduler", help="start what fires by itself; run two, one suffices")
    scheduler.set_defaults(run=run_scheduler)


def run_worker(args: argparse.Namespace) -> int:
    settings, waiting = settings_of_role(), Waiting()
    with (
        Stopper() as stopper,
        suppress(Stopped),
        observed(settings, waiting),
        role("worker", settings, args.threads, waiting.waits_for) as (runtime, crew, watchman),
        working(crew, DRAIN_SECONDS),
    ):
        waiting.is_over(runtime, lambda: watchman.troubles)
        stopper.serving = True
        stopper.event.wait()
        stopper.draining = True
        if len(stopper.signals) > 1:  # it came before
            raise Stopped
        log.info("finishing the batches in hand; a second signal ends at once")
    return 0


def run_scheduler(args: argparse.Namespace) -> int:
    settings, waiting = settings_of_role(), Waiting()
    with (
        Stopper() as stopper,
        suppress(Stopped),
        observed(settings, waiting),
        role("scheduler", settings, waits_for=waiting.waits_for) as (runtime, crew, watchman),
    ):
        waiting.is_over(runtime, lambda: watchman.troubles)
        stopper.serving = True
        run_schedule(runtime, crew.fire, stopper.event)
    return 0


def settings_of_role() -> Settings:
    """Of a role that runs apart from the others. Raises SettingsError."""
    settings = settings_with_log()
    needed = {
        "TRACKLAYER_DATABASE_URL": settings.database_url,
        "TRACKLAYER_REDIS_URL": settings.redis_url,
        "TRACKLAYER_SECRET_KEY": settings.secret_keys,
    }
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise SettingsError([f"{name} is required for this role; `tracklayer up` needs none" for name in missing])
    return settings


@contextmanager
def observed(settings: Settings, waiting: Waiting, shared: Path | None = None) -> Iterator[None]:
    """Metrics and health on a port of their own for the length of the block, where one is set.

    In a thread, so that they answer whatever the process does. ``shared``: as for ``metrics.exposition``.
    """
    metrics.introduce(__version__)
    if metrics.is_apart_because is not None:
        log.warning("this process's metrics are not among those of the others (%s)", metrics.is_apart_because)
    if settings.metrics_port is None:
        yield
        return
    with (
        listen(settings.host, settings.metrics_port, "TRACKLAYER_METRICS_PORT") as bound,
        Meanwhile(build_metrics_app(waiting, settings, shared), bound, ConnectionAside) as aside,
    ):
        aside.start()
        yield


@contextmanager
def role(
    name: str,
    settings: Settings,
    threads: int = WORKER_THREADS,
    waits_for: Callable[[str], None] = lambda why: None,
    listens: str | None = None,
) -> Iterator[tuple[Runtime, Crew, Watchman]]:
    broker, host = build_broker(str(settings.redis_url)), socket.gethostname()
    alone: list[Alone] = []

    def lacks(what: str) -> None:
        note_refusal(name, host, __version__, what)

    def away(why: str) -> None:
        waits_for(why)
        if not alone:
            alone.append(lonely(Teller(settings), str(settings.database_url), broker))
        alone[0].is_away(None, f"{process_on(host, [name])}, which waits to start,", datetime.now(UTC))

    with runtime_of(settings, wait=True, waits_for=away, lacks=lacks) as runtime:
        warn_of_troubles(runtime, settings)
        crew = assemble(runtime, broker, threads)
        watchman = Watchman(
            runtime, broker, [name], __version__, settings.sandbox_url, alone=alone[0] if alone else None
        )
        watchman.start()
        try:
            with telling(name, runtime, settings, listens):
                yield runtime, crew, watchman
        finally:
            watchman.stop()
            crew.stop()
