"""What an open alert is about: who joins is told once, together with who joins meanwhile, and the end names all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tracklayer.domain.alert import REOPEN_WITHIN
from tracklayer.domain.alert_members import (
    MOST_NAMED,
    TOLD_APART,
    Member,
    all_told,
    also_about,
    member_name,
    with_joined,
)

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TOLD = Member(NOW - timedelta(hours=1))


def test_what_joins_is_told_with_all_that_it_is_about() -> None:
    after, is_news = with_joined({"Lead": TOLD}, {"Lead": True, "Purchase": True}, NOW)
    assert (after, is_news) == (all_told(["Lead", "Purchase"], NOW), True)


def test_what_was_told_is_not_told_again() -> None:
    before = {"Lead": TOLD, "Purchase": TOLD}
    assert with_joined(before, {"Lead": True, "Purchase": True}, NOW) == (before, False)


def test_what_costs_no_conversion_is_noted_and_told_of_nobody() -> None:
    after, is_news = with_joined({"Lead": TOLD}, {"Lead": True, "PageView": False}, NOW)
    assert (after, is_news) == ({"Lead": TOLD, "PageView": Member(None)}, False)


def test_what_joins_soon_after_something_was_told_is_told_a_little_later_with_whoever_joins_meanwhile() -> None:
    members, is_news = all_told(["Search"], NOW), False
    for minute in range(1, 10):
        members, is_news = with_joined(members, {"Search": True, "Lead": True}, NOW + minute * timedelta(minutes=1))
        assert not is_news
    found = {"Search": True, "Lead": True, "Purchase": True}
    members, is_news = with_joined(members, found, NOW + TOLD_APART)
    assert (members, is_news) == (all_told(found, NOW + TOLD_APART), True)


def test_what_is_told_of_a_time_that_lies_ahead_keeps_nothing_from_being_told() -> None:
    assert with_joined({"Lead": Member(NOW + timedelta(days=1))}, {"Lead": True, "Purchase": True}, NOW)[1]


@pytest.mark.parametrize(
    ("was_well", "is_news"),
    [
        pytest.param(REOPEN_WITHIN - SECOND, False, id="the same trouble again"),
        pytest.param(REOPEN_WITHIN, True, id="another one"),
    ],
)
def test_what_recovered_is_told_again_after_as_long_as_makes_it_another_alert(
    was_well: timedelta, is_news: bool
) -> None:
    before = {"Lead": TOLD, "Purchase": TOLD}
    left, was_news = with_joined(before, {"Lead": True}, NOW)
    assert (left["Purchase"], was_news) == (Member(TOLD.told_at, NOW), False)
    for seconds in (15, 30):
        assert with_joined(left, {"Lead": True}, NOW + seconds * SECOND) == (left, False)
    back, told = with_joined(left, dict.fromkeys(before, True), NOW + was_well)
    assert told is is_news
    assert back["Purchase"] == Member(NOW + was_well if is_news else TOLD.told_at)


def test_the_end_names_whatever_its_words_do_not() -> None:
    members = {"Lead": TOLD, "LeadMagnet": Member(None, NOW), "Purchase": TOLD, "a (Meta)": TOLD}
    assert also_about("Meta refuses Purchase, and: a (Meta).", members) == (
        "The same was seen of Lead and LeadMagnet, at times."
    )
    assert also_about("LeadMagnet and Purchase, a (Meta), Lead.", members) == ""
    many = {f"n{n:02}": TOLD for n in range(MOST_NAMED + 2)}
    assert also_about("It was.", many).endswith(", n19 and 2 more, at times.")


def test_a_name_that_holds_an_address_is_remembered_as_alerts_write_it() -> None:
    assert member_name("lead jane@shop.example", "Meta") == "lead … (Meta)"
    assert member_name("Purchase") == "Purchase"
