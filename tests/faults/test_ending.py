"""An API process that is asked to end breaks no request: readiness falls first, then connections drain."""

from __future__ import annotations

import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson

from tests.factories import INGEST, camel, draft
from tests.faults.conftest import Installation
from tests.servers import Process, free_port, running, wait_for_api, wait_until

LONG = "600"  # seconds: a test that must not wait for the end of it


@contextmanager
def api(installation: Installation, drain: str, *args: str) -> Iterator[tuple[Process, str]]:
    port = free_port()
    environ = {**installation.environ, "TRACKLAYER_DRAIN_SECONDS": drain}
    with running("api", "--port", str(port), *args, environ=environ) as process:
        wait_for_api(process, f"http://127.0.0.1:{port}")
        yield process, f"http://127.0.0.1:{port}"


def is_ready(address: str) -> bool:
    return httpx.get(f"{address}/readyz").status_code == 200


def ending(process: Process, address: str) -> None:
    process.ask_to_end()
    wait_until(lambda: not is_ready(address), "readiness to fall")


def ended(process: Process) -> int:
    """Its exit status, once it has ended by itself."""
    wait_until(lambda: not process.is_running(), "the process to end")
    return process.stop()


def body(event: dict[str, Any]) -> dict[str, Any]:
    return {"query": INGEST, "variables": {"input": camel(event)}}


def test_readiness_falls_first_and_requests_are_answered_until_the_end(
    installation: Installation, now: Callable[[], str]
) -> None:
    with api(installation, "3") as (process, address):
        client = installation.client(address)
        assert "connection" not in client.post("/graphql", json=body(draft("before", occurred_at=now()))).headers
        ending(process, address)
        assert httpx.get(f"{address}/readyz").json() == {"ready": False, "why": "this process is being ended"}
        assert httpx.get(f"{address}/healthz").status_code == 200
        for number in range(2):  # on the connection that was open, and on a new one
            answer = client.post("/graphql", json=body(draft(f"during_{number}", occurred_at=now())))
            assert answer.json()["data"]["ingestEvent"]["outcome"] == "ACCEPTED"
            assert answer.headers["connection"] == "close"
        assert ended(process) == 0
        assert "Traceback" not in process.output()


def test_callers_that_heed_readiness_lose_no_request_in_a_rolling_restart(
    installation: Installation, now: Callable[[], str]
) -> None:
    """As behind a proxy: kept connections, and each process is left alone once it says that it is not ready."""
    broken: list[str] = []
    answered: list[int] = []
    stop = threading.Event()
    addresses: list[str] = []

    def call(number: int) -> None:
        clients: dict[str, httpx.Client] = {}
        count = 0
        while not stop.is_set():
            ready = list(addresses)
            address = ready[(number + count) % len(ready)]
            count += 1
            client = clients.setdefault(address, installation.client(address))
            try:
                event = draft(f"{number}_{count}", occurred_at=now())
                answered.append(client.post("/graphql", json=body(event)).status_code)
            except httpx.TransportError as error:
                broken.append(type(error).__name__)

    with api(installation, "3") as (first, address), api(installation, "3") as (_, other):
        addresses += [address, other]
        threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answered) > 50, "calls to be answered")
        ending(first, address)
        addresses.remove(address)
        wait_until(lambda: not first.is_running(), "the first to end")
        seen = len(answered)
        wait_until(lambda: len(answered) > seen + 50, "calls to be answered by the other")
        stop.set()
        for thread in threads:
            thread.join()
        assert first.stop() == 0
    assert broken == []
    assert set(answered) == {200}


def test_a_request_whose_headers_are_on_their_way_is_answered(
    installation: Installation, now: Callable[[], str]
) -> None:
    content = orjson.dumps(body(draft(occurred_at=now())))
    head = (
        f"POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {installation.merchant.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    ).encode()
    with api(installation, "3") as (process, address), socket.create_connection(address_of(address)) as slow:
        slow.sendall(head[:60])
        with socket.create_connection(address_of(address)) as idle:
            idle.settimeout(30)
            idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"ok\n"):
                answer += idle.recv(4096)
            ending(process, address)
            assert idle.recv(4096) == b""  # once the time is over, what is idle is closed
        slow.sendall(head[60:] + content)
        slow.settimeout(30)
        answer = b""
        while chunk := slow.recv(65536):
            answer += chunk
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer
        assert b'"ACCEPTED"' in answer
        assert ended(process) == 0


def test_a_request_that_waits_behind_another_one_is_answered_too(installation: Installation) -> None:
    get = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    with api(installation, "3") as (process, address):
        ending(process, address)
        with socket.create_connection(address_of(address)) as own:
            own.settimeout(30)
            own.sendall(get * 3)
            answer = b""
            while chunk := own.recv(65536):
                answer += chunk
        assert answer.count(b"HTTP/1.1 200 OK") == 3
        assert answer.count(b"connection: close") == 1


def test_a_second_signal_ends_it_at_once(installation: Installation) -> None:
    with api(installation, LONG) as (process, address):
        ending(process, address)
        assert process.stop() == 0
        assert "Traceback" not in process.output()


def test_what_is_cut_off_at_the_end_is_counted_and_leaves_no_trace(installation: Installation) -> None:
    head = (
        f"POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {installation.merchant.key}\r\n"
        "content-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    )
    for drain, signals in ((LONG, 2), ("0", 1)):
        with api(installation, drain) as (process, address), socket.create_connection(address_of(address)) as slow:
            slow.sendall(head.encode())  # and the body never comes
            if signals == 2:
                ending(process, address)
            assert process.stop() == 0
            assert "Traceback" not in process.output()
            assert "CancelledError" not in process.output()
            assert process.output().count("1 request was cut off") == 1


def test_ctrl_c_waits_for_nobody_to_look_elsewhere(installation: Installation) -> None:
    with api(installation, LONG) as (process, _):
        assert process.stop(signal.SIGINT) == 0


def test_several_processes_drain_as_one_does_and_end_at_a_second_signal(
    installation: Installation, now: Callable[[], str]
) -> None:
    with api(installation, LONG, "--processes", "2") as (process, address):
        client = installation.client(address)
        ending(process, address)
        answer = client.post("/graphql", json=body(draft(occurred_at=now())))
        assert answer.json()["data"]["ingestEvent"]["outcome"] == "ACCEPTED"
        assert process.stop() == 0
        told = process.output()
        # One that had not begun to serve when the first signal came has ended by that.
        count = "(2 processes were|1 process was)"
        assert re.search(f"{count} ended at once, with what was in hand: a second signal came", told)
        assert "api has ended after" in told


def address_of(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)
