"""Clients that close their side behind what they ask, as `nc -N` does: they are answered, then the connection is closed."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Iterator

import pytest

from tests.cli.test_connections import HEALTH, NAME, STREAM, Hasty, answer, head, opened
from tests.factories import INGEST, Merchant, camel, draft
from tests.live import LiveServer
from tests.servers import wait_until
from tracklayer.db.connection import in_transaction, rows
from tracklayer.runtime import Runtime


@pytest.fixture
def server(runtime: Runtime) -> Iterator[LiveServer]:
    with LiveServer(runtime, connection=Hasty) as served:
        yield served


def _answered(server: LiveServer, asked: bytes) -> bytes:
    client = opened(server, asked)
    client.shutdown(socket.SHUT_WR)
    return answer(client)


def _events(server: LiveServer, runtime: Runtime, merchant: Merchant, count: int) -> bytes:
    requests = []
    for number in range(count):
        sent = {"query": INGEST, "variables": {"input": camel(draft(f"order_{number}"))}}
        body = json.dumps(sent, default=runtime.clock.now().__class__.isoformat).encode()
        requests.append(head(server, merchant, len(body)) + body)
    return b"".join(requests)


@pytest.mark.parametrize("count", [1, 2, 5, 101, 150])
def test_whoever_closes_its_side_behind_events_gets_all_answers(
    server: LiveServer, runtime: Runtime, merchant: Merchant, count: int
) -> None:
    said = _answered(server, _events(server, runtime, merchant, count))
    assert [int(found) for found in re.findall(rb'"eventId":"order_(\d+)"', said)] == list(range(count))
    assert said.count(b'"outcome":"ACCEPTED"') == count
    with in_transaction():
        assert rows("SELECT count(*), sum(times_received) FROM events") == [(count, count)]
    wait_until(lambda: server.connections() == 0, "it to be closed")


@pytest.mark.parametrize("before", [0, 1, 3])
def test_what_is_not_whole_is_explained_unless_others_are_answered_before_it(
    server: LiveServer, runtime: Runtime, merchant: Merchant, before: int
) -> None:
    whole = _events(server, runtime, merchant, before)
    for part, why in (
        (
            head(server, merchant, 1234) + NAME,
            b"Of the 1,234 bytes of a body that Content-Length announced 33 came, and then the end of all that was sent. ",
        ),
        (head(server, merchant, 1234)[:-2], b"The request ended in the midst of its headers."),
    ):
        said = _answered(server, whole + part)
        if before:
            assert said.count(b"HTTP/1.1 ") == said.count(b'"outcome":') == before
        else:
            assert said.count(b"HTTP/1.1 4") == said.count(b"HTTP/1.1 ") == 1
            assert why in said
        assert said.count(b"connection: close") == 1


def test_a_stream_that_is_asked_for_with_a_closed_side_ends(
    server: LiveServer, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    asked = head(server, merchant, len(STREAM)).replace(b"host:", b"accept: text/event-stream\r\nhost:")
    with caplog.at_level(logging.WARNING):
        assert _answered(server, asked + STREAM).count(b"HTTP/1.1 200 OK") == 1
        wait_until(lambda: server.followers() == 0 and server.connections() == 0, "the stream to end")
    assert caplog.records == []


def test_a_connection_that_is_closed_between_two_requests_is_closed_at_once(server: LiveServer) -> None:
    with opened(server, HEALTH) as client:
        assert client.recv(4096).endswith(b"ok\n")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
