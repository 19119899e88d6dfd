"""Token buckets: what is refused is told how long to wait, what is asked for later is there again."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from graphql import get_introspection_query
from starlette.requests import Request

from tests.factories import INGEST, Api, Merchant, camel, draft, new_merchant
from tests.live import LiveServer, sse_events, ws_client
from tests.sessions import other_session
from tracklayer.app import build_app
from tracklayer.buckets import BURST, Buckets
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import PLACES_OF_ONE, in_transaction, rows, run_for_merchant, run_in_db_thread
from tracklayer.keyring import LIFETIME
from tracklayer.runtime import Runtime
from tracklayer.schema.http import COLLECT_BYTES
from tracklayer.schema.known import MAX_TEXT
from tracklayer.schema.limits import STRANGERS_AT_ONCE, UNKNOWN_KEYS, Limits


def test_a_bucket_empties_and_fills() -> None:
    buckets = Buckets(10, burst=30)
    assert [buckets.take("a", 10, 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    assert buckets.take("b", 30, 0.0) == 0.0  # another's is its own
    assert buckets.take("a", 10, 0.5) == 0.5
    assert buckets.take("a", 10, 1.0) == 0.0
    assert buckets.left("a", 100.0) == 30.0
    assert buckets.take("a", 1_000, 100.0) == 0.0  # more than there ever is takes all there is
    assert buckets.take("a", 1, 99.0) == 0.1  # a clock that goes back fills nothing


def test_a_charge_is_owed_and_never_more_than_a_burst() -> None:
    buckets = Buckets(10, burst=30)
    buckets.charge("a", 50, 0.0)
    assert buckets.left("a", 0.0) == -20.0
    buckets.charge("a", 5_000, 0.0)
    assert buckets.left("a", 0.0) == -30.0
    assert buckets.take("a", 10, 4.0) == 0.0


def test_no_rate_is_no_limit_and_memory_is_bounded() -> None:
    free = Buckets(0)
    assert {free.take("a", 1e9, 0.0) for _ in range(1000)} == {0.0}
    buckets = Buckets(10, burst=10, remembered=100)
    for key in range(1000):
        buckets.take(key, 5, 0.0)
    assert len(buckets._buckets) == 100


async def test_strangers_together_are_answered_with_so_much_and_no_more(runtime: Runtime, merchant: Merchant) -> None:
    api = api_with(runtime, merchant)
    query = {"query": get_introspection_query()}
    answers = [await api.client.post("/graphql", json=query) for _ in range(15)]
    assert answers[0].status_code == 200
    assert is_limited(answers[-1])
    known = await api.client.post("/graphql", json=query, headers={"authorization": f"Bearer {merchant.key}"})
    assert not is_limited(known)


def api_with(runtime: Runtime, merchant: Merchant, **settings: Any) -> Api:
    runtime.settings = replace(runtime.settings, **settings)
    app = build_app(runtime, lambda wake: None)
    return at_once(
        Api(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracklayer"), merchant.key)
    )


def at_once(api: Api) -> Api:
    """However slow this machine is, all that is asked comes in the same moment, and no bucket fills meanwhile."""
    api.client._transport.app.door.house.limits.now = lambda: 0.0  # type: ignore[attr-defined]
    return api


def is_limited(answer: httpx.Response) -> bool:
    if answer.status_code != 429:
        assert answer.status_code == 200, answer.text
        return False
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert int(answer.headers["retry-after"]) == error["extensions"]["retryAfterSeconds"] > 0
    return True


@pytest.mark.parametrize("query", ["{ merchant { name } }", "{ merchant { name } __schema { queryType { name } } }"])
async def test_a_key_that_asks_too_often_is_told_when_to_ask_again_and_goes_on_sending_events(
    runtime: Runtime, merchant: Merchant, query: str
) -> None:
    """With a plan, and without one."""
    api = api_with(runtime, merchant, requests_per_second=0.001 * 10)  # a burst of a tenth: the first is let through
    other = Api(api.client, new_merchant(runtime, name="Other").key)
    answers = [is_limited(await api.post(query)) for _ in range(4)]
    assert answers == [False, True, True, True]
    assert [is_limited(await other.post(query)) for _ in range(1)] == [False]
    for n in range(5):
        assert (await api.ingest(draft(f"order_{n}")))["outcome"] == "ACCEPTED"


async def test_what_a_merchant_reads_is_limited_whatever_its_keys(runtime: Runtime, merchant: Merchant) -> None:
    api = api_with(runtime, merchant, read_cost_per_second=280, requests_per_second=0)
    query = (
        "{ platforms { title } deliveries(first: 489) { edges { cursor } } }"  # 500 objects, and 742 twice for its text
    )
    assert [is_limited(await api.post(query)) for _ in range(4)] == [False, False, True, True]
    assert not is_limited(await Api(api.client, new_merchant(runtime, name="Other").key).post(query))


async def test_refused_operations_cost_what_reading_them_takes(runtime: Runtime, merchant: Merchant) -> None:
    api = api_with(runtime, merchant, read_cost_per_second=300, requests_per_second=0)
    for n in range(2):  # what takes events in has its plan
        await api.ingest(draft(f"order_{n}"))
    text = "{ " + " ".join(f"nope{n}" for n in range(80)) + " }"
    assert [is_limited(await api.post(text)) for _ in range(3)] == [False, True, True]
    assert (await api.ingest(draft("order_9")))["outcome"] == "ACCEPTED"


def left(api: Api, merchant: Merchant) -> float:
    """Objects that a merchant may read at once."""
    limits: Limits = api.client._transport.app.door.house.limits  # type: ignore[attr-defined]
    return limits.reads.left(merchant.merchant_id, 0.0)


async def test_a_text_is_paid_for_until_it_has_a_plan(runtime: Runtime, merchant: Merchant) -> None:
    api = api_with(runtime, merchant)
    before = left(api, merchant)
    for text, paid in (
        ("{ merchant { id name } }", [1, 1, 0, 0]),
        (INGEST, [1, 1, 0, 0]),
        ("{ merchant { nope } }", [2, 3, 2, 2]),  # to be told what is wrong costs as much again
        ("{ merchant { name }", [2, 3, 2, 2]),
        ("{ __schema { queryType { name } } }", [1, 2, 1, 1]),  # not compiled, which the second one tries
    ):
        event = camel(draft()) if text == INGEST else None
        for times in paid:
            answer = await api.post(text, {"input": event} if event else {}, **{"tracklayer-cost": "1"})
            assert answer.status_code == 200
            read = answer.json().get("extensions", {"cost": {"cost": 0}})["cost"]["cost"] if text != INGEST else 0
            if "nope" in text:
                read = 1  # it was measured before it was refused
            assert before - left(api, merchant) == read + times * (600 + 2 * len(text)), text
            before = left(api, merchant)


async def over_a_socket(server: LiveServer, key: str, query: str, given: list[Any]) -> None:
    async with ws_client(server, key) as client:
        for number, variables in enumerate(given):
            await client.subscribe(query, f"{number}", **variables)
            await client.data()
            assert (await client.next())["type"] == "complete"


async def over_event_streams(server: LiveServer, key: str, query: str, given: list[Any]) -> None:
    for variables in given:
        async with sse_events(server, key, query, **variables) as events:
            (event, told), *_ = [found async for found in events]
            assert (event, told.keys()) == ("next", {"data"})


async def in_addresses(server: LiveServer, key: str, query: str, given: list[Any]) -> None:
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}) as client:
        for variables in given:
            answer = await client.get(server.http, params={"query": query, "variables": json.dumps(variables)})
            assert answer.json().keys() == {"data"}


@pytest.mark.parametrize("way", [over_a_socket, over_event_streams, in_addresses])
async def test_a_text_that_is_known_is_paid_for_by_no_way_that_it_comes(
    runtime: Runtime, merchant: Merchant, way: Callable[..., Awaitable[None]]
) -> None:
    runtime.settings = replace(runtime.settings, read_cost_per_second=300)
    query, given = INGEST, [{"input": camel(draft(f"order_{n}"))} for n in range(20)]
    if way is in_addresses:
        query, given = "query($n: Int) { deliveries(first: $n) { edges { cursor } } }", [{"n": 1}] * 20
    with LiveServer(runtime) as server:
        limits = server.door.house.limits
        limits.now = lambda: 0.0
        before = limits.reads.left(merchant.merchant_id, 0.0)
        await way(server, merchant.key, query, given)
        read = 20 * 2 if way is in_addresses else 0
        assert before - limits.reads.left(merchant.merchant_id, 0.0) == read + 2 * (600 + 2 * len(query))
    with in_transaction():
        assert rows("SELECT count(*) FROM events") == [(0 if way is in_addresses else 20,)]


async def test_fields_that_are_compared_with_each_other_are_paid_for(runtime: Runtime, merchant: Merchant) -> None:
    api = api_with(runtime, merchant)
    before = left(api, merchant)
    text = "{ " + "... { merchant { id name } } " * 99 + "}"
    await api.post(text)
    assert before - left(api, merchant) == 99 + 600 + 2 * len(text) + 4 * 3 * 99 * 98 // 2


async def test_an_everyday_client_never_waits_for_its_texts(runtime: Runtime, merchant: Merchant) -> None:
    """A dozen documents, by a dozen pages at once: with the limits that are set where nobody sets any."""
    api = api_with(runtime, merchant)
    fields = "id eventId eventName occurredAt receivedAt timesReceived eventSourceUrl actionSource "
    texts = [
        f"query Page{n} {{ merchant {{ id name }} events(first: 20) {{ edges {{ node {{ {fields} }} }} }} }}"
        for n in range(12)
    ]
    for _ in range(12):
        assert not any([is_limited(await api.post(text)) for text in texts])


@pytest.mark.parametrize("twice", [False, True])
async def test_whoever_sends_ever_new_texts_has_to_wait_and_nobody_else_does(
    runtime: Runtime, merchant: Merchant, twice: bool
) -> None:
    api = api_with(runtime, merchant, requests_per_second=0)
    other = Api(api.client, new_merchant(runtime, name="Other").key)
    for n in range(3):
        await api.ingest(draft(f"order_{n}"))
    parts = "... { events(first: 1) { edges { node { id } } } } " * 90
    answers = []
    for n in range(20):
        for _ in range(1 + twice):
            answers.append(is_limited(await api.post(f"{{ {parts} }} #{n}")))
    assert 0 < answers.count(False) < 15
    assert answers[-1]
    door = api.client._transport.app.door  # type: ignore[attr-defined]
    plans = len(door.house.plans)
    assert [is_limited(await api.post("{ merchant { name } }")) for _ in range(3)] == [True] * 3
    assert len(door.house.plans) == plans  # nor is anything compiled
    assert (await api.ingest(draft("order_9")))["outcome"] == "ACCEPTED"
    assert not is_limited(await other.post("{ merchant { name } }"))
    door.house.limits.now = lambda: 11.0
    assert not is_limited(await api.post("{ merchant { name } }"))


async def test_strangers_are_told_to_bring_a_key_and_are_few_a_second(api: Api) -> None:
    at_once(api)
    answers = [await api.client.post("/graphql", json={"query": "{ platforms { title } }"}) for _ in range(201)]
    assert [answer.status_code for answer in answers] == [200] * 200 + [429]
    assert (await api.post("{ merchant { name } }")).status_code == 200  # whoever has a key is not in their way


async def test_a_stranger_learns_nothing_and_sends_little(api: Api) -> None:
    big = await api.client.post("/graphql", json={"query": "{ __typename }", "variables": {"x": "y" * 20_000}})
    assert (big.status_code, big.json()["errors"][0]["extensions"]["code"]) == (413, "TOO_LARGE")
    asked = await api.client.post("/graphql", json={"query": "{ merchant { name } }"})
    assert (asked.status_code, asked.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    bad = await api.client.post("/graphql", json={"query": "{ __typename }"}, headers={"authorization": "Bearer tl_x"})
    assert (bad.status_code, bad.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")


async def test_guessed_keys_do_not_fill_the_database_with_questions(
    api: Api, runtime: Runtime, clock: FrozenClock
) -> None:
    await api("{ merchant { name } }")
    at_once(api)
    statuses = []
    for n in range(700):
        headers = {"authorization": f"Bearer tl_{n:043}"}
        answer = await api.client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
        statuses.append(answer.status_code)
    assert set(statuses) == {401, 429}
    clock.move(2 * LIFETIME)  # it is looked up anew: a key that was good once is nobody's guess
    assert (await api.post("{ merchant { name } }")).status_code == 200
    # Another key, new to this process, comes from another address than the flood.
    other = new_merchant(runtime, name="Other").key
    transport = httpx.ASGITransport(api.client._transport.app, client=("203.0.113.9", 4711))  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=transport, base_url="http://tracklayer") as elsewhere:
        assert (await Api(elsewhere, other).post("{ merchant { name } }")).status_code == 200


async def test_whoever_has_a_network_of_ipv6_is_one_caller(api: Api, runtime: Runtime) -> None:
    """Of those who guess keys, and of those who send none: the limit of one address holds for its /64."""

    async def ask(address: str, key: str = "") -> int:
        transport = httpx.ASGITransport(api.client._transport.app, client=(address, 4711))  # type: ignore[attr-defined]
        async with httpx.AsyncClient(transport=transport, base_url="http://tracklayer") as client:
            headers = {"authorization": f"Bearer {key}"} if key else {}
            return (await client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)).status_code

    at_once(api)
    most = UNKNOWN_KEYS * BURST
    own = api.client._transport.app.door.house.limits.all_unknown_keys  # type: ignore[attr-defined]
    assert own.burst > most + 1
    statuses = [await ask(f"2a00:1450:4001:82a::{n:x}", f"tl_{n:043}") for n in range(most + 1)]
    assert statuses == [401] * most + [429]
    assert await ask("2a00:1450:4001:82b::1", "tl_" + "x" * 43) == 401
    assert await ask("2a00:1450:4001:82b::1", new_merchant(runtime, name="Other").key) == 200
    statuses = [await ask(f"2a00:1450:4001:82a::{n:x}") for n in range(STRANGERS_AT_ONCE + 1)]
    assert statuses == [200] * STRANGERS_AT_ONCE + [429]


async def test_what_the_view_leaves_in_cycles_is_bounded_in_bytes(api: Api) -> None:
    """However few objects hold it: Python's own collector counts those."""
    pad = "x" * (3 * 1024 * 1024)
    gc.collect()
    gc.disable()
    try:
        before = len(requests_in_memory())
        for n in range(40):
            text = f"{{ merchant {{ name }} # {n}"  # no GraphQL, every other time
            await api.post(text if n % 2 else text + "\n}", {"pad": pad})
            bodies = [getattr(request, "_body", b"") for request in requests_in_memory()]
            assert sum(map(len, bodies)) <= COLLECT_BYTES + len(pad)
        assert len(requests_in_memory()) - before <= COLLECT_BYTES // len(pad) + 1
    finally:
        gc.enable()


