"""Words of the alerts: what a monitor saw, and the rule of what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from tracklayer.domain.contact import holds_contact


class AlertKind(StrEnum):
    PLATFORM_DOWN = "platform_down"
    QUEUE_BACKLOG = "queue_backlog"
    TRACKING_STOPPED = "tracking_stopped"
    DELIVERY_RATE_DROP = "delivery_rate_drop"
    EVENTS_REJECTED = "events_rejected"
    MATCH_QUALITY_DROP = "match_quality_drop"
    LIKELY_DUPLICATES = "likely_duplicates"
    VALUE_LOST = "value_lost"
    EVENT_NAME_UNKNOWN = "event_name_unknown"


# Marks that turn the direction of text, and what else cannot be seen.
_UNSEEN = re.compile(r"[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
_ADDRESS = re.compile(r"[^\s@`'\"(<]+@[^\s@`'\")>]+")
_PHONE = re.compile(r"\+\d(?:[ ./-]?\d){6,}")
_SIGN = re.compile(r"[@+%&\\\ufe50-\ufe6f\uff00-\uffef]")
MASKED = "\N{HORIZONTAL ELLIPSIS}"


def told(text: str, most: int) -> str:
    """Text as it may stand in an alert: one line, nothing that cannot be seen, no e-mail address, no phone number.

    What shops call their events and ids goes to people's inboxes and chats, in TrackLayer's name.
    """
    text = " ".join(_UNSEEN.sub(" ", text).split())
    text = _PHONE.sub(MASKED, _ADDRESS.sub(MASKED, text)) if "@" in text or "+" in text else text
    if holds_contact(text):  # in a notation that these two do not know: from its first sign on
        sign = _SIGN.search(text)
        text = f"{text[: sign.start() if sign else 0].rpartition(' ')[0]} {MASKED}".strip()
    return text if len(text) <= most else text[: most - 1] + MASKED


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


class Subject(NamedTuple):
    """What an alert is about: one kind, at one platform or (None) the whole merchant, of one event name or (None) all.

    One alert a subject is open at a time.
    """

    kind: AlertKind
    platform: str | None = None
    event_name: str | None = None


@dataclass(frozen=True)
class Finding:
    """What one monitor saw of a subject. ``details``: JSON, the figures.

    ``message`` says what was seen, what is normal, since when, and what to do; it holds nothing personal or secret.
    ``members``: of one that is about several names, each, and whether that costs conversions (``domain.alert_members``).
    """

    kind: AlertKind
    platform: str | None
    severity: Severity
    title: str
    message: str
    since: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
    event_name: str | None = None
    members: Mapping[str, bool] = field(default_factory=dict)

    @property
    def subject(self) -> Subject:
        return Subject(self.kind, self.platform, self.event_name)


@dataclass(frozen=True)
class Heard:
    """What somebody was told of an alert. ``state``: the last. ``as_critical``: so they were told since its last end."""

    state: str
    as_critical: bool

    @classmethod
    def after(cls, before: Heard | None, state: str, severity: str | None) -> Heard:
        """The same after one more message."""
        knew = before is not None and before.state == "open" and before.as_critical
        return cls(state, state == "open" and (knew or severity == Severity.CRITICAL))


def is_news(heard: Heard | None, severity: str) -> bool:
    """Whether somebody learns anything from being told that an alert is open."""
    return heard is None or heard.state != "open" or (severity == Severity.CRITICAL and not heard.as_critical)


ABOUT = "It was about this: "  # what parts what was lost meanwhile from the words of an alert that is over


def over(message: str) -> str:
    """How the end of an alert is told; ``message``: its own, as ``services.channels.told_of`` has it."""
    return f"It is over. {message if ABOUT in message else f'What it was about: {message}'}"


def began_at(opened_at: datetime, *details: Mapping[str, Any] | None) -> datetime:
    """Since when what an alert tells of held: the earliest that its details, now and when it was told, say; or its opening."""
    since = since_told(*details)
    return opened_at if since is None else min(opened_at, since)


def since_told(*details: Mapping[str, Any] | None) -> datetime | None:
    """The earliest instant since when an alert's details say that it holds; None where none of them does."""
    found = []
    for one in details:
        try:
            found.append(datetime.fromisoformat(str((one or {})["since"])))
        except (KeyError, ValueError):
            continue
    return min((at for at in found if at.tzinfo is not None), default=None)


