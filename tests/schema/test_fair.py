"""Long requests wait for each other by merchant, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from types import FrameType
from typing import Any

import anyio.to_thread
import pytest
from graphql import GraphQLError
from starlette.types import Message, Receive, Send

from tests.factories import INGEST, INGEST_MANY, Api, Merchant, camel, draft, new_merchant
from tests.live import LiveServer
from tests.servers import wait_until
from tracklayer.clock import SystemClock
from tracklayer.db.connection import in_transaction, rows
from tracklayer.runtime import Runtime
from tracklayer.schema.bodies import ALWAYS, Bodies
from tracklayer.schema.fair import IN_HAND_OF_ONE, LONG_BODY, ON_LOOP, LongRequests, is_long
from tracklayer.services.ingest import judge_some
from tracklayer.services.intake import Intake
from tracklayer.services.merchants import authenticate

CALLERS = 100


class Door:
    """Answers a request when it is told to; ``begun``: whose, in order. ``renewed``: of whom it was asked anew who they are."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.renewed: list[str] = []
        self.may_end = asyncio.Event()  # of the loop in the thread, where it is waited for
        self.loop: asyncio.AbstractEventLoop | None = None

    async def answer(self, body: bytes, receive: Receive, send: Send) -> None:
        self.loop = asyncio.get_running_loop()
        self.begun.append(body.decode())
        await self.may_end.wait()
        await send({"type": "http.response.body", "body": body})

    def open(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.may_end.set)


@pytest.fixture
async def long() -> AsyncIterator[LongRequests]:
    made = LongRequests()
    yield made
    made.close()


class Client:
    def __init__(self, long: LongRequests, door: Door, merchant_id: int, body: bytes) -> None:
        self.gone = asyncio.Event()
        self.sent: list[Message] = []

        async def receive() -> Message:
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self.sent.append(message)

        async def renew() -> None:
            door.renewed.append(body.decode())

        self.task = asyncio.create_task(long.answer(merchant_id, partial(door.answer, body), renew, receive, send))


async def until(condition: Any) -> None:
    async with asyncio.timeout(15):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


async def test_of_many_each_merchants_come_in_turn_and_who_has_gone_is_passed_over(long: LongRequests) -> None:
    usual = sys.getswitchinterval(), gc.get_threshold()
    door = Door()
    clients = [Client(long, door, 1, b"a%d" % n) for n in range(6)]
    await until(lambda: len(door.begun) == IN_HAND_OF_ONE)
    clients[3].gone.set()
    await until(lambda: clients[3].task.done())
    others = [Client(long, door, 2, b"b%d" % n) for n in range(4)]
    await until(lambda: len(door.begun) == 2 * IN_HAND_OF_ONE)
    assert door.begun == ["a0", "a1", "b0", "b1"]
    assert sys.getswitchinterval() < usual[0]
    door.open()
    await asyncio.gather(*(client.task for client in [*clients, *others]))
    assert sorted(door.begun) == ["a0", "a1", "a2", "a4", "a5", "b0", "b1", "b2", "b3"]
    assert [client.sent[0]["body"] for client in others] == [b"b0", b"b1", b"b2", b"b3"]
    assert clients[3].sent == []
    assert sorted(door.renewed) == sorted(door.begun)
    assert (sys.getswitchinterval(), gc.get_threshold()) == usual


async def test_a_few_are_answered_on_the_event_loop_where_nothing_else_is_in_hand(long: LongRequests) -> None:
    usual = sys.getswitchinterval()
    here = Door()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        pass

    def begin(body: bytes) -> asyncio.Task[bool]:
        return asyncio.create_task(long.answer_here(1, partial(here.answer, body), receive, send))

    tasks = [begin(b"%d" % n) for n in range(ON_LOOP)]
    await until(lambda: len(here.begun) == ON_LOOP)
    assert here.loop is asyncio.get_running_loop()
    assert sys.getswitchinterval() == usual
    assert await begin(b"too many") is False
    there = Door()
    same, other = Client(long, there, 1, b"same"), Client(long, there, 2, b"other")
    await until(lambda: there.begun == ["other"])  # the merchant that has so many in hand waits
    here.open()
    assert await asyncio.gather(*tasks) == [True] * ON_LOOP
    await until(lambda: there.begun == ["other", "same"])
    assert await begin(b"beside the thread") is False
    there.open()
    await asyncio.gather(same.task, other.task)
    assert await begin(b"again") is True


