"""Where alerts and events go besides e-mail: which topics there are, and which of them a channel wants. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tracklayer.domain.alert import AlertKind, Severity


class ChannelKind(StrEnum):
    WEBHOOK = "webhook"
    SLACK = "slack"


class EventTopic(StrEnum):
    """What is told besides alerts, where a channel names it."""

    DROPPED = "delivery.dropped"
    HELD = "destination.held"
    RESUMED = "destination.resumed"
    REDELIVERED = "redelivery.finished"


ALL_ALERTS = "*"
TOPICS = (ALL_ALERTS, *(kind.value for kind in AlertKind), *(topic.value for topic in EventTopic))
_RANK = {Severity.WARNING.value: 0, Severity.CRITICAL.value: 1}


def wants_alert(topics: Collection[str], min_severity: str, kind: str, severity: str) -> bool:
    """Whether a channel is told of an alert's opening. A severity that is not known matters as much as any."""
    asked_for = ALL_ALERTS in topics or kind in topics
    return asked_for and _RANK.get(severity, 1) >= _RANK.get(min_severity, 0)


@dataclass(frozen=True)
class Hearers:
    """Who is told of a merchant's alerts. ``by_mail``: there are addresses, and a mail server. ``channels``: (topics, least
    severity) of each.
    """

    by_mail: bool
    channels: Sequence[tuple[Collection[str], str]]

    def hear(self, kind: str, severity: str) -> bool:
        """Whether anybody is told of such an alert as it opens. By mail, all are told of."""
        return self.by_mail or any(wants_alert(*wishes, kind, severity) for wishes in self.channels)
