"""Words of the alerts: what a monitor saw, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class AlertKind(StrEnum):
    PLATFORM_DOWN = "platform_down"
    QUEUE_BACKLOG = "queue_backlog"
    TRACKING_STOPPED = "tracking_stopped"
    DELIVERY_RATE_DROP = "delivery_rate_drop"


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Finding:
    """What one monitor saw. ``platform`` None: it concerns the whole merchant. ``details``: JSON, the figures.

    ``message`` says what was seen, what is normal, since when, and what to do; it holds nothing personal or secret.
    """

    kind: AlertKind
    platform: str | None
    severity: Severity
    title: str
    message: str
    since: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
