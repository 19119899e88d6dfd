"""What an event carries, as bits, and the bounded words it is counted by."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tracklayer.domain.event import USER_FIELDS, Consent, CustomData, Event, UserData
from tracklayer.domain.facts import (
    AHEAD_FROM,
    BITS,
    FACTS,
    IDENTIFIERS,
    LATE_FROM,
    facts_of,
    host_of,
    mask_of,
    refusal_of,
)
from tracklayer.domain.problem import Problem

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def event(**given: object) -> Event:
    return Event("Purchase", "o-1", **{"occurred_at": NOW, **given})  # type: ignore[arg-type]


def test_a_fact_has_a_place_of_its_own_that_a_bigint_holds() -> None:
    assert len(set(FACTS)) == len(FACTS) <= 62
    assert mask_of(FACTS) == 2 ** len(FACTS) - 1
    # Stored numbers are read by these places.
    assert (BITS["email"], BITS["phone"], BITS["fbp"], BITS["value"]) == (1, 2, 1 << 15, 1 << 37)
    assert set(IDENTIFIERS) == set(USER_FIELDS) - {"emails", "phones"}


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"user_data": UserData(fbp="fb.1.1.1", zip="10115")}, ["zip", "fbp"], id="identifiers"),
        pytest.param({"event_source_url": "https://shop.example/"}, ["event_source_url"], id="a page"),
        pytest.param(
            {"custom_data": CustomData(value=Decimal(5), currency="EUR")}, ["value", "currency"], id="a value"
        ),
        pytest.param({"custom_data": CustomData(value=Decimal("0.00"))}, ["zero_value"], id="no value to speak of"),
        pytest.param(
            {"custom_data": CustomData(product_ids=("1",), order_id="7")}, ["contents", "order_id"], id="what"
        ),
        pytest.param({"consent": Consent(ad_user_data="denied")}, ["consent_denied"], id="refused by the person"),
        pytest.param({"occurred_at": NOW + AHEAD_FROM}, ["ahead"], id="a fast clock"),
        pytest.param({"occurred_at": NOW + AHEAD_FROM / 2}, [], id="a clock as clocks are"),
        pytest.param({"occurred_at": NOW - LATE_FROM}, ["late"], id="long ago"),
    ],
)
def test_facts(given: dict[str, object], facts: list[str]) -> None:
    assert facts_of(event(**given), NOW) == mask_of(facts)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (None, ""),
        ("https://Shop.Example/cart?x=1", "shop.example"),
        ("http://shop.example:8080", "shop.example"),
        ("https://user:word@shop.example/", "shop.example"),
        ("shop.example/cart", ""),
        ("https:///", ""),
    ],
)
def test_hosts(url: str | None, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("problems", "counted"),
    [
        ([], ("", "")),
        ([Problem(("custom_data", "currency"), "INVALID_CURRENCY", "")], ("INVALID_CURRENCY", "custom_data.currency")),
        ([Problem(("custom_data", "contents", "3", "id"), "REQUIRED", "")], ("REQUIRED", "custom_data.contents.id")),
        ([Problem(("a@b.example",), "UNKNOWN_FIELD", ""), Problem(("x",), "REQUIRED", "")], ("UNKNOWN_FIELD", "*")),
    ],
)
def test_what_a_refused_event_is_counted_under(problems: list[Problem], counted: tuple[str, str]) -> None:
    assert refusal_of(problems) == counted
