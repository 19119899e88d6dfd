"""The operator's own channels: e-mail, a webhook, and the address that a dead-man's switch listens on.

Knows nothing of what is wrong. The operator's addresses are his own, so they may lead into private networks.
"""

from __future__ import annotations

import hashlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import urlsplit

import httpx

from tracklayer.domain.monitors.words import clock_time, lasting
from tracklayer.services.mail import FateUnknownError, Mailer, MailError, RefusedError, SmtpServer
from tracklayer.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5  # of each step: what is wrong is to be told within a minute
WEBHOOK = "webhook"


class NotToldError(Exception):
    """It has not gone out, and is to be tried again. ``reason``: a word for the log, without any address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Notice:
    """One message, whatever the channel. ``id``: of the trouble, the same for its opening and its end.

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
    """The channels that the settings name. Any thread may call."""

    def __init__(self, settings: Settings) -> None:
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
        self._ask("GET", self._ping or "")

    def _post(self, notice: Notice) -> None:
        over = notice.until is not None
        self._ask(
            "POST",
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

    def _ask(self, method: str, url: str, body: object = None) -> None:
        try:
            # The answer's body is of no interest, however long it is.
            with (
                httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as http,
                http.stream(method, url, json=body, headers={"user-agent": "TrackLayer"}) as answer,
            ):
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise NotToldError(type(error).__name__) from None
        if not 200 <= status < 300:
            raise NotToldError(f"status {status}")

    def _mail(self, notice: Notice, address: str) -> None:
        assert self._server is not None
        message = compose(notice, self._public_url, self._server.sender, address)
        try:
            with Mailer(self._server, TIMEOUT_SECONDS) as mailer:
                mailer.send(message, address)
        except FateUnknownError:
            return  # it may have arrived, and the server had it in its hands
        except RefusedError as error:
            log.error("the mail server refuses one of TRACKLAYER_OPERATOR_EMAIL for good (%s)", error.reason)
        except MailError as error:
            raise NotToldError(error.reason) from None


def compose(notice: Notice, public_url: str, sender: str, address: str) -> EmailMessage:
    """Plain text. Its Message-ID is the notice's, whoever sends it and however often."""
    message = EmailMessage(policy=policy.SMTP)
    resolved = notice.state == "resolved"
    message["Subject"] = f"[TrackLayer] {'Over: ' if resolved else ''}{notice.title}"
    message["From"] = sender
    message["To"] = address
    message["Date"] = format_datetime(datetime.now(UTC))
    host = _host(public_url)
    message["Message-ID"] = f"<operator.{notice.id}.{notice.state}@{host}>"
    message["References"] = f"<operator.{notice.id}@{host}>"
    message["Auto-Submitted"] = "auto-generated"
    foot = (
        f"From {socket.gethostname()}, for {public_url}. You get this because your address is in TRACKLAYER_OPERATOR_EMAIL. "
        f"Id {notice.id}: whatever comes with the same one is about the same trouble."
    )
    message.set_content("\n\n".join([notice.title, said_of(notice), _span(notice), foot]) + "\n")
    return message


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
