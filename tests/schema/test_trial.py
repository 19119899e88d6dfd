"""Trying a destination waits for a platform, and nobody else does."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import httpx
import pytest

from tests.factories import INGEST, META, Api, Merchant, camel, draft, new_merchant
from tracklayer.app import build_app
from tracklayer.runtime import Runtime
from tracklayer.services.destinations import Changed, set_destination
from tracklayer.services.trial import AT_ONCE, OF_ONE

TRY = """mutation { testDestination(platform: META) {
    attempt { outcome httpStatus } explanation { code } userErrors { field code } } }"""
NAME = "{ merchant { name } }"


class SilentPlatform:
    """Takes requests, and answers when it is told to."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.taken = threading.Semaphore(0)
        self.may_answer = threading.Event()
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            self.taken.release()
            self.may_answer.wait()
            body = b'{"events_received": 1}'
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert await asyncio.to_thread(self.taken.acquire, timeout=20)

    def stop(self) -> None:
        self.may_answer.set()
        self._listening.close()


@pytest.fixture
def platform() -> Iterator[SilentPlatform]:
    made = SilentPlatform()
    yield made
    made.stop()


def trying_merchant(runtime: Runtime) -> Merchant:
    found = new_merchant(runtime)
    settings = {**META, "test_event_code": "TEST12345"}
    assert isinstance(set_destination(runtime, found.merchant_id, "meta", settings), Changed)
    return found


async def test_platforms_that_do_not_answer_a_trial_keep_nobody_else_waiting(
    runtime: Runtime, merchant: Merchant, platform: SilentPlatform
) -> None:
    runtime.settings = replace(runtime.settings, sandbox_url=platform.url)
    runtime.http_timeout = httpx.Timeout(30)
    merchants = [trying_merchant(runtime) for _ in range(AT_ONCE // OF_ONE)]
    app = build_app(runtime, lambda _: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracklayer") as client:
        api = Api(client, merchant.key)

        async def trial(key: str) -> Any:
            return (await api.post(TRY, key=key)).json()

        # Sixteen in all: as many as there are threads for everything else that is asked of the database.
        trials = [asyncio.create_task(trial(one.key)) for one in merchants for _ in range(16 // len(merchants))]
        await platform.wait_for(AT_ONCE)

        assert (await api(INGEST, input=camel(draft())))["ingestEvent"]["outcome"] == "ACCEPTED"
        assert await api(NAME) == {"merchant": {"name": "Shop"}}
        one_too_many = await api.post(TRY, key=trying_merchant(runtime).key)
        refused = [await answer for answer in islice(asyncio.as_completed(trials), len(trials) - AT_ONCE)]
        assert sum(task.done() for task in trials) == len(trials) - AT_ONCE

        (error,) = one_too_many.json()["errors"]
        assert (one_too_many.status_code, one_too_many.headers["retry-after"]) == (429, "10")
        assert error["extensions"] == {"code": "RATE_LIMITED", "retryable": True, "retryAfterSeconds": 10}
        assert [answer["errors"][0]["extensions"]["code"] for answer in refused] == ["RATE_LIMITED"] * len(refused)

        platform.may_answer.set()
        answers = [await task for task in trials]
        tried = [answer["data"]["testDestination"]["attempt"] for answer in answers if "errors" not in answer]
        assert tried == [{"outcome": "ACKNOWLEDGED", "httpStatus": 200}] * AT_ONCE
        again = await trial(merchants[0].key)  # a place is free when its trial has ended
        assert again["data"]["testDestination"]["attempt"]["outcome"] == "ACKNOWLEDGED"


async def test_a_trial_whose_caller_has_left_keeps_its_place_until_it_ends(
    runtime: Runtime, platform: SilentPlatform
) -> None:
    runtime.settings = replace(runtime.settings, sandbox_url=platform.url)
    runtime.http_timeout = httpx.Timeout(30)
    one = trying_merchant(runtime)
    app = build_app(runtime, lambda _: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracklayer") as client:
        api = Api(client, one.key)
        left = [asyncio.create_task(api.post(TRY)) for _ in range(OF_ONE)]
        await platform.wait_for(OF_ONE)
        for task in left:
            task.cancel()
        await asyncio.wait(left)
        assert (await api.post(TRY)).status_code == 429
