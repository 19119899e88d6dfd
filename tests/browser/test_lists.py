"""Lists: filters live in the address, rows stand still while one reads, and times are in the zone one chose."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Shop
from tests.browser.test_stale import FRAMES, listen


def test_filters_are_the_address_through_reload_back_and_a_link(page: Page, visit: Visitors, shop: Shop) -> None:
    shop.send("filtered-1", "filtered-2")
    shop.send("filtered-3", eventName="Lead")
    for number in (1, 2, 3):
        shop.wait_for(f"filtered-{number}", "META", "DELIVERED")
    page.goto("/events?id=filtered-")
    links = page.get_by_role("link", name=re.compile("^filtered-"))
    expect(links).to_have_text(["filtered-3", "filtered-2", "filtered-1"])

    name = page.get_by_label("Event name")
    name.fill("Lead")
    expect(links).to_have_text(["filtered-3"])
    page.locator("summary").filter(has_text="Status").click()
    page.get_by_role("checkbox", name="Delivered").check()
    chosen = re.compile(r"/events\?id=filtered-&name=Lead&status=DELIVERED$")
    expect(page).to_have_url(chosen)

    page.reload()
    expect(links).to_have_text(["filtered-3"])
    expect(name).to_have_value("Lead")
    page.locator("summary").filter(has_text="Status").click()
    expect(page.get_by_role("checkbox", name="Delivered")).to_be_checked()
    friend = visit(shop.key)
    friend.goto(page.url)
    expect(friend.get_by_role("link", name=re.compile("^filtered-"))).to_have_text(["filtered-3"])

    links.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("filtered-3")
    page.go_back()
    expect(page).to_have_url(chosen)
    expect(links).to_have_text(["filtered-3"])
    page.go_back()
    expect(page).to_have_url(re.compile(r"/events\?id=filtered-&name=Lead$"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"/events\?id=filtered-$"))
    expect(links).to_have_text(["filtered-3", "filtered-2", "filtered-1"])

    page.get_by_role("button", name="Clear filters").click()
    expect(page).to_have_url(re.compile("/events$"))


def test_new_rows_are_collected_and_nothing_moves(page: Page, shop: Shop) -> None:
    shop.send("collected-1", "collected-2")
    page.goto("/events?id=collected-")
    links = page.get_by_role("link", name=re.compile("^collected-"))

    def places() -> list[float]:
        tops: list[float] = links.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().top)")
        return tops

    expect(links).to_have_text(["collected-2", "collected-1"])
    before = places()

    shop.send("collected-3", "collected-4")
    fresh = page.get_by_role("button", name="2 new events: show")
    expect(fresh).to_be_visible()
    expect(links).to_have_text(["collected-2", "collected-1"])
    assert places() == before
    fresh.click()
    expect(links).to_have_text(["collected-4", "collected-3", "collected-2", "collected-1"])
    expect(fresh).to_have_count(0)


def test_what_is_paused_stays_paused(page: Page, shop: Shop) -> None:
    shop.send("paused-1")
    page.clock.install()
    page.goto("/events?id=paused-")
    links = page.get_by_role("link", name=re.compile("^paused-"))
    expect(links).to_have_text(["paused-1"])
    page.keyboard.press(".")
    expect(page.get_by_role("button", name="Paused")).to_have_attribute("aria-pressed", "true")

    shop.send("paused-2")
    asked = listen(page)
    page.clock.run_for(120_000)
    # Whoever comes back to the tab is not surprised either.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange')); window.dispatchEvent(new Event('focus'))")
    page.clock.run_for(10_000)
    page.evaluate(FRAMES)
    # The live connection, which had no time to answer by this clock, is no part of it.
    assert set(asked) <= {"OpenAlerts"}
    expect(links).to_have_text(["paused-1"])
    page.keyboard.press(".")
    page.clock.run_for(10_000)
    expect(page.get_by_role("button", name="1 new event: show")).to_be_visible()


def test_times_are_local_or_utc_everywhere_at_once(page: Page, shop: Shop) -> None:
    occurred = (datetime.now(UTC) - timedelta(days=1)).replace(hour=22, minute=30, second=5, microsecond=0)
    shop.send("timed", occurredAt=occurred.isoformat())

    def written(time: datetime) -> str:
        return f"{time.day} {time:%b %Y, %H:%M:%S %Z}".replace("Sep ", "Sept ")

    here = occurred.astimezone(ZoneInfo("Europe/Berlin"))
    page.goto("/events/timed")
    main = page.get_by_role("main")
    expect(main).to_contain_text(written(here))
    page.get_by_role("button", name=re.compile("^CES?T$")).click()
    expect(main).to_contain_text(written(occurred))
    expect(main).not_to_contain_text(written(here))
    page.reload()
    expect(main).to_contain_text(written(occurred))
    page.goto("/events?id=timed")
    arrived = page.get_by_role("row").filter(has_text="timed").locator("time")
    expect(arrived).to_have_attribute("title", re.compile(r" UTC$"))


def test_a_blank_between_two_words_is_typed_as_slowly_as_one_likes(page: Page, shop: Shop) -> None:
    shop.send("two-words")
    page.goto("/deliveries")
    words = page.get_by_label("Words of the error")
    words.press_sequentially("access ")
    expect(page).to_have_url(re.compile(r"=access$"))
    page.evaluate(FRAMES)
    words.press_sequentially("token")
    expect(page).to_have_url(re.compile(r"=access(\+|%20)token$"))
    expect(words).to_have_value("access token")
