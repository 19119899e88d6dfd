"""The servers that ``bench ingest`` measures, each in a process of its own, all served as the product is.

``json``: a bare route that only reads and writes JSON. ``insert``: a bare route with the product's own statement and
the same natural batching, fed with finished records; ``spared``: the same without pauses of Python's collector.
``stock``: Strawberry as its documentation shows it, one transaction a request. ``product``: the API, everything on; its
wake-ups are gathered and then thrown away, because no worker is to share the machine.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Any

import orjson
import psycopg2
import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from strawberry.asgi import GraphQL

from tracklayer.actors.waker import Waker
from tracklayer.app import GC_THRESHOLD, build_app
from tracklayer.cli.bench.ground import SECRET, as_child
from tracklayer.cli.bench.sampler import Sampler
from tracklayer.cli.serve import Stopper, listen, serve_http
from tracklayer.db.async_session import AsyncSession
from tracklayer.db.events import Key
from tracklayer.db.storing import STATEMENTS, read_stored, to_store
from tracklayer.runtime import build_runtime, spare_collector
from tracklayer.schema.inputs import IngestEventInput, to_draft
from tracklayer.schema.scalars import CONFIG
from tracklayer.sealing import Sealer
from tracklayer.settings import load_settings

WINDOW = timedelta(days=1)
BATCH_EVENTS = 1000  # of one commit
# What one merchant may ask for is less than a quick machine can be asked for.
UNLIMITED = {"TRACKLAYER_READ_COST_PER_SECOND": "0", "TRACKLAYER_REQUESTS_PER_SECOND": "0"}


def bare_json(url: str) -> Starlette:
    """(a): reads JSON, answers JSON."""

    async def take(request: Request) -> Response:
        records = orjson.loads(await request.body())["records"]
        return _answer([record["event_id"] for record in records])

    return Starlette(routes=[Route("/", take, methods=["POST"])])


def bare_insert(url: str) -> Starlette:
    """(b): the same, and the records are stored: one commit for all that wait."""
    inserts = _Inserts(url)

    async def take(request: Request) -> Response:
        records = orjson.loads(await request.body())["records"]
        stored = await inserts.store(records)
        return _answer([r["event_id"] for r in records if (r["merchant_id"], r["event_id"]) in stored])

    return Starlette(routes=[Route("/", take, methods=["POST"])])


class _Inserts:
    """As ``services.intake`` gathers and stores, without anything else that it does."""

    def __init__(self, url: str) -> None:
        self._session = AsyncSession(url, STATEMENTS)
        self._waiting: deque[tuple[list[dict[str, Any]], asyncio.Future[set[Key]]]] = deque()
        self._flusher: asyncio.Task[None] | None = None

    async def store(self, records: list[dict[str, Any]]) -> set[Key]:
        """The keys of those that were new, and of whoever's shared the commit."""
        done: asyncio.Future[set[Key]] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, done))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())
        return await done

    async def _flush(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft()]
            records = list(batch[0][0])
            while self._waiting and len(records) + len(self._waiting[0][0]) <= BATCH_EVENTS:
                batch.append(self._waiting.popleft())
                records.extend(batch[-1][0])
            name, arguments = to_store(records, [], [], WINDOW)
            found = await self._session.execute(f"EXECUTE {name}(%s, %s, %s)", arguments)
            stored = {key for key, event in read_stored(found).events.items() if event.before is None}
            for _, done in batch:
                done.set_result(stored)
        self._flusher = None


def _answer(event_ids: Sequence[str]) -> Response:
    results = [{"outcome": "ACCEPTED", "event": {"eventId": event_id, "timesReceived": 1}} for event_id in event_ids]
    return Response(orjson.dumps({"results": results}), media_type="application/json")


STOCK_EVENT = """
INSERT INTO events (merchant_id, event_id, event_name, occurred_at, received_at, last_received_at, times_received,
                    action_source, event_source_url, user_data, custom_data, consent)
VALUES (%s, %s, %s, %s, now(), now(), 1, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
STOCK_DELIVERIES = """
INSERT INTO deliveries (merchant_id, event_id, platform, received_at, queued_at, due_at, window_ends_at)
SELECT merchant_id, %s, platform, now(), now(), now(), now() + %s FROM destinations WHERE merchant_id = %s
"""


@strawberry.type
class StockPayload:
    outcome: str
    event_id: str


def stock(url: str, merchant_id: int) -> Starlette:
    """(c): the same inputs, a plain resolver in a thread, a connection a thread, a transaction a request."""
    local = threading.local()

    def store(event: dict[str, Any]) -> str:
        connection = getattr(local, "connection", None)
        if connection is None:
            connection = local.connection = psycopg2.connect(url)
        values = (
            *(event.get(name) for name in ("event_name", "occurred_at", "action_source", "event_source_url")),
            *(orjson.dumps(event.get(name)).decode() for name in ("user_data", "custom_data", "consent")),
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(STOCK_EVENT, (merchant_id, event["event_id"], *values))
            new = cursor.rowcount == 1
            if new:
                cursor.execute(STOCK_DELIVERIES, (event["event_id"], WINDOW, merchant_id))
        return "ACCEPTED" if new else "COALESCED"

    async def ingest_event(
        input: Annotated[IngestEventInput, strawberry.argument(description="The event.")],
    ) -> StockPayload:
        event = to_draft(input)
        return StockPayload(outcome=await asyncio.to_thread(store, event), event_id=event["event_id"])

    mutation = strawberry.type(
        type("Mutation", (), {"ingest_event": strawberry.mutation(ingest_event), "__annotations__": {}})
    )
    query = strawberry.type(type("Query", (), {"ready": True, "__annotations__": {"ready": bool}}))
    schema = strawberry.Schema(query=query, mutation=mutation, config=CONFIG)
    return Starlette(routes=[Route("/", GraphQL(schema), methods=["POST"])])


def _work(jobs: Iterator[Any], answer: Callable[[Any], None]) -> None:
    """Job: ``role``, ``url``, ``merchant_id``, ``profile`` (a file, or None). Answers with its port, then serves."""
    job = next(jobs)
    with Stopper() as stopper:
        bound = listen("127.0.0.1", 0)
        app = _app(job)
        answer(bound.getsockname()[1])
        with Sampler(job["profile"]):
            serve_http(app, bound, stopper)


def _app(job: Any) -> Starlette:
    match job["role"]:
        case "json":
            return bare_json(job["url"])
        case "insert":
            return bare_insert(job["url"])
        case "spared":
            spare_collector(GC_THRESHOLD)
            return bare_insert(job["url"])
        case "stock":
            return stock(job["url"], job["merchant_id"])
        case _:
            runtime = build_runtime(load_settings(UNLIMITED), job["url"], Sealer([SECRET]))
            return build_app(runtime, Waker(lambda *named: None, lambda *named: None))


if __name__ == "__main__":
    as_child(_work)