def requests_in_memory() -> list[Request]:
    return [found for found in gc.get_objects() if type(found) is Request]


async def test_the_cost_is_told_to_whoever_asks(api: Api) -> None:
    query = "{ events(first: 10) { edges { cursor } } }"
    for _ in range(3):  # without a plan, and with one
        answer = (await api.post(query, **{"tracklayer-cost": "1"})).json()
        told = answer["extensions"]["cost"]
        assert (told["cost"], told["limit"]) == (11, 50_000)
        assert 0 < told["available"] <= 500_000
    assert "extensions" not in (await api.post(query)).json()


async def test_whoever_reads_for_long_keeps_nobody_else_waiting(api: Api, runtime: Runtime, merchant: Merchant) -> None:
    other = Api(api.client, new_merchant(runtime, name="Other").key)
    await other("{ merchant { name } }")
    with other_session(runtime.database_url) as session, session.cursor() as cursor:
        cursor.execute("LOCK TABLE alerts")  # what one of them reads now takes until it is let go
        slow = [asyncio.create_task(api.post("{ alerts { nodes { id } } }")) for _ in range(40)]
        await asyncio.sleep(0.2)
        for n in range(5):
            assert len((await other("{ merchant { name } events { nodes { eventId } } }"))["events"]["nodes"]) == n
            assert (await other.ingest(draft(f"order_{n}")))["outcome"] == "ACCEPTED"
        fresh = Api(api.client, new_merchant(runtime, name="Fresh").key)
        assert (await fresh("{ merchant { name } }"))["merchant"]["name"] == "Fresh"
        assert not any(task.done() for task in slow)
        session.rollback()
    assert {answer.status_code for answer in await asyncio.gather(*slow)} == {200}


