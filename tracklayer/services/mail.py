"""SMTP: one message to one address, and an honest word about its fate. Knows nothing of alerts."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from ipaddress import ip_address
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tracklayer.domain.certificate import wrong_with_certificate

TIMEOUT_SECONDS = 10  # of each step: who takes longer is in trouble, and the thread is wanted elsewhere
# Of all steps up to the message itself, of the message, and of the farewell: a server that sends a line now and then ends none.
WHOLE_SECONDS = 30.0
# Of the answer to a whole message, which it may look for viruses first: RFC 5321, 4.5.3.2.6, says ten minutes.
ANSWER_SECONDS = 600.0
NOT_NOW = 421  # the server ends the session, whatever it was asked
PORTS = {"smtp": 587, "smtps": 465}


class MailError(Exception):
    """``reason``: a word for a log, without any address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotSentError(MailError):
    """It has certainly not gone out: it may be tried again."""


class NotThisOneError(NotSentError):
    """The server answered no to this address, or to this message, for now: it may take another one at once."""


class RefusedError(MailError):
    """It has certainly not gone out, and the server will never take it."""


class FateUnknownError(MailError):
    """The server had the message in its hands when the connection was lost: it may have gone out."""


class NoAnswerYetError(MailError):
    """The server has the message in its hands and takes its time: whoever waits for its answer is told of it."""


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
    """A session with the server, opened with the first message and kept for the next. For one thread; any may ``cut``.

    ``timeout_seconds``: of each step. ``seconds``: of all steps up to the message itself, and of the message.
    ``answer_seconds``: of the answer to a whole message.
    """

    def __init__(
        self,
        server: SmtpServer,
        timeout_seconds: float = TIMEOUT_SECONDS,
        seconds: float = WHOLE_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._server = server
        self._timeout = timeout_seconds
        self._seconds = seconds
        self._answer_seconds = answer_seconds
        self._has_left = False
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

    @property
    def has_left(self) -> bool:
        """Whether the server has all of a message: from now on it is its turn."""
        return self._has_left

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

    def open(self) -> None:
        """The session: connected, encrypted and logged in, as for a message. Raises NotSentError."""
        with self._in_time(self._seconds):
            self._open()

    def send(
        self, message: EmailMessage, recipient: str, late: Callable[[MailError | None], None] | None = None
    ) -> None:
        """Hands the message over: when this returns, the server has taken it.

        Raises NotSentError, NotThisOneError, RefusedError or FateUnknownError. ``late``: where the answer to the message is not
        there within a step's time, raises NoAnswerYetError, and goes on with the next message in another session, while a
        thread waits for the answer and calls this with what went wrong; None: it was taken.
        """
        unicode_needed = not recipient.isascii()
        text = message.as_bytes(policy=policy.SMTPUTF8 if unicode_needed else policy.SMTP)
        options = ("SMTPUTF8", "BODY=8BITMIME") if unicode_needed else ()
        is_used = self._session is not None
        self._has_left = False
        with self._in_time(self._seconds):
            try:
                session = self._announce(recipient, options)
            except NotThisOneError:
                raise
            except NotSentError:
                if not is_used:
                    raise
                # Servers end a session that was idle, or that has brought as many messages as they take in one.
                session = self._announce(recipient, options)
        if self._is_cut:  # at the last moment: it is still certain
            raise NotSentError(self._given_up(TimeoutError()))
        with self._in_time(self._seconds):
            self._hand_over(session, text)
        if late is None:
            self._read_answer(session, self._answer_seconds)
        elif self._answers(session):
            self._read_answer(session, self._seconds)
        else:
            self._leave(session, late)
            raise NoAnswerYetError("NoAnswerYet")

    def _leave(self, session: smtplib.SMTP, late: Callable[[MailError | None], None]) -> None:
        """To a thread of its own; this one has no session any more."""
        other = Mailer(self._server, self._timeout, self._seconds, self._answer_seconds)
        other._session, other._wire = session, self._wire
        self._session = self._wire = None

        def wait() -> None:
            error: MailError | None = None
            with other:
                try:
                    other._read_answer(session, self._answer_seconds)
                except MailError as found:
                    error = found
            late(error)

        threading.Thread(target=wait, name="late answer", daemon=True).start()

    def _answers(self, session: smtplib.SMTP) -> bool:
        """Whether the server begins its answer within a step's time."""
        assert session.sock is not None
        with selectors.DefaultSelector() as selector:
            selector.register(session.sock, selectors.EVENT_READ)
            return bool(selector.select(self._timeout))

    @contextlib.contextmanager
    def _in_time(self, seconds: float) -> Iterator[None]:
        """What is done in it fails when it takes too long, and so does all that is done with this mailer afterwards."""
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _open(self) -> smtplib.SMTP:
        try:
            return self._session or self._connect()
        except (OSError, smtplib.SMTPException) as error:
            raise NotSentError(self._given_up(error)) from None

    def _announce(self, recipient: str, options: tuple[str, ...]) -> smtplib.SMTP:
        """The session, in which the server wants the message now: not a byte of it has left."""
        session = self._open()
        if options and not session.has_extn("smtputf8"):
            raise RefusedError("NoUnicodeAddresses")
        try:
            _expect(session.mail(self._server.sender, options), 250)
            to_recipient, _ = session.rcpt(recipient)
            if 500 <= to_recipient < 600:
                self._reset(session)
                raise RefusedError(f"Refused{to_recipient}")
            to_data = session.docmd("data")[0] if to_recipient in (250, 251) else to_recipient
        except (OSError, smtplib.SMTPException) as error:
            raise NotSentError(self._given_up(error)) from None
        if to_data != 354:
            self._say_no(session, to_data)
        return session

    def _hand_over(self, session: smtplib.SMTP, text: bytes) -> None:
        try:
            session.send(_ended(text))
        except (OSError, smtplib.SMTPException) as error:
            raise FateUnknownError(self._given_up(error)) from None
        self._has_left = True

    def _read_answer(self, session: smtplib.SMTP, seconds: float) -> None:
        """What the server makes of a whole message."""
        assert session.sock is not None
        try:
            with self._in_time(seconds):
                session.sock.settimeout(seconds)
                code, _ = session.getreply()
                session.sock.settimeout(self._timeout)
        except (OSError, smtplib.SMTPException) as error:
            raise FateUnknownError(self._given_up(error)) from None
        if 400 <= code < 600:
            self._say_no(session, code)
        if code != 250:  # no answer to this
            raise FateUnknownError(self._given_up(smtplib.SMTPResponseException(code, b"")))

    def _say_no(self, session: smtplib.SMTP, code: int) -> NoReturn:
        """The server does not take this message now, but may take the next one, unless it ends the session."""
        error = smtplib.SMTPResponseException(code, b"")
        if code == NOT_NOW or not 400 <= code < 600:
            raise NotSentError(self._given_up(error))
        self._reset(session)
        raise NotThisOneError(_reason(error))

    def _reset(self, session: smtplib.SMTP) -> None:
        """Takes back what was announced; the session ends where the server does not do that."""
        try:
            _expect(session.rset(), 250)
        except (OSError, smtplib.SMTPException):
            self._hang_up()

    def _given_up(self, error: Exception) -> str:
        """Ends the session; the reason."""
        reason = "TooSlow" if self._is_cut else _reason(error)
        self._hang_up()
        return reason

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
                with self._in_time(self._seconds):
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


def _ended(text: bytes) -> bytes:
    """A message as it goes over the wire: a dot ends it, and those that begin a line are doubled (RFC 5321, 4.5.2)."""
    return re.sub(rb"^\.", b"..", text, flags=re.MULTILINE) + (b"" if text.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _reason(error: Exception) -> str:
    """The error's class and code, or what is wrong with a certificate. Never its words: a server likes to quote addresses."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate {wrong_with_certificate(error.verify_code)}"
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
