"""``tracklayer api``, ``worker``, ``scheduler``: one role each, any number of times, on any number of machines."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tracklayer import __version__, metrics
from tracklayer.actors.broker import build_broker
from tracklayer.actors.crew import WORKER_THREADS, Crew, assemble
from tracklayer.actors.schedule import run_schedule
from tracklayer.actors.watchman import Watchman, lonely
from tracklayer.app import build_app, build_metrics_app, build_waiting_app
from tracklayer.cli.arguments import number, port_number
from tracklayer.cli.connections import ConnectionAside
from tracklayer.cli.life import telling
from tracklayer.cli.process import runtime_of, settings_with_log, warn_of_troubles
from tracklayer.cli.serve import (
    DRAIN_SECONDS,
    Meanwhile,
    Stopped,
    Stopper,
    address_of,
    end_with_parent,
    listen,
    serve_http,
    supervise,
    working,
)
from tracklayer.cli.shared_metrics import shared_folder
from tracklayer.runtime import Runtime
from tracklayer.services.tell_operator import Teller
from tracklayer.services.watch_operator import Alone, note_refusal
from tracklayer.settings import Settings, SettingsError
from tracklayer.web.health import Waiting

log = logging.getLogger(__name__)

MOST_PROCESSES = 256
MOST_THREADS = 1000


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    api = commands.add_parser("api", help="serve the API; run as many as you like")
    api.add_argument("--host", help="address to listen on (TRACKLAYER_HOST)")
    api.add_argument("--port", type=port_number, help="port to listen on (TRACKLAYER_PORT)")
    api.add_argument("--processes", type=number(1, MOST_PROCESSES), default=1, help="that share the port (%(default)s)")
    # Of one of several processes: the socket that its parent listens on, and who that is.
    api.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    api.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    api.set_defaults(run=run_api)
    worker = commands.add_parser("worker", help="deliver events; run as many as you like")
    worker.add_argument(
        "--threads", type=number(1, MOST_THREADS), default=WORKER_THREADS, help="deliveries in flight (%(default)s)"
    )
    worker.set_defaults(run=run_worker)
    scheduler = commands.add_parser("scheduler", help="start what fires by itself; run two, one suffices")
    scheduler.set_defaults(run=run_scheduler)


def run_api(args: argparse.Namespace) -> int:
    if args.processes > 1:
        return _run_api_processes(args)
    if args.fd is not None:
        end_with_parent(args.parent)
    settings, waiting = _settings(), Waiting()
    with Stopper() as stopper, suppress(Stopped):
        if args.fd is not None:
            bound = socket.socket(fileno=args.fd)
        else:
            bound = listen(args.host or settings.host, args.port or settings.port)
        meanwhile = Meanwhile(build_waiting_app(waiting, settings), bound)

        def waits_for(why: str) -> None:
            waiting.waits_for(why)
            meanwhile.start()

        if args.fd is None:  # else others may serve this socket: their callers are not to be turned away here
            meanwhile.start()
        # Of several that share a port, their parent serves what all of them know.
        own = settings if args.fd is None else replace(settings, metrics_port=None)
        with (
            bound,
            meanwhile,
            observed(own, waiting),
            _role("api", settings, waits_for=waits_for, listens=address_of(bound)) as (runtime, crew, watchman),
        ):
            app = build_app(runtime, crew.wake, lambda: watchman.troubles)
            meanwhile.end()
            waiting.is_over(runtime, lambda: watchman.troubles)  # not before: what is ready takes what is sent
            # One of several has a parent, which alone decides what a second signal means: supervisors send each to all.
            serve_http(app, bound, stopper, settings.drain, heeds_second=args.fd is None)
    return 0


def _run_api_processes(args: argparse.Namespace) -> int:
    """Several processes on one listening socket; one that dies is replaced."""
    settings = _settings()
    with Stopper() as stopper:
        stopper.serving = True
        bound = listen(args.host or settings.host, args.port or settings.port)
        more = {"kind": "started", "version": __version__, "listens": address_of(bound), "processes": args.processes}
        told = "api %s has started: %d processes, listens %s"
        log.info(told, __version__, args.processes, more["listens"], extra=more)
        own = ["--fd", str(bound.fileno()), "--parent", str(os.getpid())]
        command = [sys.executable, "-m", "tracklayer", "api", *own]
        with shared_folder() as shared, observed(settings, Waiting("ask the API's own port"), shared):
            return supervise(command, args.processes, stopper, bound, settings.drain, shared)


def run_worker(args: argparse.Namespace) -> int:
    settings, waiting = _settings(), Waiting()
    with (
        Stopper() as stopper,
        suppress(Stopped),
        observed(settings, waiting),
        _role("worker", settings, args.threads, waiting.waits_for) as (runtime, crew, watchman),
        working(crew, DRAIN_SECONDS),
    ):
        waiting.is_over(runtime, lambda: watchman.troubles)
        stopper.serving = True
        stopper.event.wait()
        stopper.draining = True
        log.info("finishing the batches in hand; a second signal ends at once")
    return 0


def run_scheduler(args: argparse.Namespace) -> int:
    settings, waiting = _settings(), Waiting()
    with (
        Stopper() as stopper,
        suppress(Stopped),
        observed(settings, waiting),
        _role("scheduler", settings, waits_for=waiting.waits_for) as (runtime, crew, watchman),
    ):
        waiting.is_over(runtime, lambda: watchman.troubles)
        stopper.serving = True
        run_schedule(runtime, crew.fire, stopper.event)
    return 0


def _settings() -> Settings:
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
def _role(
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
        alone[0].is_away(None, f"The {name} on {host}, which waits to start,", datetime.now(UTC))

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
