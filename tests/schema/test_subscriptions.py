"""Alerts told as they happen, over real sockets: in order, each once, whatever goes away in between."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.factories import Merchant, draft, new_merchant
from tests.live import LiveServer, WsClient, sse_events, ws_client
from tests.servers import wait_until
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.domain.ids import encode
from tracklayer.domain.wire import STREAM_BODY
from tracklayer.runtime import Runtime
from tracklayer.schema.bodies import ALL_BODIES
from tracklayer.schema.sent import STREAM_VALUES
from tracklayer.services.alert import settle_findings
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import create_api_key, revoke_api_key

ALERTS = """subscription($after: ID, $kinds: [AlertKind!]) {
  alerts(after: $after, kinds: $kinds) { id change kind platform state openedAt resolvedAt } }"""
PLATFORMS = ("meta", "tiktok", "ga4", "pinterest")
THEIRS = encode("AlertChange", 2, 1, "2026-11-20T15:00:01+00:00")
ENDLESS = encode("AlertChange", 1, 1, "9999-12-31T23:59:59-23:00")
NO_TIME = encode("AlertChange", 1, 1, "yesterday")


class Pipeline:
    """Opens and resolves alerts of a merchant, each change a second after the one before."""

    def __init__(self, runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
        self._runtime, self._merchant, self._clock = runtime, merchant, clock

    def opens(self, platform: str | None = "meta", kind: AlertKind = AlertKind.PLATFORM_DOWN) -> int:
        now = self._clock.move(timedelta(seconds=1))
        found = Finding(kind, platform, Severity.CRITICAL, "Trouble", "It is.", now)
        (alert_id,) = settle_findings(self._runtime, self._merchant.merchant_id, [found], [], now)
        return alert_id

    def resolves(self, platform: str | None = "meta", kind: AlertKind = AlertKind.PLATFORM_DOWN) -> int:
        for seconds in (61, 60):
            now = self._clock.move(timedelta(seconds=seconds))
            changed = settle_findings(self._runtime, self._merchant.merchant_id, [], [Subject(kind, platform)], now)
        (alert_id,) = changed
        return alert_id


@pytest.fixture
def pipeline(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> Pipeline:
    return Pipeline(runtime, merchant, clock)


@pytest.fixture
def server(runtime: Runtime) -> Iterator[LiveServer]:
    with LiveServer(runtime) as served:
        yield served


async def told(client: WsClient, count: int) -> list[tuple[str, str]]:
    """(platform, state) of the next changes."""
    found = [(await client.data())["alerts"] for _ in range(count)]
    return [(alert["platform"], alert["state"]) for alert in found]


async def nothing_more(client: WsClient) -> None:
    """The next thing the server says is the answer to this question."""
    await client.in_step()


async def test_an_alert_is_told_as_it_opens_and_as_it_resolves(
    server: LiveServer, merchant: Merchant, pipeline: Pipeline
) -> None:
    async with ws_client(server, merchant.key) as client:
        await client.subscribe(ALERTS)
        await asyncio.to_thread(server.wait_for_followers, 1)
        await asyncio.to_thread(pipeline.opens)
        opened = (await client.data())["alerts"]
        await asyncio.to_thread(pipeline.resolves)
        resolved = (await client.data())["alerts"]
    assert opened == {
        "id": opened["id"],
        "change": opened["change"],
        "kind": "PLATFORM_DOWN",
        "platform": "META",
        "state": "OPEN",
        "openedAt": "2026-11-20T15:00:01.000Z",
        "resolvedAt": None,
    }
    assert resolved == {
        **opened,
        "change": resolved["change"],
        "state": "RESOLVED",
        "resolvedAt": "2026-11-20T15:02:02.000Z",
    }
    assert resolved["change"] != opened["change"]


async def test_two_processes_tell_all_their_subscribers_over_both_protocols(
    server: LiveServer, runtime: Runtime, merchant: Merchant, pipeline: Pipeline
) -> None:
    other = new_merchant(runtime, name="Other")
    with LiveServer(runtime) as second:
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(ws_client(at, merchant.key)) for at in (server, server, second, second)
            ]
            stranger = await stack.enter_async_context(ws_client(second, other.key))
            for client in (*clients, stranger):
                await client.subscribe(ALERTS)
            stream = await stack.enter_async_context(sse_events(second, merchant.key, ALERTS))
            await asyncio.to_thread(server.wait_for_followers, 2)
            await asyncio.to_thread(second.wait_for_followers, 4)
            await asyncio.to_thread(pipeline.opens, "meta")
            await asyncio.to_thread(pipeline.opens, "tiktok")
            expected = [("META", "OPEN"), ("TIKTOK", "OPEN")]
            for client in clients:
                assert await told(client, 2) == expected
            streamed = [await anext(stream) for _ in range(2)]
            assert [event for event, _ in streamed] == ["next", "next"]
            alerts = [data["data"]["alerts"] for _, data in streamed]
            assert [(alert["platform"], alert["state"]) for alert in alerts] == expected
            await nothing_more(stranger)


async def test_after_an_alert_replays_what_was_missed_and_goes_on(
    server: LiveServer, merchant: Merchant, pipeline: Pipeline
) -> None:
    pipeline.opens("meta")
    async with ws_client(server, merchant.key) as client:
        await client.subscribe("subscription { alerts(after: null) { id } }")
        await asyncio.to_thread(server.wait_for_followers, 1)
        await asyncio.to_thread(pipeline.opens, "tiktok")
        last = (await client.data())["alerts"]["id"]
    for platform in ("ga4", "pinterest"):
        await asyncio.to_thread(pipeline.opens, platform)
    await asyncio.to_thread(pipeline.resolves, "tiktok")
    await asyncio.to_thread(pipeline.resolves, "ga4")
    async with ws_client(server, merchant.key) as client:
        await client.subscribe(ALERTS, after=last)
        assert await told(client, 4) == [
            ("GA4", "OPEN"),
            ("PINTEREST", "OPEN"),
            ("TIKTOK", "RESOLVED"),
            ("GA4", "RESOLVED"),
        ]
        await asyncio.to_thread(pipeline.resolves, "pinterest")
        assert await told(client, 1) == [("PINTEREST", "RESOLVED")]


async def test_after_a_change_continues_exactly_behind_it_however_long_ago(
    server: LiveServer, merchant: Merchant, pipeline: Pipeline, clock: FrozenClock
) -> None:
    """More changes than are kept in memory: the first pages come from the database."""
    start = pipeline.opens("meta")
    for _ in range(70):
        pipeline.opens("tiktok")
        pipeline.resolves("tiktok")
        clock.move(timedelta(minutes=11))
    assert start == 1
    with in_transaction():
        alert_ids = [row[0] for row in rows("SELECT alert_id FROM alert_changes ORDER BY change_id")]
    async with ws_client(server, merchant.key) as client:
        await client.subscribe(ALERTS, after="WyJBbGVydENoYW5nZSIsMSwwXQ")  # behind change 0: everything
        changes = [(await client.data())["alerts"] for _ in range(141)]
        assert [alert["state"] for alert in changes] == ["OPEN", *["OPEN", "RESOLVED"] * 70]
        await client.say("complete", id="1")
        await client.subscribe(ALERTS, id="2", after=changes[20]["change"])
        again = [(await client.data())["alerts"] for _ in range(120)]
        assert again == changes[21:]
        await nothing_more(client)
    assert len(alert_ids) == 141


async def test_only_the_kinds_that_were_asked_for(server: LiveServer, merchant: Merchant, pipeline: Pipeline) -> None:
    async with ws_client(server, merchant.key) as client:
        await client.subscribe(ALERTS, kinds=["TRACKING_STOPPED", "QUEUE_BACKLOG"])
        await asyncio.to_thread(server.wait_for_followers, 1)
        await asyncio.to_thread(pipeline.opens, "meta")
        await asyncio.to_thread(pipeline.opens, None, AlertKind.TRACKING_STOPPED)
        await asyncio.to_thread(pipeline.opens, "ga4", AlertKind.QUEUE_BACKLOG)
        assert await told(client, 2) == [(None, "OPEN"), ("GA4", "OPEN")]


async def test_the_deliveries_of_an_alert_are_read_for_each_event_anew(
    server: LiveServer, runtime: Runtime, merchant: Merchant, pipeline: Pipeline
) -> None:
    query = """subscription { alerts { state deliveries { edges { node { event { eventId } alerts { state } } } } } }"""
    async with ws_client(server, merchant.key) as client:
        await client.subscribe(query)
        await asyncio.to_thread(server.wait_for_followers, 1)
        ingest_events(runtime, merchant.holder, [draft("a")])
        await asyncio.to_thread(pipeline.opens)
        opened = (await client.data())["alerts"]
        ingest_events(runtime, merchant.holder, [draft("b")])
        await asyncio.to_thread(pipeline.resolves)
        resolved = (await client.data())["alerts"]
    node = {"event": {"eventId": "a"}, "alerts": [{"state": "OPEN"}]}
    assert opened["deliveries"]["edges"] == [{"node": node}]
    assert [edge["node"]["event"]["eventId"] for edge in resolved["deliveries"]["edges"]] == ["b", "a"]
    assert [edge["node"]["alerts"] for edge in resolved["deliveries"]["edges"]] == [[{"state": "RESOLVED"}]] * 2


def listening() -> list[int]:
    """The sessions that listen."""
    with in_transaction():
        return [row[0] for row in rows("SELECT pid FROM pg_stat_activity WHERE application_name = 'tracklayer listen'")]


async def test_a_lost_session_loses_and_repeats_nothing(
    server: LiveServer, merchant: Merchant, pipeline: Pipeline
) -> None:
    async with ws_client(server, merchant.key) as client:
        await client.subscribe(ALERTS)
        await asyncio.to_thread(server.wait_for_followers, 1)
        await asyncio.to_thread(pipeline.opens, "meta")
        assert await told(client, 1) == [("META", "OPEN")]
        for platform in ("tiktok", "ga4", "pinterest"):
            (session,) = listening()

            def kill_and_open(session: int = session, platform: str = platform) -> None:
                with in_transaction():
                    rows("SELECT pg_terminate_backend(%s)", (session,))
                pipeline.opens(platform)

            await asyncio.to_thread(kill_and_open)
            assert await told(client, 1) == [(platform.upper(), "OPEN")]
            await asyncio.to_thread(wait_until, lambda: len(listening()) == 1, "a new session to listen")
        await asyncio.to_thread(pipeline.resolves, "meta")
        assert await told(client, 1) == [("META", "RESOLVED")]
        await nothing_more(client)


def fails_over(left: int) -> None:
    """To a standby that has had so many alerts: it gives the numbers of the others, and of their changes, again."""
    with in_transaction():
        for table, number in (("alert_changes", "change_id"), ("alerts", "alert_id")):
            execute(f"DELETE FROM {table} WHERE {number} > %s", (left,))
            sequence = "pg_get_serial_sequence(%s, %s)"
            rows(f"SELECT setval({sequence}, greatest(%s, 1), %s)", (table, number, left, left > 0))


@pytest.mark.parametrize("left", [0, 1, 2])
@pytest.mark.parametrize("new", [("pinterest",), ("pinterest", "snapchat"), PLATFORMS[::-1]], ids=["1", "2", "4"])
async def test_after_a_fail_over_that_lost_changes_what_comes_with_their_numbers_is_told(
    server: LiveServer, merchant: Merchant, pipeline: Pipeline, clock: FrozenClock, left: int, new: tuple[str, ...]
) -> None:
    async with ws_client(server, merchant.key) as client, ws_client(server, merchant.key) as later:
        await client.subscribe(ALERTS)
        await asyncio.to_thread(server.wait_for_followers, 1)
        for platform in ("meta", "tiktok", "ga4"):
            clock.move(timedelta(minutes=2))
            await asyncio.to_thread(pipeline.opens, platform)
        heard = [(await client.data())["alerts"] for _ in range(3)]
        await asyncio.to_thread(fails_over, left)
        still_open = {"meta": 0, "tiktok": 1}
        opened = [platform for platform in new if still_open.get(platform, 2) >= left]
        for platform in opened:
            await asyncio.to_thread(pipeline.opens, platform)
        expected = [(platform.upper(), "OPEN") for platform in opened]
        assert await told(client, len(opened)) == expected
        await nothing_more(client)
        for number, change in enumerate(heard):
            await later.subscribe(ALERTS, id=str(number), after=change["change"])
            missed = [(one["platform"], "OPEN") for one in heard[number + 1 : left]]
            assert await told(later, len(missed) + len(opened)) == missed + expected
            await nothing_more(later)
            await later.say("complete", id=str(number))


async def test_behind_a_change_that_was_lost_what_came_in_the_minute_before_it_is_told_once_more(
    server: LiveServer, merchant: Merchant, pipeline: Pipeline, clock: FrozenClock
) -> None:
    """The clock of the server that counts now may be behind."""
    pipeline.opens("meta")
    clock.move(timedelta(seconds=59))
    pipeline.opens("tiktok")
    pipeline.opens("ga4")
    async with ws_client(server, merchant.key) as client:
        await client.subscribe(ALERTS, after="WyJBbGVydENoYW5nZSIsMSwwXQ")
        last = [(await client.data())["alerts"]["change"] for _ in range(3)][-1]
        await asyncio.to_thread(fails_over, 2)
        await asyncio.to_thread(clock.move, timedelta(seconds=-30))
        await asyncio.to_thread(pipeline.opens, "pinterest")
        assert await told(client, 2) == [("TIKTOK", "OPEN"), ("PINTEREST", "OPEN")]
        await nothing_more(client)
    async with ws_client(server, merchant.key) as client:
        await client.subscribe(ALERTS, after=last)
        assert await told(client, 2) == [("TIKTOK", "OPEN"), ("PINTEREST", "OPEN")]
        await nothing_more(client)


async def test_a_change_as_versions_before_named_it_is_a_place_to_continue(
    server: LiveServer, merchant: Merchant, pipeline: Pipeline
) -> None:
    for platform in ("meta", "tiktok", "ga4"):
        pipeline.opens(platform)
    async with ws_client(server, merchant.key) as client:
        await client.subscribe(ALERTS, after=encode("AlertChange", merchant.merchant_id, 1))
        assert await told(client, 2) == [("TIKTOK", "OPEN"), ("GA4", "OPEN")]
        await nothing_more(client)
        await client.say("complete", id="1")
        await asyncio.to_thread(fails_over, 1)
        await client.subscribe(ALERTS, id="2", after=encode("AlertChange", merchant.merchant_id, 3))
        assert await told(client, 1) == [("META", "OPEN")]
        await nothing_more(client)


async def test_many_subscribers_cost_a_statement_a_change_and_not_one_each(
    server: LiveServer, merchant: Merchant, pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(ws_client(server, merchant.key)) for _ in range(20)]
        for client in clients:
            for n in range(10):
                await client.subscribe(ALERTS, id=str(n))
        await asyncio.to_thread(server.wait_for_followers, 200)
        with caplog.at_level("DEBUG", logger="peewee"):
            await asyncio.to_thread(pipeline.opens)
            for client in clients:
                assert await told(client, 10) == [("META", "OPEN")] * 10
        reads = [record for record in caplog.records if "CROSS JOIN LATERAL" in record.getMessage()]
    assert len(reads) == 1


async def test_a_client_that_never_reads_holds_nobody_up_and_no_memory(
    server: LiveServer, runtime: Runtime, merchant: Merchant, pipeline: Pipeline, clock: FrozenClock
) -> None:
    details = {"figures": "x" * 20_000}
    query = "subscription { alerts { platform state details } }"

    def changes(count: int) -> None:
        for _ in range(count):
            now = clock.move(timedelta(minutes=11))
            found = Finding(AlertKind.PLATFORM_DOWN, "meta", Severity.CRITICAL, "Trouble", "It is.", now, details)
            settle_findings(runtime, merchant.merchant_id, [found], [], now)
            pipeline.resolves()

    async with ws_client(server, merchant.key) as reader, ws_client(server, merchant.key) as sleeper:
        sleeper.socket.transport.pause_reading()
        for n in range(5):
            await sleeper.subscribe(query, id=str(n))
        await reader.subscribe(query)
        await asyncio.to_thread(server.wait_for_followers, 6)
        for _ in range(10):
            await asyncio.to_thread(changes, 10)
            assert await told(reader, 20) == [("META", "OPEN"), ("META", "RESOLVED")] * 10
        # 200 changes of 20 kB to five subscriptions are 20 MB; the server keeps a buffer's worth of them.
        assert server.unsent_bytes() < 1_000_000
        sleeper.socket.transport.resume_reading()
        seen: dict[str, int] = {}
        while sum(seen.values()) < 1000:
            message = await sleeper.next()
            seen[message["id"]] = seen.get(message["id"], 0) + 1
        assert seen == {str(n): 200 for n in range(5)}


def _unused(values: int) -> str:
    """A subscription with a variable that it does not use."""
    payload = f'{{"query": "subscription {{ alerts {{ id }} }}", "variables": {{"z": [{"[]," * values}0]}}}}'
    assert len(payload) < STREAM_BODY - 100
    return payload


async def test_subscriptions_take_room_as_long_as_they_are_open_and_no_more_than_a_merchants_share(
    server: LiveServer, merchant: Merchant
) -> None:
    large = _unused(STREAM_VALUES // 2 - 10)
    async with ws_client(server, merchant.key) as client:
        codes = list[str]()
        for number in range(100):
            await client.socket.send(f'{{"type": "subscribe", "id": "{number}", "payload": {large}}}')
        await client.say("ping")
        while (answer := await client.next())["type"] != "pong":
            codes += [error["extensions"]["code"] for error in answer["payload"]]
        assert 50 < len(codes) < 100
        assert set(codes) == {"OVERLOADED"}
        assert ALL_BODIES // 4 < server.door.bodies.held <= ALL_BODIES // 2
        await client.say("complete", id="0")
        await client.subscribe(ALERTS, id="usual")  # there is room for it now
        await asyncio.to_thread(server.wait_for_followers, 100 - len(codes))
    await asyncio.to_thread(wait_until, lambda: server.door.bodies.held == 0, "the room to be given back")


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_an_event_stream_takes_room_as_long_as_it_is_open(
    server: LiveServer, merchant: Merchant, method: str
) -> None:
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {merchant.key}"}
    asked: dict[str, Any] = json.loads(_unused(3000))
    given: dict[str, Any] = {"json": asked}
    if method == "GET":
        given = {
            "params": {"query": asked["query"], "variables": json.dumps(asked["variables"], separators=(",", ":"))}
        }
    async with httpx.AsyncClient() as client, client.stream(method, server.http, headers=headers, **given) as answer:
        assert answer.status_code == 200
        assert server.door.bodies.held > 3000 * 2 * 100
    await asyncio.to_thread(wait_until, lambda: server.door.bodies.held == 0, "the room to be given back")


async def test_more_values_than_anybody_sends_are_refused_on_what_stays_open(
    server: LiveServer, merchant: Merchant
) -> None:
    many = _unused(STREAM_VALUES // 2 + 10)
    async with ws_client(server, merchant.key) as client:
        await client.socket.send(f'{{"type": "subscribe", "id": "1", "payload": {many}}}')
        answer = await client.next()
        assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "TOO_LARGE")
        await client.in_step()
    headers = {
        "accept": "text/event-stream",
        "authorization": f"Bearer {merchant.key}",
        "content-type": "application/json",
    }
    async with httpx.AsyncClient() as http:
        refused = await http.post(server.http, content=many, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (413, "TOO_LARGE")


async def test_of_a_message_that_was_answered_a_socket_keeps_nothing(server: LiveServer, merchant: Merchant) -> None:
    async with ws_client(server, None, init=False) as client:
        payload = {"authorization": f"Bearer {merchant.key}", "more": [0] * 4321}
        await client.say("connection_init", payload=payload)
        assert (await client.next())["type"] == "connection_ack"
        await client.subscribe("{ nothing }", a=[0] * 4321)
        assert (await client.next())["type"] == "error"
        await client.say("ping", payload={"more": [0] * 4321})
        assert (await client.next())["type"] == "pong"

        def kept() -> int:
            return sum(type(one) is list and len(one) == 4321 for one in gc.get_objects())

        del payload
        await asyncio.to_thread(wait_until, lambda: gc.collect() is not None and kept() == 0, "it to be forgotten")


async def test_a_revoked_key_ends_its_streams_and_no_other(
    runtime: Runtime, merchant: Merchant, pipeline: Pipeline
) -> None:
    made = create_api_key(runtime, merchant.merchant_id, "short-lived", ["read"])
    assert isinstance(made, tuple)
    row, key = made
    with LiveServer(runtime, check_keys_seconds=0.2) as server:
        async with ws_client(server, key) as client, ws_client(server, merchant.key) as other:
            for each in (client, other):
                await each.subscribe(ALERTS)
            await asyncio.to_thread(server.wait_for_followers, 2)
            await asyncio.to_thread(revoke_api_key, runtime, merchant.merchant_id, row.key_id)
            refused = (await client.next())["payload"]
            assert [error["extensions"]["code"] for error in refused["errors"]] == ["UNAUTHENTICATED"]
            assert await client.next() == {"id": "1", "type": "complete"}
            await client.subscribe("{ merchant { name } }", id="2")
            refused = (await client.next())["payload"]
            assert [error["extensions"]["code"] for error in refused["errors"]] == ["UNAUTHENTICATED"]
            await asyncio.to_thread(pipeline.opens)
            assert await told(other, 1) == [("META", "OPEN")]


@pytest.mark.parametrize("payload", [{}, None, {"authorization": "Bearer tl_wrong"}, {"authorization": 7}])
async def test_without_a_good_key_the_socket_closes_with_4403(server: LiveServer, payload: Any) -> None:
    async with ws_client(server, None, init=False) as client:
        await client.say("connection_init", **({"payload": payload} if payload is not None else {}))
        assert await client.closing_code() == 4403


async def test_the_key_may_come_in_a_header(server: LiveServer, merchant: Merchant) -> None:
    headers = {"authorization": f"Bearer {merchant.key}"}
    async with ws_client(server, None, additional_headers=headers) as client:
        await client.subscribe("{ merchant { name } }")
        assert await client.data() == {"merchant": {"name": "Shop"}}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param(["not json"], 4400, id="not JSON"),
        pytest.param(["[]"], 4400, id="not an object"),
        pytest.param(['{"type": "dance"}'], 4400, id="no such message"),
        pytest.param(['{"type": "subscribe", "id": [], "payload": {"query": "{x}"}}'], 4400, id="an id that is none"),
        pytest.param(['{"type": "subscribe", "id": "1", "payload": 3}'], 4400, id="a payload that is none"),
        pytest.param([b"\x00"], 4400, id="binary"),
        pytest.param(['{"type": "connection_init"}'], 4429, id="a second connection_init"),
        pytest.param(
            ['{"type": "subscribe", "id": "1", "payload": {"query": "subscription { alerts { id } }"}}'] * 2,
            4409,
            id="an id that is taken",
        ),
    ],
)
async def test_who_breaks_the_protocol_is_told_by_the_closing_code(
    server: LiveServer, merchant: Merchant, said: list[str | bytes], code: int
) -> None:
    async with ws_client(server, merchant.key) as client:
        for text in said:
            await client.socket.send(text)
        assert await client.closing_code() == code


async def test_before_the_acknowledgement_nothing_is_answered(server: LiveServer) -> None:
    async with ws_client(server, None, init=False) as client:
        await client.subscribe("{ __typename }")
        assert await client.closing_code() == 4401


async def test_who_says_nothing_is_closed_with_4408(runtime: Runtime) -> None:
    with LiveServer(runtime, init_timeout=timedelta(milliseconds=50)) as server:
        async with ws_client(server, None, init=False) as client:
            assert await client.closing_code() == 4408


@pytest.mark.parametrize(
    ("query", "variables", "message"),
    [
        pytest.param("subscription { alerts { zzz } }", {}, "Cannot query field 'zzz' on type 'Alert'.", id="field"),
        pytest.param("subscription {", {}, "Syntax Error: Expected Name, found <EOF>.", id="syntax"),
        pytest.param(
            ALERTS,
            {"kinds": ["canary@example.com"]},
            "Variable '$kinds' has invalid value at [0]: This value does not exist in 'AlertKind' enum, which has "
            f"{', '.join(kind.name for kind in AlertKind)}.",
            id="a value that is not quoted",
        ),
        pytest.param(
            ALERTS,
            {"after": "nonsense"},
            "after is not the id of an alert of yours, nor a change that was received.",
            id="after",
        ),
    ],
)
async def test_what_is_wrong_is_an_error_and_the_socket_stays(
    server: LiveServer, merchant: Merchant, query: str, variables: dict[str, Any], message: str
) -> None:
    async with ws_client(server, merchant.key) as client:
        await client.subscribe(query, **variables)
        answer = await client.next()
        errors = answer["payload"] if answer["type"] == "error" else answer["payload"]["errors"]
        assert [error["message"] for error in errors] == [message]
        assert "canary" not in str(answer)
        if answer["type"] == "next":
            assert (await client.next())["type"] == "complete"
        await client.in_step()


async def test_an_alert_of_somebody_else_is_no_place_to_continue(
    server: LiveServer, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    other = new_merchant(runtime, name="Other")
    assert Pipeline(runtime, other, clock).opens() == 1
    async with ws_client(server, merchant.key) as client:
        for after in (
            "WyJBbGVydCIsMiwxXQ",
            "WyJBbGVydCIsMSwxXQ",
            "WyJBbGVydENoYW5nZSIsMiwwXQ",
            THEIRS,
            ENDLESS,
            NO_TIME,
        ):
            await client.subscribe(ALERTS, after=after)
            answer = await client.next()
            assert [error["extensions"]["code"] for error in answer["payload"]["errors"]] == ["BAD_USER_INPUT"]
            assert (await client.next())["type"] == "complete"


async def test_a_key_for_ingest_alone_may_not_subscribe(
    server: LiveServer, runtime: Runtime, merchant: Merchant
) -> None:
    made = create_api_key(runtime, merchant.merchant_id, "snippet", ["ingest"])
    assert isinstance(made, tuple)
    async with ws_client(server, made[1]) as client:
        await client.subscribe(ALERTS)
        answer = await client.next()
        assert [error["extensions"]["code"] for error in answer["payload"]["errors"]] == ["FORBIDDEN"]


@pytest.mark.parametrize("key", [None, "tl_wrong"])
async def test_an_event_stream_without_a_good_key_does_not_begin(server: LiveServer, key: str | None) -> None:
    headers = {"accept": "text/event-stream", **({"authorization": f"Bearer {key}"} if key else {})}
    async with httpx.AsyncClient() as client:
        answer = await client.post(server.http, json={"query": ALERTS}, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["UNAUTHENTICATED"]


async def test_a_subscription_over_plain_http_is_told_where_to_go(server: LiveServer, merchant: Merchant) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            server.http, json={"query": ALERTS}, headers={"authorization": f"Bearer {merchant.key}"}
        )
    assert answer.status_code == 400
    assert "text/event-stream" in answer.text


async def test_when_the_process_ends_streams_end_so_that_clients_come_back(
    runtime: Runtime, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    with LiveServer(runtime) as server:
        async with ws_client(server, merchant.key) as client, sse_events(server, merchant.key, ALERTS) as stream:
            await client.subscribe(ALERTS)
            await asyncio.to_thread(server.wait_for_followers, 2)
            ending = asyncio.create_task(asyncio.to_thread(server.stop))
            with pytest.raises(StopAsyncIteration):  # no event "complete", which would mean: never again
                await anext(stream)
            assert await client.closing_code() == 1012
            await ending
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []
