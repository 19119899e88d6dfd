"""How long an HTTP answer asks to be left alone, by its headers, whose names are in lower case here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 2.0**31  # seconds: what is more is no time but a number, and is taken for this (RFC 9111, 1.2.2)


def retry_after(headers: Mapping[str, str], received_at: datetime | None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as a date (RFC 9110, 10.2.3); None: it says neither.

    A date that has passed is 0.
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", text):
        return min(float(text), LONGEST_WAIT)
    return seconds_until(http_date(text), headers, received_at)


def seconds_until(instant: datetime | None, headers: Mapping[str, str], received_at: datetime | None) -> float | None:
    """From the answer's own Date, or else from when it arrived: whoever answers is compared with his own clock.

    None where one of the two is not known.
    """
    told_at = http_date(headers.get("date", "")) or received_at
    if instant is None or told_at is None:
        return None
    return min(max((instant - told_at).total_seconds(), 0.0), LONGEST_WAIT)


_HTTP_DATE = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? [A-Za-z0-9 :-]{14,30}", re.IGNORECASE)


def http_date(text: str) -> datetime | None:
    """An HTTP-date in any of its three forms (RFC 9110, 5.6.7); None for anything else."""
    if not _HTTP_DATE.fullmatch(text.strip()):
        return None
    try:
        found = parsedate_to_datetime(text.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
