"""``tracklayer bench map``: events a second on one core, against JSON alone and against Meta's own SDK."""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from tracklayer.cli.bench import meta_sdk
from tracklayer.cli.bench.meta_sdk import seconds_of
from tracklayer.cli.preview import written
from tracklayer.cli.process import CommandError, print_json
from tracklayer.clock import SystemClock
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.domain.values import write_instant
from tracklayer.mappers import PLATFORMS
from tracklayer.mappers.base import unix_seconds
from tracklayer.mappers.outgoing import map_event
from tracklayer.services.destinations import example_settings
from tracklayer.services.preview import prepare, preview

ROUNDS = 15  # of each measurement, in turn: the median is told
SDK_HOST = "https://graph.facebook.com/"  # the platform whose requests go there is the one that the SDK speaks to
SDK_NOT_HERE = "not here: pip install facebook-business, or name an interpreter that has it with --sdk-python"
SDK_DOES_LESS = (
    "It shapes and writes. It does not look for mistakes, card data or personal data, and gives no verdicts."
)


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    mapping = actions.add_parser("map", help="events a second on one core, read, mapped and written, by platform")
    mapping.add_argument("--events", type=int, default=1000, help="events of one round (%(default)s)")
    mapping.add_argument("--json", action="store_true", help="print the figures as JSON")
    mapping.add_argument(
        "--sdk-python",
        metavar="PATH",
        default=sys.executable,
        help="a Python that has Meta's own SDK, facebook-business, to measure beside (this one, if it has it)",
    )
    mapping.set_defaults(run=run)


@dataclass(frozen=True)
class Figures:
    """Events a second: ``json``: only parsed and written, the limit; ``mapped``: only map_event; ``batch``: all; ``sdk``: the
    platform's own SDK, where one was measured beside.
    """

    platform: str
    json: float
    mapped: float
    batch: float
    sdk: float | None = None


class Sdk:
    """Meta's SDK, in an interpreter of its own. ``version``: empty where that does not have it."""

    def __init__(self, python: str, event: dict[str, Any]) -> None:
        # As text, not as a file: beside the file lie our modules, which the SDK is not to find.
        command = [python, "-c", Path(meta_sdk.__file__).read_text()]
        try:
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        except OSError:
            raise CommandError("--sdk-python must name a Python that can be run") from None
        self.version = self._answer()
        if self.version:
            self._ask(orjson.dumps(event).decode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.communicate()  # at the end of its input, it ends

    def seconds_of(self, events: int) -> float:
        self._ask(str(events))
        return float(self._answer())

    def _ask(self, line: str) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(f"{line}\n")
        self._child.stdin.flush()

    def _answer(self) -> str:
        assert self._child.stdout is not None
        return self._child.stdout.readline().strip()


def run(args: argparse.Namespace) -> int:
    now = SystemClock().now()
    purchase = _purchase(write_instant(now))
    with Sdk(args.sdk_python, {**purchase, "occurred_at": unix_seconds(now)}) as sdk:
        found = [measure(platform, max(1, args.events), sdk) for platform in PLATFORMS]
    if args.json:
        print_json([_as_json(figures) for figures in found])
        return 0
    print(
        f"{'platform':<14}{'JSON alone':>12}{'map_event':>12}{'whole line':>12}  of JSON alone   (events/s, one core)"
    )
    for figures in found:
        ratio = figures.batch / figures.json
        print(
            f"{figures.platform:<14}{figures.json:>12,.0f}{figures.mapped:>12,.0f}{figures.batch:>12,.0f}{ratio:>15.2f}"
        )
    print(f"\nMeta's own SDK, facebook-business: {sdk.version or SDK_NOT_HERE}")
    for figures in found:
        if figures.sdk is not None:
            ratio = figures.batch / figures.sdk
            print(f"{figures.sdk:,.0f} events/s of the same purchase, of which our whole line makes {ratio:.2f}.")
            print(SDK_DOES_LESS)
    return 0


def _as_json(figures: Figures) -> dict[str, Any]:
    found = {**vars(figures), "batch_to_json": figures.batch / figures.json}
    return found if figures.sdk is None else {**found, "batch_to_sdk": figures.batch / figures.sdk}


def measure(platform: str, events: int, sdk: Sdk) -> Figures:
    """A purchase of this minute, as ``preview --batch`` works it off: line in, request and verdicts out."""
    now = SystemClock().now()
    purchase = _purchase(write_instant(now))
    prepared = prepare(platform, example_settings(prepare(platform, {}).mapper))
    read = read_event(purchase, now)
    assert isinstance(read, ReadEvent)
    line = orjson.dumps(purchase)
    shown = preview(purchase, prepared, now)
    answer = orjson.loads(written(shown))
    steps: tuple[Callable[[], Any], ...] = (
        lambda: (orjson.loads(line), orjson.dumps(answer)),
        lambda: map_event(prepared.mapper, read.event, prepared.settings, now),
        lambda: written(preview(orjson.loads(line), prepared, now)),
    )
    rounds = [partial(seconds_of, events, step) for step in steps]
    if sdk.version and shown.request is not None and shown.request["url"].startswith(SDK_HOST):
        rounds.append(partial(sdk.seconds_of, events))
    times: list[list[float]] = [[] for _ in rounds]
    gc.disable()
    try:
        for _ in range(ROUNDS):
            for seconds, taken in zip(rounds, times, strict=True):
                taken.append(seconds())
    finally:
        gc.enable()
    return Figures(platform, *(events / statistics.median(taken) for taken in times))


def _purchase(now: str) -> dict[str, Any]:
    """The size of the data model's own: hashed identifiers, cookies, value and products."""
    return {
        "event_name": "Purchase",
        "event_id": "order_12345",
        "occurred_at": now,
        "event_source_url": "https://shop.example.com/thank-you",
        "user_data": {
            "email": "973dfe463ec85785f5f95af5ba3906e64c23a8bce2d4b2b88f8ef90d2640d1b0",
            "phone": "a0e4aeb280283d343698dcbf9213bdb2e8e8e7abceb5f106874900ad3a7e1b41",
            "client_ip": "203.0.113.42",
            "client_user_agent": "Mozilla/5.0",
            "fbp": "fb.1.1713877200123.1234567890",
            "ga_client_id": "1234567890.1713877200",
        },
        "custom_data": {
            "value": 129.99,
            "currency": "USD",
            "order_id": "order_12345",
            "product_ids": ["sku_123", "sku_456"],
            "num_items": 2,
        },
    }
