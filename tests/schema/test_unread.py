"""Answers that nobody reads are bounded, by merchant, and keep neither events nor other merchants out."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from tests.factories import INGEST, INGEST_MANY, Merchant, camel, draft, new_merchant
from tests.live import PROTOCOL, TEXT, LiveServer, frame
from tests.servers import wait_until
from tracklayer.db.connection import in_transaction, rows
from tracklayer.domain.personal import MAX_URL
from tracklayer.runtime import Runtime

QUERY = "{ events(first: 100) { nodes { eventSourceUrl } } }"
LENGTH = 100 * MAX_URL  # of its answer, about


@pytest.fixture
def server(runtime: Runtime, merchant: Merchant) -> Iterator[LiveServer]:
    """With a hundred events whose addresses are as long as may be."""
    with LiveServer(runtime) as served:
        url = "https://shop.example/" + "x" * (MAX_URL - 21)
        events = [camel(draft(f"order_{n}")) | {"eventSourceUrl": url} for n in range(100)]
        for start in range(0, 100, 50):
            taken = ask(served, merchant, INGEST_MANY, inputs=events[start : start + 50])
            assert taken.json()["data"]["ingestEvents"]["accepted"] == 50
        yield served


def body(query: str, **variables: Any) -> bytes:
    return json.dumps({"query": query, "variables": variables}, default=str).encode()


def ask(server: LiveServer, merchant: Merchant, query: str, **variables: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {merchant.key}", "content-type": "application/json"}
    return httpx.post(server.http, content=body(query, **variables), headers=headers, timeout=60)


def asking(merchant: Merchant) -> bytes:
    said = body(QUERY)
    head = f"POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {merchant.key}\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n%b" % (len(said), said)


def slow(server: LiveServer, said: bytes) -> socket.socket:
    """Sends, and does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(60)
    client.connect(("127.0.0.1", server.port))
    wait_until(lambda: server.has(client), "the connection")
    server.keep_little()
    client.sendall(said)
    return client


