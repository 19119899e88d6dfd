"""Numbers and times as the messages of alerts write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 attempt``, ``1,200 attempts``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def ended(text: str) -> str:
    """With one full stop, whatever it ends in."""
    return text if text.endswith(("!", "?")) else text.rstrip(" .") + "."


def listed(parts: Sequence[str]) -> str:
    """``Meta, TikTok and Snapchat``."""
    return " and ".join([*([", ".join(parts[:-1])] if len(parts) > 1 else []), *parts[-1:]])


def percent(share: float) -> str:
    """``48%``, ``97.6%``, ``99.84%``: as the dashboard writes the same share (``ui/lib/format.ts``), of which it gets four digits.

    What is not quite all, or hardly any, is never rounded to 100 or 0.
    """
    share = min(0.9999, max(0.0001, round(share, 4))) if 0 < share < 1 else share
    digits = Decimal("0.01") if share > 0.99 or share < 0.01 else Decimal("0.1")
    return f"{float(Decimal(share * 100).quantize(digits, ROUND_HALF_UP)):g}%"


def clock_time(at: datetime) -> str:
    """``2026-05-04 14:03 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def lasting(span: timedelta) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``: the two largest units that say something."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
