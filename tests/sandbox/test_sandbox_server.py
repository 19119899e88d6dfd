"""Serving the sandbox: in a thread, as a process of its own, and leaving."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.servers import PATIENCE_SECONDS, free_port, wait_until
from tracklayer.sandbox import SandboxServer

Make = Callable[..., dict[str, Any]]


def test_stop_frees_the_port_and_start_brings_back_the_same_sandbox(clock: Any, event: Make) -> None:
    server = SandboxServer(clock=clock.now).start()
    body = {"data": [event()], "access_token": "good"}
    url, port = server.url, server.port
    assert httpx.post(f"{url}/meta/v26.0/1/events", json=body).status_code == 200

    server.stop()
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)

    assert server.start() is server
    assert server.start().port == port
    assert httpx.get(f"{url}/_accepted").json()["unique"] == 1
    server.stop()


def test_stop_waits_for_no_request_that_hangs(clock: Any, event: Make) -> None:
    server = SandboxServer(clock=clock.now).start()
    httpx.post(f"{server.url}/_faults", json={"platform": "meta", "kind": "hang", "delay_seconds": 60})
    errors: list[Exception] = []

    def post() -> None:
        try:
            httpx.post(f"{server.url}/meta/v26.0/1/events", json={"data": [event()]}, timeout=90)
        except httpx.HTTPError as error:
            errors.append(error)

    clients = [threading.Thread(target=post) for _ in range(3)]
    for client in clients:
        client.start()

    def hits() -> int:
        return int(httpx.get(f"{server.url}/_faults").json()["faults"][0]["hits"])

    wait_until(lambda: hits() == 3, "three requests to hang")

    server.stop()  # raises where it takes long

    for client in clients:
        client.join(30)
    assert len(errors) == 3
    assert all(isinstance(error, httpx.RemoteProtocolError | httpx.ReadError) for error in errors)


def test_taken_port_is_an_os_error(server: SandboxServer) -> None:
    with pytest.raises(OSError, match="in use"):
        SandboxServer(port=server.port).start()


def test_two_sandboxes_share_nothing(server: SandboxServer, http: httpx.Client) -> None:
    with SandboxServer() as other:
        assert other.port != server.port
        httpx.post(f"{other.url}/_faults", json={"kind": "down"})

        assert http.get("/_faults").json() == {"faults": []}


def test_run_sandbox_serves_until_it_is_interrupted() -> None:
    port = free_port()
    code = f"from tracklayer.sandbox import run_sandbox; run_sandbox(port={port}); print('left')"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/")
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert answer.text.startswith("TrackLayer sandbox")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=PATIENCE_SECONDS) == (b"left\n", b"")
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
