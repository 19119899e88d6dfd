"""Bodies that are compressed, and media types in any spelling."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from graphql import GraphQLError

from tests.factories import INGEST_MANY, Api, Merchant, camel, draft
from tracklayer.db.connection import in_transaction, rows
from tracklayer.domain.wire import STRANGER_BODY
from tracklayer.runtime import Runtime
from tracklayer.schema import bodies
from tracklayer.schema.bodies import MAX_BODY, Bodies, DamagedBodyError
from tracklayer.services.merchants import create_api_key

GRAPHQL_JSON = "application/graphql-response+json"
QUERY = b'{"query": "{ platforms { title } }"}'


async def send(api: Api, body: bytes, key: str | None = None, **headers: str) -> httpx.Response:
    sent = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if key:
        sent["authorization"] = f"Bearer {key}"
    return await api.client.post("/graphql", content=body, headers=sent)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("gzip", lambda body: gzip.compress(body[:99]) + gzip.compress(b"") + gzip.compress(body[99:])),
    ],
)
async def test_a_compressed_batch_is_taken(
    api: Api, encoding: str, packed: Callable[[bytes], bytes], merchant: Merchant
) -> None:
    """One that is small goes by its plan, one that is long in a thread: both are inflated before."""
    for count in (1, 600):
        inputs = [camel(draft(f"order_{count}_{n}")) for n in range(count)]
        body = packed(orjson.dumps({"query": INGEST_MANY, "variables": {"inputs": inputs}}))
        answer = await send(api, body, api.key, content_encoding=encoding)
        assert answer.json()["data"]["ingestEvents"]["accepted"] == count, answer.text
    with in_transaction():
        assert rows("SELECT count(*) FROM events WHERE merchant_id = %s", (merchant.merchant_id,)) == [(601,)]


async def test_what_it_inflates_to_is_bounded_as_any_body_is(api: Api, runtime: Runtime, merchant: Merchant) -> None:
    made = create_api_key(runtime, merchant.merchant_id, "shop", ["ingest"])
    assert isinstance(made, tuple)
    for most, key in ((MAX_BODY, made[1]), (STRANGER_BODY, None)):
        bomb = gzip.compress(b" " * (200 * 1024 * 1024) if most == MAX_BODY else b" " * (most + 1))
        assert len(bomb) < most
        answer = await send(api, bomb, key, content_encoding="gzip")
        assert answer.status_code == 413
        assert f"{most:,} bytes" in answer.json()["errors"][0]["message"]
        fits = gzip.compress(QUERY + b" " * (most - len(QUERY)))
        assert (await send(api, fits, key, content_encoding="gzip")).status_code == 200


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip;q=1", "\x7f"])
async def test_any_other_encoding_is_refused_in_words(api: Api, encoding: str) -> None:
    answer = await send(api, QUERY, api.key, content_encoding=encoding)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, deflate")
    (error,) = answer.json()["errors"]
    assert error["message"].startswith("A body may be compressed with gzip or deflate")
    assert error["extensions"] == {"code": "BAD_REQUEST"}


async def test_encodings_in_two_lines_are_one_list(api: Api) -> None:
    for first, second, status in (("gzip", "gzip", 415), ("identity", "gzip", 415), ("gzip", None, 200)):
        headers = [("authorization", f"Bearer {api.key}"), ("content-type", "application/json")]
        headers += [("content-encoding", given) for given in (first, second) if given]
        answer = await api.client.post("/graphql", content=gzip.compress(QUERY), headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(QUERY, id="plain"),
        pytest.param(b"", id="empty"),
        pytest.param(gzip.compress(QUERY)[:-9], id="cut off"),
        pytest.param(gzip.compress(QUERY) + b"x", id="with more behind it"),
        pytest.param(gzip.compress(QUERY) + gzip.compress(b" ")[:-1], id="with a second member that is cut off"),
        pytest.param(gzip.compress(QUERY) + gzip.compress(b"") * bodies.MOST_MEMBERS, id="of too many members"),
        pytest.param(gzip.compress(QUERY)[:-8] + b"\0" * 8, id="with a wrong sum"),
    ],
)
async def test_a_body_that_is_not_what_it_says_is_refused_in_words(api: Api, body: bytes) -> None:
    answer = await send(api, body, api.key, content_encoding="gzip")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"].startswith("The body is not what its Content-Encoding says")


@pytest.mark.parametrize("size", [0, 1, bodies.SLICE - 1, bodies.SLICE, bodies.SLICE + 1, 5 * bodies.SLICE + 7])
@pytest.mark.parametrize("step", [1, 100, 1 << 30])
async def test_it_is_inflated_slice_by_slice_however_it_comes(size: int, step: int) -> None:
    content = bytes(n % 251 for n in range(1000)) * (size // 1000 + 1)
    content = content[:size]
    packed = gzip.compress(content)
    if len(packed) // step > 20_000:
        pytest.skip("no more of the same")
    pieces = [packed[start : start + step] for start in range(0, len(packed), step)]
    room = Bodies()

    async def receive() -> Any:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    with room.reader(1, 10 * bodies.SLICE, {b"content-encoding": b"gzip"}) as reader:
        assert await reader.read(receive) == content
        assert room.held == size
    assert room.held == 0


@pytest.mark.parametrize("step", [1, 7, 1 << 30])
async def test_a_gzip_body_of_many_members_is_all_of_them(step: int) -> None:
    parts = [b"%d" % n * (n % 7) for n in range(bodies.MOST_MEMBERS)]
    packed = b"".join(map(gzip.compress, parts))
    pieces = [packed[start : start + step] for start in range(0, len(packed), step)]

    async def receive() -> Any:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    with Bodies().reader(1, MAX_BODY, {b"content-encoding": b"gzip"}) as reader:
        assert await reader.read(receive) == b"".join(parts)


@pytest.mark.parametrize("behind", [zlib.compress(QUERY), gzip.compress(QUERY)], ids=["deflate", "gzip"])
async def test_what_is_deflated_has_one_member(api: Api, behind: bytes) -> None:
    answer = await send(api, zlib.compress(QUERY) + behind, api.key, content_encoding="deflate")
    assert answer.status_code == 400


async def test_others_have_their_turn_while_a_large_one_is_inflated() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def receive() -> Any:
        return {"type": "http.request", "body": gzip.compress(b" " * (20 * bodies.SLICE)), "more_body": False}

    other = asyncio.create_task(count())
    with Bodies().reader(1, 20 * bodies.SLICE, {b"content-encoding": b"gzip"}) as reader:
        await reader.read(receive)
    other.cancel()
    assert turns == 20


_HEAD = gzip.compress(b"")[:10]
_NAMED = _HEAD[:3] + b"\x08" + _HEAD[4:]


@pytest.mark.parametrize(
    ("head", "part"),
    [
        pytest.param(_HEAD, b"\0\0\0\xff\xff", id="blocks that hold nothing"),
        pytest.param(_NAMED, b"n", id="a file name that does not end"),
    ],
)
async def test_what_inflates_to_nothing_is_bounded_by_what_arrives(head: bytes, part: bytes) -> None:
    """In chunks, so that no length is announced."""
    arrived = 0

    async def receive() -> Any:
        nonlocal arrived
        piece = part * 200 if arrived else head
        arrived += len(piece)
        return {"type": "http.request", "body": piece, "more_body": arrived < 100 * STRANGER_BODY}

    with (
        pytest.raises(GraphQLError, match=f"{STRANGER_BODY:,} bytes"),
        Bodies().reader(None, STRANGER_BODY, {b"content-encoding": b"gzip"}) as reader,
    ):
        await reader.read(receive)
    assert arrived <= STRANGER_BODY + 1000


async def test_damage_gives_the_room_back() -> None:
    room = Bodies()
    packed = gzip.compress(b" " * (3 * bodies.SLICE))

    async def receive() -> Any:
        return {"type": "http.request", "body": packed[:-8], "more_body": False}

    with pytest.raises(DamagedBodyError), room.reader(1, MAX_BODY, {b"content-encoding": b"gzip"}) as reader:
        await reader.read(receive)
    assert room.held == 0


@pytest.mark.parametrize(
    "kind", ["Application/JSON", "APPLICATION/JSON; Charset=UTF-8", "application/json ;charset=utf-8"]
)
async def test_media_types_are_taken_in_any_case(api: Api, kind: str) -> None:
    for key in (api.key, None):  # by a plan, and by the view
        answer = await send(api, QUERY, key, content_type=kind, accept="Application/GraphQL-Response+JSON")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{GRAPHQL_JSON}; charset=utf-8"
        assert (await send(api, b'{"query": "{ nope }"}', key, accept=GRAPHQL_JSON.upper())).status_code == 400
