"""A small proxy between TrackLayer and PostgreSQL that can play the networks that tests cannot have."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Self
from urllib.parse import parse_qs, urlsplit


class FrozenProxy:
    """Listens on a port of this machine and forwards to the socket of the tests' PostgreSQL.

    ``freeze()``: the server's host vanishes; what is sent is taken and nothing comes back, no reset either, on all
    connections there are and on new ones. ``thaw()``: another host has taken its place; the old connections stay silent for
    ever. ``hold()``: the connections there are go on, new ones stay silent. ``refuse()``: nobody listens. ``stall()``: what is
    sent waits on its way, and arrives with ``release()``. ``cut_commits()``: some transactions are committed, or undone, and
    whoever asked for it never hears of it. ``sent``: what clients sent.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._upstream = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"postgresql://postgres:hunter2@127.0.0.1:{self.port}{parts.path}"
        self.sent: list[bytes] = []
        self._lock = threading.Lock()
        self._mode = "forward"
        self._links: list[_Link] = []
        self._passes = threading.Event()
        self._passes.set()
        self._cuts = _Cuts()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    @property
    def connections(self) -> int:
        """How many came, whatever became of them."""
        with self._lock:
            return len(self._links)

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._passes.set()
        with self._lock:
            for link in self._links:
                link.close()

    def stall(self) -> None:
        self._passes.clear()

    def release(self) -> None:
        self._passes.set()

    def freeze(self) -> None:
        with self._lock:
            self._mode = "freeze"
            for link in self._links:
                link.is_frozen = True

    def hold(self) -> None:
        with self._lock:
            self._mode = "hold"

    def cut_commits(self, count: int, of: bytes, every: int = 1, *, arrive: bool = True) -> None:
        """Of the next transactions in which ``of`` was sent: so many, each ``every``-th. The connection ends with it.

        ``arrive``: before its COMMIT is answered, else before it reaches the server.
        """
        self._cuts.begin(count, of, every, arrive)

    @property
    def cuts_left(self) -> int:
        return self._cuts.left

    def refuse(self) -> None:
        with self._lock:
            self._mode = "refuse"
            for link in self._links:
                link.close()

    def thaw(self) -> None:
        with self._lock:
            self._mode = "forward"

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._mode == "refuse":
                    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    caller.close()  # with a reset
                    continue
                upstream = self._upstream if self._mode == "forward" else None
                link = _Link(caller, upstream, self.sent, self._passes, self._cuts)
                self._links.append(link)


class _Cuts:
    """Which answers to a COMMIT are lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.left = 0

    def begin(self, count: int, of: bytes, every: int, arrive: bool) -> None:
        with self._lock:
            self.left, self._of, self._every, self._seen, self.arrive = count, of, every, 0, arrive

    def takes(self, transaction: bytes) -> bool:
        """``transaction``: all that was sent in it, to its COMMIT."""
        with self._lock:
            if not self.left or self._of not in transaction:
                return False
            self._seen += 1
            if self._seen % self._every:
                return False
            self.left -= 1
            return True


class _Link:
    """One connection. Frozen, it neither passes anything on nor tells one side that the other has gone."""

    def __init__(
        self, caller: socket.socket, upstream: str | None, sent: list[bytes], passes: threading.Event, cuts: _Cuts
    ) -> None:
        self.is_frozen = upstream is None
        self._cuts = cuts
        self._is_cut = False
        self._caller = caller
        self._sent = sent
        self._passes = passes
        self._server: socket.socket | None = None
        if upstream is not None:
            self._server = socket.socket(socket.AF_UNIX)
            self._server.connect(upstream)
            threading.Thread(target=self._pump, args=(self._server, caller), daemon=True).start()
        threading.Thread(target=self._pump, args=(caller, self._server), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket | None) -> None:
        transaction = b""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source is self._caller:
                    self._sent.append(data)
                    transaction += data
                    if b"COMMIT" in data:
                        self._is_cut, transaction = self._cuts.takes(transaction), b""
                        if self._is_cut and not self._cuts.arrive:
                            break
                    self._passes.wait()
                elif self._is_cut:
                    break  # the answer to its COMMIT
                if not self.is_frozen and sink is not None:
                    sink.sendall(data)
        if not self.is_frozen:
            self.close()

    def close(self) -> None:
        for end in (self._caller, self._server):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
