"""``tracklayer api``: serves the API, any number of times, on any number of machines."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import time
from contextlib import suppress
from dataclasses import replace

from tracklayer import __version__
from tracklayer.app import build_app, build_waiting_app
from tracklayer.cli.arguments import number, port_number
from tracklayer.cli.life import tell_end
from tracklayer.cli.roles import observed, role, settings_of_role
from tracklayer.cli.serve import (
    Meanwhile,
    Stopped,
    Stopper,
    address_of,
    end_with_parent,
    listen,
    serve_http,
    supervise,
)
from tracklayer.cli.shared_metrics import shared_folder
from tracklayer.web.health import Waiting

log = logging.getLogger(__name__)

MOST_PROCESSES = 256


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    api = commands.add_parser("api", help="serve the API; run as many as you like")
    api.add_argument("--host", help="address to listen on (TRACKLAYER_HOST)")
    api.add_argument("--port", type=port_number, help="port to listen on (TRACKLAYER_PORT)")
    api.add_argument("--processes", type=number(1, MOST_PROCESSES), default=1, help="that share the port (%(default)s)")
    # Of one of several processes: the socket that its parent listens on, and who that is.
    api.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    api.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    api.set_defaults(run=run_api)


def run_api(args: argparse.Namespace) -> int:
    if args.processes > 1:
        return _run_api_processes(args)
    if args.fd is not None:
        end_with_parent(args.parent)
    settings, waiting = settings_of_role(), Waiting()
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
            role("api", settings, waits_for=waits_for, listens=address_of(bound)) as (runtime, crew, watchman),
        ):
            app = build_app(runtime, crew.wake, lambda: watchman.troubles)
            meanwhile.end()
            waiting.is_over(runtime, lambda: watchman.troubles)  # not before: what is ready takes what is sent
            # One of several has a parent, which alone decides what a second signal means: supervisors send each to all.
            serve_http(app, bound, stopper, settings.drain, heeds_second=args.fd is None)
    return 0


def _run_api_processes(args: argparse.Namespace) -> int:
    """Several processes on one listening socket; one that dies is replaced."""
    settings, began = settings_of_role(), time.monotonic()
    with Stopper() as stopper:
        stopper.serving = True
        bound = listen(args.host or settings.host, args.port or settings.port)
        more = {"kind": "started", "version": __version__, "listens": address_of(bound), "processes": args.processes}
        told = "api %s has started: %d processes, listens %s"
        log.info(told, __version__, args.processes, more["listens"], extra=more)
        own = ["--fd", str(bound.fileno()), "--parent", str(os.getpid())]
        command = [sys.executable, "-m", "tracklayer", "api", *own]
        with shared_folder() as shared, observed(settings, Waiting("ask the API's own port"), shared):
            status = supervise(command, args.processes, stopper, bound, settings.drain, shared)
        tell_end("api", began)
        return status
