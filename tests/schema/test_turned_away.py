"""Requests that are refused as a whole count for the merchant who sent them, and its alerts tell of them."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import anyio.to_thread
import httpx
import psycopg2
import pytest
from starlette.types import Message

from tests.factories import INGEST, INGEST_MANY, Api, Merchant, camel, draft, new_merchant
from tests.live import TEXT, LiveServer, frame, sse_events, ws_client
from tests.servers import wait_until
from tracklayer.app import build_app
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.wire import STREAM_BODY
from tracklayer.runtime import Runtime
from tracklayer.schema.bodies import MAX_BODY
from tracklayer.schema.fair import LONG_BODY
from tracklayer.services.merchants import create_api_key, revoke_api_key
from tracklayer.services.monitor import Watch, learn_baselines
from tracklayer.services.turned_away import write_turned_away

pytestmark = pytest.mark.anyio
ALIASES = 31


def _event(number: int) -> Any:
    return camel(draft(f"order_{number}"))


def _key(runtime: Runtime, merchant: Merchant, *scopes: str) -> tuple[int, str]:
    found = create_api_key(runtime, merchant.merchant_id, "shop", scopes)
    assert isinstance(found, tuple)
    row, key = found
    return row.key_id, key


def _counted(merchant: Merchant) -> list[tuple[str, str, int]]:
    with in_transaction():
        return [
            (row[0], row[1], int(row[2]))
            for row in rows(
                "SELECT code, field, sum(events) FROM rejections_counted WHERE merchant_id = %s GROUP BY 1, 2 ORDER BY 1",
                (merchant.merchant_id,),
            )
        ]


def _refused(merchant: Merchant) -> int:
    with in_transaction():
        [(found,)] = rows(
            "SELECT coalesce(sum(rejected), 0)::int FROM minutes WHERE merchant_id = %s", (merchant.merchant_id,)
        )
    return int(found)


async def _aliases(api: Api, number: int) -> None:
    names = [f"a{n}" for n in range(ALIASES)]
    declared = ", ".join(f"${name}: IngestEventInput!" for name in names)
    calls = " ".join(f"{name}: ingestEvent(input: ${name}) {{ outcome }}" for name in names)
    await api.post(f"mutation({declared}) {{ {calls} }}", {name: _event(number) for name in names})


async def _literals(api: Api, number: int) -> None:
    await api.post(f'mutation {{ ingestEvent(input: {{eventId: "order_{number}", currency: USD}}) {{ outcome }} }}')


async def _unknown(api: Api, number: int) -> None:
    await api.post(INGEST.replace("outcome", "outcome userError { field }"), {"input": _event(number)})


async def _without_variable(api: Api, number: int) -> None:
    await api.post(INGEST, {"i": _event(number)})


async def _too_many(api: Api, number: int) -> None:
    await api.post(INGEST_MANY, {"inputs": [_event(number * 2000 + n) for n in range(1001)]})


async def _no_json(api: Api, number: int) -> None:
    await _raw(api, f'{{"query": "mutation {{ ingestEvent }}", "number": {number},}}', "application/json")


async def _text(api: Api, number: int) -> None:
    await _raw(api, json.dumps({"query": INGEST, "variables": {"input": _event(number)}}), "text/plain")


async def _too_large(api: Api, number: int) -> None:
    await _raw(api, " " * (MAX_BODY + 1), "application/json")


async def _raw(api: Api, body: str, media_type: str) -> None:
    headers = {"authorization": f"Bearer {api.key}", "content-type": media_type}
    await api.client.post("/graphql", content=body, headers=headers)


@pytest.mark.parametrize(
    ("send", "scopes", "code", "events"),
    [
        pytest.param(_aliases, ["ingest"], "TOO_MANY_ALIASES", ALIASES, id="aliases"),
        pytest.param(_literals, ["ingest"], "GRAPHQL_VALIDATION_FAILED", 1, id="literals"),
        pytest.param(_unknown, ["ingest"], "GRAPHQL_VALIDATION_FAILED", 1, id="unknown field asked for"),
        pytest.param(_without_variable, ["ingest"], "BAD_USER_INPUT", 1, id="no variable"),
        pytest.param(_too_many, ["ingest"], "BAD_USER_INPUT", 1000, id="1001 in a call"),
        pytest.param(_no_json, ["ingest"], "BAD_REQUEST", 1, id="broken JSON"),
        pytest.param(_text, ["ingest"], "BAD_REQUEST", 1, id="media type"),
        pytest.param(_too_large, ["ingest"], "TOO_LARGE", 1, id="413"),
        pytest.param(
            lambda api, n: api.post(INGEST, {"input": _event(n)}), ["read"], "FORBIDDEN", 1, id="key that only reads"
        ),
        pytest.param(
            lambda api, n: api.post(INGEST_MANY, {"inputs": [_event(n), _event(n + 100)]}),
            ["read"],
            "FORBIDDEN",
            1,
            id="list of a key that only reads",
        ),
    ],
)
async def test_events_refused_with_their_request_are_told(
    api: Api,
    runtime: Runtime,
    clock: FrozenClock,
    merchant: Merchant,
    send: Callable[[Api, int], Awaitable[Any]],
    scopes: list[str],
    code: str,
    events: int,
) -> None:
    _, api.key = await anyio.to_thread.run_sync(lambda: _key(runtime, merchant, *scopes))
    for number in range(20):
        await send(api, number)
    await anyio.to_thread.run_sync(write_turned_away, runtime)
    assert _counted(merchant) == [(code, "request", 20 * events)]
    assert _refused(merchant) == 20 * events
    clock.move(timedelta(seconds=15))
    await anyio.to_thread.run_sync(Watch(runtime).look)
    with in_transaction():
        [(kind, message)] = rows("SELECT kind, message FROM alerts WHERE merchant_id = %s", (merchant.merchant_id,))
    assert kind == "events_rejected"
    assert f"must correct the requests ({code}) now" in message
    assert "wrong fields" not in message


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET"])
async def test_events_that_come_by_a_method_that_takes_none_in_count(
    api: Api, runtime: Runtime, merchant: Merchant, method: str, accept: str
) -> None:
    sent = {"query": INGEST_MANY, "variables": {"inputs": [_event(1), _event(2)]}}
    headers = {"authorization": f"Bearer {api.key}", "accept": accept}
    if method == "GET":
        asked = {"query": INGEST_MANY, "variables": json.dumps(sent["variables"])}
        answer = await api.client.get("/graphql", params=asked, headers=headers)
        assert "A mutation is sent with POST: GET changes nothing." in answer.text
    else:
        answer = await api.client.request(method, "/graphql", json=sent, headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.is_error or accept != "*/*"
    assert '"extensions":{"code":"BAD_REQUEST"}' in answer.text
    await api.client.request(method, "/graphql", json=sent)  # a stranger's
    await api.client.get("/graphql", params={"query": "{ nothing }"}, headers=headers)  # brings none
    await anyio.to_thread.run_sync(write_turned_away, runtime)
    assert _counted(merchant) == [("BAD_REQUEST", "request", 2)]
    with in_transaction():
        assert rows("SELECT event_id FROM events") == []


@pytest.mark.parametrize("is_revoked", [False, True])
@pytest.mark.parametrize("place", ["body", "address"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_events_in_a_body_or_an_address_count_by_whatever_method_they_come(
    api: Api, runtime: Runtime, merchant: Merchant, method: str, place: str, is_revoked: bool
) -> None:
    key_id, key = await anyio.to_thread.run_sync(lambda: _key(runtime, merchant, "ingest", "read"))
    if is_revoked:
        await anyio.to_thread.run_sync(revoke_api_key, runtime, merchant.merchant_id, key_id)
    headers = {"authorization": f"Bearer {key}"}
    sent = {"query": INGEST_MANY, "variables": {"inputs": [_event(1), _event(2)]}}
    asked = {"query": INGEST_MANY, "variables": json.dumps(sent["variables"])}
    given: dict[str, Any] = {"json": sent} if place == "body" else {"params": asked}
    answer = await api.client.request(method, "/graphql", headers=headers, **given)
    assert "errors" in answer.json()
    reading = {"query": "{ merchant { name } }"}
    await api.client.get("/graphql", params=reading, headers=headers)
    await api.client.request("GET", "/graphql", json=reading, headers=headers)
    await anyio.to_thread.run_sync(write_turned_away, runtime)
    told = ("UNAUTHENTICATED", f"key {key_id}", 2) if is_revoked else ("BAD_REQUEST", "request", 2)
    assert _counted(merchant) == [told]


@pytest.mark.parametrize("door", ["socket", "stream"])
async def test_what_stays_open_counts_what_it_refuses_too(runtime: Runtime, merchant: Merchant, door: str) -> None:
    _, key = await anyio.to_thread.run_sync(lambda: _key(runtime, merchant, "read"))
    with LiveServer(runtime) as server:
        if door == "socket":
            async with ws_client(server, key) as client:
                for number in range(3):
                    await client.subscribe(INGEST_MANY, id=str(number), inputs=[_event(number), _event(number + 100)])
                    refused = await client.next()
                    assert refused["payload"]["errors"][0]["extensions"]["code"] == "FORBIDDEN"
                    assert (await client.next())["type"] == "complete"
                await client.subscribe(INGEST, id="wrong", i=_event(200))
                assert (await client.next())["payload"]["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
                await client.next()
                await client.subscribe("{ nothing }", id="reads")
                await client.next()
        else:
            for number in range(3):
                inputs = [_event(number), _event(number + 100)]
                async with sse_events(server, key, INGEST_MANY, inputs=inputs) as events:
                    assert [name async for name, _ in events] == ["next", "complete"]
            async with sse_events(server, key, INGEST, i=_event(200)) as events:
                assert [name async for name, _ in events] == ["next", "complete"]
    assert await anyio.to_thread.run_sync(_counted, merchant) == [
        ("BAD_USER_INPUT", "request", 1),
        ("FORBIDDEN", "request", 3),
    ]


def _said(number: object, payload: object) -> str:
    return json.dumps({"id": number, "type": "subscribe", "payload": payload})


@pytest.mark.parametrize(
    ("text", "closing", "why", "counted"),
    [
        pytest.param(
            _said("1", {"query": INGEST, "variables": {"input": {**_event(1), "value": float("nan")}}}),
            4400,
            "NaN and Infinity are no JSON. Leave the field out",
            ("BAD_REQUEST", "request", 1),
            id="NaN",
        ),
        pytest.param("{", 4400, "line 1, column 2", ("BAD_REQUEST", "request", 1), id="half of a message"),
        pytest.param(b"{}", 4400, "must be text", ("BAD_REQUEST", "request", 1), id="a binary message"),
        pytest.param(
            _said(1, {"query": INGEST_MANY, "variables": {"inputs": [_event(1), _event(2)]}}),
            4400,
            "The id of subscribe must be text.",
            ("BAD_REQUEST", "request", 2),
            id="a number as id",
        ),
        pytest.param(
            json.dumps({"id": "1", "type": "canary", "payload": {"query": INGEST, "variables": {"input": _event(1)}}}),
            4400,
            "The type of a message is one of connection_init, ping, pong, subscribe, complete.",
            ("BAD_REQUEST", "request", 1),
            id="a type that there is none of",
        ),
        pytest.param(
            _said("1", {"query": INGEST, "variables": {"input": {"x": "y" * STREAM_BODY}}}),
            1009,
            "",
            ("TOO_LARGE", "request", 1),
            id="too long",
        ),
    ],
)
async def test_events_in_a_message_that_closes_a_socket_count_too(
    runtime: Runtime, merchant: Merchant, text: str | bytes, closing: int, why: str, counted: tuple[str, str, int]
) -> None:
    _, key = await anyio.to_thread.run_sync(_key, runtime, merchant, "ingest")
    with LiveServer(runtime) as server:
        async with ws_client(server, key) as client:
            await client.socket.send(text)
            assert await client.closing_code() == closing
            reason = client.socket.close_reason or ""
            assert why in reason
            assert "canary" not in reason
    assert await anyio.to_thread.run_sync(_counted, merchant) == [counted]


IN_USE = {"query": "subscription { alerts { id } }"}
SECOND = json.dumps({"type": "connection_init"})


def _bringing(number: str, *events: int) -> str:
    return _said(number, {"query": INGEST_MANY, "variables": {"inputs": [_event(event) for event in events]}})


@pytest.mark.parametrize(
    ("said", "closing", "events"),
    [
        pytest.param([_said("1", IN_USE), _bringing("1", 1, 2)], 4409, 2, id="an id in use"),
        pytest.param([_said("1", IN_USE), _said("1", IN_USE)], 4409, 0, id="an id in use, and no event"),
        pytest.param([_said("1", IN_USE)] * 2 + [_bringing("2", 1, 2), "{"], 4409, 2, id="behind an id in use"),
        pytest.param([SECOND], 4429, 0, id="a second connection_init"),
        pytest.param([SECOND, _bringing("1", 1, 2), _said("2", IN_USE)], 4429, 2, id="behind a second connection_init"),
        pytest.param(["{", _bringing("1", 1, 2)], 4400, 3, id="behind what is no JSON"),
        pytest.param(
            [SECOND, _bringing("1", 1)[:-1], _said("2", "ingestEvent")], 4429, 2, id="what is unreadable behind"
        ),
    ],
)
@pytest.mark.parametrize("when", ["at once", "later"])
async def test_events_that_a_closed_socket_does_not_take_count(
    runtime: Runtime, merchant: Merchant, said: list[str], closing: int, events: int, when: str
) -> None:
    with LiveServer(runtime) as server:
        async with ws_client(server, merchant.key) as client:
            frames = [frame(TEXT, text.encode()) for text in said]
            for part in [b"".join(frames)] if when == "at once" else frames:
                client.socket.transport.write(part)
            assert await client.closing_code() == closing
    found = await anyio.to_thread.run_sync(_counted, merchant)
    assert found == ([("BAD_REQUEST", "request", events)] if events else [])


@pytest.mark.parametrize(
    ("behind", "closing", "counted"),
    [
        pytest.param(_bringing("1", 2), 4409, [("BAD_REQUEST", "request", 1)], id="an event under its id"),
        pytest.param(SECOND, 4429, [], id="a second connection_init"),
        pytest.param("{rubbish", 4400, [("BAD_REQUEST", "request", 1)], id="what is no JSON"),
    ],
)
async def test_an_event_before_what_closes_a_socket_is_stored_and_answered(
    runtime: Runtime, merchant: Merchant, behind: str, closing: int, counted: list[tuple[str, str, int]]
) -> None:
    with LiveServer(runtime) as server:
        async with ws_client(server, merchant.key) as client:
            said = (_said("1", {"query": INGEST, "variables": {"input": _event(1)}}), behind)
            client.socket.transport.write(b"".join(frame(TEXT, text.encode()) for text in said))
            assert (await client.data())["ingestEvent"]["outcome"] == "ACCEPTED"
            assert await client.next() == {"id": "1", "type": "complete"}
            assert await client.closing_code() == closing
    with in_transaction():
        assert rows("SELECT event_id FROM events") == [("order_1",)]
    assert await anyio.to_thread.run_sync(_counted, merchant) == counted


TOO_LONG = b"\x81\xff" + struct.pack(">Q", STREAM_BODY + 1) + bytes(4) + b"x" * (STREAM_BODY + 1)


@pytest.mark.parametrize(
    ("refused", "closing", "code"),
    [
        pytest.param(TOO_LONG, 1009, "TOO_LARGE", id="too long"),
        pytest.param(frame(TEXT, b"\xff\xfe"), 1007, "BAD_REQUEST", id="no UTF-8"),
        pytest.param(frame(3), 1002, "BAD_REQUEST", id="an opcode that there is none of"),
        pytest.param(frame(3, b"x" * 200), 1002, "BAD_REQUEST", id="one with a long frame"),
        pytest.param(frame(0x40 | TEXT, b"x" * 200), 1002, "BAD_REQUEST", id="a bit that means nothing"),
        pytest.param(b"\x81\x02{}", 1002, "BAD_REQUEST", id="no mask"),
        pytest.param(frame(0, b"{}"), 1002, "BAD_REQUEST", id="the end of nothing"),
        pytest.param(frame(TEXT, b"{", last=False) * 2, 1002, "BAD_REQUEST", id="a beginning in a message"),
    ],
)
@pytest.mark.parametrize("when", ["at once", "in turns"])
async def test_events_around_a_frame_that_is_refused_are_answered_or_counted(
    runtime: Runtime, merchant: Merchant, refused: bytes, closing: int, code: str, when: str
) -> None:
    before = [_said(f"{n}", {"query": INGEST, "variables": {"input": _event(n)}}) for n in (1, 2, 3)]
    frames = [frame(TEXT, text.encode()) for text in before]
    behind = [frame(TEXT, _bringing("4", 4, 5).encode()), frame(3), frame(TEXT, _bringing("5", 6).encode())]
    with LiveServer(runtime) as server:
        async with ws_client(server, merchant.key) as client:
            for part in [b"".join((*frames, refused, *behind))] if when == "at once" else [*frames, refused, *behind]:
                client.socket.transport.write(part)
                await asyncio.sleep(0)
            told = [await client.next() for _ in range(6)]
            assert sorted(one["id"] for one in told if one["type"] == "next") == ["1", "2", "3"]
            assert await client.closing_code() == closing
    with in_transaction():
        assert sorted(rows("SELECT event_id FROM events")) == [("order_1",), ("order_2",), ("order_3",)]
    counted = {code: 1}
    counted["BAD_REQUEST"] = counted.get("BAD_REQUEST", 0) + 2 + 1 + 1
    found = await anyio.to_thread.run_sync(_counted, merchant)
    assert found == sorted((name, "request", count) for name, count in counted.items())


CLOSE = frame(8, struct.pack(">H", 1000))


@pytest.mark.parametrize("leaves", ["closes", "closes its side", "breaks off"])
async def test_events_of_a_client_that_leaves_behind_them_are_taken_in_or_counted(
    runtime: Runtime, merchant: Merchant, leaves: str
) -> None:
    said = [_said(f"{n}", {"query": INGEST, "variables": {"input": _event(n)}}) for n in range(20)]
    said[10:10] = [json.dumps({"type": "ping"}), _said("read", {"query": "{ merchant { name } }"})]
    said.append(_said("odd", {"query": INGEST, "variables": [1]}))
    with LiveServer(runtime) as server:
        async with ws_client(server, merchant.key, close_timeout=1) as client:
            transport = client.socket.transport
            transport.write(b"".join(frame(TEXT, text.encode()) for text in said))
            if leaves == "closes":
                transport.write(CLOSE)
            elif leaves == "closes its side":
                transport.write_eof()
            else:
                transport.close()
            await client.closing_code()
    with in_transaction():
        assert rows("SELECT count(*) FROM events") == [(20,)]
    assert await anyio.to_thread.run_sync(_counted, merchant) == [("BAD_REQUEST", "request", 1)]


async def _leave_behind(server: LiveServer, merchant: Merchant, said: list[str]) -> int:
    """Says all of it and leaves; how many times the client heard that it is to send again."""
    async with ws_client(server, merchant.key, close_timeout=1) as client:
        client.socket.transport.write(b"".join(frame(TEXT, text.encode()) for text in said) + CLOSE)
        return sum([json.loads(text)["type"] == "error" async for text in client.socket])


async def test_events_whose_sender_has_left_before_it_is_told_to_send_them_again_count(
    runtime: Runtime, merchant: Merchant
) -> None:
    runtime.settings = replace(runtime.settings, read_cost_per_second=300)
    said = [_said(f"{n}", {"query": f"{INGEST} #{n}", "variables": {"input": _event(n)}}) for n in range(20)]
    with LiveServer(runtime) as server:
        server.door.house.limits.now = lambda: 0.0
        heard = await _leave_behind(server, merchant, said)
    with in_transaction():
        assert rows("SELECT count(*) FROM events") == [(4,)]  # that the budget pays for
    assert await anyio.to_thread.run_sync(_counted, merchant) == [("RATE_LIMITED", "request", 16 - heard)]


async def test_events_beyond_those_that_may_be_open_count_where_their_sender_has_left(
    runtime: Runtime, database: str, merchant: Merchant
) -> None:
    said = [_said(f"{n}", {"query": INGEST, "variables": {"input": _event(n)}}) for n in range(104)]
    counted = runtime.counting.turned_away
    with LiveServer(runtime) as server, closing(psycopg2.connect(database)) as held:
        held.cursor().execute("LOCK TABLE events")
        heard = await _leave_behind(server, merchant, said)
        await anyio.to_thread.run_sync(partial(wait_until, lambda: counted.has_any, "what has no room to count"))
        held.rollback()
    with in_transaction():
        [(stored,)] = rows("SELECT count(*) FROM events")
    found = await anyio.to_thread.run_sync(_counted, merchant)
    assert [code for code, _, _ in found] == ["RATE_LIMITED"]
    assert stored + heard + sum(count for _, _, count in found) == 104


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "# a subscription Renewal of ours",
        '"""subscription Renewal {"""',
        "subscription Other { alerts { change } }",
    ],
)
async def test_events_whose_operation_is_ended_by_their_client_are_taken_in_or_counted(
    runtime: Runtime, merchant: Merchant, comment: str
) -> None:
    end = json.dumps({"id": "same", "type": "complete"})
    asked = {"query": f"{comment}\n{INGEST.replace('mutation', 'mutation Renewal')}", "operationName": "Renewal"}
    said = [_said("same", {**asked, "variables": {"input": _event(n)}}) for n in range(20)]
    said.insert(10, _said("same", {**asked, "variables": {}}))
    with LiveServer(runtime) as server:
        async with ws_client(server, merchant.key) as client:
            client.socket.transport.write(b"".join(frame(TEXT, text.encode()) for one in said for text in (one, end)))
            await client.in_step()
    with in_transaction():
        assert rows("SELECT count(*) FROM events") == [(20,)]
    assert await anyio.to_thread.run_sync(_counted, merchant) == [("BAD_USER_INPUT", "request", 1)]


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (f"{INGEST.replace('mutation', 'mutation Send')} subscription Follow {{ alerts {{ change }} }}", "Follow"),
        (f"subscription , Follow {{ alerts {{ change }} }} {INGEST.replace('mutation', 'mutation Send')}", "Follow"),
        ("subscription { alerts { change } } # beside it: mutation ingestEvent", None),
        (
            "subscription mutation # of ingestEvent\n { alerts { ...F } } fragment F on Alert { change }",
            "mutation",
        ),
    ],
)
async def test_a_subscription_beside_what_takes_events_in_ends_with_its_operation(
    runtime: Runtime, merchant: Merchant, document: str, name: str | None
) -> None:
    with LiveServer(runtime) as server:
        async with ws_client(server, merchant.key) as client:
            await client.say("subscribe", id="1", payload={"query": document, "operationName": name})
            await anyio.to_thread.run_sync(server.wait_for_followers, 1)
            await client.say("complete", id="1")
            await anyio.to_thread.run_sync(server.wait_for_followers, 0)
    assert await anyio.to_thread.run_sync(_counted, merchant) == []


async def test_an_operation_without_a_query_is_an_error_and_the_socket_stays(
    runtime: Runtime, merchant: Merchant
) -> None:
    with LiveServer(runtime) as server:
        async with ws_client(server, merchant.key) as client:
            await client.socket.send(_said("1", {"query": ""}))
            answer = await client.next()
            assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "BAD_REQUEST")
            await client.in_step()


@pytest.mark.parametrize("payload", [{"variables": [_event(1)]}, {"operationName": 1}, {"query": ["ingestEvent"]}])
async def test_an_operation_of_a_wrong_shape_is_an_error_and_the_socket_stays(
    runtime: Runtime, merchant: Merchant, payload: Any
) -> None:
    [wrong] = payload
    with LiveServer(runtime) as server:
        async with ws_client(server, merchant.key) as client:
            await client.socket.send(_said("1", {"query": INGEST} | payload))
            answer = await client.next()
            [error] = answer["payload"]
            assert (answer["type"], answer["id"]) == ("error", "1")
            assert error["extensions"]["code"] == "BAD_REQUEST"
            assert error["message"].startswith(f"{wrong} must be ")
            await client.in_step()
            await client.socket.send(_said("1", {"query": INGEST, "variables": {"input": _event(1)}}))
            assert "errors" not in (await client.next())["payload"]
    assert await anyio.to_thread.run_sync(_counted, merchant) == [("BAD_REQUEST", "request", 1)]


def _deep(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param("12345678901234567890123", id="more than 64 bits"),
        pytest.param("1.12345678901234567890123", id="more than a double"),
        pytest.param("1e400", id="beyond a double"),
        pytest.param('"\\ud83d"', id="half of a surrogate pair"),
        pytest.param(_deep(300), id="deeper than orjson writes"),
        pytest.param(_deep(900), id="deeper than Python writes"),
    ],
)
@pytest.mark.parametrize("place", ["variables", "extensions"])
async def test_over_a_socket_what_is_refused_is_answered_and_counted_whatever_it_holds(
    runtime: Runtime, merchant: Merchant, odd: str, place: str
) -> None:
    call = json.dumps({"query": INGEST, "variables": {"i": _event(1)}})[:-1]
    payload = f'{call}, "extensions": {{"x": {odd}}}}}' if place == "extensions" else f'{call[:-1]}, "x": {odd}}}}}'
    many = json.dumps({"query": INGEST_MANY, "variables": {"inputs": [{}] * 1001}})[:-2] + f', "x": {odd}}}}}'
    with LiveServer(runtime) as server:
        async with ws_client(server, merchant.key) as client:
            for number, asked in enumerate((payload, many)):
                await client.socket.send(f'{{"type": "subscribe", "id": "{number}", "payload": {asked}}}')
                answer = await client.next()
                assert (answer["type"], answer["id"]) == ("next", str(number))
                assert answer["payload"]["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
                assert (await client.next()) == {"id": str(number), "type": "complete"}
    assert await anyio.to_thread.run_sync(_counted, merchant) == [("BAD_USER_INPUT", "request", 1001)]


async def test_key_that_was_revoked_is_told_with_when_and_which(
    api: Api, runtime: Runtime, clock: FrozenClock, merchant: Merchant
) -> None:
    def revoked() -> str:
        key_id, key = _key(runtime, merchant, "ingest")
        revoke_api_key(runtime, merchant.merchant_id, key_id)
        return key

    key = await anyio.to_thread.run_sync(revoked)
    at = clock.now()
    for number in range(20):
        answer = await api.post(INGEST, {"input": _event(number)}, key)
        assert answer.status_code == 401
    await anyio.to_thread.run_sync(write_turned_away, runtime)
    clock.move(timedelta(seconds=15))
    await anyio.to_thread.run_sync(Watch(runtime).look)
    with in_transaction():
        [(message,)] = rows("SELECT message FROM alerts WHERE merchant_id = %s", (merchant.merchant_id,))
    assert f"The key {key[:7]}" in message
    assert f"was revoked at {at:%Y-%m-%d %H:%M} UTC, and is still sent with." in message
    assert "Have the shop send with a valid key of scope INGEST" in message


def _revoked(runtime: Runtime, merchant: Merchant) -> tuple[int, str]:
    key_id, key = _key(runtime, merchant, "ingest", "read")
    revoke_api_key(runtime, merchant.merchant_id, key_id)
    return key_id, key


async def test_with_a_revoked_key_the_events_count_that_are_sent_and_no_reading(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    key_id, key = await anyio.to_thread.run_sync(_revoked, runtime, merchant)
    for _ in range(25):
        assert (await api.post("{ merchant { name } }", key=key)).status_code == 401
    await anyio.to_thread.run_sync(write_turned_away, runtime)
    assert _counted(merchant) == []
    batch = {"query": INGEST_MANY, "variables": {"inputs": [_event(number) for number in range(7)]}}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    packed = {**headers, "Content-Encoding": "gzip"}
    whole = json.dumps(batch).encode()
    none = json.dumps({**batch, "variables": {"inputs": []}}).encode()
    for content, given in (
        (none, headers),
        (whole, headers),
        (whole, headers),  # the same again
        (gzip.compress(json.dumps({**batch, "operationName": None}).encode()), packed),
        (gzip.compress(b"ingestEvent" + b" " * 3_000_000), packed),  # more than is read: an event at least
        (b"ingestEvent", packed),  # it cannot be read, and counts as the one before
    ):
        answer = await api.client.post("/graphql", content=content, headers=given)
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    await anyio.to_thread.run_sync(write_turned_away, runtime)
    assert _counted(merchant) == [("UNAUTHENTICATED", f"key {key_id}", 7 + 7 + 1 + 7)]
    assert _refused(merchant) == 7 + 7 + 7 + 1 + 7


async def test_events_over_a_socket_whose_key_was_revoked_count_under_the_key(
    runtime: Runtime, merchant: Merchant
) -> None:
    key_id, key = await anyio.to_thread.run_sync(_key, runtime, merchant, "ingest")
    with LiveServer(runtime) as server:
        async with ws_client(server, key) as client:
            await anyio.to_thread.run_sync(revoke_api_key, runtime, merchant.merchant_id, key_id)
            await client.subscribe(INGEST_MANY, inputs=[_event(number) for number in range(7)])
            refused = await client.next()
            assert refused["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await anyio.to_thread.run_sync(_counted, merchant) == [("UNAUTHENTICATED", f"key {key_id}", 7)]


@pytest.mark.parametrize("is_long", [False, True])
async def test_events_count_each_whose_key_is_revoked_while_their_body_comes(
    api: Api, runtime: Runtime, clock: FrozenClock, merchant: Merchant, is_long: bool
) -> None:
    key_id, key = await anyio.to_thread.run_sync(_key, runtime, merchant, "ingest")
    batch = {"query": INGEST_MANY, "variables": {"inputs": [_event(number) for number in range(7)]}}
    whole = json.dumps(batch).encode()
    if is_long:  # where short ones are about it waits for its turn in a line
        whole += b" " * LONG_BODY
        assert (await api.post(INGEST_MANY, {"inputs": [_event(8)]})).status_code == 200

    async def body() -> AsyncIterator[bytes]:
        yield whole[:100]
        await anyio.to_thread.run_sync(revoke_api_key, runtime, merchant.merchant_id, key_id)
        if not is_long:
            clock.move(timedelta(seconds=2))
        yield whole[100:]

    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    answer = await api.client.post("/graphql", content=body(), headers=headers)
    assert answer.status_code == 401
    await anyio.to_thread.run_sync(write_turned_away, runtime)
    assert _counted(merchant) == [("UNAUTHENTICATED", f"key {key_id}", 7)]


async def test_revoked_keys_whose_bodies_never_come_take_no_place_of_another_merchants(
    runtime: Runtime, merchant: Merchant
) -> None:
    """And they count an event each, whatever came with the same key before."""
    other = await anyio.to_thread.run_sync(lambda: new_merchant(runtime, name="Other"))
    key_id, key = await anyio.to_thread.run_sync(_revoked, runtime, merchant)
    other_id, others = await anyio.to_thread.run_sync(_revoked, runtime, other)
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {others}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )

    def begin(server: LiveServer) -> socket.socket:
        found = socket.create_connection(("127.0.0.1", server.port))
        found.sendall(head.encode())
        return found

    def batch(number: int) -> Any:
        return {"query": INGEST_MANY, "variables": {"inputs": [_event(number * 50 + n) for n in range(50)]}}

    with LiveServer(runtime) as server:
        async with httpx.AsyncClient(timeout=60) as client:
            await client.post(server.http, json=batch(0), headers={"Authorization": f"Bearer {others}"})
            begun = [await anyio.to_thread.run_sync(begin, server) for _ in range(24)]
            for number in range(8):
                answer = await client.post(server.http, json=batch(number), headers={"Authorization": f"Bearer {key}"})
                assert answer.status_code == 401
        for one in begun:
            one.close()
    assert await anyio.to_thread.run_sync(_counted, merchant) == [("UNAUTHENTICATED", f"key {key_id}", 8 * 50)]
    assert await anyio.to_thread.run_sync(_counted, other) == [("UNAUTHENTICATED", f"key {other_id}", 50 + 24)]


@pytest.mark.parametrize(("events", "requests"), [(200, 1), (1, 3)])
async def test_a_shop_that_sends_at_night_with_a_revoked_key_is_told_in_the_first_night(
    api: Api, runtime: Runtime, clock: FrozenClock, merchant: Merchant, events: int, requests: int
) -> None:
    night = clock.now()
    minutes = [night - day * timedelta(days=1) + n * timedelta(minutes=1) for day in range(1, 29) for n in range(3)]
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) "
            "SELECT %s, '', minute, 1, 200 FROM unnest(%s::timestamptz[]) AS minute",
            (merchant.merchant_id, minutes),
        )
    learn_baselines(runtime)
    watch = Watch(runtime)
    _, key = await anyio.to_thread.run_sync(_revoked, runtime, merchant)

    def told() -> list[tuple[str, str, bool]]:
        with in_transaction():
            return [
                (row[0], row[1], row[2])
                for row in rows("SELECT kind, severity, resolved_at IS NULL FROM alerts ORDER BY alert_id")
            ]

    for request in range(requests):
        assert told() == []
        inputs = [_event(request * events + number) for number in range(events)]
        assert (await api.post(INGEST_MANY, {"inputs": inputs}, key)).status_code == 401
        await anyio.to_thread.run_sync(write_turned_away, runtime)
        await anyio.to_thread.run_sync(watch.look)
        clock.move(timedelta(minutes=1))
    assert told() == [("events_rejected", "critical", True)]
    with in_transaction():
        [(details,)] = rows("SELECT details FROM alerts")
    assert details["refused"] == events * requests
    mended = [clock.now().replace(second=0) + n * timedelta(minutes=1) for n in range(6)]
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) "
            "SELECT %s, '', minute, 1, 200 FROM unnest(%s::timestamptz[]) AS minute",
            (merchant.merchant_id, mended),
        )
    for _ in range(4):
        clock.move(timedelta(minutes=50))
        await anyio.to_thread.run_sync(watch.look)
    assert [(kind, is_open) for kind, _, is_open in told()] == [("events_rejected", False)]


async def _nights(
    api: Api, runtime: Runtime, clock: FrozenClock, merchant: Merchant, nights: int, beside: int
) -> list[tuple[datetime, datetime | None, str, Any]]:
    """A hundred and twenty events in one minute of each night with a revoked key, and ``beside`` accepted ones an hour later each time.

    (opened, resolved, title when it was told, details) of each alert.
    """
    _, key = await anyio.to_thread.run_sync(_revoked, runtime, merchant)
    watch = Watch(runtime)

    def hours_pass() -> None:
        for _ in range(23):
            clock.move(timedelta(minutes=59))
            if beside:
                with in_transaction():
                    execute(
                        "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) VALUES (%s, '', %s, 1, %s)",
                        (merchant.merchant_id, clock.now().replace(second=0), beside),
                    )
            watch.look()
            clock.move(timedelta(minutes=1))
            watch.look()
        clock.move(timedelta(hours=1))

    for night in range(nights):
        inputs = [_event(night * 120 + number) for number in range(120)]
        assert (await api.post(INGEST_MANY, {"inputs": inputs}, key)).status_code == 401
        await anyio.to_thread.run_sync(write_turned_away, runtime)
        await anyio.to_thread.run_sync(watch.look)
        await anyio.to_thread.run_sync(hours_pass)
    with in_transaction():
        found = rows(
            "SELECT opened_at, resolved_at, coalesce(told ->> 'title', title), details FROM alerts "
            "WHERE kind = 'events_rejected' ORDER BY alert_id"
        )
    return [(row[0], row[1], row[2], row[3]) for row in found]


async def test_what_is_refused_for_days_is_counted_from_the_first_of_it(
    api: Api, runtime: Runtime, clock: FrozenClock, merchant: Merchant
) -> None:
    began = clock.now()
    [(opened, resolved, _, details)] = await _nights(api, runtime, clock, merchant, 4, 0)
    assert (opened, resolved) == (began, None)
    assert (details["refused"], details["arrived"]) == (480, 480)
    assert datetime.fromisoformat(details["since"]) == began.replace(second=0, microsecond=0)


async def test_a_batch_that_comes_each_night_with_a_revoked_key_is_one_alert_from_its_second_night_on(
    api: Api, runtime: Runtime, clock: FrozenClock, merchant: Merchant
) -> None:
    began = clock.now()
    first, second = await _nights(api, runtime, clock, merchant, 4, 20)
    assert (first[0], second[0]) == (began, began + timedelta(days=1))
    assert first[1] is not None
    assert second[1] is None
    assert second[2] == "All events with a revoked key are refused"
    assert second[3]["refused"] == 360
    watch = Watch(runtime)
    for _ in range(6):
        clock.move(timedelta(hours=1))
        await anyio.to_thread.run_sync(watch.look)
    with in_transaction():
        assert rows("SELECT count(*) FROM alerts WHERE kind = 'events_rejected' AND resolved_at IS NULL") == [(0,)]


async def test_what_is_nobodys_loss_counts_for_nobody(api: Api, runtime: Runtime, merchant: Merchant) -> None:
    other = await anyio.to_thread.run_sync(lambda: new_merchant(runtime, name="Other"))
    reader = (await anyio.to_thread.run_sync(lambda: _key(runtime, other, "read")))[1]
    for number in range(3):
        await api.client.post("/graphql", json={"query": INGEST, "variables": {"i": _event(number)}})  # a stranger
        await api.post("{ merchant { nam } }", key=reader)
        await api.post("{ merchant { nam } }")
        await api.post(INGEST, {"input": _event(number)}, "tl_" + "a" * 32)
        await _raw(Api(api.client, reader), "{", "application/json")
        await _raw(Api(api.client, reader), f'{{"query": "mutation {{ ingestEvents }}", {number}', "application/json")
    assert await anyio.to_thread.run_sync(write_turned_away, runtime) == 0
    assert _counted(merchant) == _counted(other) == []


async def test_what_wants_the_same_request_again_and_is_heard_counts_for_nobody(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    bodies = api.client._transport.app.door.bodies  # type: ignore[attr-defined]
    is_taken = bodies._room
    bodies.take(merchant.merchant_id, is_taken // 2)
    answer = await api.post(INGEST_MANY, {"inputs": [_event(n) for n in range(500)]})
    assert answer.json()["errors"][0]["extensions"]["code"] == "OVERLOADED"
    bodies.give_back(merchant.merchant_id, is_taken // 2)
    assert await anyio.to_thread.run_sync(write_turned_away, runtime) == 0
    assert _counted(merchant) == []


async def test_the_same_request_again_counts_as_a_cause_once_an_hour(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    for _ in range(5):
        await api.post(INGEST, {"i": _event(1)})
    await anyio.to_thread.run_sync(write_turned_away, runtime)
    assert _counted(merchant) == [("BAD_USER_INPUT", "request", 1)]
    assert _refused(merchant) == 5


async def test_process_writes_down_what_it_counted_before_it_ends(runtime: Runtime, merchant: Merchant) -> None:
    app = build_app(runtime, list[tuple[int, str]]().extend)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        await Api(client, merchant.key).post(INGEST, {"i": _event(1)})
    assert _counted(merchant) == [("BAD_USER_INPUT", "request", 1)]


@pytest.mark.parametrize(
    ("query", "variables", "events"),
    [
        ("ingestEvents", {"a": [0] * 5000}, 1),
        (INGEST_MANY + " x", {"inputs": [0] * 5000}, 1),
        (INGEST_MANY + " x", {"inputs": [0, {}, [{}], {}], "others": [{}] * 50}, 2),
        (
            "mutation($a: [I!]!) { b: ingestEvents(inputs: $a) { x } c: ingestEvents ( inputs : $a ) { x }",
            {"a": [{}] * 3},
            6,
        ),
        ("{" + " ".join(f"a{n}: ingestEvents(inputs: $a) {{ x }}" for n in range(9)), {"a": [{}] * 900}, 2000),
        ('mutation ingestEvents { a(b: "ingestEvents(inputs: $a)") # ingestEvents(inputs: $a)', {"a": [{}] * 3}, 0),
        ("{ ingestEvents(inputs: $a) { x }", [{}] * 3, 1),
        ("{ ingestEvents(inputs: $a) { x } ingestEvent(input: $b) { x }", {"a": []}, 1),
        ("{ ingestEvents(inputs: [ ]) { x } ingestEvent(input: $b) { x }", {}, 1),
        ("mutation { ingestEvents(inputs: [{a: {b: 1}}, {c: [{}, {}]}, {}]) { x } }", {}, 3),
        ("mutation { ingestEvents(inputs: [{a: {b: 1}}, {c: [{}, {}]}, {}]) { x }", {}, 3),
        (
            """mutation { # ingestEvent(input: {}), "
            ingestEvents(inputs: [{a: "}, {ingestEvent(input: {})"}, # {},
              {b: \"\"\"]) ingestEvent(input: {})\"\"\"}]) { ingestEvent: outcome } }""",
            {},
            2,
        ),
        ("mutation { ingestEvent: ping ingestEvents: ingestEvent(input: {ingestEvent: {}}) { x } }", {}, 1),
        ("mutation($a: [I!] = [{}, {}]) { ingestEvents(inputs: $a) { x } }", {}, 2),
        ("mutation { ingestEvents(inputs: [$a, $b]) { x } }", {"a": {}, "b": {}}, 2),
        (
            "mutation { ...A ...A } fragment A on M { ... { ingestEvent ...B } } fragment B on M { ingestEvent ...A }",
            {},
            4,
        ),
        ("mutation { ingestEvent(input: {}) { x } } fragment Unused on M { ingestEvents(inputs: [{}, {}]) }", {}, 1),
        ("mutation { ingestEvents(inputs: [" + "{a: 1} " * 900 + "]) { x } }", {}, 900),
        (
            "mutation {" + " ".join(f"a{n}: ingestEvents(inputs: [" + "{} " * 100 + "])" for n in range(50)) + "}",
            {},
            2000,
        ),
        ("mutation {" + "... {" * 240 + "ingestEvent" + "}" * 241, {}, 1),
    ],
)
@pytest.mark.parametrize("scopes", [("ingest",), ("read",)])
async def test_only_events_that_a_call_was_to_bring_are_counted(
    api: Api,
    runtime: Runtime,
    merchant: Merchant,
    query: str,
    variables: Any,
    events: int,
    scopes: tuple[str, ...],
) -> None:
    _, key = await anyio.to_thread.run_sync(lambda: _key(runtime, merchant, *scopes))
    await api.post(query, variables, key)
    await anyio.to_thread.run_sync(write_turned_away, runtime)
    assert _refused(merchant) == (events if scopes == ("ingest",) else min(events, 1))


async def test_of_many_revoked_keys_a_minute_the_first_are_told_by_name(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    def revoked() -> list[str]:
        made = [_key(runtime, merchant, "ingest") for _ in range(25)]
        for key_id, _ in made:
            revoke_api_key(runtime, merchant.merchant_id, key_id)
        return [key for _, key in made]

    keys = await anyio.to_thread.run_sync(revoked)
    for turn in range(2):
        for place, key in enumerate(keys):
            assert (await api.post(INGEST, {"input": _event(turn * 100 + place)}, key)).status_code == 401
        await anyio.to_thread.run_sync(write_turned_away, runtime)
    found = await anyio.to_thread.run_sync(_counted, merchant)
    assert sorted(events for _, _, events in found) == [*[2] * 20, 10]
    assert ("UNAUTHENTICATED", "request", 10) in found


@pytest.mark.parametrize("is_revoked", [False, True])
async def test_who_is_sending_a_body_when_the_process_ends_is_told_to_come_again(
    runtime: Runtime, merchant: Merchant, is_revoked: bool
) -> None:
    key = merchant.key
    if is_revoked:
        _, key = await anyio.to_thread.run_sync(_revoked, runtime, merchant)
    app = build_app(runtime, list[tuple[int, str]]().extend)
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "headers": headers,
        "query_string": b"",
    }
    scope |= {"client": ("127.0.0.1", 1), "http_version": "1.1", "scheme": "http", "server": ("x", 80)}
    is_awaited = asyncio.Event()
    said = list[Message]()

    async def receive() -> Message:
        is_awaited.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        said.append(message)

    async with app.router.lifespan_context(app):
        request = asyncio.create_task(app.door(scope, receive, send))
        await is_awaited.wait()
        app.state.closing.set()
        request.cancel()
        await request
    assert said[0]["status"] == 503
    assert b"Send it again" in said[1]["body"]
