"""``tracklayer up``: everything on one machine, in one process."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shlex
import shutil
import socket
import string
import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tracklayer import __version__
from tracklayer.actors.broker import build_broker
from tracklayer.actors.crew import assemble
from tracklayer.actors.watchman import Watchman
from tracklayer.app import build_app, build_waiting_app
from tracklayer.cli.arguments import port_number
from tracklayer.cli.beside import alone, note_sandbox
from tracklayer.cli.life import telling
from tracklayer.cli.process import CommandError, print_no_more, runtime_of, settings_with_log, warn_of_troubles
from tracklayer.cli.roles import observed
from tracklayer.cli.serve import Meanwhile, Stopped, Stopper, address_of, listen, scheduling, serve_http, working
from tracklayer.domain.installation import ROLES
from tracklayer.domain.values import write_instant
from tracklayer.mappers import PLATFORMS
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.deliver import INVENTED
from tracklayer.services.destinations import end_holds, sandbox_destinations
from tracklayer.services.merchants import ensure_default_merchant
from tracklayer.services.sign_in import link_with, make_code
from tracklayer.settings import Settings, load_settings
from tracklayer.web.health import Waiting

log = logging.getLogger(__name__)

SANDBOX_PORT = 9100


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("up", help="run everything on this machine: database, API, worker, scheduler")
    parser.add_argument("--port", type=port_number, help="port of the API (TRACKLAYER_PORT, 8000)")
    parser.add_argument(
        "--sandbox",
        action="store_true",
        help="also start the platform emulator, send all traffic there, and add a destination on every platform",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = settings_with_log()
    with Stopper() as stopper:
        try:
            _up(on_port(settings, args.port), args.port, args.sandbox, stopper)
        except Stopped:
            return 0
    return 0


def on_port(settings: Settings, port: int | None) -> Settings:
    """With another port, and with a public URL that names it, where there is none of the operator's own."""
    if port is None:
        return settings
    address = f"http://{settings.host}:{settings.port}"
    public_url = f"http://{settings.host}:{port}" if settings.public_url == address else settings.public_url
    return replace(settings, port=port, public_url=public_url)


class Elsewhere(NamedTuple):
    """How a command is typed in another terminal, in the same directory, where nobody knows what was given here.

    ``command``: our name, behind the settings that lead to this installation; ``port``: the option by which a link has this port.
    ``beside``: which settings must be there besides, since they are secret; begins with a comma, or is empty.
    """

    command: str
    port: str
    beside: str

    @property
    def sign_in(self) -> str:
        """What prints another link."""
        return f"{self.command} sign-in{self.port}"


def elsewhere(settings: Settings, port: int | None) -> Elsewhere:
    """``settings``: with ``port``, the one that was typed."""
    unset = on_port(load_settings({}), port)
    given = {}
    if settings.database_url is None and settings.data_dir != unset.data_dir:
        given["TRACKLAYER_DATA_DIR"] = str(settings.data_dir.expanduser().absolute())
    if settings.public_url != unset.public_url:
        given["TRACKLAYER_PUBLIC_URL"] = settings.public_url
    secret = ["TRACKLAYER_DATABASE_URL"] if settings.database_url is not None else []
    secret += ["TRACKLAYER_SECRET_KEY"] if settings.secret_keys else []
    is_moved = port is not None and unset.public_url != load_settings({}).public_url
    return Elsewhere(
        "".join(f"{name}={_quoted(value)} " for name, value in given.items()) + own_command(),
        f" --port {port}" if is_moved and "TRACKLAYER_PUBLIC_URL" not in given else "",
        f", with {' and '.join(secret)} set as here" if secret else "",
    )


_PLAIN_BYTES = frozenset(f"{string.ascii_letters}{string.digits}/._-".encode())


def _quoted(value: str) -> str:
    """For a shell; what is no text, as a folder's name may be, in the way that bash, zsh and ksh read bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        told = (chr(one) if one in _PLAIN_BYTES else f"\\{one:03o}" for one in os.fsencode(value))
        return f"$'{''.join(told)}'"
    return shlex.quote(value)


def _up(settings: Settings, port: int | None, with_sandbox: bool, stopper: Stopper) -> None:
    given = settings
    with ExitStack() as stack:
        try:
            bound = stack.enter_context(listen(settings.host, settings.port))
        except CommandError:
            if settings.data_dir.exists():  # it may be the other one that has the port
                stack.enter_context(alone(settings))
            raise
        stack.enter_context(alone(settings))
        if with_sandbox:
            sandbox = stack.enter_context(SandboxServer(port=_free_port(SANDBOX_PORT)))
            settings = replace(settings, sandbox_url=sandbox.url)
        note_sandbox(settings)
        waiting = Waiting()
        meanwhile = stack.enter_context(Meanwhile(build_waiting_app(waiting, settings), bound))
        meanwhile.start()
        stack.enter_context(observed(settings, waiting))
        runtime = stack.enter_context(
            runtime_of(settings, apply_migrations=True, wait=True, waits_for=waiting.waits_for)
        )
        warn_of_troubles(runtime, given)
        merchant_id, key = ensure_default_merchant(runtime)
        if with_sandbox:
            sandbox_destinations(runtime, merchant_id, PLATFORMS)
        if settings.sandbox_url is not None:
            end_holds(runtime, INVENTED)
        broker = build_broker(str(settings.redis_url) if settings.redis_url is not None else None)
        crew = assemble(runtime, broker)
        stack.callback(crew.stop)
        stack.enter_context(working(crew))
        stack.enter_context(scheduling(runtime, crew))
        watchman = stack.enter_context(Watchman(runtime, broker, ROLES, __version__, given.sandbox_url))
        app = build_app(runtime, crew.wake, lambda: watchman.troubles)
        meanwhile.end()
        waiting.is_over(runtime, lambda: watchman.troubles)
        dashboard = link_with(settings.public_url, make_code(runtime, merchant_id))
        stack.enter_context(telling("up", runtime, settings, address_of(bound)))
        there = elsewhere(settings, port)
        greet(welcome(settings, key, runtime.clock.now(), dashboard, there), there, with_key=key is not None)
        serve_http(app, bound, stopper)


def _free_port(wanted: int) -> int:
    """The wanted port, or any free one where somebody has it: the sandbox's address is printed anyway."""
    try:
        socket.create_server(("127.0.0.1", wanted)).close()
    except OSError:
        return 0
    return wanted


