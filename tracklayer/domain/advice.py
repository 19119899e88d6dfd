"""Advice: what is about to cost conversions. What costs some now is an alert.

Of what only needs a destination's settings, or what is set for alerts, it is worked out when somebody asks; the rest is found by the watch
``services/watches/quality.py`` and kept.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum, auto
from typing import Any

from tracklayer.domain.monitors.words import lasting


class AdviceCode(StrEnum):
    TEST_MODE_ON = "test_mode_on"
    CREDENTIALS_EXPIRE_SOON = "credentials_expire_soon"
    NAME_MISSPELT = "name_misspelt"
    EVENTS_TOO_OLD = "events_too_old"
    CLOCK_AHEAD = "clock_ahead"
    EVENTS_LATE = "events_late"
    VALUE_ALWAYS_ZERO = "value_always_zero"
    VALUE_MISSING = "value_missing"
    CURRENCY_MISSING = "currency_missing"
    SOURCE_NOT_TAKEN = "source_not_taken"
    EVENT_IDS_REUSED = "event_ids_reused"
    TAKEN_WITH_NOTES = "taken_with_notes"
    FILTER_TAKES_NOTHING = "filter_takes_nothing"
    DROPPED_BY_REMOVAL = "dropped_by_removal"
    ALERTS_UNTOLD = "alerts_untold"


@dataclass(frozen=True)
class Advice:
    """``sentence``: what is at risk, in figures. ``next_step``: what to do. ``count``: events that it is about, 0 where none are.

    ``platform`` None: the merchant's own. ``event_name`` None: of all. ``details``: JSON, the figures. It holds nothing
    personal or secret.
    """

    code: AdviceCode
    sentence: str
    next_step: str
    since: datetime
    platform: str | None = None
    event_name: str | None = None
    count: int = 0
    example_event_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


# Of a destination's settings ------------------------------------------------------------------------------------------

TEST_MODE_FOR = timedelta(days=1)  # whoever tries something is done by then
EXPIRES_WITHIN = timedelta(days=14)


def test_mode_advice(
    platform: str, title: str, setting: str, effect: str, set_at: datetime | None, created_at: datetime, now: datetime
) -> Advice | None:
    """Of a setting that makes every event a test; ``effect``: what the platform does with such. ``set_at`` None: not known,
    and since the destination was made at most.
    """
    since = set_at or created_at
    if now - since < TEST_MODE_FOR:
        return None
    how_long = f"for {lasting(now - since)}" if set_at else "for longer than a day"
    return Advice(
        AdviceCode.TEST_MODE_ON,
        f"{title} has been getting your events in test mode {how_long}: {effect}",
        f"Take {setting} out of the destination's settings when your test is over.",
        since,
        platform,
        details={"setting": setting},
    )


def expiry_advice(
    platform: str, title: str, setting: str, label: str, ends_at: datetime, set_at: datetime | None, now: datetime
) -> Advice | None:
    """Of a secret that says itself when it ends."""
    left = ends_at - now
    if left > EXPIRES_WITHIN:
        return None
    when = f"ends in {lasting(left)}" if left > timedelta(0) else f"ended {lasting(-left)} ago"
    return Advice(
        AdviceCode.CREDENTIALS_EXPIRE_SOON,
        f"{title}'s {label} {when}, on {ends_at:%Y-%m-%d %H:%M} UTC: from then on {title} refuses every event, and what "
        "waits for longer than 24 hours is lost.",
        f"Generate a new one and set it as {setting} before that.",
        max(set_at, ends_at - EXPIRES_WITHIN) if set_at else ends_at - EXPIRES_WITHIN,
        platform,
        details={"setting": setting, "ends_at": ends_at.isoformat()},
    )


def age_advice(
    platform: str,
    title: str,
    setting: str,
    label: str,
    lifetime: timedelta,
    condition: str,
    set_at: datetime | None,
    now: datetime,
) -> Advice | None:
    """Of a secret of which only its age is known. One that outlived ``lifetime`` is evidently of a kind that does not end.

    ``condition``: which ones end then, as the page of the platform says it.
    """
    if set_at is None or not lifetime - min(EXPIRES_WITHIN, lifetime / 4) <= now - set_at < lifetime:
        return None
    ends_at = set_at + lifetime
    return Advice(
        AdviceCode.CREDENTIALS_EXPIRE_SOON,
        f"{title}'s {label} was set {lasting(now - set_at)} ago, and {condition} ends after {lifetime.days} days: if yours is "
        f"one, {title} refuses every event from {ends_at:%Y-%m-%d} on.",
        f"Generate a new one and set it as {setting} before that; one that does not end needs nothing.",
        ends_at - min(EXPIRES_WITHIN, lifetime / 4),
        platform,
        details={"setting": setting, "ends_at": ends_at.isoformat(), "is_certain": False},
    )


# Of whom alerts reach -------------------------------------------------------------------------------------------------


class Untold(StrEnum):
    """Why nobody is told of an alert."""

    NOBODY_WANTS_IT = auto()
    NO_MAIL_SERVER = auto()
    MAILS_ARE_LATE = auto()
    NOTHING_ARRIVES = auto()


_ADD = (
    "webhook or Slack channel, or have one that is there take such alerts (its topics and severity). Acknowledge what somebody"
    " looks after."
)
_TELLING = {
    Untold.NOBODY_WANTS_IT: f"Add a mail address, {_ADD}",
    Untold.NO_MAIL_SERVER: "There are mail addresses, and no mail server that could send to them: whoever runs TrackLayer sets it "
    f"with TRACKLAYER_SMTP_URL. Add a {_ADD}",
    Untold.MAILS_ARE_LATE: "Mails about it are due, and nobody has tried to send them yet: whoever runs TrackLayer finds why with "
    f"`tracklayer doctor`. Add a {_ADD}",
    Untold.NOTHING_ARRIVES: "What was sent was refused, or is not taken: correct the mail addresses, and mend the channels, whose"
    f" last error says why. Or add another address or channel. {_ADD.partition('. ')[2]}",
}


def untold_advice(titles: Sequence[str], since: datetime, why: Untold) -> Advice:
    """Of open alerts that nobody was told of and nobody knows of. ``titles``: of these, newest first; ``since``: of the oldest."""
    many = len(titles) > 1
    subject = (
        f"{len(titles)} alerts are open and nobody is told of them" if many else "An alert is open and nobody is told"
    )
    return Advice(
        AdviceCode.ALERTS_UNTOLD,
        f"{subject}: “{titles[0]}”{' and others' if many else ''}.",
        _TELLING[why],
        since,
        details={"alerts": len(titles)},
    )


_LARGEST_TOKEN = 16 * 1024


def token_end(secret: Any) -> datetime | None:
    """When a token ends that says so itself: the ``exp`` of a JSON Web Token (RFC 7519, 4.1.4); None of any other."""
    if not isinstance(secret, str) or len(secret) > _LARGEST_TOKEN or secret.count(".") != 2:
        return None
    header, claims, _ = secret.split(".")
    if "alg" not in _part(header):
        return None
    end = _part(claims).get("exp")
    if isinstance(end, bool) or not isinstance(end, int | float):
        return None
    try:
        return datetime.fromtimestamp(end, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _part(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
