"""Clients that do not read what they were answered: they keep nobody out, and no process from ending."""

from __future__ import annotations

import json
import logging
import socket
from contextlib import ExitStack

import httpx
import pytest

from tests.cli.test_connections import HEALTH, PATIENCE, _is_open, _refused, _socket, _stream, answer, head, key, opened
from tests.factories import Merchant, draft
from tests.live import TEXT, LiveServer, frame
from tests.servers import wait_until
from tests.sessions import other_session
from tracklayer.cli.connections import MAX_REFUSED, Connection
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import ingest_events

LONG = "{ events(first: 20) { nodes { eventSourceUrl } } }"
SCHEMA = b"GET /schema.graphql HTTP/1.1\r\nhost: x\r\n\r\n"


def _unread(server: LiveServer, said: bytes) -> socket.socket:
    """A client that has asked, and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", server.port))
    client.sendall(said)
    return client


@pytest.fixture
def merchant(runtime: Runtime, merchant: Merchant) -> Merchant:
    """One whose events are long."""
    url = "https://shop.example.com/?x=" + "y" * 30_000
    ingest_events(runtime, merchant.holder, [draft(f"order_{n}", event_source_url=url) for n in range(20)])
    return merchant


def _asked(server: LiveServer, merchant: Merchant) -> bytes:
    body = json.dumps({"query": LONG}).encode()
    return head(server, merchant, len(body)) + body


def _asked_by_socket(server: LiveServer, merchant: Merchant) -> socket.socket:
    client = _socket(server, merchant)
    for number in range(9):
        asked = {"id": str(number), "type": "subscribe", "payload": {"query": LONG}}
        client.sendall(frame(TEXT, json.dumps(asked).encode()))
    return client


def test_a_process_ends_though_clients_that_asked_much_read_nothing(runtime: Runtime, merchant: Merchant) -> None:
    with LiveServer(runtime) as server, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(_unread(server, _asked(server, merchant) * 9))
            stack.enter_context(_asked_by_socket(server, merchant))
        wait_until(lambda: server.held_up() == 4, "all to be held up")
        server.stop()
        assert not server.is_serving


def test_a_process_ends_though_much_waits_behind_a_request_and_begins_none_of_it(
    runtime: Runtime, merchant: Merchant, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        LiveServer(runtime) as server,
        other_session(database) as blocker,
        opened(server, b"") as client,
    ):
        blocker.cursor().execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        client.sendall(_asked(server, merchant) * 50)
        wait_until(lambda: server.waiting_behind() == 49, "all to be read")
        server.stop()
        assert not server.is_serving
        said = answer(client)
    assert [record.message for record in caplog.records] == ["50 requests were cut off: it was time to end"]
    assert said.count(b"HTTP/1.1 503 ") == said.count(b"HTTP/1.1 ") == said.count(b"connection: close") == 1


def test_strangers_who_read_nothing_keep_nobody_out(runtime: Runtime, merchant: Merchant) -> None:
    class Few(Connection):
        pass

    with LiveServer(runtime, connection=Few) as server, ExitStack() as stack:
        Few.most = 20
        held = [stack.enter_context(_unread(server, SCHEMA * 60)) for _ in range(20)]
        wait_until(lambda: server.held_up() == 20, "all to be held up")
        with httpx.Client(headers=key(merchant)) as client:
            for _ in range(3):
                assert client.post(server.http, json={"query": "{ merchant { name } }"}).status_code == 200
        assert server.connections() <= 20
        assert answer(held[0]).count(b"HTTP/1.1 200 OK") < 60
        assert _is_open(held[19])


def test_an_answer_that_is_read_on_is_read_to_its_end_though_strangers_come(
    runtime: Runtime, merchant: Merchant
) -> None:
    class Few(Connection):
        first_seconds = 3600

    with LiveServer(runtime, connection=Few) as server, ExitStack() as stack:
        Few.most = 1
        client = stack.enter_context(_unread(server, SCHEMA * 120))
        wait_until(lambda: server.held_up() == 1, "it to be held up")
        read = bytearray()

        def reads_on() -> bool:
            read.extend(client.recv(65536))
            return server.is_read_on()

        wait_until(reads_on, "it to be seen to read")
        assert server.held_up() == 1
        assert answer(opened(server, b"")).startswith(b"HTTP/1.1 503 ")
        while read.count(b"HTTP/1.1 200 OK") < 120:
            more = client.recv(65536)
            assert more
            read.extend(more)


def test_sockets_whose_clients_read_nothing_keep_nobody_out(runtime: Runtime, merchant: Merchant) -> None:
    class Few(Connection):
        pass

    with LiveServer(runtime, connection=Few) as server, ExitStack() as stack:
        Few.most = 5
        for _ in range(5):
            stack.enter_context(_asked_by_socket(server, merchant))
        wait_until(lambda: server.held_up() == 5, "all to be held up")
        found = httpx.post(server.http, json={"query": "{ merchant { name } }"}, headers=key(merchant))
        assert found.status_code == 200


def test_whoever_finds_no_room_reads_so_however_much_he_sends_and_the_log_tells_it(
    runtime: Runtime, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    class Few(Connection):
        pass

    with LiveServer(runtime, connection=Few) as server, ExitStack() as stack, caplog.at_level(logging.WARNING):
        Few.most = 5
        for _ in range(5):
            stack.enter_context(_stream(server, merchant))
        for size in (0, 1_000, 3_000_000):
            found = httpx.post(server.http, content=b" " * size, headers=key(merchant))
            assert found.status_code == 503
            assert found.json()["errors"][0]["extensions"] == {"code": "OVERLOADED"}
        assert server.connections() == 5
    assert len(caplog.records) == 3
    assert caplog.records[0].message == (
        "a connection was refused with 503: each of the 5 that this process may hold waits for an answer of ours, follows a "
        "stream, or is in the midst of a body or an answer that goes on"
    )


def test_those_who_were_refused_are_not_waited_for_without_end_and_few_at_a_time(
    runtime: Runtime, merchant: Merchant
) -> None:
    class Few(Connection):
        pass

    with LiveServer(runtime, connection=Few) as server, ExitStack() as stack:
        Few.most = 1
        stack.enter_context(_stream(server, merchant))
        refused = []
        for _ in range(MAX_REFUSED + 10):
            client = stack.enter_context(opened(server, b""))
            assert client.recv(12) == b"HTTP/1.1 503"
            refused.append(client)
        for client in refused:
            client.setblocking(True)
        for client in refused:  # they close nothing themselves
            assert answer(client).count(b'"OVERLOADED"') <= 1


@pytest.mark.parametrize(("most", "said", "status"), [(20, b"NOT HTTP\r\n\r\n", 400), (1, b"", 503)])
def test_a_refusal_is_read_by_whoever_goes_on_sending(
    runtime: Runtime, merchant: Merchant, most: int, said: bytes, status: int
) -> None:
    class Few(Connection):
        pass

    with LiveServer(runtime, connection=Few) as server, _stream(server, merchant):
        Few.most = most
        counted = _refused(status)
        with opened(server, said) as client:
            wait_until(lambda: _refused(status) == counted + 1, "it to be refused")
            for _ in range(50):
                client.sendall(HEALTH * 1000)
            assert answer(client).startswith(b"HTTP/1.1 %d " % status)
