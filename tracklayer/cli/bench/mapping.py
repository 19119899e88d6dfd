"""``tracklayer bench map``: events a second on one core, against JSON alone."""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from tracklayer.cli.process import print_json
from tracklayer.clock import SystemClock
from tracklayer.domain.event import ReadEvent, read_event
from tracklayer.mappers import PLATFORMS
from tracklayer.mappers.outgoing import map_event
from tracklayer.schema.scalars import write_instant
from tracklayer.services.destinations import example_settings
from tracklayer.services.preview import prepare, preview

ROUNDS = 5  # of each measurement, in turn: the median is told


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    mapping = actions.add_parser("map", help="events a second on one core, read, mapped and written, by platform")
    mapping.add_argument("--events", type=int, default=3000, help="events of one round (%(default)s)")
    mapping.add_argument("--json", action="store_true", help="print the figures as JSON")
    mapping.set_defaults(run=run)


@dataclass(frozen=True)
class Figures:
    """Events a second: ``json``: only parsed and written, the limit; ``mapped``: only map_event; ``batch``: all."""

    platform: str
    json: float
    mapped: float
    batch: float


def run(args: argparse.Namespace) -> int:
    found = [measure(platform, max(1, args.events)) for platform in PLATFORMS]
    if args.json:
        print_json([{**vars(figures), "batch_to_json": figures.batch / figures.json} for figures in found])
        return 0
    print(
        f"{'platform':<14}{'JSON alone':>12}{'map_event':>12}{'whole line':>12}  of JSON alone   (events/s, one core)"
    )
    for figures in found:
        ratio = figures.batch / figures.json
        print(
            f"{figures.platform:<14}{figures.json:>12,.0f}{figures.mapped:>12,.0f}{figures.batch:>12,.0f}{ratio:>15.2f}"
        )
    return 0


def measure(platform: str, events: int) -> Figures:
    """A purchase of this minute, as ``preview --batch`` works it off: line in, request and verdicts out."""
    now = SystemClock().now()
    purchase = _purchase(write_instant(now))
    prepared = prepare(platform, example_settings(prepare(platform, {}).mapper))
    read = read_event(purchase, now)
    assert isinstance(read, ReadEvent)
    line = orjson.dumps(purchase)
    written = _written(preview(purchase, prepared, now))
    steps: tuple[Callable[[], Any], ...] = (
        lambda: (orjson.loads(line), orjson.dumps(written)),
        lambda: map_event(prepared.mapper, read.event, prepared.settings, now),
        lambda: orjson.dumps(_written(preview(orjson.loads(line), prepared, now))),
    )
    times: list[list[float]] = [[] for _ in steps]
    gc.disable()
    try:
        for _ in range(ROUNDS):
            for step, taken in zip(steps, times, strict=True):
                started = time.perf_counter()
                for _ in range(events):
                    step()
                taken.append(time.perf_counter() - started)
    finally:
        gc.enable()
    return Figures(platform, *(events / statistics.median(taken) for taken in times))


def _written(found: Any) -> dict[str, Any]:
    return {"request": found.request, "verdicts": [[v.rule, v.ok, v.message, v.field] for v in found.verdicts]}


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