async def test_one_that_fails_or_is_cancelled_keeps_no_place(long: LongRequests) -> None:
    class Broken(Door):
        async def answer(self, body: bytes, receive: Receive, send: Send) -> None:
            raise LookupError

    for _ in range(3 * IN_HAND_OF_ONE):
        with pytest.raises(LookupError):
            await Client(long, Broken(), 1, b"x").task
    door = Door()
    clients = [Client(long, door, 1, b"a%d" % n) for n in range(4)]
    await until(lambda: len(door.begun) == IN_HAND_OF_ONE)
    for client in clients[:3]:
        client.task.cancel()
    await until(lambda: "a3" in door.begun)
    door.open()
    await clients[3].task
    assert clients[3].sent != []


def test_one_that_is_given_up_while_its_events_are_judged_leaves_nothing_to_a_loop_that_has_ended(
    runtime: Runtime, merchant: Merchant
) -> None:
    """As where a process is ended in the midst of it: nothing of it was acknowledged."""
    begun, is_over = threading.Event(), threading.Event()
    holder = authenticate(runtime, merchant.key)
    assert holder is not None
    there: list[threading.Thread] = []

    class Slow(list[Any]):
        def __getitem__(self, part: Any) -> Any:
            begun.set()
            is_over.wait(60)
            return super().__getitem__(part)

    async def answer(receive: Receive, send: Send) -> None:
        there.append(threading.current_thread())
        await intake.ingest(holder, Slow([draft()]))

    async def nothing(*given: Any) -> Any:
        raise AssertionError

    async def renew() -> None:
        pass

    async def end_in_the_midst_of_it() -> None:
        intake.home = asyncio.get_running_loop()
        long = LongRequests()
        request = asyncio.create_task(long.answer(merchant.merchant_id, answer, renew, nothing, nothing))
        await until(begun.is_set)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        long.close()
        await intake.close()

    intake = Intake(runtime, lambda wake: None)
    asyncio.run(end_in_the_midst_of_it())
    is_over.set()
    there[0].join(60)
    gc.collect()  # what nobody awaited, or nobody looked at, is told now, as an error
    assert intake.events == 0
    with in_transaction():
        assert rows("SELECT count(*) FROM events") == [(0,)]


async def test_a_long_request_is_answered_as_a_short_one(api: Api) -> None:
    events = [draft("first"), draft("bad", occurred_at="never"), draft("first")]
    padding = "x" * LONG_BODY
    answers = []
    for query, more in (
        (INGEST_MANY, {}),
        (INGEST_MANY + " ", {"more": padding}),
        (INGEST_MANY + " ", {"more": padding}),
    ):
        answers.append((await api(query, inputs=camel(events), **more))["ingestEvents"])
    kinds = [[result["outcome"] for result in answer["results"]] for answer in answers]
    assert kinds == [["ACCEPTED", "REJECTED", "COALESCED"], *[["COALESCED", "REJECTED", "COALESCED"]] * 2]
    wrong = await api.post("{ nothing }", {"more": padding})
    assert [error["message"] for error in wrong.json()["errors"]] == ["Cannot query field 'nothing' on type 'Query'."]
    assert (await api.post(INGEST_MANY, {"inputs": camel(events), "more": padding}, key="tl_wrong")).status_code == 401


@pytest.mark.parametrize(
    ("size", "events", "expected"),
    [(900, 1, False), (16_000, 1, False), (17_000, 1, True), (100_000, 24, True), (100_000, 99, False)],
)
def test_one_long_event_is_as_long_as_many_everyday_ones(size: int, events: int, expected: bool) -> None:
    body = b'{"eventName":"Purchase"},' * events
    assert is_long(body + b" " * (size - len(body))) is expected
    assert is_long(body + b" " * LONG_BODY)