async def test_whoever_leaves_gives_his_place_back_when_the_work_is_done(runtime: Runtime) -> None:
    """A caller that goes away does not end what its thread is doing."""

    def nap(merchant_id: int) -> None:
        rows("SELECT pg_sleep(0.3)")

    def at_work() -> int:
        found = rows("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%%' AND state = 'active'")
        return int(found[0][0])

    for _ in range(40):
        leaving = asyncio.create_task(run_for_merchant(nap, 1))
        await asyncio.sleep(0.01)
        leaving.cancel()
    assert await run_in_db_thread(at_work) <= PLACES_OF_ONE
    await run_for_merchant(lambda merchant_id: None, 1)


async def test_a_large_input_is_not_worked_through_for_every_alias(api: Api) -> None:
    lines = [{"id": str(n), "quantity": 1, "item_price": 1} for n in range(6000)]
    event = camel(draft(custom_data={"value": 1, "currency": "USD", "contents": lines}))
    for one, kind in (
        ("preview(input: $i, platform: META) { wouldSend }", "query"),
        ("ingestEvent(input: $i) { outcome }", "mutation"),
    ):
        aliases = " ".join(f"a{n}: {one}" for n in range(30))
        refused = (await api.post(f"{kind}($i: IngestEventInput!) {{ {aliases} }}", {"i": event})).json()
        assert refused["errors"][0]["extensions"]["code"] == "TOO_COSTLY"
        answer = (await api.post(f"{kind}($i: IngestEventInput!) {{ a: {one} }}", {"i": event})).json()
        assert "errors" not in answer


