"""``tracklayer sandbox``: the platform emulator alone."""

from __future__ import annotations

import argparse
from contextlib import suppress

from tracklayer.cli.arguments import port_number
from tracklayer.cli.serve import Stopped, Stopper, cannot_listen
from tracklayer.sandbox.server import run_sandbox


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("sandbox", help="run the platform emulator alone")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=port_number, default=9100, help="port to listen on (%(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    with Stopper(), suppress(Stopped):  # a signal that ends it is no failure
        try:
            run_sandbox(args.host, args.port)
        except OSError as error:
            raise cannot_listen(args.host, args.port, error) from None
    return 0
