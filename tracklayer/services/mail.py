"""SMTP: one message to one address, and an honest word about its fate. Knows nothing of alerts."""

from __future__ import annotations

import contextlib
import os
import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

TIMEOUT_SECONDS = 10  # of each step: who takes longer is in trouble, and the thread is wanted elsewhere
PORTS = {"smtp": 587, "smtps": 465}


class MailError(Exception):
    """``reason``: a word for a log, without any address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotSentError(MailError):
    """It has certainly not gone out: it may be tried again."""


class RefusedError(MailError):
    """It has certainly not gone out, and the server will never take it."""


class FateUnknownError(MailError):
    """The server had the message in its hands when the connection was lost: it may have gone out."""


@dataclass(frozen=True)
class SmtpServer:
    """Where mail goes, as ``TRACKLAYER_SMTP_URL`` says."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None = field(repr=False)
    sender: str

    @classmethod
    def from_url(cls, url: str, default_sender: str) -> SmtpServer:
        """``smtp://user:password@host:587?from=alerts@example.com``; ``smtps`` speaks TLS from the first byte."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "",
            port=parts.port or PORTS[parts.scheme],
            tls=parts.scheme == "smtps",
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            sender=parse_qs(parts.query).get("from", [default_sender])[0],
        )


class Mailer:
    """A session with the server, opened with the first message and kept for the next. For one thread; any may ``cut``."""

    def __init__(self, server: SmtpServer, timeout_seconds: int = TIMEOUT_SECONDS) -> None:
        self._server = server
        self._timeout = timeout_seconds  # of each step
        self._session: smtplib.SMTP | None = None
        self._wire: socket.socket | None = None
        self._is_cut = False

    def cut(self) -> None:
        """Ends what takes too long, since a server that sends a byte now and then ends no step: it fails at once."""
        self._is_cut = True
        wire = self._wire
        if wire is not None:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def _opened(self, connection: socket.socket) -> None:
        """Kept apart, since TLS puts another object in the place of a socket: this means the connection itself."""
        self._wire = socket.socket(fileno=os.dup(connection.fileno()))
        if self._is_cut:
            connection.close()
            raise TimeoutError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def open(self) -> smtplib.SMTP:
        """The session: connected, encrypted and logged in, as for a message. Raises NotSentError."""
        try:
            return self._session or self._connect()
        except (OSError, smtplib.SMTPException) as error:
            self._hang_up()
            raise NotSentError(_reason(error)) from None

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Hands the message over: when this returns, the server has taken it.

        Raises NotSentError, RefusedError or FateUnknownError.
        """
        session = self.open()
        try:
            unicode_needed = not recipient.isascii()
            if unicode_needed and not session.has_extn("smtputf8"):
                raise RefusedError("NoUnicodeAddresses")
            _expect(session.mail(self._server.sender, ("SMTPUTF8", "BODY=8BITMIME") if unicode_needed else ()), 250)
            code, _ = session.rcpt(recipient)
            if 500 <= code < 600:
                session.rset()
                raise RefusedError(f"Refused{code}")
            _expect((code, b""), 250, 251)
            text = message.as_bytes(policy=policy.SMTPUTF8 if unicode_needed else policy.SMTP)
        except (OSError, smtplib.SMTPException) as error:
            self._hang_up()
            raise NotSentError(_reason(error)) from None
        try:
            _expect(session.data(text), 250)
        except (smtplib.SMTPDataError, smtplib.SMTPResponseException) as error:  # it answered, and not with yes
            self._hang_up()
            raise NotSentError(_reason(error)) from None
        except (OSError, smtplib.SMTPException) as error:
            self._hang_up()
            raise FateUnknownError(_reason(error)) from None

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        name = socket.gethostname()
        verified = ssl.create_default_context()
        if server.tls:
            session: smtplib.SMTP = _TlsSession(
                self._opened, server.host, server.port, local_hostname=name, timeout=self._timeout, context=verified
            )
        else:
            session = _Session(self._opened, server.host, server.port, local_hostname=name, timeout=self._timeout)
        self._session = session
        session.ehlo_or_helo_if_needed()
        encrypted = server.tls
        if not server.tls and session.has_extn("starttls"):
            # A password goes only to a server that proves its name. Without one, any encryption is better than none.
            session.starttls(context=verified if server.user else _unverified())
            session.ehlo()
            encrypted = True
        if server.user is not None:
            if not encrypted and not _is_here(server.host):
                self._hang_up()
                raise NotSentError("NoTlsForThePassword")
            session.login(server.user, server.password or "")
        return session

    def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            try:
                session.quit()
            except (OSError, smtplib.SMTPException):
                session.close()
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()


class _Session(smtplib.SMTP):
    """Tells of its connection before the server has said a word: from then on it can be cut."""

    def __init__(self, opened: Callable[[socket.socket], None], *where: Any, **options: Any) -> None:
        self._opened = opened
        super().__init__(*where, **options)

    def _get_socket(self, *where: Any) -> socket.socket:
        connection: socket.socket = super()._get_socket(*where)  # type: ignore[misc]
        self._opened(connection)
        return connection


class _TlsSession(_Session, smtplib.SMTP_SSL):
    pass


def _expect(answer: tuple[int, bytes], *codes: int) -> None:
    if answer[0] not in codes:
        raise smtplib.SMTPResponseException(answer[0], b"")


def _reason(error: Exception) -> str:
    """The error's class and code. Never its words: a server likes to quote addresses."""
    code = getattr(error, "smtp_code", None)
    return f"{type(error).__name__}{f' {code}' if code else ''}"


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_here(host: str) -> bool:
    """True for this machine itself: nobody reads along there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
