"""A body is read once, whoever asks what it says; and a long one that takes long to read, not on the event loop."""

from __future__ import annotations

import gc
import gzip
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import anyio.to_thread
import httpx
import orjson
import pytest

from tests.factories import INGEST_MANY, Api, Merchant, camel, draft
from tracklayer.runtime import Runtime
from tracklayer.schema.bodies import MAX_BODY
from tracklayer.schema.fair import LONG_BODY
from tracklayer.schema.limits import BYTES_OF_OBJECT
from tracklayer.schema.sent import MAX_FIELDS, MAX_PARTS, MAX_VALUES, Sent
from tracklayer.services.merchants import create_api_key

pytestmark = pytest.mark.anyio
_QUICK, _THOROUGH = "orjson", "json"


@contextmanager
def reads(size: int) -> Iterator[list[tuple[str, str]]]:
    """Which reader was called with a text of about so many bytes, and whether in this thread or in another."""
    found: list[tuple[str, str]] = []
    here = threading.get_ident()

    def seen(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and called is orjson.loads:
            reader = _QUICK
        elif event == "call" and frame.f_code is json.loads.__code__:
            reader = _THOROUGH
        else:
            return
        lengths = [len(value) for value in frame.f_locals.values() if isinstance(value, bytes | str)]
        if max(lengths, default=0) > size // 2:
            found.append((reader, "here" if threading.get_ident() == here else "there"))

    threading.setprofile(seen)
    sys.setprofile(seen)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


_ZEROS = "0," * LONG_BODY
_LONG_NUMBER = f'{{"query":"ingestEvents","variables":{{"a":[{_ZEROS}0],"n":1234567890123456789}},"operationName":1}}'
_OF_NO_OPERATION = f'{{"query":"{{ nothing }}","variables":{{"a":[{_ZEROS}0],"n":1234567890123456789}}}}'


@pytest.mark.parametrize(
    ("body", "media_type", "expected"),
    [
        pytest.param(_LONG_NUMBER, "application/json", "operationName must be text", id="a long number"),
        pytest.param(_OF_NO_OPERATION, "application/json", "Cannot query field", id="a long number, and a query"),
        pytest.param(_LONG_NUMBER, "x-application/json", "operationName must be text", id="for no plan"),
        pytest.param(_LONG_NUMBER[:-1], "application/json", "The body is not JSON", id="broken"),
        pytest.param(
            _OF_NO_OPERATION.replace('"n"', '"\\ud83d"'), "application/json", "Cannot query field", id="half a pair"
        ),
    ],
)
async def test_a_long_body_that_takes_long_is_read_once_and_not_on_the_event_loop(
    api: Api, body: str, media_type: str, expected: str
) -> None:
    headers = {
        "authorization": f"Bearer {api.key}",
        "content-type": media_type,
        "content-encoding": "gzip",
    }
    with reads(len(body)) as found:
        answer = await api.client.post("/graphql", content=gzip.compress(body.encode()), headers=headers)
    assert expected in answer.text
    assert found == [(_QUICK, "here"), (_THOROUGH, "there")]


@pytest.mark.parametrize("many", ["0," * MAX_VALUES, '{"a":1' + ',"b":2' * MAX_FIELDS + "}"], ids=["values", "fields"])
async def test_what_has_more_values_or_fields_than_anybody_sends_is_not_read(
    api: Api, runtime: Runtime, merchant: Merchant, many: str
) -> None:
    made = await anyio.to_thread.run_sync(
        lambda: create_api_key(runtime, merchant.merchant_id, "admin", ("ingest", "admin"))
    )
    assert isinstance(made, tuple)
    body = _LONG_NUMBER.replace(_ZEROS, f"{many},")
    with reads(len(body)) as found:
        answer = await api.client.post(
            "/graphql",
            content=body,
            headers={"authorization": f"Bearer {made[1]}", "content-type": "application/json"},
        )
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (413, "TOO_LARGE")
    assert found == []


async def test_a_short_body_that_the_view_answers_is_read_once(api: Api) -> None:
    body = '{"query": "{ nothing }", "operationName": 1, "n": 1234567890123456789}'
    with reads(len(body)) as found:
        await api.client.post(
            "/graphql",
            content=body,
            headers={"authorization": f"Bearer {api.key}", "content-type": "application/json"},
        )
    assert found == [(_QUICK, "here"), (_THOROUGH, "here")]


def test_a_long_body_is_read_without_a_look_at_what_is_made_of_it() -> None:
    body = b'{"a":[' + b"[]," * 100_000 + b"1]}"
    looks = list[str]()

    def looked(phase: str, info: dict[str, int]) -> None:
        looks.append(phase)

    gc.callbacks.append(looked)
    try:
        sent = Sent(body)
        sent.glance()
        seen = looks.count("start")
    finally:
        gc.callbacks.remove(looked)
    assert len(sent.known["a"]) == 100_001
    assert seen <= 1  # when it is let loose again
    assert gc.isenabled()


async def _send(api: Api, body: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {api.key}", "content-type": "application/json", "content-encoding": "gzip"}
    return await api.client.post("/graphql", content=gzip.compress(body.encode(), 1), headers=headers)


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["extensions"]["code"]


@pytest.mark.parametrize(
    "unused", ['"a":[' + "[]," * (MAX_PARTS // 2 - 10) + "1]", '"a":[' + "1," * (BYTES_OF_OBJECT * 20_000) + "1]"]
)
async def test_long_bodies_that_hold_what_nobody_reads_have_to_wait(
    api: Api, runtime: Runtime, merchant: Merchant, unused: str
) -> None:
    door = api.client._transport.app.door  # type: ignore[attr-defined]
    door.house.limits.now = lambda: 0.0
    made = await anyio.to_thread.run_sync(create_api_key, runtime, merchant.merchant_id, "shop", ("ingest",))
    assert isinstance(made, tuple)
    api.key = made[1]
    body = f'{{"query":"{{ __typename }}","variables":{{{unused}}}}}'
    answered = 0
    while (answer := await _send(api, body)).status_code == 200:
        answered += 1
        assert answered < 30
    assert _code(answer) == (429, "RATE_LIMITED")
    assert int(answer.headers["retry-after"]) >= 1
    short = await api.post("{ __typename }")
    assert short.status_code == 200


async def test_events_of_a_hundred_thousand_fields_have_to_wait(api: Api, runtime: Runtime, merchant: Merchant) -> None:
    api.client._transport.app.door.house.limits.now = lambda: 0.0  # type: ignore[attr-defined]
    fields = ",".join(f'"f{n}":1' for n in range(100_000))
    body = f'{{"query":{json.dumps(INGEST_MANY)},"variables":{{"inputs":[{{{fields}}}]}}}}'
    codes = [(await _send(api, body)).status_code for _ in range(24)]
    # Each counts as fifty thousand objects, and ten seconds' worth may be owed.
    assert codes == [200] * 11 + [429] * 13
    assert (await api.post("{ __typename }")).status_code == 200


async def test_more_bytes_of_an_admin_than_events_may_have_are_paid_for(api: Api, merchant: Merchant) -> None:
    limits = api.client._transport.app.door.house.limits  # type: ignore[attr-defined]
    limits.now = lambda: 0.0
    event = camel(draft(event_name="😀" + "a" * (2 * MAX_BODY)))
    body = orjson.dumps({"query": INGEST_MANY, "variables": {"inputs": [event]}})
    assert (await _send(api, body.decode())).json()["data"]["ingestEvents"]["rejected"] == 1
    paid = limits.bodies.burst - limits.bodies.left(merchant.merchant_id, 0.0)
    assert paid == (len(body) - MAX_BODY) // BYTES_OF_OBJECT


async def test_hundreds_of_events_with_a_hundred_lines_each_cost_nothing(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    limits = api.client._transport.app.door.house.limits  # type: ignore[attr-defined]
    lines = [{"id": f"s{n}", "quantity": 1} for n in range(100)]
    events = [camel(draft(f"order_{n}", custom_data={"contents": lines})) for n in range(400)]
    asked = {"query": INGEST_MANY, "variables": {"inputs": events}}
    made = await anyio.to_thread.run_sync(create_api_key, runtime, merchant.merchant_id, "shop", ("ingest",))
    assert isinstance(made, tuple)
    answer = await _send(Api(api.client, made[1]), orjson.dumps(asked).decode())
    assert answer.json()["data"] is not None, answer.text
    assert answer.json()["data"]["ingestEvents"]["accepted"] == 400
    assert limits.bodies.left(merchant.merchant_id, 0.0) == limits.bodies.burst


async def test_more_objects_and_lists_than_anybody_sends_are_read_for_an_admin_alone(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    made = await anyio.to_thread.run_sync(create_api_key, runtime, merchant.merchant_id, "shop", ("ingest",))
    assert isinstance(made, tuple)
    body = '{"query":"{ __typename }","variables":{"a":[' + "[]," * MAX_PARTS + "1]}}"
    assert (await _send(api, body)).status_code == 200
    with reads(len(body)) as found:
        assert _code(await _send(Api(api.client, made[1]), body)) == (413, "TOO_LARGE")
    assert found == []