async def test_who_owes_for_slow_events_is_answered_beside_the_event_loop_until_it_is_paid_back(
    api: Api, runtime: Runtime, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracklayer.services.intake.ABOUT_SECONDS", 600.0)  # somebody might have to wait
    intake = api.client._transport.app.door.house.intake  # type: ignore[attr-defined]
    threads: list[int] = []

    def seen(frame: FrameType, event: str, called: Any) -> None:
        if event == "call" and frame.f_code is judge_some.__code__:
            threads.append(threading.get_ident())

    other = Api(api.client, (await anyio.to_thread.run_sync(partial(new_merchant, name="Other"), runtime)).key)
    threading.setprofile(seen)
    sys.setprofile(seen)
    try:
        await api(INGEST, input=camel(draft("before")))
        intake.slow.watch(merchant.merchant_id)
        intake.slow.note(merchant.merchant_id, 60.0)
        await api(INGEST, input=camel(draft("owing")))
        await other(INGEST, input=camel(draft("another's")))
        intake.slow.watched[merchant.merchant_id] = 0.0
        await api(INGEST, input=camel(draft("paid")))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    here = threading.get_ident()
    assert [found == here for found in threads] == [True, False, True, True]
    assert intake.slow.watched == {}


def callers(**job: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.callers", json.dumps(job)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def result_of(process: subprocess.Popen[str]) -> Any:
    return json.loads(process.communicate(timeout=60)[0])


def stored_of(merchant: Merchant) -> int:
    with in_transaction():
        return int(rows("SELECT count(*) FROM events WHERE merchant_id = %s", (merchant.merchant_id,))[0][0])


def test_single_events_pass_a_flood_of_long_calls(runtime: Runtime, merchant: Merchant) -> None:
    runtime.clock = SystemClock()
    other = new_merchant(runtime, name="Other")
    occurred_at = (runtime.clock.now() - timedelta(minutes=1)).isoformat()
    with LiveServer(runtime) as server:
        common = {"port": server.port, "occurred_at": occurred_at}
        single = {**common, "key": other.key, "callers": 1, "events": 1, "pause": 0.005}
        result_of(callers(**single, prefix="warm", calls=50))
        alone = result_of(callers(**single, prefix="alone", calls=200))
        flood = callers(**common, key=merchant.key, callers=CALLERS, events=1000, prefix="flood")
        wait_until(lambda: stored_of(merchant) > 3000, "calls of the flood to be through, and others in hand")
        beside = result_of(callers(**single, prefix="beside", calls=200))
        flooders = result_of(flood)
    assert beside["statuses"] == {"200 accepted": 200}
    # On a machine that has too much to do, some of these 85 MB may come too slowly, or be told to come again.
    assert stored_of(merchant) >= 1000 * flooders["statuses"]["200 accepted"] > 0
    # Where merchants do not take turns, a single event waits a thousand times as long as alone.
    assert statistics.median(beside["took"]) < 50 * statistics.median(alone["took"])


def test_of_a_full_room_for_bodies_each_merchant_has_a_share_and_a_new_one_finds_place() -> None:
    bodies = Bodies(room=1000 * ALWAYS)
    bodies.take("a", 500 * ALWAYS)
    with pytest.raises(GraphQLError, match="more bodies in hand"):
        bodies.take("a", ALWAYS)
    bodies.take("b", 500 * ALWAYS)
    with pytest.raises(GraphQLError):
        bodies.take("c", 251 * ALWAYS)
    bodies.take("c", 250 * ALWAYS)
    bodies.take("d", ALWAYS)  # an everyday body goes in, however full it is
    with pytest.raises(GraphQLError):
        bodies.take("a", 1)
    for owner, size in (("a", 500), ("b", 500), ("c", 250), ("d", 1)):
        bodies.give_back(owner, size * ALWAYS)
    assert bodies.held == 0
    bodies.take("a", 500 * ALWAYS)
