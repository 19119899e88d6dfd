"""Connections that say nothing, or go on for ever, are closed; whoever leaves is no error; others go on meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import uvicorn
from websockets.sync.client import connect

from tests.factories import INGEST, INGEST_MANY, Merchant, camel, draft, new_merchant
from tests.live import PROTOCOL, TEXT, LiveServer, frame
from tests.servers import wait_until
from tests.sessions import other_session
from tracklayer import metrics
from tracklayer.cli.connections import _PIECE, MAX_HEAD, MAX_PIPELINED, Connection, Socket
from tracklayer.db.connection import in_transaction, rows
from tracklayer.domain.wire import COME_AGAIN, REFUSED_AS, RETRY_AFTER_SECONDS
from tracklayer.runtime import Runtime
from tracklayer.schema.errors import codes
from tracklayer.services.merchants import revoke_api_key
from tracklayer.services.turned_away import write_turned_away

PATIENCE = 20  # seconds, for what happens after a second or two


class Hasty(Connection):
    head_seconds, body_seconds, first_seconds = 1, 3, 1


@pytest.fixture
def server(runtime: Runtime) -> Iterator[LiveServer]:
    with LiveServer(runtime, connection=Hasty) as served:
        yield served


def opened(server: LiveServer, said: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    client.sendall(said)
    return client


def answer(client: socket.socket) -> bytes:
    """All that it says until it hangs up."""
    said = b""
    with client:
        while True:
            try:
                more = client.recv(65536)
            except ConnectionResetError:
                return said
            if not more:
                return said
            said += more


def head(server: LiveServer, merchant: Merchant | None, length: int) -> bytes:
    key = f"authorization: Bearer {merchant.key}\r\n" if merchant is not None else ""
    return (
        f"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n{key}content-type: application/json\r\n"
        f"content-length: {length}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        pytest.param(b"", b" 408 ", id="nothing at all"),
        pytest.param(b"POST /graphql HTTP/1.1\r\nhost: x\r\nx-more", b" 408 ", id="half of the headers"),
        pytest.param(b"POST /graphql HTTP/1.1\r\nx: " + b"y" * 4 * MAX_HEAD, b" 431 ", id="a header without end"),
        pytest.param(b"GET /" + b"y" * 4 * MAX_HEAD, b" 431 ", id="a path without end"),
        pytest.param(
            b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"y" * (MAX_HEAD + 1) + b"\r\n\r\n",
            b" 431 ",
            id="too much, all at once",
        ),
    ],
)
def test_headers_that_do_not_come_are_not_waited_for(server: LiveServer, said: bytes, status: bytes) -> None:
    assert status in answer(opened(server, said)).partition(b"\r\n")[0]


def _trickle(client: socket.socket, what: bytes) -> None:
    """Until it is told that nobody listens any more."""
    with client:
        for _ in range(PATIENCE * 20):
            try:
                client.sendall(what)
            except (BrokenPipeError, ConnectionResetError):
                return
            time.sleep(0.05)
    pytest.fail("it was waited for")


def test_headers_that_come_a_byte_at_a_time_are_not_waited_for(server: LiveServer) -> None:
    _trickle(opened(server, b"POST /graphql HTTP/1.1\r\n"), b"a: b\r\n")


def test_a_body_that_stops_or_trickles_is_not_waited_for(server: LiveServer, merchant: Merchant) -> None:
    stopped = opened(server, head(server, merchant, 5000) + b'{"query"')
    assert b" 408 " in answer(stopped).partition(b"\r\n")[0]
    _trickle(opened(server, head(server, merchant, 5000)), b" ")


def test_who_was_too_slow_is_told_to_send_it_again(server: LiveServer, merchant: Merchant) -> None:
    begin, _, body = answer(opened(server, head(server, merchant, 5000) + b'{"query"')).partition(b"\r\n\r\n")
    assert f"retry-after: {RETRY_AFTER_SECONDS}".encode() in begin.split(b"\r\n")
    (error,) = json.loads(body)["errors"]
    assert error["extensions"] == {"code": "TOO_SLOW"}
    assert error["message"].endswith(" Nothing of it was taken: send the same request again.")


def test_a_connection_is_refused_with_codes_of_the_guide() -> None:
    """Where the same request may pass later, the guide says so, and nowhere else."""
    of_status = {code.name: code.status for code in codes()}
    assert set(REFUSED_AS.values()) <= of_status.keys()
    assert of_status["TOO_SLOW"] == 408
    for code in codes():
        assert ("again" in code.what_to_do) == (code.status in COME_AGAIN or code.name == "CHANGED_MEANWHILE"), code


def test_a_body_that_comes_slowly_but_steadily_is_waited_for(server: LiveServer, merchant: Merchant) -> None:
    body = json.dumps({"query": "{ merchant { name } }", "variables": {"x": "y" * 30_000}}).encode()
    client = opened(server, head(server, merchant, len(body)).replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    for start in range(0, len(body), 3000):
        client.sendall(body[start : start + 3000])
        time.sleep(0.2)
    assert b" 200 " in answer(client).partition(b"\r\n")[0]


def chunked(path: str, body: bytes, *more: str) -> bytes:
    """A request, or as much of one as ``body`` has; ``more``: headers."""
    told = "".join(f"{line}\r\n" for line in ("host: x", "transfer-encoding: chunked", *more))
    return f"POST {path} HTTP/1.1\r\n{told}\r\n".encode() + body


@pytest.mark.parametrize(
    ("begun", "without_end"),
    [
        pytest.param(b"1\r\n{\r\n0\r\n", b"x-a: y\r\n", id="trailers"),
        pytest.param(b"1\r\n{\r\n0\r\nx-a: ", b"y", id="a trailer"),
        pytest.param(b"1\r\n{\r\n1;", b"y", id="the extension of a chunk"),
        pytest.param(b"1\r\n{\r\n0\r\n\r\n", b"\r\n", id="empty lines"),
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/t", "/nowhere"])
def test_what_comes_beside_a_body_without_end_is_refused(
    server: LiveServer, path: str, begun: bytes, without_end: bytes
) -> None:
    with opened(server, chunked(path, begun, "content-type: application/json")) as client:
        with suppress(ConnectionError):  # it is refused before it is all there
            client.sendall(without_end * (4 * MAX_HEAD // len(without_end)))
        assert answer(client).rpartition(b"HTTP/1.1")[2].startswith(b" 431 ")


def test_a_body_in_small_chunks_is_taken(server: LiveServer, merchant: Merchant) -> None:
    body = json.dumps({"query": "{ merchant { name } }", "variables": {"x": "y" * 4 * MAX_HEAD}}).encode()
    parts = b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in body)
    more = f"authorization: Bearer {merchant.key}", "content-type: application/json", "connection: close"
    said = answer(opened(server, chunked("/graphql", parts + b"0\r\nx-a: y\r\n\r\n", *more)))
    assert b" 200 " in said.partition(b"\r\n")[0]


def test_what_comes_behind_a_body_is_no_header(server: LiveServer, merchant: Merchant) -> None:
    body = b'{"query":"{ merchant { name } }"}'
    parts = b"%x\r\n%s\r\n0\r\nauthorization: Bearer %s\r\n\r\n" % (len(body), body, merchant.key.encode())
    said = answer(opened(server, chunked("/graphql", parts, "content-type: application/json", "connection: close")))
    assert b"UNAUTHENTICATED" in said


def test_a_stranger_with_a_long_body_is_refused_before_he_sends_it(server: LiveServer) -> None:
    assert b" 413 " in answer(opened(server, head(server, None, 4_000_000))).partition(b"\r\n")[0]


def test_a_client_that_leaves_is_no_error(
    server: LiveServer, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for said in (
            b"",
            b"POST /gra",
            head(server, merchant, 5000),
            head(server, merchant, 5000) + b"{",
            b"\x16\x03\x01",
        ):
            opened(server, said).close()
        assert httpx.get(server.http.replace("graphql", "healthz")).text == "ok\n"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_whoever_holds_connections_open_keeps_nobody_out(runtime: Runtime, merchant: Merchant) -> None:
    class Few(Connection):
        pass

    with LiveServer(runtime, connection=Few) as server, ExitStack() as stack:
        Few.most = 20
        busy = stack.enter_context(_stream(server, merchant))
        idle = [stack.enter_context(opened(server, b"")) for _ in range(60)]
        for _ in range(3):
            found = httpx.post(server.http, json={"query": "{ merchant { name } }"}, headers=key(merchant))
            assert found.status_code == 200
        assert sum(_is_open(client) for client in idle) <= 19
        assert _is_open(busy)


def test_whoever_begins_bodies_and_goes_on_with_none_keeps_nobody_out(runtime: Runtime, merchant: Merchant) -> None:
    class Few(Connection):
        head_seconds = body_seconds = first_seconds = 3600  # nothing but their number ends one

    with LiveServer(runtime, connection=Few) as server, ExitStack() as stack:
        Few.most = 20
        held = []
        for whose in (None, merchant):
            begun = head(server, whose, 4000) + b"{"
            held += [stack.enter_context(opened(server, begun)) for _ in range(40)]
        with httpx.Client() as client:
            for _ in range(3):
                found = client.post(server.http, json={"query": "{ merchant { name } }"}, headers=key(merchant))
                assert found.status_code == 200
        wait_until(lambda: server.connections() == 19, "the one that was answered to leave")
        closed = [client for client in held if not server.has(client)]
        assert len(closed) == 61
        assert set(held[:20]) <= set(closed)
        for one in closed[-10:]:  # of those before, some were not waited for that read nothing
            one.settimeout(PATIENCE)
            assert b"send the same request again" in answer(one)


class Patient(Connection):
    """Where nothing but their number ends a connection."""

    head_seconds = body_seconds = first_seconds = 3600


def _closed_for_others() -> dict[str, float]:
    return {name: metrics.CONNECTIONS_CLOSED.labels(name)._value.get() for name in ("nothing", "body", "answer")}


def test_a_body_that_goes_on_is_taken_though_strangers_come_who_say_nothing(
    runtime: Runtime, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    class Few(Patient):
        pass

    body = json.dumps({"query": "{ merchant { name } }", "operationName": None}).encode() + b" " * 800_000
    before = _closed_for_others()
    with LiveServer(runtime, connection=Few) as server, ExitStack() as stack, caplog.at_level(logging.WARNING):
        Few.most = 3
        client = stack.enter_context(opened(server, head(server, merchant, len(body)) + body[:700_000]))
        wait_until(lambda: server.body_bytes() == 700_000, "what was sent to come")
        strangers = [stack.enter_context(opened(server, b"")) for _ in range(12)]
        wait_until(lambda: sum(server.has(one) for one in strangers) == 2, "the last ones to have the room")
        client.sendall(body[700_000:])
        assert client.recv(12) == b"HTTP/1.1 200"
    closed = {name: count - before[name] for name, count in _closed_for_others().items()}
    assert closed == {"nothing": 10, "body": 0, "answer": 0}
    assert {getattr(record, "kind", None) for record in caplog.records} == {"door_crowded"}
    assert caplog.records[0].message == (
        "for new connections others were closed, as this process holds as many as it may: 1, between two requests, or before one"
    )


def test_where_all_that_there_are_go_on_a_stranger_is_told_so_and_cuts_none(
    runtime: Runtime, merchant: Merchant
) -> None:
    class Few(Patient):
        pass

    body = json.dumps({"query": "{ merchant { name } }"}).encode() + b" " * 800_000
    with LiveServer(runtime, connection=Few) as server, ExitStack() as stack:
        Few.most = 2
        begun = head(server, merchant, len(body)) + body[:700_000]
        clients = [stack.enter_context(opened(server, begun)) for _ in range(2)]
        wait_until(lambda: server.body_bytes() == 1_400_000, "what was sent to come")
        assert answer(opened(server, b"")).startswith(b"HTTP/1.1 503 ")
        for client in clients:
            client.sendall(body[700_000:])
            assert client.recv(12) == b"HTTP/1.1 200"


def test_where_all_connections_are_busy_a_further_one_is_told_so(runtime: Runtime, merchant: Merchant) -> None:
    class Few(Connection):
        pass

    with LiveServer(runtime, connection=Few) as server, ExitStack() as stack:
        Few.most = 5
        for _ in range(5):
            stack.enter_context(_stream(server, merchant))
        assert b" 503 " in answer(opened(server, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")).partition(b"\r\n")[0]


def key(merchant: Merchant) -> dict[str, str]:
    return {"authorization": f"Bearer {merchant.key}"}


def _is_open(client: socket.socket) -> bool:
    client.settimeout(0)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_a_socket_takes_no_long_message_before_it_knows_who_speaks(server: LiveServer, merchant: Merchant) -> None:
    long = json.dumps({"type": "connection_init", "payload": {"x": "y" * 20_000}})
    with connect(server.ws, subprotocols=[PROTOCOL]) as client:
        client.send(long)
        with pytest.raises(Exception, match="1009"):
            client.recv(timeout=PATIENCE)
    with connect(server.ws, subprotocols=[PROTOCOL]) as client:
        client.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {merchant.key}"}}))
        assert json.loads(client.recv(timeout=PATIENCE)) == {"type": "connection_ack"}
        operation = {"query": "{ __typename }", "variables": {"x": "y" * 20_000}}
        client.send(json.dumps({"type": "subscribe", "id": "1", "payload": operation}))
        assert json.loads(client.recv(timeout=PATIENCE))["payload"]["data"] == {"__typename": "Query"}


def test_the_sockets_of_a_key_are_counted_and_end_is_counted_too(runtime: Runtime, merchant: Merchant) -> None:
    with LiveServer(runtime) as server:
        sockets = server.door.house.sockets
        sockets._most = 3
        init = json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {merchant.key}"}})
        with ExitStack() as stack:
            for _ in range(3):
                client = stack.enter_context(connect(server.ws, subprotocols=[PROTOCOL]))
                client.send(init)
                assert json.loads(client.recv(timeout=PATIENCE)) == {"type": "connection_ack"}
            with connect(server.ws, subprotocols=[PROTOCOL]) as fourth:
                fourth.send(init)
                with pytest.raises(Exception, match="1013"):
                    fourth.recv(timeout=PATIENCE)
        wait_until(lambda: not sockets._there, "all sockets to end")


UPGRADE = (
    b"%s /graphql HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)


def test_a_socket_that_begins_with_post_is_refused(server: LiveServer) -> None:
    body = b'{"query":"{__typename}"}'
    said = UPGRADE % (b"POST", b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body))
    assert b" 400 " in answer(opened(server, said + body)).partition(b"\r\n")[0]
    assert b" 101 " not in answer(
        opened(server, HEALTH + UPGRADE % (b"GET", b""))
    )  # nor does one begin behind a request


def test_sockets_that_never_say_who_they_are_keep_nobody_out(runtime: Runtime, merchant: Merchant) -> None:
    class Few(Connection):
        pass

    with LiveServer(runtime, connection=Few) as server, ExitStack() as stack:
        Few.most = 20
        for _ in range(40):
            stack.enter_context(opened(server, UPGRADE % (b"GET", b"")))
        for _ in range(3):
            found = httpx.post(server.http, json={"query": "{ merchant { name } }"}, headers=key(merchant))
            assert found.status_code == 200
        wait_until(lambda: server.connections() <= 20, "the oldest to be closed")


def test_a_socket_whose_handshake_says_nothing_is_closed(
    runtime: Runtime, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Socket, "admit_seconds", 1)
    with LiveServer(runtime) as server, ExitStack() as stack:
        known = stack.enter_context(connect(server.ws, subprotocols=[PROTOCOL]))
        known.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {merchant.key}"}}))
        assert json.loads(known.recv(timeout=PATIENCE)) == {"type": "connection_ack"}
        answer(opened(server, UPGRADE % (b"GET", b"")))  # it ends
        known.send(json.dumps({"type": "ping"}))
        assert json.loads(known.recv(timeout=PATIENCE)) == {"type": "pong"}


PING, PONG = 9, 10
TOO_MANY_FRAMES = struct.pack(">BBH", 0x88, 17, 1008) + b"too many frames"


def _socket(server: LiveServer, merchant: Merchant | None = None) -> socket.socket:
    client = opened(server, UPGRADE % (b"GET", b"sec-websocket-protocol: %s\r\n" % PROTOCOL.encode()))
    said = b""
    while not said.endswith(b"\r\n\r\n"):
        said += client.recv(1)
    assert b" 101 " in said
    if merchant is not None:
        init = {"type": "connection_init", "payload": {"authorization": f"Bearer {merchant.key}"}}
        client.sendall(frame(TEXT, json.dumps(init).encode()))
        assert b"connection_ack" in client.recv(4096)
    return client


@pytest.mark.parametrize(
    "many",
    [
        pytest.param(frame(PING) * 40_000, id="pings"),
        pytest.param(frame(PONG) * 40_000, id="pongs"),
        pytest.param(frame(TEXT, last=False) + frame(0, last=False) * 40_000, id="fragments"),
    ],
)
@pytest.mark.parametrize("is_known", [False, True])
def test_frames_without_end_close_a_socket(server: LiveServer, merchant: Merchant, many: bytes, is_known: bool) -> None:
    client = _socket(server, merchant if is_known else None)
    with suppress(ConnectionError):  # it is closed before they are all there
        client.sendall(many)
    assert answer(client).endswith(TOO_MANY_FRAMES)


def test_whoever_answers_on_a_socket_that_was_refused_meanwhile_is_no_error(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), LiveServer(runtime) as server:
        for wrong in (frame(TEXT) * 40_000, frame(TEXT) + frame(3)):
            client = _socket(server)
            with suppress(ConnectionError):  # it is closed before they are all there
                client.sendall(wrong)
            answer(client)
    assert caplog.records == []


def test_a_message_in_fragments_and_pings_between_are_taken(server: LiveServer, merchant: Merchant) -> None:
    asked = json.dumps({"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}).encode()
    with _socket(server, merchant) as client:
        client.sendall(frame(TEXT, b"", last=False))
        for byte in asked:
            client.sendall(frame(0, bytes([byte]), last=False) + frame(PING))
        client.sendall(frame(0))
        said = b""
        while b'"complete"' not in said:
            said += client.recv(4096)
        assert said.count(b"\x8a\x00") == len(asked)


def test_whoever_pings_and_does_not_read_is_cut_off(server: LiveServer, merchant: Merchant) -> None:
    with _socket(server, merchant) as client:
        server.keep_little()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with suppress(ConnectionError):
            client.sendall(frame(PING, b"x" * 125) * 4_000)
        wait_until(lambda: server.connections() == 0, "it to be cut off")


@pytest.mark.parametrize("at_once", [1, 50, 100, 101, 102, 300])
def test_events_in_a_row_are_all_stored_and_answered_in_their_order(
    server: LiveServer, runtime: Runtime, merchant: Merchant, at_once: int
) -> None:
    requests = []
    for number in range(300):
        sent = {"query": INGEST, "variables": {"input": camel(draft(f"order_{number}"))}}
        body = json.dumps(sent, default=runtime.clock.now().__class__.isoformat).encode()
        requests.append(_name(merchant, b"content-length: %d\r\n" % len(body), body))
    requests.append(HEALTH.replace(b"host", b"connection: close\r\nhost"))
    with opened(server, b"") as client:
        for start in range(0, len(requests), at_once):
            client.sendall(b"".join(requests[start : start + at_once]))
        said = answer(client)
    assert said.count(b"HTTP/1.1 200 OK") == len(requests)
    assert [int(found) for found in re.findall(rb'"eventId":"order_(\d+)"', said)] == list(range(300))
    with in_transaction():
        assert rows("SELECT count(*), sum(times_received) FROM events") == [(300, 300)]


def test_a_long_body_behind_many_requests_is_read(server: LiveServer, merchant: Merchant) -> None:
    long = b" " * 500_000 + NAME
    last = HEALTH.replace(b"host", b"connection: close\r\nhost")
    said = answer(opened(server, HEALTH * 150 + _name(merchant, b"content-length: %d\r\n" % len(long), long) + last))
    assert said.count(b"HTTP/1.1 200 OK") == 152
    assert said.count(b'{"data":{"merchant":{"name":"Shop"}}}') == 1


def test_thousands_of_requests_in_a_row_are_answered_and_few_of_them_held(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    class Noted(Connection):
        most_held = 0

        def on_message_complete(self) -> None:
            super().on_message_complete()
            Noted.most_held = max(Noted.most_held, len(self.requests))

    short = b"GET / HTTP/1.1\r\n\r\n"
    with LiveServer(runtime, connection=Noted) as server, caplog.at_level(logging.ERROR):
        said = answer(opened(server, short * 3600 + HEALTH.replace(b"host", b"connection: close\r\nhost")))
    assert said.count(b"HTTP/1.1 ") == 3601
    assert MAX_PIPELINED < Noted.most_held <= MAX_PIPELINED + 1 + _PIECE // len(short) + 1
    assert caplog.records == []


def test_whoever_sends_requests_and_reads_no_answer_is_given_up(server: LiveServer) -> None:
    with opened(server, b"") as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.keep_little()
        client.sendall(b"GET /docs/alerts HTTP/1.1\r\nhost: x\r\n\r\n" * 300)
        wait_until(lambda: server.closing() == 1, "it to be given up")


def test_an_event_that_takes_long_to_store_is_answered_and_so_is_what_waits_behind_it(
    runtime: Runtime, merchant: Merchant, database: str
) -> None:
    class Noted(Connection):
        head_seconds = 0  # each look comes when its time is over
        looks = 0  # with something that waits

        def look(self, now: float) -> None:
            super().look(now)
            Noted.looks += bool(self.pipeline)

    last = HEALTH.replace(b"host", b"connection: close\r\nhost")
    with LiveServer(runtime, connection=Noted) as server, other_session(database) as blocker:
        blocker.cursor().execute("LOCK TABLE events IN EXCLUSIVE MODE")
        client = opened(server, _ingest(runtime, merchant, b"content-length: LENGTH\r\n") + HEALTH * 50 + last)
        wait_until(lambda: Noted.looks > 0, "it to be looked at")
        blocker.rollback()
        said = answer(client)
    assert said.count(b"HTTP/1.1 ") == 52
    with in_transaction():  # on a machine that is busy it may not have come through
        assert rows("SELECT count(*) FROM events") == [(said.count(b'"outcome":"ACCEPTED"'),)]


STREAM = json.dumps({"query": "subscription { alerts { id } }"}).encode()
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


def _stream(server: LiveServer, merchant: Merchant, behind: bytes = b"") -> socket.socket:
    asked = head(server, merchant, len(STREAM)).replace(b"host:", b"accept: text/event-stream\r\nhost:")
    client = opened(server, asked + STREAM + behind)
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


DATA_SEGMENTS_IN = 152  # where Linux's tcp_info says how many packets with data came


@pytest.mark.skipif(sys.platform != "linux", reason="how many packets came is asked of Linux")
def test_an_answer_comes_in_one_piece(server: LiveServer) -> None:
    with opened(server, b"") as client:
        for _ in range(20):
            client.sendall(HEALTH)
            said = b""
            while not said.endswith(b"\r\n\r\nok\n"):
                said += client.recv(65536)
        info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        assert struct.unpack_from("I", info, DATA_SEGMENTS_IN) == (20,)


class Meanwhile(Connection):
    """As if something arrived in the very turn of the loop in which an answer is written."""

    arrives: bytes | None = b""  # None: the client's end

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override,unused-ignore]
        super().connection_made(transport)
        self.bare = transport

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.arrives is None:
            self.eof_received()
            self.bare.close()  # as the loop does next
        else:
            arrives, self.arrives = self.arrives, b""
            if arrives:
                self.data_received(arrives)


@pytest.mark.parametrize(
    ("arrives", "further"),
    [
        pytest.param(b"GARBAGE\r\n\r\n", [b" 400 "], id="what is no HTTP"),
        pytest.param(UPGRADE % (b"POST", b""), [b" 400 "], id="what is refused"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"y" * MAX_HEAD + b"\r\n\r\n", [b" 431 "], id="long headers"),
        pytest.param(UPGRADE % (b"GET", b""), [b" 101 "], id="a socket"),
        pytest.param(None, [], id="the client's end"),
    ],
)
def test_what_arrives_while_an_answer_is_written_does_not_overtake_it(
    runtime: Runtime, arrives: bytes | None, further: list[bytes]
) -> None:
    class Now(Meanwhile):
        pass

    with LiveServer(runtime, connection=Now) as server:
        Now.arrives = arrives
        said = b""
        with opened(server, HEALTH.replace(b"GET", b"HEAD")) as client:
            while said.count(b"\r\n\r\n") <= len(further) and (more := client.recv(65536)):
                said += more
    statuses = [line[8:13] for line in said.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert statuses == [b" 200 ", *further]


@pytest.mark.parametrize("when", ["with it", "later"])
def test_a_request_behind_a_stream_ends_both(
    server: LiveServer, merchant: Merchant, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    with caplog.at_level(logging.ERROR), _stream(server, merchant, HEALTH if when == "with it" else b"") as client:
        server.wait_for_followers(1)
        if when == "later":
            client.sendall(HEALTH)
        wait_until(lambda: server.followers() == 0, "the stream to end")
        assert b"ok" not in answer(client)
    assert caplog.records == []


def test_a_stream_whose_client_has_gone_ends(server: LiveServer, merchant: Merchant) -> None:
    with _stream(server, merchant):
        server.wait_for_followers(1)
    wait_until(lambda: server.followers() == 0, "the stream to end")


def test_the_body_of_a_stream_is_short_and_holds_little_room(server: LiveServer, merchant: Merchant) -> None:
    asked = head(server, merchant, 70_000).replace(b"host:", b"accept: text/event-stream\r\nhost:")
    assert b" 413 " in answer(opened(server, asked)).partition(b"\r\n")[0]
    with _stream(server, merchant):
        server.wait_for_followers(1)
        assert 0 < server.door.bodies.held < 4096


H2C = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
NAME = b'{"query":"{ merchant { name } }"}'


def _name(merchant: Merchant, more: bytes, body: bytes = NAME) -> bytes:
    told = b"authorization: Bearer %s\r\ncontent-type: application/json\r\n" % merchant.key.encode()
    return b"POST /graphql HTTP/1.1\r\nhost: x\r\n" + told + more + b"\r\n" + body


LENGTH = b"content-length: %d\r\n" % len(NAME)
CHUNKED = b"transfer-encoding: chunked\r\n"
IN_CHUNKS = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (5, NAME[:5], len(NAME) - 5, NAME[5:])
END = b"connection: close\r\n"


@pytest.mark.parametrize(
    ("parts", "answers"),
    [
        pytest.param([(H2C + LENGTH, NAME)], 1, id="a body in the same packet"),
        pytest.param([(H2C + LENGTH, b""), NAME[:7], NAME[7:]], 1, id="in later ones"),
        pytest.param([(H2C + CHUNKED, IN_CHUNKS)], 1, id="in chunks"),
        pytest.param([(H2C + CHUNKED, b""), IN_CHUNKS[:8], IN_CHUNKS[8:]], 1, id="in chunks, later"),
        pytest.param([(H2C + LENGTH, NAME), (LENGTH, NAME)], 2, id="a request behind it"),
        pytest.param([(LENGTH, NAME), (H2C + LENGTH, NAME), (H2C + LENGTH, NAME)], 3, id="a request before it"),
        pytest.param([(H2C.replace(b"h2c", b"TLS/1.0, websockets") + LENGTH, NAME)], 1, id="another protocol"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_an_upgrade_that_nobody_knows_is_ignored_and_the_body_read(
    server: LiveServer, merchant: Merchant, parts: list[bytes | tuple[bytes, bytes]], answers: int, at_once: bool
) -> None:
    said = [_name(merchant, *part) if isinstance(part, tuple) else part for part in parts]
    said.append(_name(merchant, END + LENGTH))
    client = opened(server, b"".join(said) if at_once else b"")
    if not at_once:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in said:
            client.sendall(part)
            time.sleep(0.1)
    found = answer(client)
    assert found.count(b"HTTP/1.1 200 OK") == found.count(b'"merchant":{"name"') == answers + 1


@pytest.mark.parametrize("target", [b"http://[", b"http://[::bad/graphql", b"http://a:99999999/"])
def test_an_address_that_is_none_is_refused_also_with_an_upgrade_that_nobody_knows(
    server: LiveServer, target: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for more in (b"", H2C):
            said = answer(opened(server, b"GET %s HTTP/1.1\r\nhost: x\r\n%s\r\n" % (target, more)))
            assert said.startswith(b"HTTP/1.1 400 "), more
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_behind_a_stream_an_upgrade_that_nobody_knows_is_no_error_of_ours(
    server: LiveServer, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), _stream(server, merchant) as client:
        server.wait_for_followers(1)
        client.sendall(HEALTH.replace(b"host", H2C + b"host"))
        answer(client)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_behind_an_upgrade_that_was_ignored_a_socket_begins(server: LiveServer, merchant: Merchant) -> None:
    with opened(server, _name(merchant, H2C + LENGTH)) as client:
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        client.sendall(UPGRADE % (b"GET", b"sec-websocket-protocol: %s\r\n" % PROTOCOL.encode()))
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")


def test_upgrades_in_a_row_that_nobody_knows_are_all_ignored(server: LiveServer) -> None:
    asked = HEALTH.replace(b"host", H2C + b"host") * 3 * MAX_PIPELINED
    said = answer(opened(server, asked + HEALTH.replace(b"host", b"connection: close\r\nhost")))
    assert said.count(b"HTTP/1.1 200 OK") == 3 * MAX_PIPELINED + 1
    assert b" 400 " in answer(opened(server, b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n"))


def test_who_asks_before_he_sends_a_body_and_is_refused_finds_the_connection_closed(
    server: LiveServer, merchant: Merchant
) -> None:
    asked = head(server, merchant, len(NAME)).replace(b"host:", b"expect: 100-continue\r\nhost:")
    said = answer(opened(server, asked.replace(merchant.key.encode(), b"tl_wrong")))
    assert said.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in said
    with opened(server, asked) as client:
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(NAME)
        found = client.recv(4096)
    assert found.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" not in found


@pytest.mark.parametrize("is_known", [False, True])
def test_text_that_is_no_utf8_closes_a_socket_and_is_no_error_of_ours(
    server: LiveServer, runtime: Runtime, merchant: Merchant, is_known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for frames in (frame(TEXT, b"\xff\xfe"), frame(TEXT, b"\xc3", last=False) + frame(0, b"\xff")):
            client = _socket(server, merchant if is_known else None)
            client.sendall(frames)
            assert struct.pack(">H", 1007) in answer(client)
        server.stop()  # which writes down what was counted
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert _counted(runtime, merchant) == ([("BAD_REQUEST", "request", 2)] if is_known else [])


class _Failing:
    """Begins an answer in whose midst it ends."""

    def __init__(self, length: int, *, raises: bool) -> None:
        self._length, self._raises = length, raises

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/whole":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        length = b"%d" % self._length
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        if self._raises:
            raise ValueError


@pytest.mark.parametrize("length", [5, 0])
@pytest.mark.parametrize("raises", [True, False])
def test_an_answer_that_fails_behind_its_head_is_a_500(length: int, raises: bool) -> None:
    config = uvicorn.Config(
        _Failing(length, raises=raises), http=Connection, port=0, log_config=None, lifespan="off", access_log=False
    )
    served = uvicorn.Server(config)
    thread = threading.Thread(target=served.run)
    thread.start()
    try:
        wait_until(lambda: served.started, "the server")
        port = served.servers[0].sockets[0].getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
            client.sendall(HEALTH + HEALTH.replace(b"healthz", b"whole"))
            said = answer(client)
        assert said.startswith(b"HTTP/1.1 500 ")
        assert b" 200 " not in said
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
            client.sendall(HEALTH.replace(b"healthz", b"whole"))
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    finally:
        served.should_exit = True
        thread.join()


def _counted(runtime: Runtime, merchant: Merchant) -> list[tuple[str, str, int]]:
    write_turned_away(runtime)
    with in_transaction():
        return [
            (row[0], row[1], int(row[2]))
            for row in rows(
                "SELECT code, field, events FROM rejections_counted WHERE merchant_id = %s", (merchant.merchant_id,)
            )
        ]


def _ingest(runtime: Runtime, merchant: Merchant, told: bytes, body: bytes | None = None) -> bytes:
    """``told``: the headers of its length."""
    sent = {"query": INGEST, "variables": {"input": camel(draft("order_1"))}}
    found = json.dumps(sent, default=runtime.clock.now().__class__.isoformat).encode() if body is None else body
    return _name(merchant, told.replace(b"LENGTH", b"%d" % len(found)), found)


@pytest.mark.parametrize(
    ("told", "body", "said", "code"),
    [
        pytest.param(
            b"content-length: 30\r\n", None, b"it counts bytes, and not characters", "BAD_REQUEST", id="short"
        ),
        pytest.param(LENGTH + b"content-length: 5\r\n", NAME, b"Duplicate Content-Length", "BAD_REQUEST", id="two"),
        pytest.param(LENGTH + CHUNKED, NAME, b"Transfer-Encoding can't be", "BAD_REQUEST", id="a length, and chunks"),
        pytest.param(b"x: a\r\n b\r\n", b"", b"whitespace after header value", "BAD_REQUEST", id="a folded header"),
        pytest.param(b"x: a\0b\r\n", b"", b"Invalid header value", "BAD_REQUEST", id="NUL in a header"),
        pytest.param(CHUNKED, b"zz\r\n", b"Invalid character in chunk size", "BAD_REQUEST", id="no chunk"),
        pytest.param(b"x: " + b"y" * MAX_HEAD + b"\r\n", b"", b"65,536 bytes", "TOO_LARGE", id="long headers"),
        pytest.param(b"content-length: 1234\r\n", NAME, b"Of the 1,234 bytes of a body that", "TOO_SLOW", id="long"),
        pytest.param(
            CHUNKED, IN_CHUNKS[:-5], b"33 bytes of a body came without its end", "TOO_SLOW", id="no last chunk"
        ),
    ],
)
def test_a_request_that_cannot_be_read_is_explained_and_counted(
    server: LiveServer,
    runtime: Runtime,
    merchant: Merchant,
    told: bytes,
    body: bytes | None,
    said: bytes,
    code: str,
) -> None:
    request = _ingest(runtime, merchant, told, body)
    begin, _, answered = answer(opened(server, request)).partition(b"\r\n\r\n")
    if code == "TOO_SLOW":  # it may have been the network, once
        assert _counted(runtime, merchant) == []
        # And on a machine that is busy looks come late: two in a row may not tell that nothing came between them.
        wait_until(lambda: bool(answer(opened(server, request)) and _counted(runtime, merchant)), "it to be counted")
    assert b"content-type: application/json" in begin
    [error] = json.loads(answered)["errors"]
    assert error["extensions"]["code"] == code
    assert said.decode() in error["message"]
    wait_until(lambda: bool(_counted(runtime, merchant)), "it to be counted")
    found = _counted(runtime, merchant)
    assert {row[:2] for row in found} == {(code, "request")}
    assert code == "TOO_SLOW" or sum(row[2] for row in found) == 1


def test_the_key_right_before_what_cannot_be_read_is_heard(
    server: LiveServer, runtime: Runtime, merchant: Merchant
) -> None:
    sent = (
        b"POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + merchant.key.encode() + b"\r\nx: a\0b\r\n\r\n"
    )
    assert b"400 Bad Request" in answer(opened(server, sent))
    wait_until(lambda: bool(_counted(runtime, merchant)), "it to be counted")
    assert _counted(runtime, merchant) == [("BAD_REQUEST", "request", 1)]


def test_what_cannot_be_read_counts_for_whose_key_was_revoked(
    server: LiveServer, runtime: Runtime, merchant: Merchant
) -> None:
    with in_transaction():
        [[key_id]] = rows("SELECT key_id FROM api_keys WHERE merchant_id = %s", (merchant.merchant_id,))
    revoke_api_key(runtime, merchant.merchant_id, key_id)
    answer(opened(server, _ingest(runtime, merchant, LENGTH + LENGTH, NAME)))
    wait_until(lambda: bool(_counted(runtime, merchant)), "it to be counted")
    assert _counted(runtime, merchant) == [("UNAUTHENTICATED", f"key {key_id}", 1)]


def test_what_cannot_be_read_counts_once_whose_key_is_revoked_while_it_comes(
    server: LiveServer, runtime: Runtime, merchant: Merchant
) -> None:
    with in_transaction():
        [[key_id]] = rows("SELECT key_id FROM api_keys WHERE merchant_id = %s", (merchant.merchant_id,))
    client = opened(server, _name(merchant, CHUNKED, b"5\r\n" + NAME[:5] + b"\r\n"))
    wait_until(lambda: server.door.bodies.held == 5, "the body to be read")
    revoke_api_key(runtime, merchant.merchant_id, key_id)
    client.sendall(b"no chunk\r\n")
    assert b" 400 " in answer(client)
    wait_until(lambda: bool(_counted(runtime, merchant)), "it to be counted")
    assert _counted(runtime, merchant) == [("UNAUTHENTICATED", f"key {key_id}", 1)]


ASKED = urlencode({"query": INGEST_MANY, "variables": json.dumps({"inputs": [{}, {}]})}).encode()


@pytest.mark.parametrize(
    ("line", "events"),
    [
        pytest.param(b"PUT /graphql", 1, id="another method"),
        pytest.param(b"POST http://x/graphql", 1, id="a whole address"),
        pytest.param(b"POST /%67raphql", 1, id="an escaped path"),
        pytest.param(b"POST /graphql/?x=y", 1, id="a slash and a query behind it"),
        pytest.param(b"GET /graphql?" + ASKED, 2, id="events in the address"),
        pytest.param(b"GET http://x/graphql?query={merchant{name}}", 0, id="reading"),
        pytest.param(b"POST http://graphql/t", 0, id="what is not for the API"),
        pytest.param(b"POST /t?/graphql", 0, id="what only names it"),
    ],
)
@pytest.mark.parametrize("is_revoked", [False, True])
def test_what_cannot_be_read_counts_however_it_is_addressed(
    server: LiveServer, runtime: Runtime, merchant: Merchant, line: bytes, events: int, is_revoked: bool
) -> None:
    with in_transaction():
        [[key_id]] = rows("SELECT key_id FROM api_keys WHERE merchant_id = %s", (merchant.merchant_id,))
    if is_revoked:
        revoke_api_key(runtime, merchant.merchant_id, key_id)
    assert b" 400 " in answer(opened(server, _name(merchant, LENGTH + LENGTH).replace(b"POST /graphql", line)))
    other = new_merchant(runtime, name="Other")
    answer(opened(server, _name(other, LENGTH + LENGTH)))
    wait_until(lambda: bool(_counted(runtime, other)), "it to be counted")
    told = ("UNAUTHENTICATED", f"key {key_id}", events) if is_revoked else ("BAD_REQUEST", "request", events)
    assert _counted(runtime, merchant) == ([told] if events else [])


@pytest.mark.parametrize(("coding", "named"), [(b"gzip, chunked", "gzip"), (b"x-secret, chunked", "another coding")])
def test_a_transfer_coding_that_is_not_taken_apart_is_named(
    server: LiveServer, runtime: Runtime, merchant: Merchant, coding: bytes, named: str
) -> None:
    packed = gzip.compress(NAME)
    told = b"transfer-encoding: %s\r\nconnection: close\r\n" % coding
    said = answer(opened(server, _name(merchant, told, b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed))))
    assert b" 415 " in said.partition(b"\r\n")[0]
    assert f"its Transfer-Encoding names {named}, and only chunked is taken apart.".encode() in said
    assert b"secret" not in said
    assert _counted(runtime, merchant) == [("BAD_REQUEST", "request", 1)]
    said = answer(opened(server, _name(merchant, told, IN_CHUNKS)))  # whose header is wrong, and its body is good
    assert b" 200 " in said.partition(b"\r\n")[0]


def test_what_cannot_be_read_counts_for_nobody_who_sends_no_events(
    server: LiveServer, runtime: Runtime, merchant: Merchant
) -> None:
    two = LENGTH + LENGTH
    for sent in (
        _name(merchant, two).replace(b"/graphql", b"/t"),
        _name(merchant, two).replace(b"POST", b"GET"),
        _name(merchant, two).replace(merchant.key.encode(), b"tl_" + b"x" * 40),
        head(server, None, 3).replace(b"content-length", b"content-length: 3\r\ncontent-length"),
        b"GARBAGE\r\n\r\n",
        b"\r\n\r\n\r\n",
    ):
        answer(opened(server, sent))
    other = new_merchant(runtime, name="Other")
    answer(opened(server, _name(other, two)))
    wait_until(lambda: bool(_counted(runtime, other)), "it to be counted")
    assert _counted(runtime, other) == [("BAD_REQUEST", "request", 1)]
    assert _counted(runtime, merchant) == []


def _refused(status: int) -> float:
    found: float = metrics.CONNECTIONS_REFUSED.labels(status)._value.get()
    return found


@pytest.mark.parametrize(
    ("behind", "status"),
    [
        pytest.param(b"}", 400, id="more of its body"),
        pytest.param(b"GARBAGE\r\n\r\n", 400, id="what is no HTTP"),
        pytest.param(UPGRADE % (b"POST", b""), 400, id="a socket that begins with POST"),
        pytest.param(UPGRADE % (b"GET", b""), 400, id="a socket"),
        pytest.param(b"POST /graphql HTTP/1.1\r\nhost: x\r\n" + CHUNKED + b"\r\nzz\r\n", 400, id="a body that is none"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"y" * MAX_HEAD + b"\r\n\r\n", 431, id="long headers"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"y" * 3 * MAX_HEAD, 431, id="headers without end"),
    ],
)
@pytest.mark.parametrize("before", [1, 3])
def test_a_refusal_is_never_the_answer_to_the_request_before_it(
    server: LiveServer, runtime: Runtime, merchant: Merchant, behind: bytes, status: int, before: int
) -> None:
    counted = _refused(status)
    stored = _ingest(runtime, merchant, b"content-length: LENGTH\r\n")
    said = answer(opened(server, stored * before + behind))
    assert said.count(b"HTTP/1.1 ") == said.count(b"HTTP/1.1 200 OK") == before
    assert said.count(b"connection: close") == 1
    assert b"connection: close" in said.rpartition(b"HTTP/1.1 ")[2]
    assert _refused(status) == counted + 1
    with in_transaction():
        assert rows("SELECT event_id, times_received FROM events") == [("order_1", before)]
