"""What settings alone say is about to cost conversions."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tracklayer.domain.advice import age_advice, expiry_advice, test_mode_advice, token_end

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
DAY = timedelta(days=1)
test_mode_advice.__test__ = False  # type: ignore[attr-defined]


def token(claims: Any, header: Any = None) -> str:
    parts = [json.dumps(header or {"alg": "RS256"}), json.dumps(claims), "signature"]
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


@pytest.mark.parametrize(
    ("secret", "end"),
    [
        pytest.param(token({"exp": 1795618800}), datetime(2026, 11, 25, 15, tzinfo=UTC), id="says so"),
        pytest.param(token({"exp": 1795618800.5}), datetime(2026, 11, 25, 15, 0, 0, 500000, UTC), id="with a fraction"),
        pytest.param(token({"sub": "x"}), None, id="does not end"),
        pytest.param(token({"exp": True}), None, id="no number"),
        pytest.param(token({"exp": 1e300}), None, id="no time"),
        pytest.param(token({"exp": 1795618800}, {"typ": "x"}), None, id="not signed"),
        pytest.param(token([1795618800]), None, id="no claims"),
        pytest.param("a.b.c", None, id="not base64"),
        pytest.param("EAABwzLixnjYBO", None, id="opaque"),
        pytest.param({"key": "value"}, None, id="not text"),
    ],
)
def test_a_token_that_says_when_it_ends_is_read(secret: Any, end: datetime | None) -> None:
    assert token_end(secret) == end


def test_credentials_that_end_within_two_weeks_are_told() -> None:
    def advise(left: timedelta) -> Any:
        return expiry_advice("snapchat", "Snapchat", "access_token", "access token", NOW + left, None, NOW)

    assert advise(15 * DAY) is None
    found = advise(5 * DAY)
    assert found.sentence.startswith("Snapchat's access token ends in 5 d, on 2026-11-25 15:00 UTC")
    assert found.since == NOW - 9 * DAY
    assert "ended 2 h ago" in advise(timedelta(hours=-2)).sentence


@pytest.mark.parametrize(("age", "told"), [(45, False), (47, True), (59, True), (60, False), (300, False)])
def test_of_a_token_of_known_age_it_is_told_before_its_kind_ends_and_never_after(age: int, told: bool) -> None:
    found = age_advice(
        "linkedin", "LinkedIn", "access_token", "access token", 60 * DAY, "a member's token", NOW - age * DAY, NOW
    )
    assert (found is not None) is told
    assert age_advice("linkedin", "LinkedIn", "access_token", "access token", 60 * DAY, "it", None, NOW) is None


def test_a_test_mode_is_told_after_a_day() -> None:
    def advise(hours: int, known: bool = True) -> Any:
        set_at = NOW - timedelta(hours=hours)
        return test_mode_advice(
            "ga4", "GA4", "validate_only", "it records none.", set_at if known else None, NOW - 3 * DAY, NOW
        )

    assert advise(23) is None
    assert advise(50).sentence == "GA4 has been getting your events in test mode for 2 d 2 h: it records none."
    assert advise(1, known=False).since == NOW - 3 * DAY
