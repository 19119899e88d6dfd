"""Sums, balance, percentiles and whole buckets, by tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tracklayer.domain.ledger import Cohort, percentile, whole_buckets, with_totals

AT = datetime(2026, 11, 20, 15, tzinfo=UTC)
ROW = Cohort(AT, "meta", 10, 0, 0, 1, 9, 5, 3, 1, 0, {"invalid_field": 3}, [5, 0])


@pytest.mark.parametrize(
    ("change", "balanced"),
    [
        ({}, True),
        ({"waiting": 0, "held": 1}, True),
        ({"accepted": 11}, False),
        ({"filtered": 0}, False),
        ({"delivered": 6}, False),
        ({"waiting": 2}, False),
        ({"drop_reasons": {"invalid_field": 2}}, False),
        ({"platform": None, "accepted": 3}, True),
        ({"platform": None, "routed": 8}, False),
    ],
)
def test_a_row_is_balanced_when_everything_is_accounted_for(change: dict[str, Any], balanced: bool) -> None:
    assert replace(ROW, **change).is_balanced is balanced


def test_people_who_were_erased_are_counted_apart_and_the_row_adds_up() -> None:
    row = replace(ROW, drop_reasons={"invalid_field": 0, "erased": 1, "suppressed": 2})
    assert (row.left_alone, row.dropped, row.is_balanced) == (3, 3, True)
    assert (ROW.left_alone, with_totals([row, ROW])[0].left_alone) == (0, 3)


def test_the_merchants_row_comes_first_with_the_sums_of_its_platforms() -> None:
    later = AT + timedelta(hours=1)
    tiktok = replace(ROW, platform="tiktok", drop_reasons={"event_too_old": 3}, latency=[2, 3])
    events = Cohort(AT, None, 10, 4, 2, 0, 0, 0, 0, 0, 0, {}, [0, 0])
    found = with_totals([replace(ROW, bucket_start=later), tiktok, ROW, events])
    assert [(row.bucket_start, row.platform) for row in found] == [
        (AT, None),
        (AT, "meta"),
        (AT, "tiktok"),
        (later, None),
        (later, "meta"),
    ]
    reasons = {"invalid_field": 3, "event_too_old": 3}
    assert found[0] == Cohort(AT, None, 10, 4, 2, 2, 18, 10, 6, 2, 0, reasons, [7, 3])


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0], 0.5, None),
        ([], 0.5, None),
        ([10, 0, 0], 0.5, 50),
        ([0, 10, 0], 0.5, 150),
        ([0, 10, 0], 1.0, 200),
        ([5, 5, 0], 0.5, 100),
        ([5, 5, 0], 0.95, 190),
        ([0, 0, 3], 0.5, 200),
        ([1, 0, 99], 0.95, 200),
    ],
)
def test_a_percentile_lies_in_its_place(counts: list[int], share: float, expected: int | None) -> None:
    assert percentile(counts, (100, 200), share) == expected


@pytest.mark.parametrize(
    ("since", "until", "bucket", "expected"),
    [
        (AT, AT + timedelta(hours=1), "hour", (AT, AT + timedelta(hours=1))),
        (AT + timedelta(minutes=5), AT + timedelta(minutes=6), "hour", (AT, AT + timedelta(hours=1))),
        (AT, AT + timedelta(seconds=1), "minute", (AT, AT + timedelta(minutes=1))),
        (AT, AT + timedelta(seconds=1), "day", (AT - timedelta(hours=15), AT + timedelta(hours=9))),
        (AT, AT, "hour", "since must be before until"),
        (AT, AT + timedelta(days=1, seconds=1), "minute", "at most 1 day apart"),
        (AT, AT + timedelta(days=31, seconds=1), "hour", "at most 31 days apart"),
        (AT, AT + timedelta(days=366, seconds=1), "day", "at most 366 days apart"),
        (
            datetime.max.replace(tzinfo=UTC) - timedelta(hours=1),
            datetime.max.replace(tzinfo=UTC),
            "day",
            (datetime(9999, 12, 31, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
        ),
    ],
)
def test_buckets_are_whole(since: datetime, until: datetime, bucket: str, expected: Any) -> None:
    found = whole_buckets(since, until, bucket)
    assert expected in found if isinstance(expected, str) else found == expected
