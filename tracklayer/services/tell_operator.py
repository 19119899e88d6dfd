"""The operator's own channels: e-mail, a webhook, and the address that a dead-man's switch listens on.

Knows nothing of what is wrong. The operator's addresses are his own, so they may lead into private networks.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import urlsplit

import httpx
import orjson

from tracklayer.domain.monitors.words import clock_time, lasting
from tracklayer.domain.retry import doubling
from tracklayer.runtime import trusted_certificates
from tracklayer.services.mail import FateUnknownError, Mailer, MailError, RefusedError, SmtpServer
from tracklayer.services.transport import USER_AGENT
from tracklayer.services.webhook import get, post
from tracklayer.settings import Settings

log = logging.getLogger(__name__)

SECONDS = 10.0  # for one message or ping, whatever the other side does: others wait, and its lease must not run out
SENDING = timedelta(
    seconds=60
)  # that others leave a message to whoever sends it: a mail takes two thirds of it at most
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)  # before one that was not taken is tried again
STEP_SECONDS = 5  # of a session with the mail server
ANSWER_SECONDS = 30.0  # besides, of its answer to a whole mail: a message's lease is longer than all of it
CUT_SECONDS = 1.0  # until a session that was cut is known to be over
WEBHOOK = "webhook"


class NotToldError(Exception):
    """It has not gone out, and is to be tried again. ``reason``: a word for the log, without any address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Notice:
    """One message, whatever the channel. ``id``: of the trouble, the same for its opening, when it became critical, and its end.

    ``state``: ``open`` or ``resolved``.
    """

    id: str
    kind: str
    severity: str
    state: str
    title: str
    message: str
    since: datetime
    until: datetime | None = None


