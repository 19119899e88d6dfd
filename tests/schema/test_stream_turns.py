"""Whoever is served beside streams waits behind one step of theirs, however many of them tell, begin or are spoken to."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import FrameType
from typing import Any, Self

import psycopg2
import pytest
from graphql import validate
from starlette.types import Message

from tests.factories import Merchant, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.alert_changes import insert_change
from tracklayer.db.alerts import lock_alerts
from tracklayer.db.connection import PLACES_OF_ONE, in_transaction, rows
from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.runtime import Runtime
from tracklayer.schema import ids
from tracklayer.schema.http import GraphQLDoor
from tracklayer.services.alert import settle_findings
from tracklayer.services.follow import KEPT, AlertHub
from tracklayer.services.stream_turns import StreamTurns

PLATFORMS = ("meta", "tiktok", "ga4", "pinterest", "snapchat", "linkedin", "reddit", "x_ads")
BEFORE_ALL = "subscription($after: ID) { alerts(after: $after) { platform } }"
FROM_NOW = "subscription { alerts { platform } }"
SUBSCRIPTIONS = 20


class Rounds:
    """Counts the rounds of the event loop."""

    def __init__(self) -> None:
        self.number = 0
        self._is_over = False

    def __enter__(self) -> Self:
        self._count()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over = True

    def _count(self) -> None:
        self.number += 1
        if not self._is_over:
            asyncio.get_running_loop().call_soon(self._count)


class WebSocket:
    """One, to a door in this loop, whose client reads all at once: a message sent makes nobody wait."""

    def __init__(self, rounds: Rounds) -> None:
        self.said: asyncio.Queue[Message] = asyncio.Queue()
        self.heard: list[Any] = []
        self.in_round: Counter[int] = Counter()  # messages
        self._rounds = rounds

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.send":
            self.heard.append(json.loads(message["text"]))
            self.in_round[self._rounds.number] += 1

    def say(self, kind: str, **fields: Any) -> None:
        self.said.put_nowait({"type": "websocket.receive", "text": json.dumps({"type": kind, **fields})})

    def subscribe(self, number: int, query: str, **variables: Any) -> None:
        self.say("subscribe", id=str(number), payload={"query": query, "variables": variables})

    def platforms(self) -> list[str]:
        return [said["payload"]["data"]["alerts"]["platform"] for said in self.heard if said["type"] == "next"]

    def forget(self) -> None:
        self.heard.clear()
        self.in_round.clear()


@asynccontextmanager
async def open_socket(door: GraphQLDoor, rounds: Rounds, key: str) -> AsyncIterator[WebSocket]:
    socket = WebSocket(rounds)
    scope = {
        "type": "websocket",
        "path": "/graphql",
        "query_string": b"",
        "headers": [],
        "subprotocols": ["graphql-transport-ws"],
        "client": ("127.0.0.1", 1),
    }
    socket.said.put_nowait({"type": "websocket.connect"})
    served = asyncio.create_task(door(scope, socket.said.get, socket.send))
    socket.say("connection_init", payload={"authorization": f"Bearer {key}"})
    await until(lambda: socket.heard == [{"type": "connection_ack"}])
    socket.forget()
    yield socket
    socket.said.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await served


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


@asynccontextmanager
async def served(runtime: Runtime) -> AsyncIterator[tuple[GraphQLDoor, AlertHub]]:
    hub = AlertHub(runtime)
    door = GraphQLDoor(runtime, lambda wake: None, hub, asyncio.Event(), None)
    async with hub.running():
        yield door, hub
    await door.close()


@pytest.fixture
def opened(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> Any:
    """Opens an alert for each platform, at once."""

    def opens() -> None:
        now = clock.move(timedelta(seconds=1))
        found = [
            Finding(AlertKind.PLATFORM_DOWN, platform, Severity.CRITICAL, "Trouble", "It is.", now)
            for platform in PLATFORMS
        ]
        settle_findings(runtime, merchant.merchant_id, found, [], now)

    return partial(asyncio.to_thread, opens)


def beginning(merchant: Merchant) -> str:
    """As ``after``: before all changes."""
    return ids.encode("AlertChange", merchant.merchant_id, 0)


def each(times: int) -> dict[str, int]:
    return dict.fromkeys([platform.upper() for platform in PLATFORMS], times)


async def test_what_was_missed_is_told_by_one_message_in_a_round_of_the_loop(
    runtime: Runtime, merchant: Merchant, opened: Any
) -> None:
    await opened()
    async with served(runtime) as (door, _):
        with Rounds() as rounds:
            async with open_socket(door, rounds, merchant.key) as socket:
                for number in range(SUBSCRIPTIONS):
                    socket.subscribe(number, BEFORE_ALL, after=beginning(merchant))
                await until(lambda: len(socket.platforms()) == SUBSCRIPTIONS * len(PLATFORMS))
                assert Counter(socket.platforms()) == each(SUBSCRIPTIONS)
                assert max(socket.in_round.values()) == 1


async def test_a_change_is_told_to_one_of_its_followers_in_a_round_of_the_loop(
    runtime: Runtime, merchant: Merchant, opened: Any
) -> None:
    async with served(runtime) as (door, hub):
        with Rounds() as rounds:
            async with open_socket(door, rounds, merchant.key) as socket:
                for number in range(SUBSCRIPTIONS):
                    socket.subscribe(number, FROM_NOW)
                await until(lambda: hub.in_place == SUBSCRIPTIONS)
                await opened()
                await until(lambda: len(socket.platforms()) == SUBSCRIPTIONS * len(PLATFORMS))
                assert Counter(socket.platforms()) == each(SUBSCRIPTIONS)
                assert max(socket.in_round.values()) == 1


async def test_of_what_a_socket_asks_at_once_one_operation_begins_in_a_round_of_the_loop(
    runtime: Runtime, merchant: Merchant
) -> None:
    async with served(runtime) as (door, _):
        with Rounds() as rounds:
            async with open_socket(door, rounds, merchant.key) as socket:
                for number in range(SUBSCRIPTIONS):
                    socket.subscribe(number, "{ __typename }")
                await until(lambda: len(socket.heard) == 2 * SUBSCRIPTIONS)
                assert [said["type"] for said in socket.heard] == ["next", "complete"] * SUBSCRIPTIONS
                assert list(socket.in_round.values()) == [2] * SUBSCRIPTIONS


async def test_event_streams_take_turns_as_sockets_do(runtime: Runtime, merchant: Merchant, opened: Any) -> None:
    headers = [
        (b"authorization", f"Bearer {merchant.key}".encode()),
        (b"accept", b"text/event-stream"),
        (b"content-type", b"application/json"),
    ]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": headers}
    in_round: Counter[int] = Counter()
    is_over = asyncio.Event()

    async def stream(door: GraphQLDoor, rounds: Rounds) -> None:
        body = [{"type": "http.request", "body": json.dumps({"query": FROM_NOW}).encode()}]

        async def receive() -> Message:
            if body:
                return body.pop()
            await is_over.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if b"event: next" in message.get("body", b""):
                in_round[rounds.number] += 1

        await door(dict(scope), receive, send)

    async with served(runtime) as (door, hub):
        with Rounds() as rounds:
            streams = [asyncio.create_task(stream(door, rounds)) for _ in range(SUBSCRIPTIONS)]
            await until(lambda: hub.in_place == SUBSCRIPTIONS)
            await opened()
            await until(lambda: in_round.total() == SUBSCRIPTIONS * len(PLATFORMS))
            assert max(in_round.values()) == 1
            is_over.set()
            await asyncio.gather(*streams)


async def test_what_is_read_for_a_change_is_paid_for_before_the_next_and_the_alert_alone_is_told_at_once(
    runtime: Runtime, merchant: Merchant, opened: Any
) -> None:
    runtime.settings = replace(runtime.settings, read_cost_per_second=1000)
    with_deliveries = "subscription { alerts { platform deliveries(first: 50) { nodes { attempts } } } }"
    async with served(runtime) as (door, hub):
        limits, whose = door.house.limits, merchant.merchant_id
        limits.now = lambda: 0.0
        with Rounds() as rounds:
            async with (
                open_socket(door, rounds, merchant.key) as dear,
                open_socket(door, rounds, merchant.key) as plain,
            ):
                dear.subscribe(1, with_deliveries)
                plain.subscribe(1, FROM_NOW)
                await until(lambda: hub.in_place == 2)
                limits.reads.charge(whose, limits.reads.left(whose, 0.0), 0.0)
                await opened()
                await until(lambda: len(plain.platforms()) == len(PLATFORMS) and dear.platforms())
                assert limits.reads.left(whose, 0.0) == -51
                assert len(dear.platforms()) == 1
                limits.now = lambda: 100.0
                await until(lambda: len(dear.platforms()) == len(PLATFORMS))
                assert limits.reads.left(whose, 100.0) == limits.reads.burst - 7 * 51


async def test_who_reads_pages_from_far_behind_takes_the_places_of_one_merchant_and_no_more(
    runtime: Runtime, merchant: Merchant, opened: Any, database: str
) -> None:
    await opened()

    def change_again_and_again() -> None:
        with in_transaction():
            lock_alerts(merchant.merchant_id)
            for _ in range(KEPT):
                insert_change(merchant.merchant_id, 1, "open", runtime.clock.now())

    def waiting() -> int:
        with in_transaction():
            return int(
                rows("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'alert_changes'::regclass")[0][0]
            )

    await asyncio.to_thread(change_again_and_again)
    other = await asyncio.to_thread(partial(new_merchant, runtime, name="Other"))
    async with served(runtime) as (door, hub):
        rounds = Rounds()
        async with (
            open_socket(door, rounds, merchant.key) as far,
            open_socket(door, rounds, other.key) as another,
        ):
            far.subscribe(SUBSCRIPTIONS, FROM_NOW)
            await until(lambda: hub.in_place == 1)
            with closing(psycopg2.connect(database)) as held:
                held.cursor().execute("LOCK TABLE alert_changes IN ACCESS EXCLUSIVE MODE")
                for number in range(SUBSCRIPTIONS):
                    far.subscribe(number, BEFORE_ALL, after=beginning(merchant))
                await until(lambda: hub.in_place == 1 + SUBSCRIPTIONS)
                async with asyncio.timeout(60):
                    while await asyncio.to_thread(waiting) < PLACES_OF_ONE:
                        pass
                another.subscribe(1, "{ merchant { name } }")
                await until(lambda: len(another.heard) == 2)
                assert await asyncio.to_thread(waiting) - PLACES_OF_ONE in (
                    0,
                    1,
                )  # one that reads for all followers may be there
            await until(lambda: len(far.platforms()) == SUBSCRIPTIONS * (len(PLATFORMS) + KEPT))


async def test_a_document_that_was_found_good_is_not_validated_again_and_a_bad_one_is(
    runtime: Runtime, merchant: Merchant
) -> None:
    validated = list[None]()

    def seen(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is validate.__code__:
            validated.append(None)

    async with served(runtime) as (door, _):
        with Rounds() as rounds:
            async with open_socket(door, rounds, merchant.key) as socket:
                for document, times in (("{ known: __typename }", 1), ("{ unknownField }", 3)):
                    validated.clear()
                    sys.setprofile(seen)
                    for number in range(3):
                        socket.forget()
                        socket.subscribe(number, document)
                        await until(lambda: socket.heard and socket.heard[-1]["type"] in ("complete", "error"))
                    sys.setprofile(None)
                    assert len(validated) == times
                assert socket.heard[0]["payload"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_merchants_take_turns_and_who_has_gone_is_passed_over() -> None:
    turns = StreamTurns()
    for _ in range(2):
        turns.add(1, ())  # nobody waited
    came = list[str]()

    async def one(merchant_id: int, name: str) -> None:
        await turns.take(merchant_id)
        came.append(name)

    tasks = [asyncio.create_task(one(1, f"a{n}")) for n in range(5)]
    tasks += [asyncio.create_task(one(2, f"b{n}")) for n in range(2)]
    with Rounds() as rounds:
        await asyncio.sleep(0)
        tasks[2].cancel()
        before = rounds.number
        await asyncio.wait(tasks)
        assert came == ["a0", "b0", "a1", "b1", "a3", "a4"]
        assert rounds.number - before == 8