def greet(text: str, there: Elsewhere, *, with_key: bool) -> None:
    """Prints the welcome. Where nobody can read it the log says how to get what was in it, and the service goes on."""
    why = "standard output is closed" if sys.__stdout__ is None else None
    try:
        print(text, flush=True)
    except OSError as error:
        print_no_more()
        why = str(error.strerror)
    if why is not None:
        key = f", and `{there.command} key create` makes an API key" if with_key else ""
        log.warning(
            "the welcome could not be printed (%s): `%s` prints a link to the dashboard%s%s",
            why,
            there.sign_in,
            key,
            there.beside,
        )


def welcome(settings: Settings, key: str | None, now: datetime, dashboard: str, there: Elsewhere) -> str:
    """What a person needs next: addresses, the key if it is new, and a command that sends an event.

    ``dashboard``: a link that signs in once; ``there``: how another is had.
    """
    lines = ["", f"TrackLayer is running at {settings.public_url}"]
    lines.append(f"  Dashboard  {dashboard}")
    lines.append(f"             signs you in once, within 15 minutes; `{there.sign_in}` prints another{there.beside}.")
    lines.append(f"  GraphQL    {settings.public_url}/graphql")
    if settings.sandbox_url:
        lines.append(f"  Sandbox    {settings.sandbox_url}  (every platform's traffic goes there)")
    if key is not None:
        lines.append(f"  API key    {key}")
        lines.append("             shown this once: keep it. The merchant is called default.")
    known = "" if key is not None else ", with API_KEY set to the key of the first start"
    lines += ["", f"In another terminal, send an event{known}:", "", curl(settings.public_url, key, sending(now))]
    lines += ["", "And ask what became of it:", "", curl(settings.public_url, key, asking(now))]
    lines += ["", "Ctrl-C stops everything.", ""]
    return "\n".join(lines)


def own_command() -> str:
    """Our name, where it is found; else how somebody in the same directory calls us."""
    if shutil.which("tracklayer"):
        return "tracklayer"
    return sys.argv[0] if Path(sys.argv[0]).name == "tracklayer" else "python -m tracklayer"


def sending(now: datetime) -> dict[str, Any]:
    """A request that ingests a purchase of this moment, with all that any platform demands."""
    query = (
        "mutation($input: IngestEventInput!) { ingestEvent(input: $input) "
        "{ outcome event { eventId deliveries { platform status } } userErrors { field code message } } }"
    )
    event = {
        "eventName": "Purchase",
        "eventId": event_id(now),
        "occurredAt": write_instant(now),
        "eventSourceUrl": "https://shop.example.com/thank-you",
        "userData": {
            "email": "jane@example.com",
            "clientIp": "203.0.113.42",
            "clientUserAgent": "Mozilla/5.0",
            "gaClientId": "1234567890.1713877200",
        },
        "customData": {"value": 129.99, "currency": "USD", "orderId": f"{now:%H%M%S}"},
    }
    return {"query": query, "variables": {"input": event}}


def asking(now: datetime) -> dict[str, Any]:
    """A request that reads what became of the purchase of that moment."""
    query = (
        "query($eventId: String!) { event(eventId: $eventId) { timesReceived "
        "deliveries { platform status attempts latencyMs lastError explanation { summary nextStep } } } }"
    )
    return {"query": query, "variables": {"eventId": event_id(now)}}


def event_id(now: datetime) -> str:
    return f"order_{now:%H%M%S}"


def curl(url: str, key: str | None, request: dict[str, Any]) -> str:
    """A command line that sends a GraphQL request."""
    bearer = key if key is not None else "$API_KEY"
    return f"""curl -s {url}/graphql \\
  -H "Authorization: Bearer {bearer}" \\
  -H "Content-Type: application/json" \\
  -d '{json.dumps(request)}'"""