class Teller:
    """The channels that the settings name. Any thread may call. ``seconds``: that one message, or ping, may take.

    ``answer_seconds``: besides, the mail server's answer to a whole mail.
    """

    def __init__(self, settings: Settings, seconds: float = SECONDS, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._seconds, self._answer_seconds = seconds, answer_seconds
        self._public_url = settings.public_url
        self._webhook = str(settings.operator_webhook) if settings.operator_webhook is not None else None
        self._ping = str(settings.heartbeat_url) if settings.heartbeat_url is not None else None
        self._server = (
            SmtpServer.from_url(str(settings.smtp_url), f"tracklayer@{_host(settings.public_url)}")
            if settings.smtp_url is not None
            else None
        )
        self._channels: dict[str, Callable[[Notice], None]] = {}
        if self._webhook is not None:
            self._channels[WEBHOOK] = self._post
        for address in settings.operator_email if self._server is not None else ():
            self._channels[channel_of(address)] = lambda notice, to=address: self._mail(notice, to)  # type: ignore[misc]

    @property
    def channels(self) -> list[str]:
        return list(self._channels)

    @property
    def pings(self) -> bool:
        return self._ping is not None

    def tell(self, channel: str, notice: Notice) -> None:
        """Sends it by one channel: when this returns, it was taken. Raises NotToldError."""
        self._channels[channel](notice)

    def ping(self) -> None:
        """Says to whoever listens that all is well. Raises NotToldError."""
        self._ask(self._ping or "")

    def _post(self, notice: Notice) -> None:
        over = notice.until is not None
        self._ask(
            self._webhook or "",
            {
                "id": notice.id,
                "kind": notice.kind,
                "severity": notice.severity,
                "state": notice.state,
                "title": notice.title,
                "message": said_of(notice),
                "since": _instant(notice.since),
                **({"until": _instant(notice.until)} if over and notice.until is not None else {}),
                "url": self._public_url,
            },
        )

    def _ask(self, url: str, body: object = None) -> None:
        headers = {"user-agent": USER_AGENT, **_login(url)}
        if body is None:
            answer = get(url, headers, trusted_certificates(), allow_private=True, seconds=self._seconds)
        else:
            headers["content-type"] = "application/json"
            said = orjson.dumps(body)
            answer = post(url, said, headers, trusted_certificates(), allow_private=True, seconds=self._seconds)
        if answer.status is None:
            raise NotToldError((answer.error or "").removesuffix("."))
        if answer.error is not None:
            raise NotToldError(f"status {answer.status}")

    def _mail(self, notice: Notice, address: str) -> None:
        assert self._server is not None
        message = compose(notice, self._public_url, self._server.sender, address)
        try:
            self._send(self._server, message, address)
        except FateUnknownError as error:  # better twice, under the same Message-ID, than not at all
            raise NotToldError(f"it may have arrived: {error.reason}") from None
        except RefusedError as error:
            log.error("the mail server refuses one of TRACKLAYER_OPERATOR_EMAIL for good (%s)", error.reason)
        except MailError as error:
            raise NotToldError(error.reason) from None

    def _send(self, server: SmtpServer, message: EmailMessage, address: str) -> None:
        """Raises MailError, and NotToldError where not even that is known in time."""
        mailer = Mailer(server, STEP_SECONDS, self._seconds, self._answer_seconds)
        fate: Future[None] = Future()

        def run() -> None:
            try:
                with mailer:
                    mailer.send(message, address)
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                fate.set_exception(error)
            else:
                fate.set_result(None)

        # Looking up a name knows no limit in time, and a server that sends a byte now and then ends no step.
        threading.Thread(target=run, name="operator's mail", daemon=True).start()
        with suppress(FutureTimeoutError):
            return fate.result(self._seconds)
        with suppress(FutureTimeoutError):
            if mailer.has_left:
                return fate.result(self._answer_seconds)
        mailer.cut()
        with suppress(FutureTimeoutError):
            return fate.result(CUT_SECONDS)
        raise NotToldError(f"no answer within {self._seconds:g} seconds")


def _login(url: str) -> dict[str, str]:
    """The header for a name and a password that stand in an address."""
    target = httpx.URL(url)
    if not target.userinfo:
        return {}
    login = b64encode(f"{target.username}:{target.password}".encode()).decode()
    return {"authorization": f"Basic {login}"}


def compose(notice: Notice, public_url: str, sender: str, address: str) -> EmailMessage:
    """Plain text. Its Message-ID is the notice's, whoever sends it and however often."""
    message = EmailMessage(policy=policy.SMTP)
    resolved = notice.state == "resolved"
    message["Subject"] = f"[TrackLayer] {'Over: ' if resolved else ''}{notice.title}"
    message["From"] = sender
    message["To"] = address
    message["Date"] = format_datetime(datetime.now(UTC))
    host = _host(public_url)
    # One that became critical is news, and no copy of the mail before.
    message["Message-ID"] = f"<operator.{notice.id}.{notice.state}.{notice.severity}@{host}>"
    message["References"] = f"<operator.{notice.id}@{host}>"
    message["Auto-Submitted"] = "auto-generated"
    foot = (
        f"From {socket.gethostname()}, for {public_url}. You get this because your address is in TRACKLAYER_OPERATOR_EMAIL. "
        f"Id {notice.id}: whatever comes with the same one is about the same trouble."
    )
    message.set_content("\n\n".join([notice.title, said_of(notice), _span(notice), foot]) + "\n")
    return message


def pause(number: int) -> timedelta:
    """Until a message that was not taken so many times is tried again."""
    return doubling(FIRST_PAUSE, LONGEST_PAUSE, number)


def said_of(notice: Notice) -> str:
    return f"It is over. What was seen last: {notice.message}" if notice.state == "resolved" else notice.message


def _span(notice: Notice) -> str:
    if notice.until is None:
        return f"Since {clock_time(notice.since)}."
    lasted = lasting(max(timedelta(), notice.until - notice.since))
    return f"From {clock_time(notice.since)} until {clock_time(notice.until)}: {lasted}."


def channel_of(address: str) -> str:
    """The name of an address' channel, which does not tell the address."""
    return f"email:{hashlib.sha256(address.encode()).hexdigest()[:16]}"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _host(url: str) -> str:
    return urlsplit(url).hostname or "localhost"
