"""An API process in a thread, and clients that speak graphql-transport-ws and graphql-sse by hand."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.servers import free_port, wait_until
from tracklayer.app import build_app
from tracklayer.cli.connections import Connection
from tracklayer.cli.serve import Server, config_of, listen
from tracklayer.runtime import Runtime
from tracklayer.schema.http import GraphQLDoor

PROTOCOL = Subprotocol("graphql-transport-ws")
PATIENCE_SECONDS = 60
TEXT = 1  # the opcode of a frame


def frame(opcode: int, data: bytes = b"", *, last: bool = True) -> bytes:
    """As a client sends it: masked, with zeros."""
    size = struct.pack("B", 0x80 | len(data)) if len(data) < 126 else struct.pack(">BH", 0xFE, len(data))
    return bytes([opcode | (0x80 if last else 0)]) + size + bytes(4) + data


class Served(Protocol):
    """Something that serves the API, in this process or in one of its own."""

    @property
    def http(self) -> str: ...

    @property
    def ws(self) -> str: ...


class LiveServer:
    """What `tracklayer api` serves, on a port of its own."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        check_keys_seconds: float | None = None,
        init_timeout: timedelta | None = None,
        connection: type[Connection] = Connection,
    ) -> None:
        """``connection``: of HTTP, where its times or numbers are the test's own."""
        self.port = free_port()
        app = build_app(runtime, lambda destinations: None)
        if check_keys_seconds is not None:
            app.state.hub.check_keys_seconds = check_keys_seconds
        if init_timeout is not None:
            app.door.connection_init_wait_timeout = init_timeout
        self._app = app
        self._server = Server(app, config_of(app, http=connection))
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql"

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server.started, "the API to serve")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(15)

    def followers(self) -> int:
        """Subscriptions that have their position: nothing else acknowledges one."""
        in_place: int = self._app.state.hub.in_place
        return in_place

    def wait_for_followers(self, count: int) -> None:
        wait_until(lambda: self.followers() == count, f"{count} subscriptions to be in place")

    @property
    def door(self) -> GraphQLDoor:
        return self._app.door

    def connections(self) -> int:
        """How many it has open."""
        return len(self._server.server_state.connections)

    def has(self, client: socket.socket) -> bool:
        """Whether it has taken up the connection of this client."""
        connections: list[Any] = list(self._server.server_state.connections)
        return any(connection.client == client.getsockname() for connection in connections)

    def closing(self) -> int:
        """How many of them it has given up, and closes as soon as what it said last was read."""
        connections: list[Any] = list(self._server.server_state.connections)
        return sum(connection.transport.is_closing() for connection in connections)

    def held_up(self) -> int:
        """How many of them do not read what they were answered."""
        connections: list[Any] = list(self._server.server_state.connections)
        return sum(
            one.flow.write_paused if isinstance(one, Connection) else not one.writable.is_set() for one in connections
        )

    def body_bytes(self) -> int:
        """How much came of bodies that have not all come."""
        found = [one for one in self._server.server_state.connections if isinstance(one, Connection)]
        return sum(one.came for one in found if not one.in_head and one.cycle is not None and one.cycle.more_body)

    def is_read_on(self) -> bool:
        """Whether the client of any connection that is held up was seen to read."""
        found = [one for one in self._server.server_state.connections if isinstance(one, Connection)]
        return any(one.unread_since is not None and one.read_at for one in found)

    def waiting_behind(self) -> int:
        """How many requests wait behind others of their connection."""
        connections: list[Any] = list(self._server.server_state.connections)
        return sum(len(connection.pipeline) for connection in connections)

    @property
    def is_serving(self) -> bool:
        return self._thread.is_alive()

    def unsent_bytes(self) -> int:
        """What this process holds in memory for clients that do not read."""
        connections: list[Any] = list(self._server.server_state.connections)
        return sum(connection.transport.get_write_buffer_size() for connection in connections)

    def keep_little(self) -> None:
        """Who does not read is noticed soon: the system takes next to nothing for the clients that are there."""
        connections: list[Any] = list(self._server.server_state.connections)
        for connection in connections:
            found = connection.transport.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    def _run(self) -> None:
        self._server.run(sockets=[listen("127.0.0.1", self.port)])


class WsClient:
    """One socket; ``next`` gives what the server says, with an end."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def next(self) -> Any:
        async with asyncio.timeout(PATIENCE_SECONDS):
            text = await self.socket.recv()
        assert isinstance(text, str)  # the protocol knows no binary frames
        return json.loads(text)

    async def subscribe(self, query: str, id: str = "1", **variables: Any) -> None:
        await self.say("subscribe", id=id, payload={"query": query, "variables": variables})

    async def data(self) -> Any:
        message = await self.next()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]

    async def in_step(self) -> None:
        """Returns when the server has taken up all that was said."""
        await self.subscribe("{ __typename }", id="step")
        assert (await self.next())["id"] == "step"
        assert (await self.next()) == {"id": "step", "type": "complete"}

    async def closing_code(self) -> int | None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.socket.wait_closed()
        return self.socket.close_code


@asynccontextmanager
async def ws_client(server: Served, key: str | None, *, init: bool = True, **options: Any) -> AsyncIterator[WsClient]:
    async with connect(server.ws, subprotocols=[PROTOCOL], **options) as socket:
        client = WsClient(socket)
        if init:
            payload = {"authorization": f"Bearer {key}"} if key is not None else {}
            await client.say("connection_init", payload=payload)
            assert await client.next() == {"type": "connection_ack"}
        yield client


@asynccontextmanager
async def sse_events(
    server: Served, key: str | None, query: str, **variables: Any
) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    """(event, data) as they come; ends where the stream ends."""
    headers = {"accept": "text/event-stream", **({"authorization": f"Bearer {key}"} if key is not None else {})}
    body = {"query": query, "variables": variables}
    async with (
        httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client,
        client.stream("POST", server.http, json=body, headers=headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream"

        async def events() -> AsyncIterator[tuple[str, Any]]:
            event = ""
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    yield event, json.loads(value) if value else None

        yield events()