# How long an open alert must have had no finding before it resolves. A platform's verdict needs many refusals in a
# row, so that two looks without one are enough; the others compare rates, which swing around their threshold.
QUIET = {
    AlertKind.PLATFORM_DOWN: timedelta(seconds=10),
    AlertKind.QUEUE_BACKLOG: timedelta(seconds=60),
    AlertKind.TRACKING_STOPPED: timedelta(seconds=60),
    AlertKind.DELIVERY_RATE_DROP: timedelta(seconds=60),
    AlertKind.EVENTS_REJECTED: timedelta(seconds=60),
    # These are judged by minutes that have ended, so that a minute passes between two verdicts that differ.
    AlertKind.MATCH_QUALITY_DROP: timedelta(minutes=5),
    AlertKind.LIKELY_DUPLICATES: timedelta(minutes=5),
    AlertKind.VALUE_LOST: timedelta(minutes=5),
    AlertKind.EVENT_NAME_UNKNOWN: timedelta(minutes=5),
}
REOPEN_WITHIN = timedelta(minutes=10)  # what comes back sooner is the same trouble, and the same alert
SEEN_GRAIN = timedelta(seconds=10)  # how exactly lastSeenAt is kept: less than the monitors' default interval
# Looks pass each other by seconds: what was noted of a later time was so by a clock set back since.
AHEAD = timedelta(minutes=1)


class Step(StrEnum):
    """What becomes of an alert after a look."""

    NONE = "none"
    OPEN = "open"
    REOPEN = "reopen"
    SEEN = "seen"
    QUIET = "quiet"
    RESOLVE = "resolve"


@dataclass(frozen=True)
class Known:
    """The open alert of a subject, or its last resolved one."""

    alert_id: int
    subject: Subject
    severity: Severity
    last_seen_at: datetime
    quiet_since: datetime | None
    resolved_at: datetime | None


def next_step(known: Known | None, finding: Finding | None, now: datetime) -> Step:
    """What a look at ``now`` makes of a subject. A look older than what is known already changes nothing.

    What is known of a time more than ``AHEAD`` of now is no order: by a clock that has been set back, nothing would be told
    until then.
    """
    known = known and _in_order(known, now)
    if finding is None:
        return _without_finding(known, now)
    if known is None:
        return Step.OPEN
    if known.resolved_at is not None:
        if now < known.resolved_at:
            return Step.NONE
        return Step.REOPEN if now - known.resolved_at < REOPEN_WITHIN else Step.OPEN
    if known.quiet_since is not None:
        return Step.SEEN if now > known.quiet_since else Step.NONE
    if now > known.last_seen_at and finding.severity is not known.severity:
        return Step.SEEN
    return Step.SEEN if now - known.last_seen_at >= SEEN_GRAIN else Step.NONE


def _in_order(known: Known, now: datetime) -> Known | None:
    """As it is to be taken now: one that will have been resolved is none, and one that will have been seen was seen before."""
    latest = now + AHEAD
    if known.resolved_at is not None and known.resolved_at > latest:
        return None
    if known.quiet_since is not None and known.quiet_since > latest:
        known = replace(known, quiet_since=None)
    return replace(known, last_seen_at=now - SEEN_GRAIN) if known.last_seen_at > latest else known


def _without_finding(known: Known | None, now: datetime) -> Step:
    if known is None or known.resolved_at is not None or now <= known.last_seen_at:
        return Step.NONE
    if known.quiet_since is None:
        return Step.QUIET
    return Step.RESOLVE if now - known.quiet_since >= QUIET[known.subject.kind] else Step.NONE