@pytest.mark.parametrize("filler", ["#" + "x" * MAX_TEXT, "," * MAX_TEXT, "\n" * MAX_TEXT, " #" * (MAX_TEXT // 2)])
async def test_a_text_that_is_longer_than_any_may_be_is_not_read(api: Api, filler: str) -> None:
    """With plans and by the view: what is no token (a comment, a comma) would be read without end."""
    # Read, it would be no GraphQL: that is not noticed.
    body: dict[str, Any] = {"query": "?" + filler, "variables": {}}
    headers = {"authorization": f"Bearer {api.key}"}
    answers = [
        await api.client.post("/graphql", json=body, headers=headers),
        await api.client.post("/graphql", json={**body, "extensions": {}}, headers=headers),
    ]
    for answer in answers:
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["extensions"]) == (413, {"code": "TOO_LARGE"})
        assert error["message"].startswith("A document may have 65,536 characters")


async def test_a_text_as_long_as_it_may_be_is_read_and_variables_may_be_longer(api: Api) -> None:
    query = INGEST.ljust(MAX_TEXT, ",")
    for n in range(3):
        event = camel(draft(f"order_{n}", custom_data={"search_string": "x" * 2 * MAX_TEXT}))
        assert (await api(query, input=event))["ingestEvent"]["outcome"] == "ACCEPTED"
