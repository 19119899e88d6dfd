"""Asks a server as fast as it answers, or so many times a second, over a number of connections: a process of its own, lean on
purpose.

It shares the machine with what it measures, so requests are put together from prebuilt bytes, answers are looked at
and not parsed, and each connection has one request on its way.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

import uvloop

from tracklayer.cli.bench.ground import as_child

ID_LENGTH = 20  # characters of an event id: all the same, so that the length of a request is known beforehand
ID_MARK = "~" * ID_LENGTH
TAIL_MARK = ID_MARK[-7:]  # wherever it stands alone: the last digits of the id
ADDRESS_MARK = "~address~"  # in the head: an IPv4 address, each request's own
WAIT_SECONDS = 30  # for the last answers
_visitors = count()  # of all measurements: each has an address of its own


@dataclass(frozen=True)
class Job:
    """One measurement. ``head``: the HTTP head up to the length; ``body``: with ``{items}`` where the items go, each
    ``item`` with ``ID_MARK`` for its id and ``TAIL_MARK`` for its last digits. ``expected`` is found ``batch`` times in
    every right answer. ``rate``: requests a second, and each one's latency counts from when it was due; 0: as fast as answers
    come.
    """

    port: int
    head: str
    body: str
    item: str
    batch: int
    concurrency: int
    seconds: float
    most: int
    expected: str
    prefix: str
    rate: float = 0.0


class Load:
    def __init__(self, job: Job) -> None:
        before, after = job.body.split("{items}")
        pieces = [piece.split(TAIL_MARK.encode()) for piece in job.item.encode().split(ID_MARK.encode())]
        item_length = len(job.item.encode())
        length = len(before.encode()) + len(after.encode()) + job.batch * item_length + job.batch - 1
        self._head = f"{job.head}content-length: {length}\r\n\r\n{before}".encode()
        self._tail = after.encode()
        self._pieces = pieces
        self._job = job
        self._expected = job.expected.encode()
        self._is_marked = ID_MARK in job.head or ADDRESS_MARK in job.head
        self._idle: deque[_Connection] = deque()  # that wait until the next request is due
        self._made = 0  # requests that were due
        self._overdue: deque[float] = deque()  # when those were that found no idle connection
        self._next = 0
        self._open = 0
        self.latencies: list[float] = []
        self.errors = 0
        self.first_error = ""
        self.ended = 0.0

    async def run(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()
        connections = [
            (await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._job.port))[1]
            for _ in range(self._job.concurrency)
        ]
        started = time.perf_counter()
        self._deadline = started + self._job.seconds
        self._open = len(connections)
        if self._job.rate:
            self._idle.extend(connections)
            self._started = started
            self._make_due()
        else:
            for connection in connections:
                connection.ask()
        try:
            await asyncio.wait_for(self._done, self._job.seconds + WAIT_SECONDS)
        except TimeoutError:
            self.errors += self._open
            self.first_error = self.first_error or "no answer"
        for connection in connections:
            connection.close()
        found = sorted(self.latencies)
        return {
            "requests": len(found),
            "events": len(found) * self._job.batch,
            "errors": self.errors,
            "first_error": self.first_error,
            "seconds": self.ended - started,
            "p50_ms": _place(found, 0.50),
            "p99_ms": _place(found, 0.99),
        }

    def _make_due(self) -> None:
        """Sends what is due, and comes again for the next one."""
        now = time.perf_counter()
        while (due := self._started + self._made / self._job.rate) <= min(now, self._deadline):
            self._made += 1
            if self._idle:
                self._idle.popleft().ask(due)
            else:
                self._overdue.append(due)
        if due <= self._deadline:
            asyncio.get_running_loop().call_later(due - now, self._make_due)
        else:
            self._deadline = now
            while self._idle:
                self._idle.popleft().ask()  # which finds that the time is up

    def go_on(self, connection: _Connection) -> None:
        """What a connection does that got its answer."""
        if not self._job.rate:
            connection.ask()
        elif self._overdue:
            connection.ask(self._overdue.popleft())
        elif time.perf_counter() > self._deadline:
            connection.ask()
        else:
            self._idle.append(connection)

    def request(self, due: float | None) -> bytes | None:
        """The next one, or None when time or count is up; what was due in time is sent however late."""
        job = self._job
        if self._next >= job.most or (due is None and time.perf_counter() > self._deadline):
            return None
        parts = [self._own_head() if self._is_marked else self._head]
        for place in range(job.batch):
            event_id = self._event_id(self._next + place)
            if place:
                parts.append(b",")
            tail = event_id[-len(TAIL_MARK) :]
            parts.append(event_id.join([tail.join(piece) for piece in self._pieces]))
        self._next += job.batch
        parts.append(self._tail)
        return b"".join(parts)

    def _event_id(self, number: int) -> bytes:
        prefix = self._job.prefix
        return f"{prefix}{number:0{ID_LENGTH - len(prefix)}d}".encode()

    def _own_head(self) -> bytes:
        visitor = next(_visitors)
        address = f"9.{visitor >> 16 & 255}.{visitor >> 8 & 255}.{visitor & 255}".encode()
        return self._head.replace(ID_MARK.encode(), self._event_id(self._next)).replace(ADDRESS_MARK.encode(), address)

    def answered(self, answer: bytes, seconds: float) -> None:
        if answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204")) and answer.count(self._expected) == self._job.batch:
            self.latencies.append(seconds)
        else:
            self.errors += 1
            self.first_error = self.first_error or answer.decode(errors="replace")[:600]

    def finished(self) -> None:
        self._open -= 1
        self.ended = time.perf_counter()
        if not self._open and not self._done.done():
            self._done.set_result(None)


class _Connection(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._asked: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class

    def ask(self, due: float | None = None) -> None:
        request = self._load.request(due)
        if request is None:
            self._asked = None
            self._load.finished()
            return
        self._asked = due or time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            at = data.find(b"content-length: ", 0, end + 2) + 16
            if at < 16 or len(data) >= end + 4 + int(data[at : data.index(b"\r", at)]):  # a 204 says no length
                self._buffer = b""
                self._load.answered(data, time.perf_counter() - (self._asked or 0))
                self._asked = None
                self._load.go_on(self)
                return
        self._buffer = data

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asked is not None:
            self._asked = None
            self._load.answered(b"the connection was lost", 0)
            self._load.finished()

    def close(self) -> None:
        self._asked = None
        self._transport.close()


def _place(found: list[float], share: float) -> float:
    """In milliseconds; 0 of nothing."""
    return found[min(len(found) - 1, int(len(found) * share))] * 1000 if found else 0.0


def _work(jobs: Iterator[Any], answer: Callable[[Any], None]) -> None:
    gc.collect()
    gc.freeze()
    for job in jobs:
        gc.disable()
        answer(uvloop.run(Load(Job(**job)).run()))
        gc.enable()
        gc.collect()


if __name__ == "__main__":
    as_child(_work)
