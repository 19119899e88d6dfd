"""What is on its way in at the moment in which its event is erased is a repeat, and nothing of it is stored or sent again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from tests.factories import INGEST, INGEST_MANY, Api, Merchant, camel
from tests.faults.test_sessions import until
from tests.servers import wait_until
from tests.services.test_erase import EMAIL, begin, deliver, finish, links, of, send, stored
from tests.sessions import is_waited_for, other_session
from tracklayer.app import build_app
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.storing import run_statement
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.schema.fair import IN_HAND_OF_ONE, LONG_BODY
from tracklayer.services.erase import ON_ITS_WAY, Request, unsuppress_person
from tracklayer.services.erase_jobs import continue_erasures
from tracklayer.services.identify import identify
from tracklayer.services.ingest import Accepted, Call, Coalesced, Forgotten, Rejected, judge, outcomes_of, store
from tracklayer.services.intake import Intake
from tracklayer.services.marks import marker_of, of_event
from tracklayer.services.merchants import authenticate, revoke_api_key

Steps = Generator[tuple[str, tuple[Any, ...]], list[Any], Any]
BROWSER, OTHER_BROWSER = "b7d5a1b2c3d4e5f6a7b8c9", "c7d5a1b2c3d4e5f6a7b8c0"
HERS = [
    pytest.param(Request(event_ids=("hers",)), id="event id"),
    pytest.param(Request(email=EMAIL), id="email"),
]


def storing(runtime: Runtime, *calls: Call) -> Steps:
    """As the API stores: each statement is a transaction of its own."""
    return store(calls, runtime.settings.retry_window, datetime.now(UTC) + timedelta(hours=1))


def run(step: tuple[str, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    with in_transaction():
        return run_statement(*step)


def go_on(steps: Steps, step: tuple[str, tuple[Any, ...]]) -> None:
    with suppress(StopIteration):
        while True:
            step = steps.send(run(step))


def times_sent(sandbox: SandboxServer) -> int:
    return int(httpx.get(f"{sandbox.url}/_accepted", params={"platform": "meta"}).json()["received"])


def repeats(merchant: Merchant) -> int:
    with in_transaction():
        found = rows(
            "SELECT sum(coalesced) FROM minutes WHERE merchant_id = %s AND platform = ''", (merchant.merchant_id,)
        )
    return int(found[0][0])


@pytest.mark.parametrize("left_alone", [False, True])
@pytest.mark.parametrize("request_", HERS)
def test_a_repeat_that_was_held_against_the_marks_before_its_event_went_stays_a_repeat(
    runtime: Runtime,
    merchant: Merchant,
    clock: FrozenClock,
    worker: int,
    sandbox: SandboxServer,
    request_: Request,
    left_alone: bool,
) -> None:
    send(runtime, merchant, of("hers"))
    deliver(runtime, worker, merchant)
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, request_, suppress=left_alone)
    clock.move(ON_ITS_WAY)
    call = judge(runtime, merchant.holder, [of("hers"), of("his", "john@shop.example"), of("hers")])
    steps = storing(runtime, call)
    step = steps.send(run(next(steps)))  # it has looked for the marks
    while stored(merchant):
        continue_erasures(runtime, 30)
    go_on(steps, step)
    assert [type(one) for one in outcomes_of(runtime, call)] == [Forgotten, Accepted, Forgotten]
    assert (stored(merchant), repeats(merchant)) == (["his"], 2)
    finish(runtime, clock, row)
    deliver(runtime, worker, merchant)
    assert (stored(merchant), times_sent(sandbox)) == (["his"], 2)


def test_an_erased_event_under_another_name_that_was_on_its_way_is_a_conflict(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    begin(runtime, merchant, Request(event_ids=("hers",)))
    clock.move(ON_ITS_WAY)
    call = judge(runtime, merchant.holder, [{**of("hers"), "event_name": "Lead"}])
    steps = storing(runtime, call)
    step = steps.send(run(next(steps)))
    while stored(merchant):
        continue_erasures(runtime, 30)
    go_on(steps, step)
    assert [type(one) for one in outcomes_of(runtime, call)] == [Rejected]
    assert stored(merchant) == []


def test_a_repeat_that_waits_for_whoever_deletes_its_event_stays_a_repeat(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, database: str
) -> None:
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    begin(runtime, merchant, Request(event_ids=("hers",)))
    call = judge(runtime, merchant.holder, [of("hers")])
    steps = storing(runtime, call)
    step = steps.send(run(next(steps)))
    mark = marker_of(runtime).mark(merchant.merchant_id, of_event("hers"))
    with other_session(database) as other, ThreadPoolExecutor(1) as threads:
        with other.cursor() as cursor:
            cursor.execute("DELETE FROM events")
            cursor.execute(
                "INSERT INTO tombstones (merchant_id, mark, expires_at) VALUES (%s, %s, now() + interval '1 day')",
                (merchant.merchant_id, mark),
            )
        waits = threads.submit(go_on, steps, step)
        wait_until(lambda: waits.done() or is_waited_for(other), "it to wait")
        other.commit()
        waits.result()
    assert [type(one) for one in outcomes_of(runtime, call)] == [Forgotten]
    assert stored(merchant) == []


@pytest.mark.parametrize("request_", HERS)
def test_what_was_judged_before_anybody_knew_finds_its_event(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int, sandbox: SandboxServer, request_: Request
) -> None:
    send(runtime, merchant, of("hers"))
    deliver(runtime, worker, merchant)
    clock.move(timedelta(minutes=1))
    call = judge(runtime, merchant.holder, [of("hers")])  # by a process that then stood still
    row = begin(runtime, merchant, request_, suppress=False)
    clock.move(ON_ITS_WAY - timedelta(seconds=1))
    continue_erasures(runtime, 30)
    steps = storing(runtime, call)
    go_on(steps, next(steps))
    assert [type(one) for one in outcomes_of(runtime, call)] == [Coalesced]
    finish(runtime, clock, row)
    deliver(runtime, worker, merchant)
    assert (stored(merchant), times_sent(sandbox)) == ([], 1)


async def test_a_repeat_whose_body_came_slowly_is_held_against_the_marks_of_when_it_was_there(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    sent = camel({**of("hers"), "occurred_at": clock.now().isoformat()})
    assert (await api(INGEST, input=sent))["ingestEvent"]["outcome"] == "ACCEPTED"
    body = orjson.dumps({"query": INGEST, "variables": {"input": sent}})

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:100]
        begin(runtime, merchant, Request(event_ids=("hers",)))
        clock.move(ON_ITS_WAY)
        while stored(merchant):
            continue_erasures(runtime, 30)
        yield body[100:]

    headers = {"authorization": f"Bearer {api.key}", "content-type": "application/json"}
    answer = (await api.client.post("/graphql", content=slowly(), headers=headers)).json()
    assert answer["data"]["ingestEvent"]["outcome"] == "COALESCED"
    assert stored(merchant) == []


@pytest.mark.parametrize("is_revoked", [False, True])
async def test_a_long_request_is_judged_by_what_is_known_when_its_turn_has_come(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, is_revoked: bool
) -> None:
    sent = camel({**of("hers"), "occurred_at": clock.now().isoformat()})
    app = build_app(runtime, lambda _: None)
    long = app.door._long
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracklayer") as client:
        api = Api(client, merchant.key)
        assert (await api(INGEST, input=sent))["ingestEvent"]["outcome"] == "ACCEPTED"
        for _ in range(IN_HAND_OF_ONE):
            long._begin(merchant.merchant_id)
        waits = asyncio.create_task(api.post(INGEST_MANY, {"inputs": [sent], "more": "x" * LONG_BODY}))
        await until(lambda: len(long._lines))
        begin(runtime, merchant, Request(event_ids=("hers",)))
        clock.move(ON_ITS_WAY)
        while stored(merchant):
            continue_erasures(runtime, 30)
        if is_revoked:
            holder = authenticate(runtime, merchant.key)
            assert holder is not None
            revoke_api_key(runtime, merchant.merchant_id, holder.key_id)
        for _ in range(IN_HAND_OF_ONE):
            long._end_in_thread(merchant.merchant_id)
        answer = await waits
        if is_revoked:
            assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
        else:
            assert answer.json()["data"]["ingestEvents"]["coalesced"] == 1
        assert (stored(merchant), long._in_hand.total()) == ([], 0)
        await app.door.close()


@pytest.fixture
async def intake(runtime: Runtime) -> AsyncIterator[Intake]:
    made = Intake(runtime, lambda wakes: None)
    yield made
    await made.close()


async def test_while_an_erasure_goes_on_all_else_is_taken_in_as_ever(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, intake: Intake
) -> None:
    send(runtime, merchant, of("hers"), of("his", "john@shop.example"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    begin(runtime, merchant, Request(event_ids=("nobodys",)))
    holder = merchant.holder
    drafts = [
        of("hers"),
        of("his", "john@shop.example"),
        {**of("his", "john@shop.example"), "event_name": "Lead"},
        of("new", "jack@shop.example", browser_id=BROWSER),
        of("left alone"),
        of(""),
    ]
    expected = [Forgotten, Coalesced, Rejected, Accepted, Accepted, Rejected]
    assert [type(one) for one in await intake.ingest(holder, drafts)] == expected
    # Nothing but those that are to be left alone, whose statement is another one.
    assert [type(one) for one in await intake.ingest(holder, [of("left alone")])] == [Coalesced]
    assert stored(merchant) == ["his", "left alone", "new"]
    assert links(merchant) == [(BROWSER, "email")]
    with in_transaction():
        ((refused,),) = rows("SELECT sum(rejected) FROM minutes WHERE platform = ''")
    assert refused == 2


def test_an_event_links_nobody_in_a_browser_that_is_to_be_left_alone(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers", browser_id=BROWSER))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL, browser_id=BROWSER)))
    john = {"email": "john@shop.example"}
    send(runtime, merchant, of("his", john["email"], browser_id=BROWSER))
    send(runtime, merchant, of("other", john["email"], browser_id=OTHER_BROWSER))
    found = identify(runtime, merchant.holder, BROWSER, john)
    assert [one.code for one in found.problems] == ["PERSON_SUPPRESSED"]
    assert links(merchant) == [(OTHER_BROWSER, "email")]
    assert stored(merchant) == ["his", "other"]
    unsuppress_person(runtime, merchant.merchant_id, Request(email=EMAIL, browser_id=BROWSER))
    send(runtime, merchant, of("later", john["email"], browser_id=BROWSER))
    assert links(merchant) == [(BROWSER, "email"), (OTHER_BROWSER, "email")]


def test_who_was_asked_for_by_a_browser_alone_is_not_linked_with_it_again(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers", browser_id=BROWSER), of("too", None, browser_id=BROWSER))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(browser_id=BROWSER)))
    assert (stored(merchant), links(merchant)) == ([], [])
    send(runtime, merchant, of("later", browser_id=BROWSER))
    assert links(merchant) == []
