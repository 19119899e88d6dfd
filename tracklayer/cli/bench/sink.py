"""Platforms that take everything at once, as a process of its own: what they cost is next to nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from tracklayer.cli.bench.ground import as_child, free_port

HANG_SECONDS = 30


class Sink:
    """Acknowledges every event in the words of the first two platforms; ``hanging`` ones answer after half a minute."""

    def __init__(self) -> None:
        self.hanging: frozenset[str] = frozenset()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["path"].split("/")[1] in self.hanging:
            await asyncio.sleep(HANG_SECONDS)
        answer = b'{"events_received":%d,"code":0,"message":"OK"}' % body.count(b'"event_id"')
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def _work(jobs: Iterator[Any], answer: Callable[[Any], None]) -> None:
    """The first job starts it and is answered with its port; the next ones say who hangs."""
    sink, port = Sink(), free_port()
    # Connections live longer than any pause: one that ends while a request leaves is an answer that never comes.
    config = uvicorn.Config(
        sink, port=port, log_level="warning", access_log=False, lifespan="off", timeout_keep_alive=600
    )
    threading.Thread(target=uvicorn.Server(config).run, daemon=True).start()
    for number, job in enumerate(jobs):
        sink.hanging = frozenset(job["hanging"])
        answer(port if number == 0 else None)


if __name__ == "__main__":
    as_child(_work)
