"""What Home counts is what was asked for, or it says what it counted instead."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation, Shop
from tests.servers import wait_until

MINUTE = timedelta(minutes=1)
LEDGER = """
query($since: DateTime!, $until: DateTime!) {
  ledger(since: $since, until: $until, bucket: MINUTE) { whole { platform eventsAccepted } }
}
"""


@pytest.fixture(scope="module")
def busy(installed: Installation) -> tuple[Shop, datetime]:
    """A merchant with 7 events, and the minute in which they arrived, which is no edge of an hour."""
    shop = installed.new_shop("Edges", "meta")
    wait_until(lambda: datetime.now(UTC).minute != 0 and datetime.now(UTC).second < 50, "a minute with time left", 90)
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    shop.send(*(f"edge-{n}" for n in range(7)))
    return shop, minute


def accepted(shop: Shop, since: datetime, until: datetime) -> int:
    """By the API, of at most a day."""
    rows = shop.ask(LEDGER, since=since.isoformat(), until=until.isoformat())["ledger"]["whole"]
    return sum(row["eventsAccepted"] for row in rows if row["platform"] is None)


def home(page: Page, since: datetime, until: datetime) -> None:
    page.goto(f"/?{urlencode({'since': since.isoformat(), 'until': until.isoformat()})}")


def new_events(page: Page) -> Locator:
    return page.locator(".home-headline li").filter(has_text="New events")


def in_utc(page: Page) -> None:
    page.add_init_script("localStorage.setItem('zone', 'utc')")


def told(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M:%S} UTC".replace("Sep ", "Sept ")


@pytest.mark.parametrize("hours", [8, 24])
def test_a_custom_time_is_counted_to_the_minute(visit: Visitors, busy: tuple[Shop, datetime], hours: int) -> None:
    shop, minute = busy
    page = visit(shop.key)
    since = minute - timedelta(hours=hours)
    home(page, since, minute)  # ends where the events begin
    expect(new_events(page)).to_contain_text("New events0")
    assert accepted(shop, since, minute) == 0
    home(page, since + MINUTE, minute + MINUTE)
    expect(new_events(page)).to_contain_text("New events7")
    assert accepted(shop, since + MINUTE, minute + MINUTE) == 7


def test_a_custom_time_of_weeks_is_counted_to_the_hour(visit: Visitors, busy: tuple[Shop, datetime]) -> None:
    shop, minute = busy
    page = visit(shop.key)
    hour = minute.replace(minute=0)
    home(page, (hour - timedelta(days=20)).replace(hour=0), hour)
    expect(new_events(page)).to_contain_text("New events0")


def test_a_time_that_is_not_counted_so_finely_says_what_is_counted(
    visit: Visitors, busy: tuple[Shop, datetime]
) -> None:
    shop, minute = busy
    page = visit(shop.key)
    in_utc(page)
    since = minute - timedelta(days=3)
    begin, end = since.replace(minute=0), minute.replace(minute=0) + timedelta(hours=1)
    before = datetime.now(UTC)
    home(page, since, minute)
    counted = page.get_by_role("status").filter(has_text="Counted from")
    expect(counted).to_be_visible()
    # An hour may end while it is opened.
    ends = "|".join({"now" if at < end else re.escape(told(end)) for at in (before, datetime.now(UTC))})
    expect(counted).to_contain_text(re.compile(rf"Counted from {re.escape(told(begin))} to ({ends}): in whole hours"))
    expect(new_events(page)).to_contain_text("New events7")
    expect(page.get_by_label("From (UTC)")).to_have_value(f"{begin:%Y-%m-%dT%H:%M}")
    expect(page.get_by_label("Before (UTC)")).to_have_value(f"{end:%Y-%m-%dT%H:%M}")