def read(client: socket.socket, answers: int) -> None:
    """So many answers of HTTP."""
    with client.makefile("rb") as said:
        for _ in range(answers):
            assert b" 200 " in said.readline()
            length = 0
            while (line := said.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            assert len(said.read(length)) == length


def _unreading(server: LiveServer) -> ClientConnection:
    """A socket that reads as little as may be. It would not see its own pings answered, and would leave by itself after them."""
    return connect(server.ws, subprotocols=[PROTOCOL], max_size=None, max_queue=1, close_timeout=1, ping_interval=None)


def _holds(server: LiveServer, answers: float) -> bool:
    return server.door.bodies.held > answers * LENGTH


def test_whoever_does_not_read_is_told_so_and_keeps_no_event_out(
    server: LiveServer, runtime: Runtime, merchant: Merchant
) -> None:
    bodies = server.door.bodies
    bodies._room = 4 * LENGTH
    with ExitStack() as stack:
        clients = []
        for n in range(3):  # the third is begun with less than half of the room taken
            clients.append(stack.enter_context(slow(server, asking(merchant))))
            wait_until(partial(_holds, server, n + 0.9), "its answer")
        refused = ask(server, merchant, QUERY)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        [error] = refused.json()["errors"]
        assert error["extensions"]["code"] == "OVERLOADED"
        assert "bytes of answers to read still" in error["message"]
        assert (
            ask(server, merchant, INGEST, input=camel(draft("late"))).json()["data"]["ingestEvent"]["outcome"]
            == "ACCEPTED"
        )
        assert ask(server, new_merchant(runtime, name="Other"), QUERY).status_code == 200
        read(clients.pop(), 1)
        clients.pop().close()  # or whoever leaves
        wait_until(lambda: bodies.held < 2 * LENGTH, "what was read to be forgotten")
        assert ask(server, merchant, QUERY).status_code == 200
        clients.pop().close()
        wait_until(lambda: bodies.held == 0, "all of it to be forgotten")


def test_requests_behind_an_answer_that_is_not_read_wait_until_it_is(server: LiveServer, merchant: Merchant) -> None:
    bodies = server.door.bodies
    with slow(server, asking(merchant) * 8) as client:
        wait_until(lambda: bodies.held > 0.9 * LENGTH, "the first answer")
        assert ask(server, merchant, "{ merchant { name } }").status_code == 200
        assert bodies.held < 1.1 * LENGTH
        read(client, 8)
        client.sendall(asking(merchant))
        read(client, 1)
    wait_until(lambda: bodies.held == 0, "all of it to be forgotten")


def test_operations_that_are_begun_at_once_are_read_for_no_further_than_answers_may_wait(
    server: LiveServer, merchant: Merchant
) -> None:
    bodies = server.door.bodies
    bodies._room = 4 * LENGTH
    with _unreading(server) as client:
        client.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {merchant.key}"}}))
        assert json.loads(client.recv()) == {"type": "connection_ack"}
        server.keep_little()
        for n in range(30):
            client.send(json.dumps({"type": "subscribe", "id": str(n), "payload": {"query": QUERY}}))
        wait_until(partial(_holds, server, 2), "as many answers as may wait")
        # Three places read at once beside the one that filled the room, and what the system has taken.
        answered, refused, ended = 0, list[str](), 0
        while ended < 30:
            one = json.loads(client.recv(timeout=60))
            # One that is refused before it begins has no answer but an error, and nothing behind that.
            wrong = one["payload"] if one["type"] == "error" else one.get("payload", {}).get("errors", [])
            refused += [error["extensions"]["code"] for error in wrong]
            answered += one["type"] != "complete"
            ended += one["type"] != "next"
    assert answered == 30
    assert set(refused) == {"OVERLOADED"}


@pytest.mark.parametrize("reads", [True, False])
def test_operations_of_a_socket_that_is_not_read_wait_until_it_is(
    server: LiveServer, merchant: Merchant, reads: bool
) -> None:
    bodies = server.door.bodies
    with _unreading(server) as client:
        client.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {merchant.key}"}}))
        assert json.loads(client.recv()) == {"type": "connection_ack"}
        server.keep_little()
        for n in range(8):
            client.send(json.dumps({"type": "subscribe", "id": str(n), "payload": {"query": QUERY}}))
            if n == 1:
                wait_until(lambda: bodies.held > 0.9 * LENGTH, "the first answer")
        assert ask(server, merchant, "{ merchant { name } }").status_code == 200
        assert bodies.held < 3.2 * LENGTH  # what had begun before the first was there, and what is taken up by now
        if reads:
            told = [json.loads(client.recv(timeout=60)) for _ in range(16)]
            assert sorted(one["id"] for one in told if one["type"] == "next") == [str(n) for n in range(8)]
    wait_until(lambda: bodies.held == 0, "all of it to be forgotten")


@pytest.mark.parametrize("reads", [True, False])
def test_a_socket_with_unread_answers_is_closed_in_order_and_what_is_behind_is_counted(
    server: LiveServer, runtime: Runtime, merchant: Merchant, reads: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def said(number: str, query: str, **variables: Any) -> bytes:
        payload = {"query": query, "variables": variables}
        asked = {"type": "subscribe", "id": number, "payload": payload}
        return frame(TEXT, json.dumps(asked, default=str).encode())

    bodies = server.door.bodies
    behind = [said(f"event {n}", INGEST, input=camel(draft(f"behind_{n}"))) for n in range(3)]
    with (
        caplog.at_level(logging.ERROR),
        _unreading(server) as client,
    ):
        client.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {merchant.key}"}}))
        assert json.loads(client.recv()) == {"type": "connection_ack"}
        server.keep_little()
        client.socket.sendall(b"".join(said(str(n), QUERY) for n in range(4)))
        wait_until(partial(_holds, server, 3.8), "all answers")
        client.socket.sendall(frame(TEXT, b'{"type": "nonsense"}') + b"".join(behind))
        wait_until(lambda: runtime.counting.turned_away.has_any, "the nonsense to be taken up")
        if reads:
            with pytest.raises(ConnectionClosedError):
                list(client)
            assert client.close_code == 4400
        else:
            server.stop()
            assert not server.is_serving
    wait_until(lambda: bodies.held == 0, "all of it to be forgotten")
    server.stop()
    with in_transaction():
        assert rows("SELECT sum(events) FROM rejections_counted") == [(4,)]
        assert rows("SELECT count(*) FROM events") == [(100,)]
    assert not caplog.records
