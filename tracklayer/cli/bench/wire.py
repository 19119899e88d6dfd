"""A wire to PostgreSQL that can be frozen: a child process that forwards a TCP port to its socket.

``{"port": 0, "target": PATH}`` begins it and is answered with the port; ``{"frozen": true}`` swallows from then on all that
is sent either way, without a word to anybody, as a host does that vanishes. ``{"frozen": false}`` lets new connections
through again; what was frozen stays so, as connections do whose host came back without knowing them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvloop

from tracklayer.cli.bench.ground import as_child

CHUNK = 64 * 1024  # bytes read at once


class Wire:
    def __init__(self, target: str) -> None:
        self._target = target
        self._frozen = False
        self._pumps: set[asyncio.Task[None]] = set()
        self._kept: list[Any] = []  # of frozen connections: nobody closes them

    async def listen(self, port: int) -> int:
        server = await asyncio.start_server(self._connected, "127.0.0.1", port)
        return int(server.sockets[0].getsockname()[1])

    def freeze(self, frozen: bool) -> None:
        self._frozen = frozen
        if frozen:
            for pump in self._pumps:
                pump.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._frozen:
            self._kept.append((reader, writer))
            return
        there = await asyncio.open_unix_connection(self._target)
        self._kept.append((reader, writer, there))
        for source, sink in ((reader, there[1]), (there[0], writer)):
            pump = asyncio.create_task(_pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass
    sink.close()  # not reached by one that was cancelled: it is frozen


def _work(jobs: Iterator[Any], answer: Callable[[Any], None]) -> None:
    loop = uvloop.new_event_loop()
    threading.Thread(target=loop.run_forever, name="wire", daemon=True).start()
    first = next(jobs)
    wire = Wire(first["target"])
    answer(asyncio.run_coroutine_threadsafe(wire.listen(first["port"]), loop).result())
    for job in jobs:
        loop.call_soon_threadsafe(wire.freeze, job["frozen"])
        answer(None)


if __name__ == "__main__":
    as_child(_work)
