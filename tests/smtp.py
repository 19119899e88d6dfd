"""A real SMTP server for tests: keeps what it takes, and fails where it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import email
import socket
import ssl
import threading
import warnings
from collections import Counter
from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class MailServer:
    """``mails``: (recipient, message) of everything taken. ``port`` stays the same when it is stopped and started.

    ``certificate``: it speaks TLS, from the first byte or, with ``starttls``, when it is asked to and then only so.
    """

    def __init__(
        self, auth: tuple[str, str] | None = None, certificate: Path | None = None, *, starttls: bool = False
    ) -> None:
        self.mails: list[tuple[str, EmailMessage]] = []
        self.refuse_recipient: dict[str, str] = {}
        self.refuse_data: str | None = None
        self.most_in_a_session: int | None = None
        self._announced: Counter[SMTP] = Counter()
        self.on_taken: Callable[[SMTP], None] = lambda server: None
        self.sessions = 0
        self._auth = auth
        self._tls: ssl.SSLContext | None = None
        self._starttls = starttls
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        login = f"{self._auth[0]}:{self._auth[1]}@" if self._auth else ""
        scheme = "smtps" if self._tls is not None and not self._starttls else "smtp"
        return f"{scheme}://{login}127.0.0.1:{self.port}?from=alerts@tracklayer.example"

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        options: dict[str, Any] = {"enable_SMTPUTF8": True, "hostname": "mail.example"}
        if self._auth is not None:
            options |= {"authenticator": self._log_in, "auth_required": True, "auth_require_tls": False}
        if self._starttls:
            options |= {"tls_context": self._tls, "require_starttls": True}

        taken: list[SMTP] = []

        def made() -> SMTP:
            self.sessions += 1
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a password without TLS: nobody listens to a test
                taken.append(SMTP(self, loop=self._loop, **options))
            return taken[-1]

        server = self._loop.run_until_complete(
            self._loop.create_server(made, sock=self._socket, ssl=None if self._starttls else self._tls)
        )
        ready.set()
        self._loop.run_forever()
        server.close()
        for session in taken:
            # A client has not left: it logs its end now, and not when it is forgotten.
            if isinstance(session.transport, asyncio.WriteTransport):
                session.transport.abort()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, asyncio.sleep(0), return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _log_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == self._auth
        return AuthResult(success=bool(given), handled=False)

    async def handle_MAIL(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self._announced[server] += 1
        if self.most_in_a_session is not None and self._announced[server] > self.most_in_a_session:
            return "421 4.7.0 too many messages in this session"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse_recipient:
            return self.refuse_recipient[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refuse_data is not None:
            return self.refuse_data
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        (recipient,) = envelope.rcpt_tos
        self.mails.append((recipient, message))
        self.on_taken(server)
        return "250 taken"


BANNER, END = b"BANNER", b"."
CODES = {BANNER: b"220", b"DATA": b"354", b"QUIT": b"221"}


class EndlessServer:
    """Says yes to everything, but its answer at one place has no end: a line of it comes now and then.

    ``place``: BANNER, a command or END, the end of a message. ``reached``: set when somebody waits there.
    """

    def __init__(self, place: bytes) -> None:
        self._place = place
        self.reached = threading.Event()
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._socket.getsockname()[1]}?from=alerts@tracklayer.example"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(10)
        self._socket.close()
        for thread in self._threads[1:]:
            thread.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            self._answer(connection, BANNER)
            in_message = False
            for line in lines:
                word = line.split()[0] if line.strip() else b""
                if not in_message or word == END:
                    self._answer(connection, word.upper())
                    in_message = word.upper() == b"DATA"

    def _answer(self, connection: socket.socket, place: bytes) -> None:
        code = CODES.get(place, b"250")
        while place == self._place and not self._over.is_set():
            self.reached.set()
            connection.sendall(code + b"-wait\r\n")
            self._over.wait(0.02)
        connection.sendall(code + b" yes\r\n")
